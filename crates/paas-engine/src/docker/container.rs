//! Containers that are there: seeing, stopping and removing them.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    time::Duration,
};

use bollard::{
    errors::Error,
    models::{
        ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary, ContainerSummaryStateEnum,
        EndpointSettings,
    },
    query_parameters::{
        DownloadFromContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
        RemoveContainerOptionsBuilder, WaitContainerOptionsBuilder,
    },
};
use chrono::{DateTime, SubsecRound as _, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{DockerEngine, error, error::Explain as _};
use crate::{ByteStream, Container, ContainerId, ContainerState, EngineError, Exit, Result, Role};

/// How many containers are looked at side by side.
const INSPECTIONS: usize = 8;
const INSPECTING: &str = "inspecting a container";
const STOPPING: &str = "stopping a container";

impl DockerEngine {
    pub(super) async fn list_containers(&self) -> Result<Vec<Container>> {
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&self.labels.filter())
            .build();
        let summaries = self
            .docker
            .list_containers(Some(options))
            .await
            .explain(self, "listing containers")?;
        let ours = summaries.into_iter().filter(|summary| {
            summary
                .labels
                .as_ref()
                .is_some_and(|labels| self.labels.are_our_containers(labels))
        });
        // A summary has no exit code; what vanished meanwhile is left out.
        stream::iter(ours)
            .map(|summary| async move {
                match running(&summary) {
                    Some(container) => Ok(Some(container)),
                    None => self.inspect_container(summary.id.as_deref().unwrap_or_default()).await,
                }
            })
            .buffered(INSPECTIONS)
            .try_filter_map(async |container| Ok(container))
            .try_collect()
            .await
    }

    /// A container of ours, by name or id.
    pub(super) async fn inspect_container(&self, name: &str) -> Result<Option<Container>> {
        let found = self.inspect_any(name).await?;
        Ok(found.and_then(|(is_ours, container)| is_ours.then_some(container)))
    }

    /// A container by name or id, and whether it is ours.
    pub(super) async fn inspect_any(&self, name: &str) -> Result<Option<(bool, Container)>> {
        let inspected = self.docker.inspect_container(name, None).await;
        let Some(response) = inspected.explain_if_found(self, INSPECTING)? else {
            return Ok(None);
        };
        let labels = response.config.as_ref().and_then(|config| config.labels.as_ref());
        let is_ours = labels.is_some_and(|labels| self.labels.are_our_containers(labels));
        let mut container = inspected_container(response).ok_or_else(|| EngineError::Refused {
            doing: INSPECTING,
            message: "its answer names no container".to_owned(),
        })?;
        if let (true, ContainerState::Exited(exit)) = (is_ours, &mut container.state) {
            *exit = self.judge(&container.id, *exit).await;
        }
        Ok(Some((is_ours, container)))
    }

    pub(super) async fn stop_container(&self, id: &ContainerId, grace: Duration) -> Result<Option<Exit>> {
        let Some(container) = self.inspect_container(id.as_str()).await? else {
            return Ok(None);
        };
        if let ContainerState::Exited(exit) = container.state {
            return Ok(Some(exit));
        }
        let ask = async {
            self.terminate(id).await?;
            self.wait(id).await
        };
        if let Ok(asked) = tokio::time::timeout(grace, ask).await {
            asked?;
        } else {
            self.verdicts.acquit(id);
            self.kill(id, "SIGKILL").await?;
            self.wait(id).await?;
        }
        let ended = self.inspect_container(id.as_str()).await?;
        Ok(ended.and_then(|container| match container.state {
            ContainerState::Exited(exit) => Some(exit),
            ContainerState::Created | ContainerState::Running { .. } => None,
        }))
    }

    pub(super) async fn remove_container(&self, id: &ContainerId) -> Result<()> {
        if self.inspect_container(id.as_str()).await?.is_none() {
            return Ok(());
        }
        self.verdicts.forget(id);
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.docker.remove_container(id.as_str(), Some(options)).await {
            // Someone else is removing it this very moment.
            Err(error) if error::status(&error) == Some(409) => Ok(()),
            other => other.explain_if_found(self, "removing a container").map(drop),
        }
    }

    pub(super) async fn archive_path(&self, id: &ContainerId, path: &str) -> Result<Option<ByteStream>> {
        if self.inspect_container(id.as_str()).await?.is_none() {
            return Ok(None);
        }
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        let mut tar = Box::pin(self.patient.download_from_container(id.as_str(), Some(options)));
        // Whether there is such a path shows only when the stream is read.
        let Some(first) = tar.next().await else {
            return Ok(Some(stream::empty().boxed()));
        };
        let Some(first) = first.explain_if_found(self, "reading files of a container")? else {
            return Ok(None);
        };
        let engine = self.clone();
        let rest = tar.map(move |part| Ok(part.explain(&engine, "reading files of a container")?));
        Ok(Some(stream::once(async { Ok(first) }).chain(rest).boxed()))
    }

    /// Returns when the container does not run any more.
    pub(super) async fn wait(&self, id: &ContainerId) -> Result<()> {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        let mut answers = Box::pin(self.docker.wait_container(id.as_str(), Some(options)));
        match answers.next().await {
            // An exit code other than 0 is an error to the library, not to us.
            Some(Ok(_) | Err(Error::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) => Err(error)
                .explain_if_found(self, "waiting for a container")
                .map(|_: Option<()>| ()),
            None => Err(EngineError::Broken {
                doing: "waiting for a container",
                source: "the answer ended early".into(),
            }),
        }
    }

    /// SIGTERM to every process, as Heroku's dyno manager does (Dev Center, *Dyno Shutdown Behavior*).
    ///
    /// Docker alone signals only the first one, which is a shell more often than not. It must not do so on top: to many
    /// servers a second SIGTERM means *now*.
    async fn terminate(&self, id: &ContainerId) -> Result<()> {
        if !self.terminate_from_inside(id).await.unwrap_or_default() {
            self.kill(id, "SIGTERM").await?;
        }
        Ok(())
    }

    /// Whether a shell in the container could signal everybody. An image without a shell has none, and neither has a
    /// container at its limit of processes.
    async fn terminate_from_inside(&self, id: &ContainerId) -> Result<bool, Error> {
        let command = ["/bin/sh", "-c", "kill -TERM -1"].map(str::to_owned).to_vec();
        // It has started: that its end was not seen does not mean that it did nothing.
        Ok(matches!(self.exec_quietly(id, command).await?, None | Some(0)))
    }

    pub(super) async fn kill(&self, id: &ContainerId, signal: &str) -> Result<()> {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        match self.docker.kill_container(id.as_str(), Some(options)).await {
            // It ended in between.
            Err(error) if error::status(&error) == Some(409) => Ok(()),
            other => other.explain_if_found(self, STOPPING).map(drop),
        }
    }
}

/// A running container from its summary alone.
fn running(summary: &ContainerSummary) -> Option<Container> {
    let running = [ContainerSummaryStateEnum::RUNNING, ContainerSummaryStateEnum::PAUSED];
    if !running.contains(summary.state.as_ref()?) {
        return None;
    }
    let networks = summary
        .network_settings
        .as_ref()
        .and_then(|settings| settings.networks.as_ref());
    Some(Container {
        id: ContainerId::new(summary.id.clone()?),
        name: summary.names.as_ref()?.first()?.trim_start_matches('/').to_owned(),
        role: Role::from_labels(summary.labels.as_ref()?),
        created_at: DateTime::from_timestamp(summary.created?, 0)?,
        state: ContainerState::Running {
            address: networks.and_then(address),
        },
        networks: networks.map(names).unwrap_or_default(),
        addresses: networks.map(addresses).unwrap_or_default(),
    })
}

fn inspected_container(response: ContainerInspectResponse) -> Option<Container> {
    // To the second, as a list has it: the same container looks the same.
    let created_at = response.created?.trunc_subsecs(0);
    let state = response.state?;
    let networks = response.network_settings.and_then(|settings| settings.networks);
    let code = state
        .exit_code
        .and_then(|code| i32::try_from(code).ok())
        .unwrap_or_default();
    let exit = |at: DateTime<Utc>| {
        ContainerState::Exited(Exit {
            at,
            code,
            // One of its processes may have been killed long before it ended well.
            out_of_memory: state.oom_killed.unwrap_or_default() && code != 0,
        })
    };
    let state = match state.status? {
        ContainerStateStatusEnum::RUNNING
        | ContainerStateStatusEnum::PAUSED
        | ContainerStateStatusEnum::RESTARTING
        | ContainerStateStatusEnum::STOPPING => ContainerState::Running {
            address: networks.as_ref().and_then(address),
        },
        ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::EMPTY => ContainerState::Created,
        ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::REMOVING | ContainerStateStatusEnum::DEAD => {
            let finished_at = state.finished_at.as_deref().and_then(|at| at.parse().ok());
            exit(finished_at.unwrap_or(created_at))
        }
    };
    Some(Container {
        id: ContainerId::new(response.id?),
        name: response.name?.trim_start_matches('/').to_owned(),
        role: Role::from_labels(&response.config?.labels?),
        created_at,
        state,
        networks: networks.as_ref().map(names).unwrap_or_default(),
        addresses: networks.as_ref().map(addresses).unwrap_or_default(),
    })
}

fn names(networks: &HashMap<String, EndpointSettings>) -> Vec<String> {
    let mut names: Vec<_> = networks.keys().cloned().collect();
    names.sort();
    names
}

/// The first address that a container has, by the names of its networks: the same one each time.
fn address(networks: &HashMap<String, EndpointSettings>) -> Option<IpAddr> {
    addresses(networks).into_values().next()
}

fn addresses(networks: &HashMap<String, EndpointSettings>) -> BTreeMap<String, IpAddr> {
    let with_address = networks.iter().filter_map(|(name, endpoint)| {
        let address = endpoint.ip_address.as_ref()?.parse().ok()?;
        Some((name.clone(), address))
    });
    with_address.collect()
}
