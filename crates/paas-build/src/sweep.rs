//! Removing what builds left on the engine: found by label, never by name alone.

use std::{collections::HashSet, hash::BuildHasher};

use paas_core::{App, Id, ImageRef};
use paas_engine::{Engine, EngineError, Image};

use crate::image::is_layer;

/// The volume with an app's build cache.
pub(crate) fn cache_volume(app: Id<App>) -> String {
    format!("paas-cache-{app}")
}

/// Empties an app's build cache (`builds:cache:purge`, and when the app is destroyed). No build of it may be running.
pub async fn remove_cache(engine: &dyn Engine, app: Id<App>) -> Result<(), EngineError> {
    engine.remove_volume(&cache_volume(app)).await
}

/// Removes every image of an app that is being destroyed. Its containers are gone already.
pub async fn remove_images(engine: &dyn Engine, app: Id<App>) -> Result<(), EngineError> {
    for image in engine.images().await? {
        if image.app == Some(app) {
            for tag in &image.tags {
                engine.remove_image(tag).await?;
            }
        }
    }
    // Those without a tag last: they may have been what tagged ones stood on, and gone with them.
    for image in engine.images().await? {
        if image.app == Some(app) {
            engine.remove_image(&image.id).await?;
        }
    }
    Ok(())
}

/// Removes the apps' images among `images` that are in nobody's use, neither by id nor by tag: what builds made whose release
/// was never stored. Dependency layers stay, for the next build.
pub async fn remove_unused_images<S: BuildHasher>(
    engine: &dyn Engine,
    images: Vec<Image>,
    in_use: &HashSet<ImageRef, S>,
) -> Result<(), EngineError> {
    for image in images {
        let is_used = in_use.contains(&image.id) || image.tags.iter().any(|tag| in_use.contains(tag));
        if image.app.is_none() || is_used || image.tags.iter().any(is_layer) {
            continue;
        }
        let names = if image.tags.is_empty() {
            vec![image.id]
        } else {
            image.tags
        };
        for name in names {
            match engine.remove_image(&name).await {
                // A container still needs it: it goes another time.
                Ok(()) | Err(EngineError::InUse { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
