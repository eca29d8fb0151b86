//! The archive of a slug that somebody else has compiled: everything in `/app`, as `./app/…` (Dev Center, *Creating Slugs
//! from Scratch*).
//!
//! Its links may lead anywhere, because a virtual environment's do: they mean something in the app's own container alone.
//! What is outside of `/app`, or would be written through a link, is refused.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::File,
    io::{self, BufWriter, Write as _},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use paas_engine::User;
use tar::{Archive, Builder, EntryType, Header};

use super::archive::{ArchiveError, normal, unpack_by};
use crate::git::source::rules::printable;

/// Dependencies are many files.
const MAXIMUM_ENTRIES: usize = 500_000;

/// Turns `archive` into the tar `target` for the layer of an image, which must not exist. `scratch` is needed meanwhile and
/// gone afterwards. Blocks.
pub(crate) fn unpack_slug(
    archive: &Path,
    checksum: Option<&str>,
    scratch: &Path,
    target: &Path,
) -> Result<(), ArchiveError> {
    unpack_by(rewrite, archive, checksum, scratch, target)
}

fn rewrite(tar: &Path, target: &Path) -> Result<(), ArchiveError> {
    let source = File::open(tar).map_err(ArchiveError::Disk)?;
    let target = BufWriter::new(File::create_new(target).map_err(ArchiveError::Disk)?);
    let mut slug = Builder::new(target);
    let mut links = BTreeSet::new();
    let mut count = 0;
    for entry in Archive::new(source).entries().map_err(ArchiveError::Broken)? {
        let mut entry = entry.map_err(ArchiveError::Broken)?;
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            continue;
        }
        let Some(path) = normal(&entry.path_bytes())? else {
            continue;
        };
        count += 1;
        if count > MAXIMUM_ENTRIES {
            return Err(ArchiveError::TooLarge);
        }
        if path != b"app" && !path.starts_with(b"app/") {
            return Err(ArchiveError::Outside { path: printable(&path) });
        }
        let is_behind_link = is_behind(&links, &path);
        let is_over_link = links.contains(&path) && kind != EntryType::Symlink;
        if is_behind_link || is_over_link {
            return Err(ArchiveError::Clash { path: printable(&path) });
        }
        let mode = entry.header().mode().map_err(ArchiveError::Broken)?;
        let mut header = Header::new_gnu();
        header.set_mtime(entry.header().mtime().map_err(ArchiveError::Broken)?);
        header.set_uid(User::DYNO.uid.into());
        header.set_gid(User::DYNO.gid.into());
        // Nothing runs as somebody else.
        header.set_mode(mode & 0o777);
        header.set_size(0);
        let name = Path::new(OsStr::from_bytes(&path));
        let written = match kind {
            EntryType::Directory => {
                header.set_entry_type(EntryType::Directory);
                slug.append_data(&mut header, name, io::empty())
            }
            EntryType::Regular | EntryType::Continuous => {
                header.set_entry_type(EntryType::Regular);
                header.set_size(entry.size());
                slug.append_data(&mut header, name, &mut entry)
            }
            EntryType::Symlink => {
                let to = entry.link_name_bytes().unwrap_or_default().into_owned();
                header.set_entry_type(EntryType::Symlink);
                links.insert(path.clone());
                slug.append_link(&mut header, name, OsStr::from_bytes(&to))
            }
            EntryType::Link => {
                let to = normal(&entry.link_name_bytes().unwrap_or_default())?;
                let to = to.filter(|to| to.starts_with(b"app/") && !is_behind(&links, to));
                let to = to.ok_or_else(|| ArchiveError::Outside { path: printable(&path) })?;
                header.set_entry_type(EntryType::Link);
                slug.append_link(&mut header, name, OsStr::from_bytes(&to))
            }
            _ => return Err(ArchiveError::BadKind { path: printable(&path) }),
        };
        written.map_err(ArchiveError::Disk)?;
    }
    if count == 0 {
        return Err(ArchiveError::Empty);
    }
    let finished = slug.into_inner().and_then(|mut target| target.flush());
    finished.map_err(ArchiveError::Disk)
}

/// Whether a path leads through one of these links.
fn is_behind(links: &BTreeSet<Vec<u8>>, path: &[u8]) -> bool {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    ends.map(|(end, _)| &path[..end]).any(|parent| links.contains(parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(entries: &[(&str, EntryType, &str)]) -> Result<Vec<String>, ArchiveError> {
        let mut tar = Builder::new(Vec::new());
        for (path, kind, content) in entries {
            let mut header = Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o4755);
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
            if is_link {
                header.as_gnu_mut().unwrap().linkname[..content.len()].copy_from_slice(content.as_bytes());
            }
            let content = if is_link { "" } else { content };
            header.set_size(content.len() as u64);
            header.set_cksum();
            tar.append(&header, content.as_bytes()).unwrap();
        }
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("archive"), tar.into_inner().unwrap()).unwrap();
        unpack_slug(&path("archive"), None, &path("scratch"), &path("tar"))?;
        let mut slug = Archive::new(File::open(path("tar")).unwrap());
        let entries = slug.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            let (mode, uid) = (header.mode().unwrap(), header.uid().unwrap());
            format!("{mode:o} {uid} {}", entry.path().unwrap().display())
        });
        Ok(entries.collect())
    }

    #[test]
    fn what_is_in_app_belongs_to_the_dynos_user() {
        let entries = [
            ("./app/", EntryType::Directory, ""),
            ("./app/run", EntryType::Regular, "hello"),
            ("./app/python", EntryType::Symlink, "/usr/bin/python3"),
            ("./app/again", EntryType::Link, "./app/run"),
        ];
        let expected = [
            "755 10001 app",
            "755 10001 app/run",
            "755 10001 app/python",
            "755 10001 app/again",
        ];
        assert_eq!(rewritten(&entries).unwrap(), expected);
    }

    #[test]
    fn what_is_elsewhere_is_refused() {
        for entries in [
            &[("etc/passwd", EntryType::Regular, "x")][..],
            &[("./app/../etc/passwd", EntryType::Regular, "x")],
            &[("/app/x", EntryType::Regular, "x")],
            &[
                ("app/etc", EntryType::Symlink, "/etc"),
                ("app/etc/passwd", EntryType::Regular, "x"),
            ],
            &[
                ("app/x", EntryType::Symlink, "/etc/passwd"),
                ("app/x", EntryType::Regular, "x"),
            ],
            &[("app/x", EntryType::Link, "/etc/passwd")],
            &[
                ("app/etc", EntryType::Symlink, "/etc"),
                ("app/x", EntryType::Link, "app/etc/passwd"),
            ],
            &[("app/x", EntryType::Link, "etc/passwd")],
            &[("app/x", EntryType::Block, "")],
            &[],
        ] {
            assert!(rewritten(entries).is_err(), "{entries:?}");
        }
    }
}
