//! What the fake remembers. No rule of the engine is here, only what follows from one step to the next.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use paas_core::ImageRef;
use tokio_util::sync::CancellationToken;

use super::Behaviour;
use crate::{
    Container, ContainerId, ContainerSpec, ContainerState, EngineError, Exit, Image, LogChunk, LogPosition,
    NetworkSpec, OutputStream, Result, Role, Volume,
};

pub(super) type Rule = Arc<dyn Fn(&ContainerSpec) -> bool + Send + Sync>;

#[derive(Default)]
pub(super) struct State {
    pub(super) is_down: bool,
    pub(super) data_dir: Option<String>,
    pub(super) rules: Vec<(Rule, Behaviour)>,
    pub(super) containers: Vec<FakeContainer>,
    pub(super) images: Vec<Image>,
    /// What archives were made of, by id.
    pub(super) saved: BTreeMap<String, Image>,
    pub(super) networks: BTreeMap<String, NetworkSpec>,
    pub(super) volumes: BTreeMap<String, Volume>,
    /// The first piece of input of each container that was run.
    pub(super) heard: Vec<(ContainerSpec, Bytes)>,
    /// What the next Dockerfile build fails with.
    pub(super) build_failure: Option<String>,
    /// What cannot be done any more.
    pub(super) refused: BTreeSet<String>,
    made: u32,
}

pub(super) struct FakeContainer {
    pub(super) container: Container,
    pub(super) spec: ContainerSpec,
    pub(super) behaviour: Behaviour,
    pub(super) said: Vec<LogChunk>,
    /// Cancelled when it ends.
    pub(super) life: CancellationToken,
}

impl State {
    pub(super) fn find(&mut self, id: &ContainerId) -> Option<&mut FakeContainer> {
        self.containers.iter_mut().find(|fake| fake.container.id == *id)
    }

    pub(super) fn find_named(&mut self, name: &str) -> Option<&mut FakeContainer> {
        self.containers.iter_mut().find(|fake| fake.container.name == name)
    }

    pub(super) fn find_image(&self, reference: &ImageRef) -> Option<&Image> {
        self.images
            .iter()
            .find(|image| image.id == *reference || image.tags.contains(reference))
    }

    /// What was taught last for such a container.
    pub(super) fn taught(&self, spec: &ContainerSpec) -> Option<Behaviour> {
        let mut rules = self.rules.iter().rev();
        rules.find_map(|(applies, behaviour)| applies(spec).then(|| behaviour.clone()))
    }

    /// Makes a container that is not yet started.
    pub(super) fn create(&mut self, spec: &ContainerSpec, now: DateTime<Utc>) -> Result<ContainerId> {
        if self.find_image(&spec.image).is_none() {
            return Err(EngineError::NoImage {
                image: spec.image.to_string(),
            });
        }
        for mount in &spec.volumes {
            self.volumes.entry(mount.volume.clone()).or_insert_with(|| Volume {
                name: mount.volume.clone(),
                app: spec.role.app(),
            });
        }
        let behaviour = self.taught(spec).unwrap_or_else(|| match spec.role {
            Role::Dyno { .. } => Behaviour::answers(),
            Role::Addon { .. } => Behaviour::runs(),
            Role::OneOff { .. } | Role::Release { .. } | Role::Build { .. } | Role::Task { .. } => Behaviour::exits(0),
        });
        let id = ContainerId::new(format!("{:064x}", self.number()));
        self.containers.push(FakeContainer {
            container: Container {
                id: id.clone(),
                name: spec.name.clone(),
                role: Some(spec.role.clone()),
                created_at: now,
                state: ContainerState::Created,
                networks: spec.network.iter().cloned().collect(),
                addresses: BTreeMap::new(),
            },
            spec: spec.clone(),
            behaviour,
            said: Vec::new(),
            life: CancellationToken::new(),
        });
        Ok(id)
    }

    /// Keeps an image under a tag that it takes away from any other.
    pub(super) fn keep_image(&mut self, tag: &ImageRef, mut image: Image) -> Image {
        for other in &mut self.images {
            other.tags.retain(|name| name != tag);
        }
        image.id = ImageRef::new(format!("sha256:{:064x}", self.number()));
        image.tags = vec![tag.clone()];
        self.images.push(image.clone());
        image
    }

    fn number(&mut self) -> u32 {
        self.made += 1;
        self.made
    }
}

impl FakeContainer {
    pub(super) fn say(&mut self, stream: OutputStream, bytes: impl Into<Bytes>, now: DateTime<Utc>) {
        let position = match self.said.last().map(|chunk| chunk.position) {
            // Positions only grow, whatever the clock does.
            Some(last) if last.at >= now => LogPosition {
                at: last.at,
                ordinal: last.ordinal + 1,
            },
            _ => LogPosition { at: now, ordinal: 1 },
        };
        self.said.push(LogChunk {
            position,
            stream,
            bytes: bytes.into(),
            is_partial: false,
        });
    }

    /// Ends a container that was started; one that has ended stays as it is.
    pub(super) fn end(&mut self, code: i32, out_of_memory: bool, now: DateTime<Utc>) -> Exit {
        self.life.cancel();
        if let ContainerState::Exited(exit) = self.container.state {
            return exit;
        }
        let exit = Exit {
            at: now,
            code,
            out_of_memory,
        };
        self.container.state = ContainerState::Exited(exit);
        self.container.addresses.clear();
        exit
    }
}
