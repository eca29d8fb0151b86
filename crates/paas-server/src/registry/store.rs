//! One app's blobs, manifests and tags, on disk.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use paas_core::{App, Id, ProcessType};
use sha2::{Digest as _, Sha256};
use tokio::fs;
use uuid::Uuid;

use super::{
    error::RegistryError,
    manifest::{Manifest, Pushed},
    name::{Digest, Reference, Tag},
};
use crate::source;

/// The directory of an app. Nothing is in it until something was pushed.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    root: PathBuf,
}

/// A manifest as it was pushed.
pub(super) struct Stored {
    pub(super) digest: Digest,
    pub(super) bytes: Vec<u8>,
    pub(super) manifest: Manifest,
}

impl Store {
    pub(crate) fn of(root: &Path, app: Id<App>) -> Self {
        Self {
            root: root.join(app.to_string()),
        }
    }

    pub(super) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(super) fn manifests(&self) -> PathBuf {
        self.root.join("manifests")
    }

    pub(super) fn tags(&self) -> PathBuf {
        self.root.join("tags")
    }

    pub(super) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    pub(super) fn upload(&self, id: Uuid) -> PathBuf {
        self.uploads().join(id.to_string())
    }

    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    pub(super) async fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.root).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// How long a blob is. Whoever asks is about to name it: it stays for another while.
    pub(super) async fn blob_bytes(&self, digest: &Digest) -> Result<u64, RegistryError> {
        let path = self.blob(digest);
        let metadata = fs::metadata(&path).await.map_err(missing(RegistryError::NoBlob))?;
        touch(path).await?;
        Ok(metadata.len())
    }

    /// Makes a blob of another app, which the same person may fetch, one of this app. Takes no space.
    pub(super) async fn mount(&self, from: &Self, digest: &Digest) -> Result<(), RegistryError> {
        from.blob_bytes(digest).await?;
        fs::create_dir_all(self.blobs()).await?;
        match fs::hard_link(from.blob(digest), self.blob(digest)).await {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(missing(RegistryError::NoBlob)(error)),
            _ => Ok(()),
        }
    }

    /// Makes a blob of an upload that has all of its bytes. One whose bytes are others is no more.
    pub(super) async fn keep_upload(&self, id: Uuid, digest: &Digest) -> Result<(), RegistryError> {
        let path = self.upload(id);
        let file = path.clone();
        let found = tokio::task::spawn_blocking(move || source::digest(&file))
            .await
            .map_err(io::Error::other)?;
        if found.map_err(missing(RegistryError::NoUpload))? != digest.hex() {
            fs::remove_file(&path).await?;
            return Err(RegistryError::WrongDigest);
        }
        fs::create_dir_all(self.blobs()).await?;
        fs::rename(&path, self.blob(digest)).await?;
        Ok(())
    }

    /// Stores a manifest whose parts are all here, and lets a tag lead to it.
    pub(super) async fn put_manifest(
        &self,
        process_type: &ProcessType,
        reference: &Reference,
        bytes: &[u8],
    ) -> Result<Digest, RegistryError> {
        let digest = Digest::of_hash(&Sha256::digest(bytes));
        let manifest = Manifest::parse(bytes)?;
        self.check_parts(&manifest).await?;
        if let Reference::Digest(named) = reference
            && *named != digest
        {
            return Err(RegistryError::WrongDigest);
        }
        self.write(&self.manifests(), digest.hex(), bytes).await?;
        if let Reference::Tag(tag) = reference {
            let tags = self.tags().join(process_type.as_str());
            self.write(&tags, tag.as_str(), digest.hex().as_bytes()).await?;
        }
        Ok(digest)
    }

    async fn check_parts(&self, manifest: &Manifest) -> Result<(), RegistryError> {
        match manifest {
            Manifest::Image(image) => self.check_blobs(image).await,
            Manifest::Index { images, .. } => {
                for entry in images {
                    let child = self.manifests().join(entry.digest.hex());
                    let missing = || RegistryError::MissingBlob(entry.digest.to_string());
                    // Pushed long before, maybe: it and all of it stays until a tag leads there.
                    touch(child).await.map_err(|error| match error.kind() {
                        io::ErrorKind::NotFound => missing(),
                        _ => error.into(),
                    })?;
                    if let Manifest::Image(image) = self.stored(entry.digest.clone()).await?.manifest {
                        self.check_blobs(&image).await?;
                    }
                }
                Ok(())
            }
        }
    }

    async fn check_blobs(&self, image: &Pushed) -> Result<(), RegistryError> {
        for part in image.layers.iter().chain([&image.config]) {
            let bytes = self.blob_bytes(&part.digest).await;
            let bytes = bytes.map_err(|error| match error {
                RegistryError::NoBlob => RegistryError::MissingBlob(part.digest.to_string()),
                error => error,
            })?;
            if bytes != part.bytes {
                return Err(RegistryError::BadManifest(format!(
                    "{} has {bytes} bytes, and not {}",
                    part.digest, part.bytes
                )));
            }
        }
        Ok(())
    }

    pub(super) async fn manifest(
        &self,
        process_type: &ProcessType,
        reference: &Reference,
    ) -> Result<Stored, RegistryError> {
        let digest = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(tag) => self.tagged(process_type, tag).await?,
        };
        self.stored(digest).await
    }

    pub(super) async fn stored(&self, digest: Digest) -> Result<Stored, RegistryError> {
        let path = self.manifests().join(digest.hex());
        let bytes = fs::read(path).await.map_err(missing(RegistryError::NoManifest))?;
        Ok(Stored {
            manifest: Manifest::parse(&bytes)?,
            digest,
            bytes,
        })
    }

    async fn tagged(&self, process_type: &ProcessType, tag: &Tag) -> Result<Digest, RegistryError> {
        let path = self.tags().join(process_type.as_str()).join(tag.as_str());
        let hex = fs::read_to_string(path)
            .await
            .map_err(missing(RegistryError::NoManifest))?;
        format!("sha256:{hex}").parse()
    }

    pub(super) async fn tag_names(&self, process_type: &ProcessType) -> io::Result<Vec<String>> {
        let mut names = names_in(&self.tags().join(process_type.as_str())).await?;
        names.sort();
        Ok(names)
    }

    /// Forgets a tag, or all of the process type's tags that lead to a manifest.
    pub(super) async fn forget(&self, process_type: &ProcessType, reference: &Reference) -> Result<(), RegistryError> {
        let tags = self.tags().join(process_type.as_str());
        match reference {
            Reference::Tag(tag) => {
                let removed = fs::remove_file(tags.join(tag.as_str())).await;
                removed.map_err(missing(RegistryError::NoManifest))
            }
            Reference::Digest(digest) => {
                self.stored(digest.clone()).await?;
                for name in names_in(&tags).await? {
                    let path = tags.join(name);
                    if fs::read_to_string(&path).await? == digest.hex() {
                        fs::remove_file(path).await?;
                    }
                }
                Ok(())
            }
        }
    }

    /// The image that was pushed for a process type and has this configuration: the digest by which a release names it.
    pub(crate) async fn pushed(
        &self,
        process_type: &ProcessType,
        id: &Digest,
    ) -> Result<Option<Pushed>, RegistryError> {
        let tags = self.tags().join(process_type.as_str());
        for name in names_in(&tags).await? {
            // A tag may have been moved or taken away meanwhile.
            let Ok(stored) = self.manifest(process_type, &Reference::Tag(name.parse()?)).await else {
                continue;
            };
            if let Ok(image) = self.image_of(stored).await
                && image.config.digest == *id
            {
                return Ok(Some(image));
            }
        }
        Ok(None)
    }

    /// The one image, or that of an index which runs here.
    pub(super) async fn image_of(&self, stored: Stored) -> Result<Pushed, RegistryError> {
        let images = match stored.manifest {
            Manifest::Image(image) => return Ok(image),
            Manifest::Index { images, .. } => images,
        };
        let entry = Manifest::for_this_machine(&images)?;
        match self.stored(entry.digest.clone()).await?.manifest {
            Manifest::Image(image) => Ok(image),
            Manifest::Index { .. } => Err(RegistryError::BadManifest("an index within an index".to_owned())),
        }
    }

    /// Whole or not at all.
    async fn write(&self, directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(directory).await?;
        fs::create_dir_all(self.uploads()).await?;
        let partial = self.upload(Uuid::new_v4());
        fs::write(&partial, bytes).await?;
        fs::rename(&partial, directory.join(name)).await
    }
}

/// The names in a directory; none when there is no such directory.
pub(super) async fn names_in(directory: &Path) -> io::Result<Vec<String>> {
    let mut entries = match fs::read_dir(directory).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = BTreeSet::new();
    while let Some(entry) = entries.next_entry().await? {
        names.extend(entry.file_name().into_string());
    }
    Ok(names.into_iter().collect())
}

/// What is not there, in the words of whoever looked.
pub(super) fn missing(error: RegistryError) -> impl FnOnce(io::Error) -> RegistryError {
    move |source| match source.kind() {
        io::ErrorKind::NotFound => error,
        _ => RegistryError::Disk(source),
    }
}

async fn touch(path: PathBuf) -> io::Result<()> {
    let touched = tokio::task::spawn_blocking(move || {
        let file = std::fs::File::options().append(true).open(path)?;
        file.set_modified(SystemTime::now())
    });
    touched.await.map_err(io::Error::other)?
}
