//! Images of the fake: labels and sizes, no files.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use paas_core::ImageRef;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::FakeEngine;
use crate::{
    AdoptedImage, ByteStream, DockerfileBuild, EngineDisk, EngineError, Image, ImageBytes, LayerSpec, Result,
    SOURCE_LABEL, VolumeBytes,
};

/// How large every volume of the fake is.
const VOLUME_BYTES: u64 = 1024;

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

    /// An archive of the fake is its tag alone.
    pub(super) async fn load_adopted(
        &self,
        image: &AdoptedImage,
        within: &ImageRef,
        archive: ByteStream,
    ) -> Result<Image> {
        let size_bytes = read(archive, "loading an image").await?;
        let loaded = Image {
            size_bytes,
            command: vec!["/bin/bash".to_owned()],
            ..self.blank_image()
        };
        self.keep(image, within, loaded)
    }

    pub(super) fn adopt(&self, image: &AdoptedImage, source: &ImageRef) -> Result<Image> {
        let found = self.answer()?.find_image(source).cloned();
        // What is nobody's app's stands for what a registry has.
        let is_fetched = |found: &Image| found.app.is_none() && source.registry().is_some();
        let found = found.filter(|found| found.app == Some(image.app) || is_fetched(found));
        let found = found
            .ok_or_else(|| super::refused("pulling an image", &format!("the registry of {source} does not answer")))?;
        self.keep(image, source, found)
    }

    fn keep(&self, image: &AdoptedImage, source: &ImageRef, mut kept: Image) -> Result<Image> {
        kept.app = Some(image.app);
        kept.labels.extend(image.labels.clone());
        kept.labels.insert(SOURCE_LABEL.to_owned(), source.to_string());
        Ok(self.answer()?.keep_image(&image.tag, kept))
    }

    pub(super) fn delete_image(&self, reference: &ImageRef) -> Result<()> {
        let mut state = self.answer()?;
        if state.refused.contains(reference.as_str()) {
            return Err(super::refused("removing an image", "it was told to refuse"));
        }
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

    /// As an archive: an image of a kind, which only [`FakeEngine::load`] reads.
    pub(super) fn save(&self, reference: &ImageRef) -> Result<Option<ByteStream>> {
        let mut state = self.answer()?;
        let Some(image) = state.find_image(reference).cloned() else {
            return Ok(None);
        };
        let name = image.id.to_string();
        state.saved.insert(name.clone(), image);
        let file = name.trim_start_matches("sha256:").as_bytes().to_vec();
        Ok(Some(stream::once(async move { Ok(tar_of("image", &file)) }).boxed()))
    }

    pub(super) async fn load(&self, archive: ByteStream) -> Result<()> {
        const DOING: &str = "loading an image";
        let bytes = archive.try_fold(Vec::new(), async |mut all, part| {
            all.extend_from_slice(&part);
            Ok(all)
        });
        let bytes = bytes
            .await
            .map_err(|source| EngineError::Input { doing: DOING, source })?;
        let mut state = self.answer()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let found = state.saved.values().find(|image| {
            let name = image.id.as_str().trim_start_matches("sha256:");
            text.contains(name)
        });
        let image = found
            .cloned()
            .ok_or_else(|| super::refused(DOING, "this is no archive of an image"))?;
        state.images.retain(|other| other.id != image.id);
        state.images.push(image);
        Ok(())
    }

    pub(super) fn measure_disk(&self) -> Result<EngineDisk> {
        let state = self.answer()?;
        if state.refused.contains("disk") {
            return Err(super::refused("measuring its disk", "it was told to refuse"));
        }
        Ok(EngineDisk {
            layers_bytes: state.images.iter().map(|image| image.size_bytes).sum(),
            images: state
                .images
                .iter()
                .map(|image| ImageBytes {
                    id: image.id.clone(),
                    tags: image.tags.clone(),
                    app: image.app,
                    own_bytes: image.size_bytes,
                })
                .collect(),
            volumes: state
                .volumes
                .values()
                .map(|volume| VolumeBytes {
                    name: volume.name.clone(),
                    app: volume.app,
                    bytes: VOLUME_BYTES,
                })
                .collect(),
            containers: Vec::new(),
        })
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

/// A tar with one small file (POSIX.1-1988, *ustar*).
fn tar_of(name: &str, content: &[u8]) -> Bytes {
    let mut head = [0_u8; 512];
    let mut put = |at: usize, text: &[u8]| head[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = head.to_vec();
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    tar.into()
}
