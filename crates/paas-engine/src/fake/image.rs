//! Images of the fake: labels and sizes, no files.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use paas_core::ImageRef;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::FakeEngine;
use crate::{ByteStream, DockerfileBuild, EngineError, Image, LayerSpec, Result};

impl FakeEngine {
    pub(super) async fn commit(&self, layer: &LayerSpec, tar: ByteStream) -> Result<Image> {
        let base = self.answer()?.find_image(&layer.base).cloned();
        let base = base.ok_or_else(|| EngineError::NoImage {
            image: layer.base.to_string(),
        })?;
        let size_bytes = base.size_bytes + read(tar, "committing a layer").await?;
        let mut labels = base.labels;
        labels.extend(layer.labels.clone());
        let image = Image {
            app: layer.app,
            size_bytes,
            labels,
            command: vec!["/bin/bash".to_owned()],
            working_dir: layer.working_dir.clone(),
            user: layer.user.clone(),
            ..self.blank_image()
        };
        Ok(self.answer()?.keep_image(&layer.tag, image))
    }

    pub(super) async fn build(
        &self,
        build: &DockerfileBuild,
        context: ByteStream,
        output: mpsc::Sender<Bytes>,
        cancel: CancellationToken,
    ) -> Result<Image> {
        const DOING: &str = "building a Dockerfile";
        let size_bytes = read(context, DOING).await?;
        if cancel.is_cancelled() {
            return Err(EngineError::Cancelled { doing: DOING });
        }
        // The build goes on when nobody listens.
        let _ = output.send(Bytes::from_static(b"Step 1/1 : FROM scratch\n")).await;
        if let Some(message) = self.answer()?.build_failure.take() {
            return Err(EngineError::Build { message });
        }
        let image = Image {
            app: build.app,
            size_bytes,
            labels: build.labels.clone(),
            ..self.blank_image()
        };
        Ok(self.answer()?.keep_image(&build.tag, image))
    }

    pub(super) async fn import(
        &self,
        tag: &ImageRef,
        labels: &BTreeMap<String, String>,
        rootfs: ByteStream,
    ) -> Result<Image> {
        let size_bytes = read(rootfs, "importing an image").await?;
        let image = Image {
            size_bytes,
            labels: labels.clone(),
            ..self.blank_image()
        };
        Ok(self.answer()?.keep_image(tag, image))
    }

    pub(super) fn delete_image(&self, reference: &ImageRef) -> Result<()> {
        let mut state = self.answer()?;
        let Some(image) = state.find_image(reference).cloned() else {
            return Ok(());
        };
        let is_its = |name: &ImageRef| *name == image.id || image.tags.contains(name);
        if state.containers.iter().any(|fake| is_its(&fake.spec.image)) {
            let what = format!("image {reference}");
            return Err(EngineError::InUse { what });
        }
        state.images.retain(|other| other.id != image.id);
        Ok(())
    }

    /// An image that is nobody's yet.
    pub(super) fn blank_image(&self) -> Image {
        Image {
            id: ImageRef::new(""),
            tags: Vec::new(),
            app: None,
            size_bytes: 0,
            created_at: Some(self.now()),
            labels: BTreeMap::new(),
            entrypoint: Vec::new(),
            command: Vec::new(),
            working_dir: String::new(),
            user: String::new(),
        }
    }
}

/// Reads a stream to its end and says how long it was.
async fn read(stream: ByteStream, doing: &'static str) -> Result<u64> {
    let length = stream.try_fold(0, async |length, part| Ok(length + part.len() as u64));
    length.await.map_err(|source| EngineError::Input { doing, source })
}
