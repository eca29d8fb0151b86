//! Copies of the images of releases, on our own disk: what somebody prunes from the engine comes back under the same id.
//!
//! ```text
//! images/<id>.json          the files of the engine's archive of that image, in order
//! images/blobs/<sha256>.gz  what is in them: each content once, however many images have it
//! ```
//!
//! - A copy is whole when its `.json` is there: that is written last, once the archive has come to its end, and removed first.
//! - Layers that images share (the stack's, those of dependencies) are kept once, so a release costs what it has changed.
//! - Nothing here reads what an archive means: files go in and come out as they were, whatever format an engine uses.

mod archive;
mod pipe;

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::StreamExt;
use paas_core::{App, Id, ImageRef};
use paas_engine::ByteStream;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};
use uuid::Uuid;

pub(crate) use archive::Pace;

/// All copies.
#[derive(Debug)]
pub(crate) struct ImageCopies {
    folder: PathBuf,
    /// One writes at a time: whoever removes contents must not see half of a copy. Held by the work itself and not by whoever
    /// waits for it: that one may go away earlier.
    turn: Arc<Mutex<()>>,
}

/// The right to write and to remove.
pub(crate) struct Turn(OwnedMutexGuard<()>);

/// What is in `<id>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Copy {
    image: String,
    app: Option<Uuid>,
    files: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    path: String,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum What {
    Folder,
    Link { target: String },
    File { sha256: String, bytes: u64 },
}

/// What a copy takes of the disk by itself: contents that an older one has, too, are that one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CopyBytes {
    pub(crate) app: Option<Id<App>>,
    pub(crate) bytes: u64,
}

