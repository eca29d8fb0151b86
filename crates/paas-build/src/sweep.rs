//! Removing what builds left on the engine: found by label, never by name alone.

use std::{collections::HashSet, hash::BuildHasher};

use paas_core::{App, Id, ImageRef};
use paas_engine::{Engine, EngineError, Image};

use crate::image::is_layer;

/// The volume with an app's build cache.
pub(crate) fn cache_volume(app: Id<App>) -> String {
    format!("paas-cache-{app}")
}

/// The volume with what test runs of an app keep: development packages are no part of any build.
pub(crate) fn test_cache_volume(app: Id<App>) -> String {
    format!("paas-test-cache-{app}")
}

/// The volume with what the lifecycle of a builder keeps: layers by buildpack, and the image of the build before.
pub(crate) fn cnb_cache_volume(app: Id<App>) -> String {
    format!("paas-cnb-cache-{app}")
}

/// Empties an app's build cache (`builds:cache:purge`, and when the app is destroyed). No build of it may be running.
pub async fn remove_cache(engine: &dyn Engine, app: Id<App>) -> Result<(), EngineError> {
    engine.remove_volume(&cache_volume(app)).await?;
    engine.remove_volume(&test_cache_volume(app)).await?;
    engine.remove_volume(&cnb_cache_volume(app)).await
}

/// Removes every image of an app that is being destroyed. Its containers are gone already.
pub async fn remove_images(engine: &dyn Engine, app: Id<App>) -> Result<(), EngineError> {
    for image in engine.images_of(app).await? {
        for tag in &image.tags {
            engine.remove_image(tag).await?;
        }
    }
    // Those without a tag last: they may have been what tagged ones stood on, and gone with them.
    for image in engine.images_of(app).await? {
        engine.remove_image(&image.id).await?;
    }
    Ok(())
}

/// The apps' images among `images` that are in nobody's use, neither by id nor by tag. Dependency layers are of use to the
/// next build.
pub fn unused_images<S: BuildHasher>(images: Vec<Image>, in_use: &HashSet<ImageRef, S>) -> Vec<Image> {
    let is_used = |image: &Image| {
        in_use.contains(&image.id) || image.tags.iter().any(|tag| in_use.contains(tag) || is_layer(tag))
    };
    images
        .into_iter()
        .filter(|image| image.app.is_some() && !is_used(image))
        .collect()
}
