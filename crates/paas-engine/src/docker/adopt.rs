//! Images that somebody else has made, kept as our own: the same layers under another name, with our labels.
//!
//! The labels come from a build of `FROM` alone, because an image cannot be changed. Its base goes when the last image on it
//! does: Docker prunes parents without a tag.

use bollard::{
    body_try_stream,
    models::ImageInspect,
    query_parameters::{ImportImageOptions, RemoveImageOptions},
};
use bytes::Bytes;
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
        let loaded = self.require_image(within).await?;
        let kept = self.keep(image, within, loaded.id.as_str()).await;
        self.untag(within).await?;
        kept
    }

    pub(super) async fn adopt(
        &self,
        image: &AdoptedImage,
        source: &ImageRef,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<Image> {
        let source = whole(source);
        let before = self.docker.inspect_image(source.as_str()).await;
        let before = before.explain_if_found(self, ADOPTING)?;
        let before = before.filter(|found| is_called(found, source.as_str()));
        if let Some(found) = &before {
            self.check_owner(image, &source, found)?;
        }
        let must_pull = credentials.is_some() || has_registry(source.as_str()) || before.is_none();
        if must_pull {
            self.pull_image(&source, credentials).await?;
        }
        let found = self
            .docker
            .inspect_image(source.as_str())
            .await
            .explain(self, ADOPTING)?;
        self.check_owner(image, &source, &found)?;
        let digest = found.repo_digests.unwrap_or_default().into_iter();
        let repository = split_tag(source.as_str()).0;
        let mut digests = digest.filter(|digest| digest.starts_with(repository));
        let name = digests.next().unwrap_or_else(|| source.to_string());
        let kept = self.keep(image, &source, &name).await;
        if must_pull && before.is_none() {
            self.untag(&source).await?;
        }
        kept
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

/// Whether the first part of a name is a host, as Docker reads it.
fn has_registry(name: &str) -> bool {
    name.split_once('/')
        .is_some_and(|(first, _)| first.contains(['.', ':']) || first == "localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_whole_and_its_registry_is_known() {
        for (name, meant, is_remote) in [
            ("debian", "debian:latest", false),
            ("team/app:1", "team/app:1", false),
            ("localhost/app", "localhost/app:latest", true),
            ("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest", true),
            (
                "registry.example.com/a/b@sha256:00",
                "registry.example.com/a/b@sha256:00",
                true,
            ),
        ] {
            let whole = whole(&ImageRef::new(name));
            assert_eq!((whole.as_str(), has_registry(whole.as_str())), (meant, is_remote));
        }
    }
}
