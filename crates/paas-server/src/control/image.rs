//! The images of releases: copied out of the engine, and brought back when somebody has pruned them there.
//!
//! `docker system prune -a` removes every image that no *running* container has: stopped containers go first, so neither a tag
//! nor a container that waits protects one. What does is a copy of our own (`image_copies`).

use std::{io, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use chrono::TimeDelta;
use futures_util::StreamExt as _;
use paas_core::{ImageRef, LogSource};
use paas_engine::{ByteStream, Image};
use paas_store::{self as store, slug::KeptImage};
use tokio::time::sleep;

use super::disk::Fill;
use crate::{image_copies::Pace, platform::Platform};

/// How many releases of an app can be gone back to.
pub(super) const KEPT_RELEASES: u32 = 10;
/// How often there may be something to copy.
const PERIOD: Duration = Duration::from_secs(15);
/// How long a full disk is left alone: by then, what nobody needs is pruned.
const FULL_PERIOD: Duration = Duration::from_mins(10);
/// After how much of an archive the disk is looked at again.
const LOOK_BYTES: usize = 64 * 1024 * 1024;
/// A copy of an ordinary image takes some ten seconds, and nobody's disk is busy with it.
const PACE: Pace = Pace {
    bytes_per_second: 64 * 1024 * 1024,
};

/// Copies the images of releases until the platform stops.
pub(crate) async fn keep_images(platform: Arc<Platform>) -> Result<()> {
    let Some(age) = platform.settings.keep_images_after else {
        platform.stop.cancelled().await;
        return Ok(());
    };
    let age = TimeDelta::from_std(age).context("--keep-images-after is too long")?;
    loop {
        let kept = platform.stop.run_until_cancelled(keep_all(&platform, age)).await;
        let period = match kept {
            None => return Ok(()),
            Some(Err(error)) => {
                tracing::warn!(error = format!("{error:#}"), "no copies of images; trying again");
                PERIOD
            }
            Some(Ok(Kept::UntilDiskFull)) => FULL_PERIOD,
            Some(Ok(Kept::All)) => PERIOD,
        };
        tokio::select! {
            () = sleep(period) => {}
            () = platform.stop.cancelled() => return Ok(()),
        }
    }
}

/// How far copying came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// All that could be copied is.
    All,
    /// The disk is as full as it may become by what is not needed at once.
    UntilDiskFull,
}

/// Copies the images of all releases that are at least this old. One that cannot be copied keeps no other from it.
pub(super) async fn keep_all(platform: &Platform, age: TimeDelta) -> Result<Kept> {
    let mut conn = platform.store.connection().await?;
    let kept = store::slug::kept_images(&mut conn).await?;
    drop(conn);
    let horizon = platform.clock.now() - age;
    let mut ended = Kept::All;
    for image in kept {
        if image.since > horizon || platform.copies.has(&image.image) {
            continue;
        }
        let settings = &platform.settings;
        let limit_percent = settings.build_disk_limit_percent.into();
        if is_full(&settings.data_dir, limit_percent) {
            tracing::warn!(
                limit_percent,
                "the disk is nearly full: images of releases are not copied"
            );
            return Ok(Kept::UntilDiskFull);
        }
        if let Err(error) = keep(platform, &image).await {
            let disk = error.downcast_ref::<io::Error>();
            if disk.is_some_and(|error| error.kind() == io::ErrorKind::StorageFull) {
                // A smaller one may fit.
                ended = Kept::UntilDiskFull;
            }
            let error = format!("{error:#}");
            tracing::warn!(app.id = %image.app, image = %image.image, error, "a release's image is not copied");
        }
    }
    Ok(ended)
}

async fn keep(platform: &Platform, KeptImage { image, app, .. }: &KeptImage) -> Result<()> {
    let Some(found) = platform.engine.image(image).await? else {
        return lose(platform, image).await;
    };
    // By its tag, which then comes back with it: an image without one is anybody's to remove.
    let name = found.tags.first().unwrap_or(image);
    let Some(archive) = platform.engine.save_image(name).await? else {
        return Ok(());
    };
    let archive = while_room(archive, platform);
    let copied = platform.copies.keep(image, Some(*app), archive, PACE).await;
    copied.context("copying it")?;
    tracing::info!(app.id = %app, %image, "a release's image is copied");
    Ok(())
}

/// An archive that ends with an error when the disk becomes too full for more of it.
fn while_room(archive: ByteStream, platform: &Platform) -> ByteStream {
    let folder = platform.settings.data_dir.clone();
    let limit_percent = platform.settings.build_disk_limit_percent.into();
    let mut unseen = 0;
    let watched = archive.map(move |piece| {
        let piece = piece?;
        unseen += piece.len();
        if unseen >= LOOK_BYTES {
            unseen = 0;
            if is_full(&folder, limit_percent) {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        Ok(piece)
    });
    watched.boxed()
}

fn is_full(folder: &Path, limit_percent: u64) -> bool {
    Fill::of(folder).is_some_and(|fill| fill.used_percent() >= limit_percent)
}

/// An image of a release, out of its copy when the engine has it no more.
pub(super) async fn find(platform: &Platform, image: &ImageRef) -> Result<Image> {
    if let Some(found) = platform.engine.image(image).await? {
        return Ok(found);
    }
    let archive = platform.copies.archive(image).context("reading the copy of an image")?;
    let Some(archive) = archive else {
        lose(platform, image).await?;
        anyhow::bail!("the image {image} is gone, and there is no copy of it: push again");
    };
    tracing::warn!(%image, "the engine has lost the image of a release: loading its copy");
    platform.engine.load_image(archive).await?;
    let found = platform.engine.image(image).await?;
    found.with_context(|| format!("the copy of the image {image} is another image"))
}

/// Nobody can go back to what is gone.
async fn lose(platform: &Platform, image: &ImageRef) -> Result<()> {
    let mut conn = platform.store.connection().await?;
    for lost in store::slug::lose(&mut conn, image, platform.clock.now()).await? {
        let message = format!(
            "Release {} has expired: its image was removed from the engine",
            lost.version
        );
        platform.log(lost.app, LogSource::App, "api", message);
    }
    Ok(())
}
