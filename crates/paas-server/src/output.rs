//! Output that is written once and read by many, live and later: of builds and of release phases.
//!
//! One append-only file per build or release, so that what a pusher saw is still there tomorrow, and so that a pusher
//! who went away can be followed up on. An output is finished exactly once; a file that is not open in this process is
//! finished, whatever ended its writer.

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::{
    fs::{self, File, OpenOptions},
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
};
use uuid::Uuid;

const CHUNK_BYTES: usize = 16 * 1024;

/// All outputs, by the id of the build or release that they belong to.
pub(crate) struct Outputs {
    dir: PathBuf,
    open: Mutex<HashMap<Uuid, watch::Receiver<u64>>>,
}

/// The one writer of an output. Dropping it finishes the output.
pub(crate) struct OutputWriter {
    outputs: Arc<Outputs>,
    id: Uuid,
    file: File,
    /// How many bytes can be read; closed when there will be no more.
    written: watch::Sender<u64>,
}

impl Outputs {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            open: Mutex::default(),
        }
    }

    /// Opens an output for writing, at its end.
    pub(crate) async fn write(self: &Arc<Self>, id: Uuid) -> io::Result<OutputWriter> {
        fs::create_dir_all(&self.dir).await?;
        let file = OpenOptions::new().create(true).append(true).open(self.path(id)).await?;
        let (written, reader) = watch::channel(file.metadata().await?.len());
        self.lock().insert(id, reader);
        Ok(OutputWriter {
            outputs: Arc::clone(self),
            id,
            file,
            written,
        })
    }

    /// Opens an output for writing, from its start, whatever a writer before has left.
    pub(crate) async fn rewrite(self: &Arc<Self>, id: Uuid) -> io::Result<OutputWriter> {
        self.remove(id).await?;
        self.write(id).await
    }

    /// Reads an output from its start, and goes on until it is finished. `None` when there is none.
    pub(crate) async fn follow(&self, id: Uuid) -> io::Result<Option<impl Stream<Item = io::Result<Bytes>> + use<>>> {
        // Interest is registered before the file is read: no byte falls into the gap.
        let reader = self.lock().get(&id).cloned();
        let file = match File::open(self.path(id)).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let follower = Follower { file, reader };
        Ok(Some(stream::try_unfold(follower, |mut follower| async move {
            Ok(follower.next().await?.map(|chunk| (chunk, follower)))
        })))
    }

    pub(crate) async fn remove(&self, id: Uuid) -> io::Result<()> {
        match fs::remove_file(self.path(id)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn path(&self, id: Uuid) -> PathBuf {
        self.dir.join(format!("{id}.log"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, watch::Receiver<u64>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OutputWriter {
    /// Appends bytes; readers see them at once.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await?;
        self.file.flush().await?;
        self.written.send_modify(|written| *written += bytes.len() as u64);
        Ok(())
    }

    pub(crate) async fn line(&mut self, line: &str) -> io::Result<()> {
        self.write(format!("{line}\n").as_bytes()).await
    }
}

impl Drop for OutputWriter {
    fn drop(&mut self) {
        self.outputs.lock().remove(&self.id);
    }
}

struct Follower {
    file: File,
    reader: Option<watch::Receiver<u64>>,
}

impl Follower {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let open = match &mut self.reader {
                Some(reader) => {
                    reader.borrow_and_update();
                    reader.has_changed().is_ok()
                }
                None => false,
            };
            let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
            if self.file.read_buf(&mut chunk).await? > 0 {
                return Ok(Some(chunk.freeze()));
            }
            if !open {
                return Ok(None);
            }
            if let Some(reader) = &mut self.reader
                && reader.changed().await.is_err()
            {
                // Finished: one more read gets what was written last.
                self.reader = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_follower_sees_all_of_an_output_and_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let outputs = Arc::new(Outputs::new(dir.path().to_owned()));
        let id = Uuid::from_u128(7);
        assert!(outputs.follow(id).await.unwrap().is_none());

        let mut writer = outputs.write(id).await.unwrap();
        writer.line("one").await.unwrap();
        let mut early = Box::pin(outputs.follow(id).await.unwrap().unwrap());
        assert_eq!(early.try_next().await.unwrap().unwrap(), "one\n");
        let waiting = async { early.try_next().await.unwrap().unwrap() };
        let writing = async { writer.line("two").await.unwrap() };
        let (seen, ()) = tokio::join!(waiting, writing);
        assert_eq!(seen, "two\n");
        drop(writer);
        assert!(early.try_next().await.unwrap().is_none());

        let late = outputs.follow(id).await.unwrap().unwrap();
        let all: Vec<Bytes> = late.try_collect().await.unwrap();
        assert_eq!(all.concat(), b"one\ntwo\n");
    }
}
