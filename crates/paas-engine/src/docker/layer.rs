//! One layer on a stack image: create, put the files, commit. Works on every Docker, whatever it keeps images in.

use std::collections::HashMap;

use bollard::{
    body_try_stream,
    models::{ContainerConfig, ContainerCreateBody, HostConfig},
    query_parameters::{CommitContainerOptionsBuilder, CreateContainerOptions, UploadToContainerOptionsBuilder},
};

use super::{
    DockerEngine,
    error::{self, Explain as _},
    image::split_tag,
    input::Watched,
};
use crate::{ByteStream, ContainerId, EngineError, Image, LayerSpec, Result, Role, role};

const COMMITTING: &str = "committing a layer";

impl DockerEngine {
    pub(super) async fn commit(&self, layer: &LayerSpec, tar: ByteStream) -> Result<Image> {
        let id = self.create_scratch(layer).await?;
        let committed = self.fill_and_commit(&id, layer, tar).await;
        // Whoever pushed waits for both.
        let (removed, image) = tokio::join!(self.remove_container(&id), self.require_image(&layer.tag));
        committed?;
        removed?;
        image
    }

    /// A container that never runs.
    async fn create_scratch(&self, layer: &LayerSpec) -> Result<ContainerId> {
        let role = Role::Task {
            purpose: "layer".to_owned(),
        };
        let body = ContainerCreateBody {
            image: Some(layer.base.to_string()),
            // Resets the base's entrypoint, whose arguments our command would otherwise become.
            entrypoint: Some(vec![String::new()]),
            cmd: Some(vec!["/bin/bash".to_owned()]),
            labels: Some(self.labels.of(role.to_labels(), layer.app)),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        match self.docker.create_container(None::<CreateContainerOptions>, body).await {
            Ok(created) => Ok(ContainerId::new(created.id)),
            Err(error) if error::status(&error) == Some(404) => Err(EngineError::NoImage {
                image: layer.base.to_string(),
            }),
            Err(error) => Err(error).explain(self, COMMITTING),
        }
    }

    async fn fill_and_commit(&self, id: &ContainerId, layer: &LayerSpec, tar: ByteStream) -> Result<()> {
        let input = Watched::default();
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        let body = body_try_stream(input.watch(tar));
        let uploaded = self.patient.upload_to_container(id.as_str(), Some(options), body).await;
        input.blame(uploaded.explain(self, COMMITTING), COMMITTING)?;

        let (repository, tag) = split_tag(layer.tag.as_str());
        let options = CommitContainerOptionsBuilder::new()
            .container(id.as_str())
            .repo(repository)
            .tag(tag)
            .build();
        let config = ContainerConfig {
            user: Some(layer.user.clone()),
            working_dir: Some(layer.working_dir.clone()),
            env: Some(layer.environment.to_assignments()),
            labels: Some(self.image_labels(layer)),
            ..ContainerConfig::default()
        };
        let committed = self.patient.commit_container(options, config).await;
        committed.explain(self, COMMITTING).map(drop)
    }

    /// A commit inherits the scratch container's labels: its role must not become that of every container of the image.
    fn image_labels(&self, layer: &LayerSpec) -> HashMap<String, String> {
        let blank = role::OF_CONTAINERS.map(|key| (key.to_owned(), String::new()));
        self.labels.of(layer.labels.clone().into_iter().chain(blank), layer.app)
    }
}
