//! An archive becomes a tar that is fit to be built.
//!
//! ```text
//! tar.gz or tar ─▶ checksum ─▶ a tar of a gigabyte at most ─▶ judged, one folder around all of it left out ─▶ tar
//! ```

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ffi::OsStr,
    fmt::Write as _,
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use tar::{Archive, Builder, EntryType, Header};
use thiserror::Error;

use crate::git::source::rules::{Rules, SourceError, check_links, check_name, check_target, printable};

/// What a repository may hold, too (`git` refuses larger ones), and something for the headers.
const MAXIMUM_TAR_BYTES: u64 = 1024 * 1024 * 1024 + 64 * 1024 * 1024;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Why an archive is refused, in words for the person who made it; or what went wrong with our own disk.
#[derive(Debug, Error)]
pub(crate) enum ArchiveError {
    #[error("the source does not have the checksum that the build names: please upload it again")]
    Checksum,
    #[error("a checksum is SHA256: and 64 hexadecimal digits")]
    BadChecksum,
    #[error("the source is not a whole tar.gz file: make it with `tar czf`")]
    Broken(#[source] io::Error),
    #[error("the source is too large (maximum is 1 GiB unpacked)")]
    TooLarge,
    #[error("the source has no files")]
    Empty,
    #[error("{path} is in the source twice, as different things")]
    Clash { path: String },
    #[error("{path} is neither a file, a directory nor a link")]
    BadKind { path: String },
    #[error("{path} is not in ./app, where all files of a slug are")]
    Outside { path: String },
    #[error(transparent)]
    Rule(#[from] SourceError),
    #[error("a source cannot be written")]
    Disk(#[source] io::Error),
}

/// A thing in the source, and where its bytes are in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Directory,
    File {
        offset: u64,
        bytes: u64,
        is_executable: bool,
        modified_at: u64,
    },
    Link(Vec<u8>),
}

type Tree = BTreeMap<Vec<u8>, Node>;

/// Turns `archive` into the tar `target`, which must not exist. `scratch` is needed meanwhile and gone afterwards. Blocks.
pub(crate) fn unpack(
    archive: &Path,
    checksum: Option<&str>,
    scratch: &Path,
    target: &Path,
) -> Result<(), ArchiveError> {
    unpack_by(rewrite, archive, checksum, scratch, target)
}

/// The same with other rules: `rewrite` makes the target of a tar that was only inflated.
pub(super) fn unpack_by(
    rewrite: fn(&Path, &Path) -> Result<(), ArchiveError>,
    archive: &Path,
    checksum: Option<&str>,
    scratch: &Path,
    target: &Path,
) -> Result<(), ArchiveError> {
    if let Some(checksum) = checksum {
        check(archive, checksum)?;
    }
    let unpacked = inflate(archive, scratch).and_then(|()| rewrite(scratch, target));
    // What stays behind is swept later.
    let _ = std::fs::remove_file(scratch);
    if unpacked.is_err() {
        let _ = std::fs::remove_file(target);
    }
    unpacked
}

/// `SHA256:` and the digest in hexadecimal, as Heroku has them; the first part may be missing.
fn check(archive: &Path, checksum: &str) -> Result<(), ArchiveError> {
    let wanted = checksum.strip_prefix("SHA256:").unwrap_or(checksum);
    if wanted.len() != 64 || !wanted.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(ArchiveError::BadChecksum);
    }
    if wanted.eq_ignore_ascii_case(&digest(archive).map_err(ArchiveError::Disk)?) {
        Ok(())
    } else {
        Err(ArchiveError::Checksum)
    }
}

/// The SHA-256 of a file, in hexadecimal. Blocks.
pub(crate) fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            bytes => hasher.update(&chunk[..bytes]),
        }
    }
    Ok(hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing into a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

fn inflate(archive: &Path, tar: &Path) -> Result<(), ArchiveError> {
    let mut file = File::open(archive).map_err(ArchiveError::Disk)?;
    let mut magic = Vec::new();
    let length = GZIP_MAGIC.len() as u64;
    (&mut file)
        .take(length)
        .read_to_end(&mut magic)
        .map_err(ArchiveError::Disk)?;
    file.seek(SeekFrom::Start(0)).map_err(ArchiveError::Disk)?;
    let mut target = File::create_new(tar).map_err(ArchiveError::Disk)?;
    let source: &mut dyn Read = if magic == GZIP_MAGIC {
        &mut MultiGzDecoder::new(file)
    } else {
        &mut file
    };
    let bytes = io::copy(&mut source.take(MAXIMUM_TAR_BYTES + 1), &mut target).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            ArchiveError::Broken(error)
        }
        _ => ArchiveError::Disk(error),
    })?;
    if bytes > MAXIMUM_TAR_BYTES {
        return Err(ArchiveError::TooLarge);
    }
    Ok(())
}

fn rewrite(tar: &Path, target: &Path) -> Result<(), ArchiveError> {
    let mut file = File::open(tar).map_err(ArchiveError::Disk)?;
    let tree = without_common_folder(read(&file)?);
    let links = tree.iter().filter_map(|(path, node)| match node {
        Node::Link(to) => Some((path.clone(), to.clone())),
        _ => None,
    });
    check_links(&links.collect())?;
    let target = File::create_new(target).map_err(ArchiveError::Disk)?;
    write(&tree, &mut file, BufWriter::new(target)).map_err(ArchiveError::Disk)
}

