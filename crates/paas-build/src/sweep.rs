//! Removing what builds left on the engine: found by label, never by name alone.

use paas_core::{App, Id, ImageRef};
use paas_engine::{Engine, EngineError};

use crate::image::LAYER_LABEL;

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

/// Lets go of an app's older dependency layers. Images that stand on them keep them alive.
pub(crate) async fn remove_layers_but(engine: &dyn Engine, app: Id<App>, kept: &ImageRef) {
    let images = match engine.images().await {
        Ok(images) => images,
        Err(error) => return tracing::warn!(app.id = %app, %error, "older dependency layers stay behind"),
    };
    let old = images
        .iter()
        .filter(|image| image.app == Some(app) && image.labels.contains_key(LAYER_LABEL))
        .flat_map(|image| &image.tags)
        .filter(|tag| *tag != kept && tag.as_str().contains(":layer-"));
    for tag in old {
        if let Err(error) = engine.remove_image(tag).await {
            tracing::warn!(app.id = %app, image = %tag, %error, "an older dependency layer stays behind");
        }
    }
}
