//! Images: seeing, fetching, importing, building and removing them.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bollard::{
    BollardRequest,
    auth::DockerCredentials,
    body_try_stream,
    errors::Error,
    models::{ImageInspect, ImageSummary},
    query_parameters::{
        BuildImageOptionsBuilder, CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions,
    },
};
use bytes::Bytes;
use chrono::DateTime;
use futures_util::StreamExt as _;
use paas_core::{App, Id, ImageRef};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    DockerEngine,
    error::{self, Explain as _},
    input::Watched,
    labels,
};
use crate::{ByteStream, DockerfileBuild, EngineError, Image, ImageConfig, Limits, RegistryCredentials, Result};

const IMPORTING: &str = "importing an image";
const PULLING: &str = "pulling an image";
const BUILDING: &str = "building a Dockerfile";
/// A registry that says nothing for this long is not there.
const REGISTRY_SILENCE: Duration = Duration::from_secs(20);

impl DockerEngine {
    pub(super) async fn inspect_image(&self, image: &ImageRef) -> Result<Option<Image>> {
        let inspected = self.docker.inspect_image(image.as_str()).await;
        let found = inspected.explain_if_found(self, "inspecting an image")?;
        Ok(found.map(|inspected| inspected_image(image, inspected)))
    }

    pub(super) async fn inspect_config(&self, image: &ImageRef) -> Result<Option<ImageConfig>> {
        let inspected = self.docker.inspect_image(image.as_str()).await;
        let found = inspected.explain_if_found(self, "inspecting an image")?;
        Ok(found.map(|inspected| ImageConfig {
            architecture: inspected.architecture.unwrap_or_default(),
            os: inspected.os.unwrap_or_default(),
            layers: inspected.root_fs.and_then(|files| files.layers).unwrap_or_default(),
            environment: inspected.config.and_then(|config| config.env).unwrap_or_default(),
        }))
    }

    pub(super) async fn require_image(&self, image: &ImageRef) -> Result<Image> {
        self.inspect_image(image).await?.ok_or_else(|| EngineError::NoImage {
            image: image.to_string(),
        })
    }

    /// All of ours, or those of one app: Docker measures each image that it lists.
    pub(super) async fn list_images(&self, app: Option<Id<App>>) -> Result<Vec<Image>> {
        let filter = app.map_or_else(|| self.labels.filter(), |app| self.labels.filter_of(app));
        let options = ListImagesOptionsBuilder::new().filters(&filter).build();
        let listed = self.docker.list_images(Some(options)).await;
        Ok(listed
            .explain(self, "listing images")?
            .into_iter()
            .map(summarised_image)
            .collect())
    }

    pub(super) async fn delete_image(&self, image: &ImageRef) -> Result<()> {
        let Some(found) = self.inspect_image(image).await? else {
            return Ok(());
        };
        if !self.labels.are_ours(&found.labels.into_iter().collect()) {
            return Err(EngineError::Foreign {
                what: format!("image {image}"),
            });
        }
        let removed = self
            .docker
            .remove_image(image.as_str(), None::<RemoveImageOptions>, None)
            .await;
        match removed {
            Err(error) if error::status(&error) == Some(409) => Err(EngineError::InUse {
                what: format!("image {image}"),
            }),
            other => other.explain_if_found(self, "removing an image").map(drop),
        }
    }

