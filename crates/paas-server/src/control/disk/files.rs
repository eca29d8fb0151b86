//! Files of our own: what there is, how large and how old.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Empty for a folder that is not there.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A file, or all files of a folder. What goes away meanwhile counts nothing.
pub(super) fn bytes_in(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return 0;
    };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let entries = entries(path).unwrap_or_default();
    entries.iter().map(|entry| bytes_in(entry)).sum()
}

/// For how long a file has not been changed.
pub(super) fn age(path: &Path) -> Option<Duration> {
    fs::metadata(path).ok()?.modified().ok()?.elapsed().ok()
}