impl ImageCopies {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            turn: Arc::default(),
        }
    }

    pub(crate) fn has(&self, image: &ImageRef) -> bool {
        self.path(image).exists()
    }

    /// Copies an archive of the engine's, no faster than `pace`. A copy that is there stays.
    pub(crate) async fn keep(
        self: &Arc<Self>,
        image: &ImageRef,
        app: Option<Id<App>>,
        archive: ByteStream,
        pace: Pace,
    ) -> io::Result<()> {
        let turn = self.turn().await;
        if self.has(image) {
            return Ok(());
        }
        let (copies, image) = (Arc::clone(self), image.clone());
        let (feed, reader) = pipe::reader();
        let write = tokio::task::spawn_blocking(move || {
            let Turn(_turn) = turn;
            let mut added = Vec::new();
            let written = archive::unpack(reader, &copies.blobs(), &copies.known()?, pace, &mut added);
            let written = written.and_then(|files| {
                copies.write(&Copy {
                    image: image.to_string(),
                    app: app.map(|app| *app.as_uuid()),
                    files,
                })
            });
            if written.is_err() {
                // The disk may be full of it. What stays behind, a prune finds.
                for path in added {
                    let _ = fs::remove_file(path);
                }
            }
            written
        });
        let mut archive = archive;
        let mut is_read = true;
        while is_read && let Some(part) = archive.next().await {
            is_read = feed.send(part).await;
        }
        feed.finish().await;
        write.await.map_err(io::Error::other)?
    }

    /// Waits until nobody writes. What is read after this is still true in [`ImageCopies::retain`].
    pub(crate) async fn turn(&self) -> Turn {
        Turn(Arc::clone(&self.turn).lock_owned().await)
    }

    /// The archive that a copy was made from; `None` when there is no copy.
    pub(crate) fn archive(self: &Arc<Self>, image: &ImageRef) -> io::Result<Option<ByteStream>> {
        let Some(copy) = self.read(&self.path(image))? else {
            return Ok(None);
        };
        let (writer, stream) = pipe::writer();
        let blobs = self.blobs();
        let failed = writer.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = archive::pack(&copy.files, &blobs, writer) {
                failed.fail(error);
            }
        });
        Ok(Some(stream))
    }

    /// Lets go of all copies but these, and of what only they had. Says how many bytes that was, or would be.
    pub(crate) async fn retain(
        self: &Arc<Self>,
        turn: Turn,
        images: HashSet<ImageRef>,
        is_dry_run: bool,
    ) -> io::Result<u64> {
        let copies = Arc::clone(self);
        let retained = tokio::task::spawn_blocking(move || {
            let Turn(_turn) = turn;
            copies.retain_now(&images, is_dry_run)
        });
        retained.await.map_err(io::Error::other)?
    }

    /// How much each copy takes.
    pub(crate) fn sizes(&self) -> io::Result<Vec<CopyBytes>> {
        let mut counted = HashSet::new();
        let mut sizes = Vec::new();
        for (_, copy) in self.all()? {
            let mut bytes = 0;
            for sha256 in copy.contents() {
                if counted.insert(sha256.to_owned()) {
                    let blob = fs::metadata(archive::blob(&self.blobs(), sha256));
                    bytes += blob.map_or(0, |blob| blob.len());
                }
            }
            sizes.push(CopyBytes {
                app: copy.app.map(Id::from_uuid),
                bytes,
            });
        }
        Ok(sizes)
    }

    fn retain_now(&self, images: &HashSet<ImageRef>, is_dry_run: bool) -> io::Result<u64> {
        let mut kept = HashSet::new();
        for (path, copy) in self.all()? {
            if images.contains(&ImageRef::new(copy.image.clone())) {
                kept.extend(copy.contents().map(archive::blob_name));
            } else if !is_dry_run {
                fs::remove_file(path)?;
            }
        }
        let mut bytes = 0;
        for entry in read_dir(&self.blobs())? {
            // Partial ones, too: nobody writes now.
            if !kept.contains(entry.file_name().to_string_lossy().as_ref()) {
                bytes += entry.metadata()?.len();
                if !is_dry_run {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(bytes)
    }

    /// Which content has which name and length in the copies that are there: the engine gives a layer the same name again.
    fn known(&self) -> io::Result<archive::Known> {
        let mut known = BTreeMap::new();
        for (_, copy) in self.all()? {
            for entry in copy.files {
                if let What::File { sha256, bytes } = entry.what
                    && is_named_by_content(&entry.path)
                {
                    known.insert((entry.path, bytes), sha256);
                }
            }
        }
        Ok(known)
    }

    /// All copies, oldest first.
    fn all(&self) -> io::Result<Vec<(PathBuf, Copy)>> {
        let mut found = Vec::new();
        for entry in read_dir(&self.folder)? {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "json")
                && let Some(copy) = self.read(&path)?
            {
                found.push((entry.metadata()?.modified()?, path, copy));
            }
        }
        found.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        Ok(found.into_iter().map(|(_, path, copy)| (path, copy)).collect())
    }

    /// Whole or not at all, also when the machine loses its power.
    fn write(&self, copy: &Copy) -> io::Result<()> {
        let path = self.path(&ImageRef::new(copy.image.clone()));
        let partial = path.with_extension("partial");
        let written = serde_json::to_vec(copy).map_err(io::Error::from).and_then(|bytes| {
            let mut file = fs::File::create(&partial)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&partial, &path)?;
            fs::File::open(&self.folder)?.sync_all()
        });
        if written.is_err() {
            // Whoever asked for it takes back what it names.
            let _ = fs::remove_file(&path);
            let _ = fs::remove_file(&partial);
        }
        written
    }

    /// One that cannot be read is none, and goes, whoever looks: the next copy of its image takes its place.
    #[expect(clippy::unused_self, reason = "what is read is one of these copies")]
    fn read(&self, path: &Path) -> io::Result<Option<Copy>> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match serde_json::from_slice(&bytes) {
            Ok(copy) => Ok(Some(copy)),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a copy of an image cannot be read: it is removed");
                let _ = fs::remove_file(path);
                Ok(None)
            }
        }
    }

    fn path(&self, image: &ImageRef) -> PathBuf {
        let name: String = image
            .as_str()
            .trim_start_matches("sha256:")
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
            .collect();
        self.folder.join(format!("{name}.json"))
    }

    fn blobs(&self) -> PathBuf {
        self.folder.join("blobs")
    }
}

impl Copy {
    fn contents(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter_map(|entry| match &entry.what {
            What::File { sha256, .. } => Some(sha256.as_str()),
            What::Folder | What::Link { .. } => None,
        })
    }
}

/// Whether an engine gives this name to nothing else: a layer's comes from all that is in it, in both formats of archives.
fn is_named_by_content(path: &str) -> bool {
    path.ends_with("/layer.tar") || path.starts_with("blobs/sha256/")
}

fn read_dir(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