    pub(super) async fn pull_image(
        &self,
        image: &ImageRef,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<Image> {
        let options = CreateImageOptionsBuilder::new();
        let options = match image.as_str().rsplit_once('@') {
            Some((repository, digest)) => options.from_image(repository).tag(digest),
            None => {
                let (repository, tag) = split_tag(image.as_str());
                options.from_image(repository).tag(tag)
            }
        };
        let credentials = credentials.map(|credentials| DockerCredentials {
            username: Some(credentials.user.clone()),
            password: Some(credentials.password.clone()),
            ..DockerCredentials::default()
        });
        let mut progress = Box::pin(self.patient.create_image(Some(options.build()), None, credentials));
        loop {
            let next = tokio::time::timeout(REGISTRY_SILENCE, progress.next()).await;
            let next = next.map_err(|_| EngineError::Refused {
                doing: PULLING,
                message: format!("the registry of {image} does not answer"),
            })?;
            match next {
                Some(progress) => drop(progress.explain(self, PULLING)?),
                None => return self.require_image(image).await,
            }
        }
    }

    pub(super) async fn import_rootfs(
        &self,
        tag: &ImageRef,
        own: &BTreeMap<String, String>,
        rootfs: ByteStream,
    ) -> Result<Image> {
        let (repository, version) = split_tag(tag.as_str());
        let mut labels: Vec<_> = self.labels.of(own.clone(), None).into_iter().collect();
        labels.sort();
        let changes = labels
            .iter()
            .map(|(key, value)| format!("LABEL {}={}", quoted(key), quoted(value)))
            .collect();
        let options = CreateImageOptionsBuilder::new()
            .from_src("-")
            .repo(repository)
            .tag(version)
            .changes(changes)
            .build();
        let input = Watched::default();
        let body = body_try_stream(input.watch(rootfs));
        let mut progress = Box::pin(self.patient.create_image(Some(options), Some(body), None));
        while let Some(next) = progress.next().await {
            input.blame(next.explain(self, IMPORTING).map(drop), IMPORTING)?;
        }
        self.require_image(tag).await
    }

    pub(super) async fn build_dockerfile(
        &self,
        build: &DockerfileBuild,
        context: ByteStream,
        output: mpsc::Sender<Bytes>,
        cancel: CancellationToken,
    ) -> Result<Image> {
        let mut options = BuildImageOptionsBuilder::new()
            .dockerfile(&build.dockerfile)
            .t(build.tag.as_str())
            .rm(true)
            .forcerm(true)
            .cpushares(i32::try_from(build.limits.cpu_weight).unwrap_or(i32::MAX))
            .networkmode(build.network.as_deref().unwrap_or("none"))
            .buildargs(&build.arguments.iter().collect::<HashMap<_, _>>())
            .labels(&self.labels.of(build.labels.clone(), build.app));
        if let Some(cpuset) = build.limits.cpuset() {
            options = options.cpusetcpus(&cpuset);
        }
        if let Some(target) = &build.target {
            options = options.target(target);
        }
        let docker = with_memory(&self.patient, build.limits);
        let input = Watched::default();
        let body = body_try_stream(input.watch(context));
        let mut progress = Box::pin(docker.build_image(options.build(), None, Some(body)));
        loop {
            // Dropping the answer closes the connection, and Docker ends the build.
            let next = tokio::select! {
                next = progress.next() => next,
                () = cancel.cancelled() => return Err(EngineError::Cancelled { doing: BUILDING }),
            };
            let Some(next) = next else { break };
            let said = input.blame(next.map_err(|error| self.explain_build(error)), BUILDING)?;
            if let Some(text) = said.stream.or(said.status) {
                // The build goes on when nobody listens any more.
                let _ = output.send(text.into()).await;
            }
        }
        self.require_image(&build.tag).await
    }

    /// What a step says about itself is for the app's author; the rest is ours.
    fn explain_build(&self, error: Error) -> EngineError {
        let is_authors = match &error {
            Error::DockerStreamError { .. } => true,
            // Such as a syntax error, or that there is no Dockerfile.
            Error::DockerResponseServerError { status_code, message } => {
                *status_code == 400 || message.contains("Dockerfile") || message.contains("dockerfile")
            }
            _ => false,
        };
        let message = error::message(&error).map(str::to_owned);
        match (Err::<(), _>(error).explain(self, BUILDING), message) {
            (Err(EngineError::Refused { .. }), Some(message)) if is_authors => EngineError::Build { message },
            (Err(error), _) => error,
            (Ok(()), _) => EngineError::Cancelled { doing: BUILDING },
        }
    }
}

/// A client whose build requests carry a memory limit. The library's own parameter ends at two gigabytes.
fn with_memory(docker: &bollard::Docker, limits: Limits) -> bollard::Docker {
    let memory = limits.memory_bytes;
    docker
        .clone()
        .with_request_modifier(move |mut request: BollardRequest| {
            let mut parts = request.uri().clone().into_parts();
            if let Some(path) = parts.path_and_query {
                // Memory and swap together, so no swap.
                let limited = format!("{path}&memory={memory}&memswap={memory}");
                parts.path_and_query = limited.parse().ok().or(Some(path));
            }
            if let Ok(uri) = http::Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
            request
        })
}

/// `debian:bookworm-slim` as repository and tag; `latest` when there is none.
pub(super) fn split_tag(reference: &str) -> (&str, &str) {
    match reference.rsplit_once(':') {
        // A colon before a slash belongs to a registry's port.
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (reference, "latest"),
    }
}

/// A word of a Dockerfile that means itself.
fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
    format!("\"{escaped}\"")
}

fn inspected_image(reference: &ImageRef, inspected: ImageInspect) -> Image {
    let config = inspected.config.unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    Image {
        id: inspected.id.map_or_else(|| reference.clone(), ImageRef::new),
        tags: inspected
            .repo_tags
            .unwrap_or_default()
            .into_iter()
            .map(ImageRef::new)
            .collect(),
        app: labels::app(&labels),
        size_bytes: size(inspected.size.unwrap_or_default()),
        created_at: inspected.created,
        labels: labels::sorted(labels),
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        working_dir: config.working_dir.unwrap_or_default(),
        user: config.user.unwrap_or_default(),
    }
}

/// A listed image: its configuration takes another question.
fn summarised_image(summary: ImageSummary) -> Image {
    let tags = summary.repo_tags.into_iter().filter(|tag| tag != "<none>:<none>");
    Image {
        id: ImageRef::new(summary.id),
        tags: tags.map(ImageRef::new).collect(),
        app: labels::app(&summary.labels),
        size_bytes: size(summary.size),
        created_at: DateTime::from_timestamp(summary.created, 0),
        labels: labels::sorted(summary.labels),
        entrypoint: Vec::new(),
        command: Vec::new(),
        working_dir: String::new(),
        user: String::new(),
    }
}

fn size(bytes: i64) -> u64 {
    bytes.try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_port_is_no_tag() {
        assert_eq!(split_tag("paas/stack-12:run"), ("paas/stack-12", "run"));
        assert_eq!(split_tag("debian"), ("debian", "latest"));
        assert_eq!(split_tag("localhost:5000/app"), ("localhost:5000/app", "latest"));
        assert_eq!(split_tag("localhost:5000/app:v1"), ("localhost:5000/app", "v1"));
    }

    #[test]
    fn a_quoted_word_cannot_break_out() {
        assert_eq!(quoted(r#"a"b\c$HOME"#), r#""a\"b\\c\$HOME""#);
    }
}
