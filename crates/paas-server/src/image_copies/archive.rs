//! The files of an archive, each content kept once.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use sha2::{Digest, Sha256};
use tar::{Archive, Builder, EntryType, Header};

use super::{Entry, What};

/// Contents by the name and the length that files have in other copies.
pub(super) type Known = BTreeMap<(String, u64), String>;

/// How fast an archive is read: nobody waits for a copy, and the disk is everybody's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) bytes_per_second: u64,
}

const PIECE: usize = 256 * 1024;

/// Keeps the content of every file of a tar in `blobs`. What was not there before is told in `added`, also after an error.
pub(super) fn unpack(
    tar: impl Read,
    blobs: &Path,
    known: &Known,
    pace: Pace,
    added: &mut Vec<PathBuf>,
) -> io::Result<Vec<Entry>> {
    fs::create_dir_all(blobs)?;
    let mut paced = Paced {
        source: tar,
        pace,
        began: Instant::now(),
        bytes: 0,
    };
    let mut entries = Vec::new();
    for entry in Archive::new(&mut paced).entries()? {
        let mut entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let what = match entry.header().entry_type() {
            EntryType::Directory => What::Folder,
            EntryType::Symlink | EntryType::Link => What::Link {
                target: String::from_utf8_lossy(&entry.link_name_bytes().unwrap_or_default()).into_owned(),
            },
            _ => {
                let bytes = entry.size();
                let expected = known.get(&(path.clone(), bytes)).map(String::as_str);
                What::File {
                    sha256: keep(&mut entry, blobs, expected, added)?,
                    bytes,
                }
            }
        };
        entries.push(Entry { path, what });
    }
    // The padding behind a tar's end is the sender's to finish.
    io::copy(&mut paced, &mut io::sink())?;
    Ok(entries)
}

/// Makes the tar again.
pub(super) fn pack(entries: &[Entry], blobs: &Path, writer: impl Write) -> io::Result<()> {
    let mut tar = Builder::new(BufWriter::with_capacity(PIECE, writer));
    for Entry { path, what } in entries {
        let mut header = Header::new_gnu();
        header.set_mtime(0);
        match what {
            What::Folder => {
                header.set_entry_type(EntryType::Directory);
                header.set_mode(0o755);
                header.set_size(0);
                tar.append_data(&mut header, path, io::empty())?;
            }
            What::Link { target } => {
                header.set_entry_type(EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                tar.append_link(&mut header, path, target)?;
            }
            What::File { sha256, bytes } => {
                header.set_mode(0o644);
                header.set_size(*bytes);
                let content = GzDecoder::new(File::open(blob(blobs, sha256))?);
                tar.append_data(&mut header, path, content.take(*bytes))?;
            }
        }
    }
    tar.into_inner()?.flush()
}

pub(super) fn blob(blobs: &Path, sha256: &str) -> PathBuf {
    blobs.join(blob_name(sha256))
}

pub(super) fn blob_name(sha256: &str) -> String {
    format!("{sha256}.gz")
}

/// Keeps one content, and gives its hash. One that is `expected` to be here already is passed over, as most of every image
/// is. Were its name to mean something else for once, an engine would refuse the archive: it knows each layer's hash.
fn keep(content: &mut impl Read, blobs: &Path, expected: Option<&str>, added: &mut Vec<PathBuf>) -> io::Result<String> {
    if let Some(expected) = expected.filter(|sha256| blob(blobs, sha256).exists()) {
        io::copy(content, &mut io::sink())?;
        return Ok(expected.to_owned());
    }
    let partial = blobs.join("partial");
    let kept = write_blob(content, &partial).and_then(|sha256| {
        let path = blob(blobs, &sha256);
        let is_new = !path.exists();
        fs::rename(&partial, &path)?;
        added.extend(is_new.then_some(path));
        Ok(sha256)
    });
    if kept.is_err() {
        // The disk may be full of it.
        let _ = fs::remove_file(&partial);
    }
    kept
}

fn write_blob(content: &mut impl Read, path: &Path) -> io::Result<String> {
    let mut packed = GzEncoder::new(File::create(path)?, Compression::fast());
    let sha256 = copy_hashed(content, &mut packed)?;
    packed.finish()?.sync_all()?;
    Ok(sha256)
}

fn copy_hashed(from: &mut impl Read, to: &mut impl Write) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        let length = from.read(&mut piece)?;
        if length == 0 {
            break;
        }
        hash.update(&piece[..length]);
        to.write_all(&piece[..length])?;
    }
    Ok(hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Reads no faster than its pace.
struct Paced<R> {
    source: R,
    pace: Pace,
    began: Instant,
    bytes: u64,
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        self.bytes += length as u64;
        let due = Duration::from_millis(self.bytes.saturating_mul(1000) / self.pace.bytes_per_second.max(1));
        thread::sleep(due.saturating_sub(self.began.elapsed()));
        Ok(length)
    }
}
