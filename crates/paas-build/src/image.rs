//! The image of a slug: what a build left in `/app`, on the stack's run image.
//!
//! ```text
//! run image ─▶ [ what seldom changes: runtime, dependencies ] ─▶ [ the rest of /app ]
//! ```
//!
//! The layer in the middle is kept under a tag of its own and used again for as long as the build names the same key, so
//! that a push with unchanged dependencies moves the app's own files only. It never grows: an image has two layers of
//! ours at most, whatever came before (125 layers is the limit).

use std::collections::BTreeMap;

use paas_core::{App, Build, Id, ImageRef};
use paas_engine::{ContainerId, Engine, EngineError, Environment, Image, LayerSpec};

use crate::{BuildError, sweep};

pub(crate) struct SlugImage<'a> {
    pub(crate) app: Id<App>,
    pub(crate) build: Id<Build>,
    pub(crate) run_image: &'a ImageRef,
    pub(crate) layer_key: Option<&'a str>,
}

/// Marks the layers that are kept for the next build; the value is their key.
pub(crate) const LAYER_LABEL: &str = "paas.layer";

/// Makes the image, and tells how many bytes the app adds to its stack.
pub(crate) async fn make(
    engine: &dyn Engine,
    container: &ContainerId,
    slug: &SlugImage<'_>,
) -> Result<(ImageRef, u64), BuildError> {
    let run_image = engine
        .image(slug.run_image)
        .await?
        .ok_or_else(|| EngineError::NoImage {
            image: slug.run_image.to_string(),
        })?;
    let base = match slug.layer_key {
        Some(key) => layer(engine, container, slug, &run_image, key).await?,
        None => run_image.id,
    };
    let spec = LayerSpec {
        tag: build_tag(slug.app, slug.build),
        ..spec(slug.app, base)
    };
    let image = commit(engine, container, "/app", &spec).await?;
    Ok((image.id, image.size_bytes.saturating_sub(run_image.size_bytes)))
}

/// The tag that keeps an image of a build from being taken for garbage.
pub(crate) fn build_tag(app: Id<App>, build: Id<Build>) -> ImageRef {
    ImageRef::new(format!("paas/app-{app}:{build}"))
}

async fn layer(
    engine: &dyn Engine,
    container: &ContainerId,
    slug: &SlugImage<'_>,
    run_image: &Image,
    key: &str,
) -> Result<ImageRef, BuildError> {
    // The same dependencies on a newer stack are another layer.
    let stack = run_image.id.as_str().trim_start_matches("sha256:");
    let stack = stack.get(..12).unwrap_or(stack);
    let tag = ImageRef::new(format!("paas/app-{}:layer-{stack}-{key}", slug.app));
    if let Some(image) = engine.image(&tag).await? {
        return Ok(image.id);
    }
    let spec = LayerSpec {
        tag: tag.clone(),
        labels: BTreeMap::from([(LAYER_LABEL.to_owned(), key.to_owned())]),
        ..spec(slug.app, run_image.id.clone())
    };
    let image = commit(engine, container, "/tmp/layer/app", &spec).await?;
    sweep::remove_layers_but(engine, slug.app, &tag).await;
    Ok(image.id)
}

fn spec(app: Id<App>, base: ImageRef) -> LayerSpec {
    LayerSpec {
        base,
        tag: ImageRef::new(""),
        app: Some(app),
        labels: BTreeMap::new(),
        environment: Environment::new(),
        working_dir: "/app".to_owned(),
        user: "10001:10001".to_owned(),
    }
}

async fn commit(
    engine: &dyn Engine,
    container: &ContainerId,
    path: &str,
    spec: &LayerSpec,
) -> Result<Image, BuildError> {
    let tar = engine
        .archive(container, path)
        .await?
        .ok_or(BuildError::Broken { code: 0 })?;
    Ok(engine.commit_layer(spec, tar).await?)
}
