//! What every source has to keep to, wherever it comes from: counted as it goes, and ended at the first thing too much.

use std::{collections::BTreeMap, fmt::Write as _};

use thiserror::Error;

use super::link;

const MAXIMUM_FILES: usize = 50_000;
/// Directories cost nothing in a pack and something everywhere else.
const MAXIMUM_DIRECTORIES: usize = 50_000;
/// Heroku's limit for a checkout.
const MAXIMUM_BYTES: u64 = 1024 * 1024 * 1024;
/// A file is read into memory on its way into the tar.
const MAXIMUM_FILE_BYTES: u64 = 256 * 1024 * 1024;
const MAXIMUM_PATH_BYTES: usize = 1024;
/// What Linux takes.
pub(super) const MAXIMUM_LINK_BYTES: u64 = 4096;

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

/// What of a source was seen so far.
#[derive(Default)]
pub(crate) struct Rules {
    files: usize,
    directories: usize,
    bytes: u64,
}

impl Rules {
    /// A file or a link of so many bytes.
    pub(crate) fn file(&mut self, path: &[u8], bytes: u64) -> Result<(), SourceError> {
        self.files += 1;
        if self.files > MAXIMUM_FILES {
            return Err(SourceError::TooManyFiles);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAXIMUM_BYTES {
            return Err(SourceError::TooLarge);
        }
        if bytes > MAXIMUM_FILE_BYTES {
            return Err(SourceError::FileTooLarge { path: printable(path) });
        }
        Ok(())
    }

    pub(crate) fn directory(&mut self) -> Result<(), SourceError> {
        self.directories += 1;
        if self.directories > MAXIMUM_DIRECTORIES {
            return Err(SourceError::TooManyDirectories);
        }
        Ok(())
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.files == 0
    }
}

/// Whether a link has a target that can be one. Where it leads is for [`check_links`], when all of them are known.
pub(crate) fn check_target(path: &[u8], target: &[u8]) -> Result<(), SourceError> {
    if target.is_empty() || target.len() as u64 >= MAXIMUM_LINK_BYTES || target.contains(&0) {
        return Err(SourceError::BadLink { path: printable(path) });
    }
    Ok(())
}

/// `links` are paths in the source and what they point at: none may lead out of it.
pub(crate) fn check_links(links: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), SourceError> {
    link::check(links)
}

/// A second wall behind fsck: these names would let a file leave the tree, or become part of a repository.
pub(crate) fn check_name(name: &[u8], path: &[u8]) -> Result<(), SourceError> {
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
pub(crate) fn printable(path: &[u8]) -> String {
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
