//! The source in a commit: judged first, sent as a tar then.
//!
//! `receive.fsckObjects` refuses what harms git: `..` and `.git` as names, trees that are out of order. What harms *us*
//! it lets pass, so every tree is walked to its end before a byte is sent: links that lead out of it, modes that git
//! never writes, a gigabyte of zeros in 300 kB, and ten thousand million files in twelve objects. The walk counts as it
//! goes and stops at the first thing that is too much.

use std::{collections::BTreeMap, ffi::OsStr, io, os::unix::ffi::OsStrExt, path::Path};

use git2::{ObjectType, Oid, Repository, Tree};
use tar::{Builder, EntryType, Header};

use self::rules::{MAXIMUM_LINK_BYTES, Rules, check_links, check_name, check_target, printable};

mod link;
pub(crate) mod rules;

pub(crate) use self::rules::SourceError;

const REGULAR: i32 = 0o100_644;
/// Written by git before 2005, still found in old histories.
const GROUP_WRITABLE: i32 = 0o100_664;
const EXECUTABLE: i32 = 0o100_755;
const LINK: i32 = 0o120_000;
const DIRECTORY: i32 = 0o040_000;
const SUBMODULE: i32 = 0o160_000;

/// Everything in a commit's tree, found fit to be built.
#[derive(Debug)]
pub(crate) struct Source {
    entries: Vec<Entry>,
    modified_at: i64,
    /// Where submodules would be: they are left out.
    pub(crate) submodules: Vec<String>,
}

#[derive(Debug)]
struct Entry {
    path: Vec<u8>,
    id: Oid,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File { is_executable: bool },
    Link,
    Directory,
}

impl Source {
    /// Walks the whole tree of a commit. Sends nothing yet.
    pub(crate) fn check(repository: &Repository, commit: Oid) -> Result<Self, SourceError> {
        // A ref may point at a tag: of a branch, git makes sure that it is a commit.
        let commit = repository.find_object(commit, None)?.peel_to_commit()?;
        let mut walk = Walk {
            repository,
            entries: Vec::new(),
            links: BTreeMap::new(),
            submodules: Vec::new(),
            rules: Rules::default(),
        };
        walk.tree(&commit.tree()?, &mut Vec::new())?;
        if walk.rules.is_empty() {
            return Err(SourceError::Empty);
        }
        check_links(&walk.links)?;
        Ok(Self {
            entries: walk.entries,
            modified_at: commit.time().seconds().max(0),
            submodules: walk.submodules,
        })
    }

    /// Writes the tar.
    pub(crate) fn write_tar(&self, repository: &Repository, writer: impl io::Write) -> io::Result<()> {
        let mut tar = Builder::new(writer);
        for entry in &self.entries {
            let path = Path::new(OsStr::from_bytes(&entry.path));
            let mut header = Header::new_gnu();
            header.set_mtime(self.modified_at.unsigned_abs());
            match entry.kind {
                Kind::Directory => {
                    header.set_entry_type(EntryType::Directory);
                    header.set_mode(0o755);
                    header.set_size(0);
                    tar.append_data(&mut header, path, io::empty())?;
                }
                Kind::File { is_executable } => {
                    let blob = repository.find_blob(entry.id).map_err(io::Error::other)?;
                    header.set_entry_type(EntryType::Regular);
                    header.set_mode(if is_executable { 0o755 } else { 0o644 });
                    header.set_size(blob.content().len() as u64);
                    tar.append_data(&mut header, path, blob.content())?;
                }
                Kind::Link => {
                    let blob = repository.find_blob(entry.id).map_err(io::Error::other)?;
                    header.set_entry_type(EntryType::Symlink);
                    header.set_mode(0o777);
                    header.set_size(0);
                    tar.append_link(&mut header, path, OsStr::from_bytes(blob.content()))?;
                }
            }
        }
        tar.into_inner()?.flush()
    }
}

struct Walk<'repo> {
    repository: &'repo Repository,
    entries: Vec<Entry>,
    links: BTreeMap<Vec<u8>, Vec<u8>>,
    submodules: Vec<String>,
    rules: Rules,
}

impl Walk<'_> {
    /// Recursion ends: a path has at most as many directories as bytes.
    fn tree(&mut self, tree: &Tree<'_>, path: &mut Vec<u8>) -> Result<(), SourceError> {
        for entry in tree {
            let parent_bytes = path.len();
            if parent_bytes > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(entry.name_bytes());
            check_name(entry.name_bytes(), path)?;
            self.entry(entry.id(), entry.filemode_raw(), path)?;
            path.truncate(parent_bytes);
        }
        Ok(())
    }

    fn entry(&mut self, id: Oid, mode: i32, path: &mut Vec<u8>) -> Result<(), SourceError> {
        let kind = match mode {
            REGULAR | GROUP_WRITABLE => Kind::File { is_executable: false },
            EXECUTABLE => Kind::File { is_executable: true },
            LINK => Kind::Link,
            DIRECTORY => Kind::Directory,
            SUBMODULE => {
                self.submodules.push(printable(path));
                self.rules.directory()?;
                return Ok(());
            }
            mode => {
                return Err(SourceError::BadMode {
                    path: printable(path),
                    mode,
                });
            }
        };
        self.entries.push(Entry {
            path: path.clone(),
            id,
            kind,
        });
        if kind == Kind::Directory {
            self.rules.directory()?;
            return self.tree(&self.repository.find_tree(id)?, path);
        }
        let (bytes, object) = self.repository.odb()?.read_header(id)?;
        if object != ObjectType::Blob {
            return Err(SourceError::BadMode {
                path: printable(path),
                mode,
            });
        }
        self.rules.file(path, bytes as u64)?;
        if kind == Kind::Link {
            self.link(id, bytes as u64, path)
        } else {
            Ok(())
        }
    }

    fn link(&mut self, id: Oid, bytes: u64, path: &[u8]) -> Result<(), SourceError> {
        if bytes >= MAXIMUM_LINK_BYTES {
            return Err(SourceError::BadLink { path: printable(path) });
        }
        let target = self.repository.find_blob(id)?.content().to_vec();
        check_target(path, &target)?;
        self.links.insert(path.to_owned(), target);
        Ok(())
    }
}
