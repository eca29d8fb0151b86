//! Making containers, all hardened in the same way.

use std::{collections::HashMap, time::Duration};

use bollard::{
    models::{
        ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType,
        NetworkingConfig, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
    },
    query_parameters::CreateContainerOptionsBuilder,
};

use super::{
    DockerEngine,
    error::{self, Explain as _},
};
use crate::{Container, ContainerId, ContainerSpec, ContainerState, EngineError, Result, Role, Tmpfs, User};

const CREATING: &str = "creating a container";
const STARTING: &str = "starting a container";
/// Docker keeps output until we have read it; a dyno that floods its log must not fill the disk.
const LOG_FILE_SIZE: &str = "10m";
const LOG_FILES: &str = "3";

/// How long a container may take from having a name to being seen.
const APPEARANCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Where the output of a container goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Streams {
    /// Kept, to be read with `logs`.
    Logged,
    /// Handed to whoever attached; input too.
    Attached,
}

impl DockerEngine {
    pub(super) async fn start_container(&self, spec: &ContainerSpec) -> Result<Container> {
        let container = match self.find(&spec.name).await? {
            Some(container) => container,
            None => match self.create_container(spec, Streams::Logged).await {
                Err(EngineError::InUse { .. }) => self.find_soon(&spec.name).await?,
                created => self.require(&created?).await?,
            },
        };
        if container.state != ContainerState::Created {
            return Ok(container);
        }
        self.start_created(&container.id).await?;
        self.require(&container.id).await
    }

    pub(super) async fn start_created(&self, id: &ContainerId) -> Result<()> {
        let started = self.docker.start_container(id.as_str(), None).await;
        started.explain(self, STARTING)
    }

    /// Makes a container; [`EngineError::InUse`] when there is one of that name.
    pub(super) async fn create_container(&self, spec: &ContainerSpec, streams: Streams) -> Result<ContainerId> {
        for mount in &spec.volumes {
            self.ensure_volume(&mount.volume, spec.role.app()).await?;
        }
        let options = CreateContainerOptionsBuilder::new().name(&spec.name).build();
        let body = self.body(spec, streams, self.group(spec).await?);
        match self.docker.create_container(Some(options), body).await {
            Ok(created) => Ok(ContainerId::new(created.id)),
            Err(error) if error::status(&error) == Some(409) => Err(EngineError::InUse {
                what: format!("the container name {}", spec.name),
            }),
            Err(error)
                if error::status(&error) == Some(404)
                    && error::message(&error).is_some_and(|message| message.starts_with("No such image")) =>
            {
                let image = spec.image.to_string();
                Err(EngineError::NoImage { image })
            }
            Err(error) => Err(error).explain(self, CREATING),
        }
    }

