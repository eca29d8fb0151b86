//! Tars in memory: small ones, of files that we know.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    path::PathBuf,
};

/// A tar that is written in memory, with nothing in it that changes from one day to the next.
pub(crate) struct MemoryTar(tar::Builder<Vec<u8>>);

impl MemoryTar {
    pub(crate) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    pub(crate) fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        self.0
            .append_data(&mut header, path, content)
            .expect("memory takes all bytes, and our own paths are relative");
    }

    pub(crate) fn directory(&mut self, path: &str) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        self.0
            .append_data(&mut header, path, io::empty())
            .expect("memory takes all bytes, and our own paths are relative");
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.into_inner().expect("memory takes all bytes")
    }
}

/// The regular files of a tar, whole, up to `limit_bytes` in all.
pub(crate) fn read_files(tar: &[u8], limit_bytes: u64) -> io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut left = limit_bytes;
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        left = left
            .checked_sub(entry.size())
            .ok_or_else(|| io::Error::other("the archive is larger than expected"))?;
        let path = entry.path()?.into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        files.insert(path, content);
    }
    Ok(files)
}
