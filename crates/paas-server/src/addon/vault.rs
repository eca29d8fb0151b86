//! Backups at rest: files of sealed pieces, each of the same length but the last.
//!
//! A backup has its name once all of it is on the disk, and never before.

use std::{
    io,
    path::{Path, PathBuf},
    pin::pin,
};

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use paas_core::{AddonBackup, Id};
use paas_store::{PIECE_TAG_BYTES, PIECES_HEADER_BYTES, PieceOpener, PieceSealer, Sealer};
use tokio::{
    fs::{self, File, OpenOptions},
    io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter},
};
use uuid::Uuid;

use super::BucketError;

const NOUN: &str = "addon backup";
/// How much is sealed at once.
const PIECE: usize = 64 * 1024;
const SEALED_PIECE: usize = PIECE + PIECE_TAG_BYTES;
/// What is not whole yet is called so.
pub(crate) const DRAFT: &str = "part";

/// Where backups are.
pub(crate) struct Vault<'a> {
    pub(crate) sealer: &'a Sealer,
    pub(crate) folder: PathBuf,
}

/// Writes a backup.
pub(crate) struct VaultWriter {
    pieces: PieceSealer,
    file: BufWriter<File>,
    draft: PathBuf,
    path: PathBuf,
    waiting: BytesMut,
    bytes: u64,
}

/// Reads a backup. Nothing comes out of it that did not go in.
pub(crate) struct VaultReader {
    pieces: PieceOpener,
    file: BufReader<File>,
    /// Sealed bytes that were not read yet.
    left: u64,
    is_over: bool,
}

impl Vault<'_> {
    pub(crate) fn path(&self, id: Id<AddonBackup>) -> PathBuf {
        self.folder.join(id.to_string())
    }

    pub(crate) async fn create(&self, id: Id<AddonBackup>) -> Result<VaultWriter> {
        VaultWriter::create(self.sealer, (NOUN, id.as_uuid()), self.path(id)).await
    }

    pub(crate) async fn open(&self, id: Id<AddonBackup>) -> Result<VaultReader> {
        VaultReader::open(self.sealer, (NOUN, id.as_uuid()), &self.path(id)).await
    }

    pub(crate) async fn has(&self, id: Id<AddonBackup>) -> Result<bool> {
        let path = self.path(id);
        let found = fs::try_exists(&path).await;
        found.with_context(|| format!("looking for {}", path.display()))
    }

    /// The file as it is, and how long that is: for another place.
    pub(crate) async fn open_sealed(&self, id: Id<AddonBackup>) -> Result<(File, u64)> {
        let path = self.path(id);
        let context = || format!("opening {}", path.display());
        let file = File::open(&path).await.with_context(context)?;
        let length = file.metadata().await.with_context(context)?.len();
        Ok((file, length))
    }

    /// Takes back a file from another place. It has its name once all of it is on the disk, as it was written.
    pub(crate) async fn take_back(&self, id: Id<AddonBackup>, pieces: impl Stream<Item = Result<Bytes>>) -> Result<()> {
        let path = self.path(id);
        let draft = Draft(path.with_extension(DRAFT));
        let writing = || format!("writing {}", draft.0.display());
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft.0);
        let mut file = file.await.with_context(writing)?;
        let mut pieces = pin!(pieces);
        while let Some(piece) = pieces.next().await {
            file.write_all(&piece?).await.with_context(writing)?;
        }
        file.flush().await.with_context(writing)?;
        file.sync_all().await.with_context(writing)?;
        self.check_file(id, &draft.0).await?;
        name(&draft.0, &path).await
    }

    /// Reads all of a backup: an error says that it is damaged. How many bytes there are in it.
    pub(crate) async fn check(&self, id: Id<AddonBackup>) -> Result<u64> {
        self.check_file(id, &self.path(id)).await
    }

    async fn check_file(&self, id: Id<AddonBackup>, path: &Path) -> Result<u64> {
        let mut reader = VaultReader::open(self.sealer, (NOUN, id.as_uuid()), path).await?;
        let mut bytes = 0;
        while let Some(piece) = reader.next().await? {
            bytes += piece.len() as u64;
        }
        Ok(bytes)
    }

    /// Removes a backup, whole or not; no error when there is none.
    pub(crate) async fn remove(&self, id: Id<AddonBackup>) -> Result<()> {
        let path = self.path(id);
        for path in [path.with_extension(DRAFT), path] {
            match fs::remove_file(&path).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("removing {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A file that is not whole: nobody needs it once whoever writes it has gone, unless it has its name by then.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // What a full or broken disk keeps, the next start sweeps.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl VaultWriter {
    /// What is sealed for one thing is opened as that thing alone.
    pub(super) async fn create(sealer: &Sealer, (noun, row): (&'static str, &Uuid), path: PathBuf) -> Result<Self> {
        let draft = path.with_extension(DRAFT);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft);
        let file = file.await.with_context(|| format!("making {}", draft.display()))?;
        let (header, pieces) = sealer.seal_pieces(noun, row);
        let mut file = BufWriter::with_capacity(SEALED_PIECE, file);
        file.write_all(&header).await?;
        Ok(Self {
            pieces,
            file,
            draft,
            path,
            waiting: BytesMut::new(),
            bytes: 0,
        })
    }

    /// The same as [`Self::finish`], under a name that nobody knew before.
    pub(super) async fn finish_as(mut self, path: PathBuf) -> Result<u64> {
        self.path = path;
        self.finish().await
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        self.waiting.extend_from_slice(bytes);
        // What might be the last one waits for what comes behind it.
        while self.waiting.len() > PIECE {
            let piece = self.waiting.split_to(PIECE);
            self.put(&piece, false).await?;
        }
        Ok(())
    }

    /// All is there: it gets its name once it is on the disk. How many bytes it holds.
    pub(crate) async fn finish(mut self) -> Result<u64> {
        let last = std::mem::take(&mut self.waiting);
        self.put(&last, true).await?;
        let writing = || format!("writing {}", self.path.display());
        self.file.flush().await.with_context(writing)?;
        self.file.get_ref().sync_all().await.with_context(writing)?;
        name(&self.draft, &self.path).await?;
        Ok(self.bytes)
    }

    async fn put(&mut self, piece: &[u8], is_last: bool) -> Result<()> {
        let sealed = self.pieces.seal(piece, is_last);
        let written = self.file.write_all(&sealed).await;
        written.with_context(|| format!("writing {}", self.draft.display()))
    }
}

/// Whether a backup was read, and is not what was written. A disk that cannot be read says nothing about what is on it.
pub(crate) fn is_found_out(error: &anyhow::Error) -> bool {
    // Nor does a bucket that cannot be reached.
    if error.chain().any(<dyn std::error::Error>::is::<BucketError>) {
        return false;
    }
    if let Some(error) = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()) {
        return matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof);
    }
    let words = format!("{error:#}");
    words.contains("damaged") || words.contains("cut off")
}