fn read(file: &File) -> Result<Tree, ArchiveError> {
    let mut tree = Tree::new();
    let mut rules = Rules::default();
    let mut archive = Archive::new(file);
    for entry in archive.entries_with_seek().map_err(ArchiveError::Broken)? {
        let entry = entry.map_err(ArchiveError::Broken)?;
        let header = entry.header();
        let kind = header.entry_type();
        // What git says about the commit.
        if kind.is_pax_global_extensions() {
            continue;
        }
        let Some(path) = normal(&entry.path_bytes())? else {
            continue;
        };
        let target = || {
            let target = entry.link_name_bytes().unwrap_or_default().into_owned();
            check_target(&path, &target).map(|()| target)
        };
        let node = match kind {
            EntryType::Regular | EntryType::Continuous => Node::File {
                offset: entry.raw_file_position(),
                bytes: entry.size(),
                is_executable: header.mode().map_err(ArchiveError::Broken)? & 0o111 != 0,
                modified_at: header.mtime().map_err(ArchiveError::Broken)?,
            },
            EntryType::Directory => Node::Directory,
            EntryType::Symlink => Node::Link(target()?),
            // `tar` writes what has two names only once.
            EntryType::Link => {
                let bad = || SourceError::BadLink { path: printable(&path) };
                let first = normal(&target()?)?.ok_or_else(bad)?;
                match tree.get(&first) {
                    Some(node @ Node::File { .. }) => node.clone(),
                    _ => return Err(bad().into()),
                }
            }
            _ => return Err(ArchiveError::BadKind { path: printable(&path) }),
        };
        for (end, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            put(&mut tree, &mut rules, path[..end].to_vec(), Node::Directory)?;
        }
        put(&mut tree, &mut rules, path, node)?;
    }
    if rules.is_empty() {
        return Err(ArchiveError::Empty);
    }
    Ok(tree)
}

/// A later entry takes the place of an earlier one of its kind, as when `tar` unpacks both.
fn put(tree: &mut Tree, rules: &mut Rules, path: Vec<u8>, node: Node) -> Result<(), ArchiveError> {
    let is_new = match tree.get(&path) {
        None => true,
        Some(Node::Directory) if node == Node::Directory => return Ok(()),
        Some(Node::File { .. }) if matches!(node, Node::File { .. }) => false,
        Some(_) => return Err(ArchiveError::Clash { path: printable(&path) }),
    };
    match &node {
        Node::Directory => rules.directory()?,
        Node::File { bytes, .. } => rules.file(&path, *bytes)?,
        Node::Link(_) => rules.file(&path, 0)?,
    }
    match tree.entry(path) {
        Entry::Vacant(place) => {
            place.insert(node);
        }
        Entry::Occupied(mut place) if !is_new => {
            place.insert(node);
        }
        Entry::Occupied(_) => {}
    }
    Ok(())
}

/// A path without `.` and doubled slashes; `None` is the root itself.
pub(super) fn normal(path: &[u8]) -> Result<Option<Vec<u8>>, ArchiveError> {
    if path.starts_with(b"/") {
        return Err(SourceError::BadName {
            name: "/".to_owned(),
            path: printable(path),
        }
        .into());
    }
    let parts: Vec<&[u8]> = path
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .collect();
    let path = parts.join(&b'/');
    for part in &parts {
        check_name(part, &path)?;
    }
    Ok((!parts.is_empty()).then_some(path))
}

/// GitHub and its like put all files into one folder that is called after the commit. A buildpack with nothing besides
/// its `bin/` is in no such folder.
fn without_common_folder(tree: Tree) -> Tree {
    let mut at_root = tree.iter().filter(|(path, _)| !path.contains(&b'/'));
    let (Some((folder, Node::Directory)), None) = (at_root.next(), at_root.next()) else {
        return tree;
    };
    if folder == b"bin" {
        return tree;
    }
    let inside = folder.len() + 1;
    tree.into_iter()
        .filter(|(path, _)| path.len() > inside)
        .map(|(path, node)| (path[inside..].to_vec(), node))
        .collect()
}

fn write(tree: &Tree, archive: &mut File, target: impl io::Write) -> io::Result<()> {
    let mut tar = Builder::new(target);
    for (path, node) in tree {
        let path = Path::new(OsStr::from_bytes(path));
        let mut header = Header::new_gnu();
        match node {
            Node::Directory => {
                header.set_entry_type(EntryType::Directory);
                header.set_mode(0o755);
                header.set_size(0);
                tar.append_data(&mut header, path, io::empty())?;
            }
            Node::File {
                offset,
                bytes,
                is_executable,
                modified_at,
            } => {
                header.set_entry_type(EntryType::Regular);
                header.set_mode(if *is_executable { 0o755 } else { 0o644 });
                header.set_size(*bytes);
                header.set_mtime(*modified_at);
                archive.seek(SeekFrom::Start(*offset))?;
                tar.append_data(&mut header, path, (&mut *archive).take(*bytes))?;
            }
            Node::Link(to) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                tar.append_link(&mut header, path, OsStr::from_bytes(to))?;
            }
        }
    }
    tar.into_inner()?.flush()
}

#[cfg(test)]
mod tests;
