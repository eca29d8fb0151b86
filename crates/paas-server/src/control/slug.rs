//! Slugs as files: made into an image when they are released, and given out as archives.

use std::{collections::BTreeMap, io, io::Write as _, path::PathBuf, sync::Arc};

use anyhow::{Context, Result};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use paas_build::{BuildError, Stack, StackError};
use paas_core::{App, DynoSize, Id, ImageRef, Slug};
use paas_engine::{ByteStream, Container, ContainerId, ContainerSpec, EngineError, Limits, Role};
use paas_store::{self as store, StoreError, slug::SlugUpload};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_util::{io::ReaderStream, sync::CancellationToken};
use uuid::Uuid;

use super::{image, setup, turns::BuildUnderWay};
use crate::{
    platform::Platform,
    source::{self, ArchiveError},
};

/// What a container is called that only lends its files.
const PURPOSE: &str = "slug";

#[derive(Debug, Error)]
pub(crate) enum AdoptError {
    #[error("nothing has been uploaded for this slug, or that was too long ago: put a tar.gz at its blob's url first")]
    NotUploaded,
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("make the stack's images")]
    Stack(#[from] StackError),
    #[error("make the slug's image")]
    Build(#[from] BuildError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("read a slug")]
    Disk(#[from] io::Error),
}

/// Makes the image of an uploaded slug and stores the slug, unless that was done before.
pub(crate) async fn adopt(platform: &Arc<Platform>, upload: SlugUpload) -> Result<(), AdoptError> {
    let turn = platform.turns.app(upload.app);
    let _turn = turn.lock().await;
    let mut conn = platform.store.connection().await?;
    if store::slug::get(&mut conn, upload.id).await?.is_some() {
        return Ok(());
    }
    drop(conn);
    // Until its row is there, the image would be taken for garbage.
    let _under_way = BuildUnderWay::new(platform, upload.app, store::new_id(platform.clock.now()));
    let dir = platform.settings.sources();
    let path = |kind: &str| dir.join(format!("{}.{kind}", upload.id));
    let (archive, scratch, tar) = (path("upload"), path("scratch.partial"), path("tar"));
    if !tokio::fs::try_exists(&archive).await? {
        return Err(AdoptError::NotUploaded);
    }
    let _ = tokio::fs::remove_file(&scratch).await;
    let _ = tokio::fs::remove_file(&tar).await;
    let (checksum, target) = (upload.checksum.clone(), tar.clone());
    let unpacked =
        tokio::task::spawn_blocking(move || source::unpack_slug(&archive, checksum.as_deref(), &scratch, &target));
    unpacked.await.map_err(io::Error::other)??;
    let made = make_image(platform, upload.app, upload.id, &tar).await;
    // What stays behind is swept later.
    let _ = tokio::fs::remove_file(&tar).await;
    let (image, size_bytes) = made?;
    let slug = Slug {
        id: upload.id,
        app: upload.app,
        image,
        images: BTreeMap::new(),
        process_types: upload.process_types,
        commit: upload.commit,
        buildpack_provided_description: upload.buildpack_provided_description,
        size_bytes,
        created_at: upload.created_at,
    };
    let mut conn = platform.store.connection().await?;
    Ok(store::slug::adopt(&mut conn, &slug).await?)
}

async fn make_image(
    platform: &Arc<Platform>,
    app: Id<App>,
    slug: Id<Slug>,
    tar: &PathBuf,
) -> Result<(ImageRef, u64), AdoptError> {
    // Nobody reads what is said when the stack is made for the first time.
    let (output, _) = mpsc::channel(1);
    Stack::ensure(&*platform.engine, &platform.stack, output, CancellationToken::new()).await?;
    let file = tokio::fs::File::open(tar).await?;
    let tar: ByteStream = ReaderStream::new(file).boxed();
    Ok(platform.builder.image_of_slug(app, slug, tar).await?)
}

/// A tar.gz of everything in `/app` of a slug's image. Its container is gone when the stream is.
pub(crate) async fn download(
    platform: &Arc<Platform>,
    slug: &Slug,
) -> Result<impl Stream<Item = io::Result<Bytes>> + use<>> {
    let role = Role::Task {
        purpose: PURPOSE.to_owned(),
    };
    let name = format!("paas-slug-{}", Uuid::new_v4());
    // It only has to be there: files are read out of containers.
    let command = vec!["/bin/true".to_owned()];
    let limits = Limits::from(DynoSize::default());
    let spec = ContainerSpec::new(name.clone(), role, slug.image.clone(), command, limits);
    image::find(platform, &slug.image).await?;
    let (output, _) = mpsc::channel(1);
    let ended = platform
        .engine
        .run(&spec, stream::empty().boxed(), output, CancellationToken::new())
        .await;
    let containers = platform.engine.list().await?;
    let container = containers.into_iter().find(|container| container.name == name);
    let lent = container.map(|container| Lent {
        platform: Arc::clone(platform),
        container: container.id,
    });
    ended?;
    let lent = lent.context("the container that lends the slug's files is gone")?;
    let tar = platform.engine.archive(&lent.container, "/app").await?;
    let tar = tar.context("the slug's image has no /app")?;
    Ok(gzip(tar.map_err(io::Error::other).boxed(), lent))
}

/// Compressed piece by piece, as fast as it is read.
fn gzip(tar: stream::BoxStream<'static, io::Result<Bytes>>, lent: Lent) -> impl Stream<Item = io::Result<Bytes>> {
    let encoder = Some(GzEncoder::new(Vec::new(), Compression::fast()));
    stream::try_unfold((tar, encoder, lent), |(mut tar, encoder, lent)| async move {
        let Some(mut encoder) = encoder else {
            return Ok(None);
        };
        while let Some(piece) = tar.try_next().await? {
            encoder.write_all(&piece)?;
            let packed = std::mem::take(encoder.get_mut());
            if !packed.is_empty() {
                return Ok(Some((Bytes::from(packed), (tar, Some(encoder), lent))));
            }
        }
        let packed = encoder.finish()?;
        Ok(Some((Bytes::from(packed), (tar, None, lent))))
    })
}

/// A container whose files are read, removed in the end.
struct Lent {
    platform: Arc<Platform>,
    container: ContainerId,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let (platform, container) = (Arc::clone(&self.platform), self.container.clone());
        self.platform.tracker.spawn(async move {
            if let Err(error) = platform.engine.remove(&container).await {
                tracing::warn!(%container, %error, "a container that lent its files stays behind");
            }
        });
    }
}

/// Containers of a server before this one: of downloads that it gave out, and of scripts that it waited for.
pub(super) async fn remove_lent(platform: &Platform, containers: &[Container]) -> Result<(), EngineError> {
    for container in containers {
        if matches!(&container.role, Some(Role::Task { purpose }) if [PURPOSE, setup::PURPOSE].contains(&&**purpose)) {
            platform.engine.remove(&container.id).await?;
        }
    }
    Ok(())
}
