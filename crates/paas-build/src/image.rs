//! The image of a slug: what a build hands over of `/app`, on the stack's run image.
//!
//! ```text
//! run image ─▶ [ what seldom changes: runtime, dependencies ] ─▶ [ the rest of /app ]
//! ```
//!
//! The layer in the middle is kept under a tag of its own and used again for as long as the build names the same key, so
//! that a push with unchanged dependencies moves the app's own files only. It never grows: an image has two layers of
//! ours at most, whatever came before (125 layers is the limit).

use std::collections::{BTreeMap, BTreeSet};

use paas_core::{App, Build, Id, ImageRef, Slug};
use paas_engine::{ByteStream, Engine, EngineError, Environment, Image, LayerSpec};

use crate::{BuildError, delivery::Delivery};

/// What there is to build an app's image on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ground {
    app: Id<App>,
    run_image: Image,
    /// The kept layers of this app on this very run image, by key.
    layers: BTreeMap<String, ImageRef>,
    /// Kept layers on run images of the past.
    outdated: BTreeSet<ImageRef>,
}

/// The tag that keeps an image of a build from being taken for garbage.
pub(crate) fn build_tag(app: Id<App>, build: Id<Build>) -> ImageRef {
    ImageRef::new(format!("{}{build}", tags(app)))
}

/// Whether a tag is that of a dependency layer. A label would not tell: images inherit those of what they stand on.
pub(crate) fn is_layer(tag: &ImageRef) -> bool {
    tag.as_str().contains(":layer-")
}

fn tags(app: Id<App>) -> String {
    format!("paas/app-{app}:")
}

impl Ground {
    pub(crate) async fn find(engine: &dyn Engine, app: Id<App>, run_image: &ImageRef) -> Result<Self, BuildError> {
        let missing = || EngineError::NoImage {
            image: run_image.to_string(),
        };
        let run_image = engine.image(run_image).await?.ok_or_else(missing)?;
        let mut ground = Self {
            app,
            run_image,
            layers: BTreeMap::new(),
            outdated: BTreeSet::new(),
        };
        let (all, current) = (format!("{}layer-", tags(app)), ground.tags_of_layers());
        let images = engine.images_of(app).await?;
        for tag in images.iter().flat_map(|image| &image.tags) {
            if let Some(key) = tag.as_str().strip_prefix(&current) {
                ground.layers.insert(key.to_owned(), tag.clone());
            } else if tag.as_str().starts_with(&all) {
                ground.outdated.insert(tag.clone());
            }
        }
        Ok(ground)
    }

    /// The keys of the layers that a build need not make again.
    pub(crate) fn known_layers(&self) -> BTreeSet<&str> {
        self.layers.keys().map(String::as_str).collect()
    }

    /// Makes the image of the tars that a build hands over, and tells how many bytes the app adds to its stack. A layer that
    /// is not known comes before the app.
    pub(crate) async fn make_image(
        &self,
        engine: &dyn Engine,
        (first, rest): (ByteStream, &mut Delivery),
        build: Id<Build>,
        layer_key: Option<&str>,
    ) -> Result<(ImageRef, u64), BuildError> {
        let known = layer_key.map(|key| (key, self.layers.get(key)));
        let (base, app) = match known {
            None => (self.run_image.id.clone(), first),
            Some((_, Some(tag))) => (tag.clone(), first),
            Some((key, None)) => {
                let layer = self.keep_layer(engine, first, key).await?;
                (layer, rest.next().await.ok_or(BuildError::Broken { code: 0 })?)
            }
        };
        let image = engine
            .commit_layer(&self.spec(base, build_tag(self.app, build)), app)
            .await?;
        Ok((image.id, image.size_bytes.saturating_sub(self.run_image.size_bytes)))
    }

    /// Makes the image of files that no build of ours has left behind: a tar of `app/`.
    pub(crate) async fn make_image_of(
        &self,
        engine: &dyn Engine,
        slug: Id<Slug>,
        tar: ByteStream,
    ) -> Result<(ImageRef, u64), BuildError> {
        let tag = ImageRef::new(format!("{}{slug}", tags(self.app)));
        let image = engine
            .commit_layer(&self.spec(self.run_image.id.clone(), tag), tar)
            .await?;
        Ok((image.id, image.size_bytes.saturating_sub(self.run_image.size_bytes)))
    }

    async fn keep_layer(&self, engine: &dyn Engine, tar: ByteStream, key: &str) -> Result<ImageRef, BuildError> {
        let tag = ImageRef::new(format!("{}{key}", self.tags_of_layers()));
        let spec = self.spec(self.run_image.id.clone(), tag);
        let image = engine.commit_layer(&spec, tar).await?;
        // One is enough: images that stand on the others keep them alive.
        for old in self.layers.values().chain(&self.outdated) {
            if let Err(error) = engine.remove_image(old).await {
                tracing::warn!(app.id = %self.app, image = %old, %error, "an older dependency layer stays behind");
            }
        }
        Ok(image.id)
    }

    /// The same dependencies on a newer stack are another layer.
    fn tags_of_layers(&self) -> String {
        let stack = self.run_image.id.as_str().trim_start_matches("sha256:");
        format!("{}layer-{}-", tags(self.app), stack.get(..12).unwrap_or(stack))
    }

    fn spec(&self, base: ImageRef, tag: ImageRef) -> LayerSpec {
        LayerSpec {
            base,
            tag,
            app: Some(self.app),
            labels: BTreeMap::new(),
            environment: Environment::new(),
            working_dir: "/app".to_owned(),
            user: "10001:10001".to_owned(),
        }
    }
}