    /// A container that someone else is making: Docker keeps its name before it shows it.
    async fn find_soon(&self, name: &str) -> Result<Container> {
        let appears = async {
            loop {
                if let Some(container) = self.find(name).await? {
                    return Ok(container);
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let found = tokio::time::timeout(APPEARANCE, appears).await;
        found.unwrap_or_else(|_| Err(vanished(name)))
    }

    async fn find(&self, name: &str) -> Result<Option<Container>> {
        match self.inspect_any(name).await? {
            Some((true, container)) => Ok(Some(container)),
            Some((false, _)) => Err(EngineError::Foreign {
                what: format!("container {name}"),
            }),
            None => Ok(None),
        }
    }

    async fn require(&self, id: &ContainerId) -> Result<Container> {
        self.inspect_container(id.as_str())
            .await?
            .ok_or_else(|| vanished(id.as_str()))
    }

    /// The control group of a container, where it is not the engine's own for all.
    ///
    /// Weights are shares of a group. Beside a database and a build in one group, a dyno waits whenever that group has had its part of
    /// the processors, however little of it was the dyno's. In a group of their own dynos share with each other.
    async fn group(&self, spec: &ContainerSpec) -> Result<Option<String>> {
        let is_dyno = matches!(spec.role, Role::Dyno { .. });
        let group = if is_dyno { self.place().await?.dynos } else { None };
        Ok(group.map(str::to_owned))
    }

    fn body(&self, spec: &ContainerSpec, streams: Streams, group: Option<String>) -> ContainerCreateBody {
        let User { uid, gid } = spec.user;
        let is_attached = streams == Streams::Attached;
        let (entrypoint, command) = match spec.command.split_first() {
            Some((program, arguments)) => (Some(vec![program.clone()]), Some(arguments.to_vec())),
            None => (None, None),
        };
        ContainerCreateBody {
            hostname: spec.hostname.clone(),
            user: Some(format!("{uid}:{gid}")),
            tty: Some(spec.terminal.is_some()),
            attach_stdin: Some(is_attached),
            open_stdin: Some(is_attached),
            // The end of our input is the end of its input.
            stdin_once: Some(is_attached),
            env: Some(spec.environment.to_assignments()),
            cmd: command,
            entrypoint,
            // We look for ourselves, and each check would be a flood of events.
            healthcheck: Some(HealthConfig {
                test: Some(vec!["NONE".to_owned()]),
                ..HealthConfig::default()
            }),
            image: Some(spec.image.to_string()),
            working_dir: Some(spec.working_dir.clone()),
            labels: Some(self.labels.of(spec.role.to_labels(), spec.role.app())),
            host_config: Some(HostConfig {
                cgroup_parent: group,
                ..self.host_config(spec, streams)
            }),
            networking_config: networking_config(spec),
            ..ContainerCreateBody::default()
        }
    }

    fn host_config(&self, spec: &ContainerSpec, streams: Streams) -> HostConfig {
        let memory = i64::try_from(spec.limits.memory_bytes).unwrap_or(i64::MAX);
        let volumes = spec.volumes.iter().map(|mount| Mount {
            typ: Some(MountType::VOLUME),
            source: Some(mount.volume.clone()),
            target: Some(mount.path.clone()),
            ..Mount::default()
        });
        HostConfig {
            network_mode: Some(spec.network.clone().unwrap_or_else(|| "none".to_owned())),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            privileged: Some(false),
            // From API 1.42 on; before, the size comes right after the start.
            console_size: spec.terminal.map(|size| vec![size.rows.into(), size.columns.into()]),
            init: Some(true),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            memory: Some(memory),
            // Together with memory: so no swap.
            memory_swap: Some(memory),
            cpu_shares: Some(spec.limits.cpu_weight.into()),
            cpuset_cpus: spec.limits.cpuset(),
            blkio_weight: spec.limits.io_weight,
            pids_limit: Some(spec.limits.pids.into()),
            ulimits: Some(vec![ulimit("nofile", self.open_files), ulimit("core", 0)]),
            log_config: Some(log_config(streams)),
            mounts: Some(volumes.collect()),
            tmpfs: Some(spec.tmpfs.iter().map(|tmpfs| tmpfs_entry(tmpfs, spec.user)).collect()),
            publish_all_ports: Some(false),
            ..HostConfig::default()
        }
    }
}

/// The names of a container on its network, beside the one that Docker gives it.
fn networking_config(spec: &ContainerSpec) -> Option<NetworkingConfig> {
    let network = spec.network.clone().filter(|_| !spec.aliases.is_empty())?;
    let endpoint = EndpointSettings {
        aliases: Some(spec.aliases.clone()),
        ..EndpointSettings::default()
    };
    Some(NetworkingConfig {
        endpoints_config: Some(HashMap::from([(network, endpoint)])),
    })
}

fn ulimit(name: &str, limit: i64) -> ResourcesUlimits {
    ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(limit),
        hard: Some(limit),
    }
}

fn log_config(streams: Streams) -> HostConfigLogConfig {
    let (driver, options) = match streams {
        Streams::Logged => (
            "json-file",
            [("max-size", LOG_FILE_SIZE), ("max-file", LOG_FILES)].as_slice(),
        ),
        Streams::Attached => ("none", [].as_slice()),
    };
    let options: HashMap<_, _> = options
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    HostConfigLogConfig {
        typ: Some(driver.to_owned()),
        config: Some(options),
    }
}

fn tmpfs_entry(tmpfs: &Tmpfs, user: User) -> (String, String) {
    let Tmpfs { path, size_bytes } = tmpfs;
    let User { uid, gid } = user;
    let options = format!("rw,exec,nosuid,nodev,mode=0700,uid={uid},gid={gid},size={size_bytes}");
    (path.clone(), options)
}

fn vanished(name: &str) -> EngineError {
    EngineError::Refused {
        doing: STARTING,
        message: format!("container {name} vanished"),
    }
}
