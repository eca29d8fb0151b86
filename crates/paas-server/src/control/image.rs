//! The images of releases: copied out of the engine, and brought back when somebody has pruned them there.
//!
//! `docker system prune -a` removes every image that no *running* container has: stopped containers go first, so neither a tag
//! nor a container that waits protects one. What does is a copy of our own (`image_copies`).

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use chrono::TimeDelta;
use paas_core::{ImageRef, LogSource};
use paas_engine::Image;
use paas_store::{self as store, slug::KeptImage};
use tokio::time::sleep;

use crate::{image_copies::Pace, platform::Platform};

/// How many releases of an app can be gone back to.
pub(super) const KEPT_RELEASES: u32 = 10;
/// How often there may be something to copy.
const PERIOD: Duration = Duration::from_secs(15);
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
        match kept {
            None => return Ok(()),
            Some(Err(error)) => tracing::warn!(error = format!("{error:#}"), "no copies of images; trying again"),
            Some(Ok(())) => {}
        }
        tokio::select! {
            () = sleep(PERIOD) => {}
            () = platform.stop.cancelled() => return Ok(()),
        }
    }
}

/// Copies the images of all releases that are at least this old.
pub(super) async fn keep_all(platform: &Platform, age: TimeDelta) -> Result<()> {
    let mut conn = platform.store.connection().await?;
    let kept = store::slug::kept_images(&mut conn).await?;
    drop(conn);
    let horizon = platform.clock.now() - age;
    for KeptImage { image, app, since } in kept {
        if since > horizon || platform.copies.has(&image) {
            continue;
        }
        let Some(found) = platform.engine.image(&image).await? else {
            lose(platform, &image).await?;
            continue;
        };
        // By its tag, which then comes back with it: an image without one is anybody's to remove.
        let name = found.tags.first().unwrap_or(&image);
        let Some(archive) = platform.engine.save_image(name).await? else {
            continue;
        };
        let copied = platform.copies.keep(&image, Some(app), archive, PACE).await;
        copied.with_context(|| format!("copying the image {image}"))?;
        tracing::info!(app.id = %app, %image, "a release's image is copied");
    }
    Ok(())
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