/// What is on the disk gets its name, for good.
async fn name(draft: &Path, path: &Path) -> Result<()> {
    let naming = || format!("writing {}", path.display());
    fs::rename(draft, path).await.with_context(naming)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let folder = File::open(folder).await.with_context(naming)?;
    folder.sync_all().await.with_context(naming)
}

impl VaultReader {
    pub(super) async fn open(sealer: &Sealer, (noun, row): (&'static str, &Uuid), path: &Path) -> Result<Self> {
        let context = || format!("opening {}", path.display());
        let file = File::open(path).await.with_context(context)?;
        let length = file.metadata().await.with_context(context)?.len();
        let mut file = BufReader::with_capacity(SEALED_PIECE, file);
        let mut header = [0; PIECES_HEADER_BYTES];
        file.read_exact(&mut header).await.context("the file is cut off")?;
        let pieces = sealer.open_pieces(noun, row, &header);
        Ok(Self {
            pieces: pieces.context("the file is damaged")?,
            file,
            left: length.saturating_sub(PIECES_HEADER_BYTES as u64),
            is_over: false,
        })
    }

    /// How many bytes will come out of it, if it is whole.
    pub(crate) fn bytes(&self) -> u64 {
        let pieces = self.left.div_ceil(SEALED_PIECE as u64).max(1);
        self.left.saturating_sub(pieces * PIECE_TAG_BYTES as u64)
    }

    /// The next piece; `None` after the last one.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.is_over {
            return Ok(None);
        }
        let length = self.left.min(SEALED_PIECE as u64);
        self.left -= length;
        ensure!(length >= PIECE_TAG_BYTES as u64, "the file is cut off");
        let mut sealed = vec![0; usize::try_from(length)?];
        self.file.read_exact(&mut sealed).await.context("the file is cut off")?;
        self.is_over = self.left == 0;
        let piece = self.pieces.open(&sealed, self.is_over);
        Ok(Some(Bytes::from(piece.context("the file is damaged")?)))
    }

    pub(crate) fn into_stream(self) -> BoxStream<'static, io::Result<Bytes>> {
        let pieces = stream::try_unfold(self, |mut reader| async move {
            let piece = reader.next().await;
            let piece = piece.map_err(|error| io::Error::other(format!("{error:#}")))?;
            Ok(piece.map(|piece| (piece, reader)))
        });
        pieces.boxed()
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use uuid::Uuid;

    use super::*;

    fn place() -> (TempDir, Sealer) {
        (tempfile::tempdir().unwrap(), Sealer::ephemeral())
    }

    fn vault<'a>(directory: &TempDir, sealer: &'a Sealer) -> (Vault<'a>, Id<AddonBackup>) {
        let folder = directory.path().to_owned();
        (Vault { sealer, folder }, Id::from_uuid(Uuid::from_u128(7)))
    }

    async fn read(vault: &Vault<'_>, id: Id<AddonBackup>) -> Result<Vec<u8>> {
        let mut reader = vault.open(id).await?;
        let mut all = Vec::new();
        while let Some(piece) = reader.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn what_was_put_away_comes_back_whole_or_not_at_all() {
        let (directory, sealer) = place();
        let (vault, id) = vault(&directory, &sealer);
        let text: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        for length in [0, 1, PIECE, PIECE + 1, 2 * PIECE, text.len()] {
            let mut writer = vault.create(id).await.unwrap();
            for piece in text[..length].chunks(10_000) {
                writer.write(piece).await.unwrap();
            }
            assert_eq!(writer.finish().await.unwrap(), length as u64);
            assert_eq!(vault.open(id).await.unwrap().bytes(), length as u64);
            assert_eq!(read(&vault, id).await.unwrap(), &text[..length], "{length}");
            assert_eq!(vault.check(id).await.unwrap(), length as u64);
        }
        let kept = std::fs::read(vault.path(id)).unwrap();
        assert!(
            !kept.windows(16).any(|window| window == &text[..16]),
            "it is not sealed"
        );
        let mut altered = kept.clone();
        altered[PIECE] ^= 1;
        let after_first = kept[..PIECES_HEADER_BYTES + SEALED_PIECE].to_vec();
        let (header, short) = (kept[..PIECES_HEADER_BYTES].to_vec(), kept[..kept.len() - 100].to_vec());
        for damaged in [altered, after_first, header, short, Vec::new()] {
            std::fs::write(vault.path(id), damaged).unwrap();
            assert!(vault.check(id).await.is_err());
        }
    }

    #[tokio::test]
    async fn a_file_goes_to_another_place_and_comes_back() {
        let (directory, sealer) = place();
        let (vault, id) = vault(&directory, &sealer);
        assert!(vault.open_sealed(id).await.is_err());
        let mut writer = vault.create(id).await.unwrap();
        writer.write(&vec![7; 100_000]).await.unwrap();
        writer.finish().await.unwrap();
        let (mut file, length) = vault.open_sealed(id).await.unwrap();
        let mut elsewhere = Vec::new();
        file.read_to_end(&mut elsewhere).await.unwrap();
        assert_eq!(elsewhere.len() as u64, length);
        vault.remove(id).await.unwrap();

        let half = [Ok(Bytes::from_static(b"half of it")), Err(anyhow::anyhow!("it broke"))];
        assert!(vault.take_back(id, stream::iter(half)).await.is_err());
        let mut altered = elsewhere.clone();
        altered[SEALED_PIECE] ^= 1;
        let altered = [Ok(Bytes::from(altered))];
        assert!(vault.take_back(id, stream::iter(altered)).await.is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        let pieces = elsewhere.chunks(30_000).map(|piece| Ok(Bytes::copy_from_slice(piece)));
        vault.take_back(id, stream::iter(pieces)).await.unwrap();
        assert_eq!(vault.check(id).await.unwrap(), 100_000);
    }

    #[tokio::test]
    async fn what_is_not_whole_has_no_name() {
        let (directory, sealer) = place();
        let (vault, id) = vault(&directory, &sealer);
        let mut writer = vault.create(id).await.unwrap();
        writer.write(b"half of it").await.unwrap();
        assert!(vault.open(id).await.is_err());
        vault.remove(id).await.unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        vault.remove(id).await.unwrap();
    }
}
