//! Images that somebody else has made, kept as our own: the same layers under another name, with our labels.
//!
//! The labels come from a build of `FROM` alone, because an image cannot be changed. Its base goes when the last image on it
//! does: Docker prunes parents without a tag.
//!
//! - A name of this machine is nobody's who did not make it: all but an app's own images are fetched, also those that are here,
//!   so that whoever names one may have it.
//! - The names of this machine stay as they were. One at a time is fetched of a name: two would take it from each other.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bollard::{
    body_try_stream,
    models::ImageInspect,
    query_parameters::{ImportImageOptions, ListImagesOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};
use paas_core::ImageRef;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{DockerEngine, error::Explain as _, image::split_tag, input::Watched, labels};
use crate::{
    AdoptedImage, ByteStream, DockerfileBuild, EngineError, Environment, Image, RegistryCredentials, Result,
    SOURCE_LABEL, role,
};

const LOADING: &str = "loading an image";
const ADOPTING: &str = "keeping an image";

/// Whose turn it is to fetch an image of a name.
#[derive(Debug, Default)]
pub(super) struct Adoptions(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Adoptions {
    fn of(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        // Docker knows each of its own images under several names.
        let name = name.strip_prefix("index.").unwrap_or(name);
        let name = name.strip_prefix("docker.io/").unwrap_or(name);
        let name = name.strip_prefix("library/").unwrap_or(name);
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(name.to_owned()).or_default())
    }
}

impl DockerEngine {
    pub(super) async fn load_adopted(
        &self,
        image: &AdoptedImage,
        within: &ImageRef,
        archive: ByteStream,
    ) -> Result<Image> {
        let input = Watched::default();
        let body = body_try_stream(input.watch(archive));
        let mut progress = Box::pin(self.patient.import_image(ImportImageOptions::default(), body, None));
        while let Some(next) = progress.next().await {
            input.blame(next.explain(self, LOADING).map(drop), LOADING)?;
        }
        drop(progress);
        let kept = match self.require_image(within).await {
            Ok(loaded) => self.keep(image, &loaded.id, loaded.id.as_str()).await,
            Err(error) => Err(error),
        };
        self.untag(within).await?;
        kept
    }

    pub(super) async fn adopt(
        &self,
        image: &AdoptedImage,
        source: &ImageRef,
        credentials: Option<&RegistryCredentials>,
        cancel: CancellationToken,
    ) -> Result<Image> {
        let source = whole(source);
        let cancelled = || EngineError::Cancelled { doing: ADOPTING };
        let turn = self.adoptions.of(source.as_str());
        let turn = cancel.run_until_cancelled(turn.lock()).await;
        let _turn = turn.ok_or_else(cancelled)?;
        let before = self.docker.inspect_image(source.as_str()).await;
        let before = before.explain_if_found(self, ADOPTING)?;
        let before = before.filter(|found| is_called(found, source.as_str()));
        if let Some(found) = &before {
            self.check_owner(image, &source, found)?;
            if credentials.is_none() && self.is_own(image, found) {
                return self.keep_found(image, &source, found.clone()).await;
            }
        }
        let pulled = cancel.run_until_cancelled(self.pull_image(&source, credentials)).await;
        let kept = match pulled {
            Some(Ok(_)) => self.keep_fetched(image, &source).await,
            Some(Err(error)) => Err(error),
            None => Err(cancelled()),
        };
        // Also what was cancelled may be here by now.
        self.restore(&source, before).await?;
        kept
    }

    async fn keep_fetched(&self, image: &AdoptedImage, source: &ImageRef) -> Result<Image> {
        let found = self.docker.inspect_image(source.as_str()).await;
        let found = found.explain(self, ADOPTING)?;
        self.check_owner(image, source, &found)?;
        self.keep_found(image, source, found).await
    }

    async fn keep_found(&self, image: &AdoptedImage, source: &ImageRef, found: ImageInspect) -> Result<Image> {
        let base = found.id.map_or_else(|| source.clone(), ImageRef::new);
        let repository = split_tag(source.as_str()).0;
        let digests = found.repo_digests.unwrap_or_default().into_iter();
        let mut digests = digests.filter(|digest| digest.starts_with(repository));
        let name = digests.next().unwrap_or_else(|| source.to_string());
        self.keep(image, &base, &name).await
    }

