//! Uploads of blobs: in one piece or many, resumed after a break, bounded in size and number and in how long they may be
//! silent.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::body::Body;
use futures_util::StreamExt as _;
use tokio::{fs, io::AsyncWriteExt as _, time::timeout};
use uuid::Uuid;

use super::{
    error::RegistryError,
    store::{Store, missing, names_in},
};

/// Larger layers are hardly ever meant; a deploy would load them for minutes.
const MAXIMUM_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// Docker pushes five layers at a time.
const MOST_UPLOADS: usize = 50;
/// A client that sends nothing for this long is gone. What it has sent stays for another try.
const SILENCE: Duration = Duration::from_mins(1);
/// After how much of an upload the disk is looked at again: many come at a time, and each may be the one that fills it.
const LOOK_BYTES: u64 = 64 * 1024 * 1024;

/// Whether the disk has room for more of an upload.
pub(super) trait Room {
    fn check(&self) -> impl Future<Output = Result<(), RegistryError>> + Send;
}

/// Which uploads are being written to: two writers would mix their bytes.
#[derive(Default)]
pub(super) struct Uploads(Mutex<HashSet<Uuid>>);

/// The right to write to an upload.
pub(super) struct Turn<'a> {
    uploads: &'a Uploads,
    id: Uuid,
}

impl Uploads {
    /// Begins an upload.
    pub(super) async fn begin(store: &Store) -> Result<Uuid, RegistryError> {
        if names_in(&store.uploads()).await?.len() >= MOST_UPLOADS {
            return Err(RegistryError::TooManyUploads);
        }
        fs::create_dir_all(store.uploads()).await?;
        let id = Uuid::new_v4();
        fs::File::create_new(store.upload(id)).await?;
        Ok(id)
    }

    pub(super) fn turn(&self, id: Uuid) -> Result<Turn<'_>, RegistryError> {
        if self.lock().insert(id) {
            Ok(Turn { uploads: self, id })
        } else {
            Err(RegistryError::UploadBusy)
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Uuid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.uploads.lock().remove(&self.id);
    }
}

impl Turn<'_> {
    pub(super) async fn bytes(&self, store: &Store) -> Result<u64, RegistryError> {
        let metadata = fs::metadata(store.upload(self.id)).await;
        Ok(metadata.map_err(missing(RegistryError::NoUpload))?.len())
    }

    /// Adds what is sent. `from` is where the client believes that it goes. Says how many bytes there are then.
    pub(super) async fn append(
        &self,
        store: &Store,
        from: Option<u64>,
        body: Body,
        room: &impl Room,
    ) -> Result<u64, RegistryError> {
        let mut bytes = self.bytes(store).await?;
        if from.is_some_and(|from| from != bytes) {
            return Err(RegistryError::WrongRange(bytes));
        }
        let file = fs::File::options().append(true).open(store.upload(self.id)).await;
        let mut file = file.map_err(missing(RegistryError::NoUpload))?;
        let mut pieces = body.into_data_stream();
        let mut next_look = bytes;
        let appended = loop {
            let piece = match timeout(SILENCE, pieces.next()).await {
                Ok(None) => break Ok(bytes),
                Ok(Some(Ok(piece))) => piece,
                Ok(Some(Err(_))) | Err(_) => break Err(RegistryError::BrokeOff),
            };
            if bytes >= next_look {
                if let Err(error) = room.check().await {
                    break Err(error);
                }
                next_look = bytes + LOOK_BYTES;
            }
            bytes += piece.len() as u64;
            if bytes > MAXIMUM_BYTES {
                break Err(RegistryError::TooLarge {
                    what: "a layer",
                    maximum_mib: MAXIMUM_BYTES / (1024 * 1024),
                });
            }
            if let Err(error) = file.write_all(&piece).await {
                break Err(error.into());
            }
        };
        // What was written counts, also of an upload that broke off. A write that failed may say so only here.
        let flushed = file.flush().await;
        let appended = match (appended, flushed) {
            (Ok(_), Err(error)) => Err(error.into()),
            (appended, _) => appended,
        };
        let cannot_be_finished = matches!(
            &appended,
            Err(RegistryError::TooLarge { .. } | RegistryError::Disk(_) | RegistryError::DiskFull)
        );
        if cannot_be_finished {
            fs::remove_file(store.upload(self.id)).await?;
        }
        appended
    }

    pub(super) async fn give_up(&self, store: &Store) -> Result<(), RegistryError> {
        let removed = fs::remove_file(store.upload(self.id)).await;
        removed.map_err(missing(RegistryError::NoUpload))
    }
}

/// Where a chunk begins, by `Content-Range: 0-1023`.
pub(super) fn first_byte(range: &str) -> Result<u64, RegistryError> {
    let range = range.strip_prefix("bytes ").unwrap_or(range);
    let first = range.split_once('-').map_or("", |(first, _)| first);
    first.parse().map_err(|_| RegistryError::BrokeOff)
}
