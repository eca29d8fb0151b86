//! The source in a commit: judged first, sent as a tar then.
//!
//! `receive.fsckObjects` refuses what harms git: `..` and `.git` as names, trees that are out of order. What harms *us*
//! it lets pass, so every tree is walked to its end before a byte is sent: links that lead out of it, modes that git
//! never writes, a gigabyte of zeros in 300 kB, and ten thousand million files in twelve objects. The walk counts as it
//! goes and stops at the first thing that is too much.

use std::{collections::BTreeMap, ffi::OsStr, fmt::Write as _, io, os::unix::ffi::OsStrExt, path::Path};

use git2::{ObjectType, Oid, Repository, Tree};
use tar::{Builder, EntryType, Header};
use thiserror::Error;

mod link;

const MAXIMUM_FILES: usize = 50_000;
/// Directories cost nothing in a pack and something everywhere else.
const MAXIMUM_DIRECTORIES: usize = 50_000;
/// Heroku's limit for a checkout.
const MAXIMUM_BYTES: u64 = 1024 * 1024 * 1024;
/// A file is read into memory on its way into the tar.
const MAXIMUM_FILE_BYTES: u64 = 256 * 1024 * 1024;
const MAXIMUM_PATH_BYTES: usize = 1024;
/// What Linux takes.
const MAXIMUM_LINK_BYTES: u64 = 4096;

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

/// Why a source is refused, in words for the person who pushed it.
#[derive(Debug, Error)]
pub(crate) enum SourceError {
    #[error("the commit has no files: add your app's files, commit and push again")]
    Empty,
    #[error(
        "the source has more than {MAXIMUM_FILES} files: leave out what is installed or generated (node_modules, venv, build output)"
    )]
    TooManyFiles,
    #[error("the source has more than {MAXIMUM_DIRECTORIES} directories")]
    TooManyDirectories,
    #[error("the source is larger than 1 GB when it is checked out: keep large files out of the repository")]
    TooLarge,
    #[error("{path} is larger than 256 MB: keep large files out of the repository")]
    FileTooLarge { path: String },
    #[error("a path is longer than {MAXIMUM_PATH_BYTES} bytes: {path}…")]
    PathTooLong { path: String },
    #[error("a file or directory may not be called {name:?}: {path}")]
    BadName { name: String, path: String },
    #[error("{path} is neither a file, a directory nor a link (mode {mode:o})")]
    BadMode { path: String, mode: i32 },
    #[error("the link {path} has no usable target")]
    BadLink { path: String },
    #[error("the link {path} leads out of the source, to {target}: links must stay inside of it")]
    LinkLeadsOut { path: String, target: String },
    #[error("the links of the source are too tangled to follow")]
    TangledLinks,
    #[error("the commit cannot be read: {0}")]
    Read(#[from] git2::Error),
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
            files: 0,
            directories: 0,
            bytes: 0,
        };
        walk.tree(&commit.tree()?, &mut Vec::new())?;
        if walk.files == 0 {
            return Err(SourceError::Empty);
        }
        link::check(&walk.links)?;
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
    files: usize,
    directories: usize,
    bytes: u64,
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
                self.count_directory()?;
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
            self.count_directory()?;
            return self.tree(&self.repository.find_tree(id)?, path);
        }
        self.count_file()?;
        let (bytes, object) = self.repository.odb()?.read_header(id)?;
        let bytes = bytes as u64;
        if object != ObjectType::Blob {
            return Err(SourceError::BadMode {
                path: printable(path),
                mode,
            });
        }
        self.bytes += bytes;
        if self.bytes > MAXIMUM_BYTES {
            return Err(SourceError::TooLarge);
        }
        if kind == Kind::Link {
            self.link(id, bytes, path)
        } else if bytes > MAXIMUM_FILE_BYTES {
            Err(SourceError::FileTooLarge { path: printable(path) })
        } else {
            Ok(())
        }
    }

    fn link(&mut self, id: Oid, bytes: u64, path: &[u8]) -> Result<(), SourceError> {
        let bad = || SourceError::BadLink { path: printable(path) };
        if bytes == 0 || bytes >= MAXIMUM_LINK_BYTES {
            return Err(bad());
        }
        let target = self.repository.find_blob(id)?.content().to_vec();
        if target.contains(&0) {
            return Err(bad());
        }
        self.links.insert(path.to_owned(), target);
        Ok(())
    }

    fn count_file(&mut self) -> Result<(), SourceError> {
        self.files += 1;
        if self.files > MAXIMUM_FILES {
            return Err(SourceError::TooManyFiles);
        }
        Ok(())
    }

    fn count_directory(&mut self) -> Result<(), SourceError> {
        self.directories += 1;
        if self.directories > MAXIMUM_DIRECTORIES {
            return Err(SourceError::TooManyDirectories);
        }
        Ok(())
    }
}

/// A second wall behind fsck: these names would let a file leave the tree, or become part of a repository.
fn check_name(name: &[u8], path: &[u8]) -> Result<(), SourceError> {
    if path.len() > MAXIMUM_PATH_BYTES {
        return Err(SourceError::PathTooLong {
            path: printable(&path[..80]),
        });
    }
    let is_bad = name.is_empty()
        || name == b"."
        || name == b".."
        || name.contains(&b'/')
        || name.contains(&0)
        || name.eq_ignore_ascii_case(b".git");
    if is_bad {
        return Err(SourceError::BadName {
            name: printable(name),
            path: printable(path),
        });
    }
    Ok(())
}

/// A path as it can be shown on a terminal: whoever pushes chose its bytes.
fn printable(path: &[u8]) -> String {
    let mut text = String::new();
    for c in String::from_utf8_lossy(path).chars() {
        if c.is_control() {
            let _ = write!(text, "{}", c.escape_default());
        } else {
            text.push(c);
        }
    }
    text
}