    /// Lets a name mean again what it meant before.
    async fn restore(&self, source: &ImageRef, before: Option<ImageInspect>) -> Result<()> {
        let Some(before) = before.and_then(|before| before.id) else {
            return self.untag(source).await;
        };
        if source.as_str().contains('@') {
            return Ok(());
        }
        let (repository, tag) = split_tag(source.as_str());
        let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        let tagged = self.docker.tag_image(&before, Some(options)).await;
        tagged.explain_if_found(self, ADOPTING).map(drop)
    }

    /// Lets go of images below `repository` that were loaded before `horizon`: an adoption that ended well has done so itself.
    pub(super) async fn remove_loaded(&self, repository: &str, horizon: DateTime<Utc>) -> Result<()> {
        let filters = HashMap::from([("reference".to_owned(), vec![repository.to_owned()])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let listed = self.docker.list_images(Some(options)).await.explain(self, LOADING)?;
        for tag in listed.into_iter().flat_map(|image| image.repo_tags) {
            let found = self.docker.inspect_image(&tag).await.explain_if_found(self, LOADING)?;
            let loaded_at = found.and_then(|found| found.metadata?.last_tag_time);
            if loaded_at.is_some_and(|loaded_at| loaded_at < horizon) {
                self.untag(&ImageRef::new(tag)).await?;
            }
        }
        Ok(())
    }

    fn is_own(&self, image: &AdoptedImage, found: &ImageInspect) -> bool {
        let labels = found.config.as_ref().and_then(|config| config.labels.clone());
        let labels = labels.unwrap_or_default();
        self.labels.are_ours(&labels) && labels::app(&labels) == Some(image.app)
    }

    /// What another app's builds made is nobody else's, whatever it is called.
    fn check_owner(&self, image: &AdoptedImage, source: &ImageRef, found: &ImageInspect) -> Result<()> {
        let labels = found.config.as_ref().and_then(|config| config.labels.clone());
        let labels = labels.unwrap_or_default();
        let owner = labels::app(&labels);
        if self.labels.are_ours(&labels) && owner.is_some() && owner != Some(image.app) {
            return Err(EngineError::NoImage {
                image: source.to_string(),
            });
        }
        Ok(())
    }

    async fn keep(&self, image: &AdoptedImage, base: &ImageRef, source: &str) -> Result<Image> {
        let mut labels = image.labels.clone();
        // Whatever its author wrote there: a label of a container would make one of ours.
        labels.extend(role::OF_CONTAINERS.map(|key| (key.to_owned(), String::new())));
        labels.insert(SOURCE_LABEL.to_owned(), source.to_owned());
        let build = DockerfileBuild {
            dockerfile: "Dockerfile".to_owned(),
            tag: image.tag.clone(),
            app: Some(image.app),
            labels,
            arguments: Environment::new(),
            limits: image.limits,
            network: None,
            target: None,
        };
        let context = dockerfile(&format!("FROM {base}\n"));
        let (output, _) = mpsc::channel(1);
        self.build_dockerfile(&build, context, output, CancellationToken::new())
            .await
    }

    async fn untag(&self, tag: &ImageRef) -> Result<()> {
        let removed = self.docker.remove_image(tag.as_str(), None::<RemoveImageOptions>, None);
        removed.await.explain_if_found(self, ADOPTING).map(drop)
    }
}

/// A context of one file.
fn dockerfile(text: &str) -> ByteStream {
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    let mut tar = tar::Builder::new(Vec::new());
    let made = tar
        .append_data(&mut header, "Dockerfile", text.as_bytes())
        .and_then(|()| tar.into_inner())
        .map(Bytes::from);
    stream::once(std::future::ready(made)).boxed()
}

/// With its tag: a bare word could be read as the beginning of an id.
fn whole(source: &ImageRef) -> ImageRef {
    if source.as_str().contains('@') {
        return source.clone();
    }
    let (repository, tag) = split_tag(source.as_str());
    ImageRef::new(format!("{repository}:{tag}"))
}

/// Whether the image has this very name, and not an id that begins like it.
fn is_called(found: &ImageInspect, name: &str) -> bool {
    let names = found.repo_tags.iter().chain(&found.repo_digests).flatten();
    names.into_iter().any(|own| own == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_whole() {
        for (name, meant) in [
            ("debian", "debian:latest"),
            ("team/app:1", "team/app:1"),
            ("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest"),
            (
                "registry.example.com/a/b@sha256:00",
                "registry.example.com/a/b@sha256:00",
            ),
        ] {
            assert_eq!(whole(&ImageRef::new(name)).as_str(), meant);
        }
    }
}
