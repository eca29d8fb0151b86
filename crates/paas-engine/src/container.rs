//! A container, as the engine shows it.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use chrono::{DateTime, Utc};
use paas_core::{SeenContainer, SeenState};

use crate::Role;

/// What `$PORT` is in every web dyno: each has its own address, so there is nothing to choose.
pub const DYNO_PORT: u16 = 5000;

/// The engine's own name for a container. Never used again for another, unlike its address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(String);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub id: ContainerId,
    pub name: String,
    /// `None` when its labels are unreadable: it is ours, but of no version that we know.
    pub role: Option<Role>,
    pub created_at: DateTime<Utc>,
    pub state: ContainerState,
    /// The names of the networks that it is on, sorted.
    pub networks: Vec<String>,
    /// Its address on each of them that has given it one.
    pub addresses: BTreeMap<String, IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// The address on its network; `None` without a network. Valid only for as long as this container runs.
    Running {
        address: Option<IpAddr>,
    },
    Exited(Exit),
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    pub at: DateTime<Utc>,
    /// As in a shell: 128 + n after signal n.
    pub code: i32,
    /// The memory limit killed it.
    pub out_of_memory: bool,
}

/// What a container uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Memory of the processes themselves.
    pub rss_bytes: u64,
    /// Files in memory, which the kernel takes away when it is short.
    pub cache_bytes: u64,
    pub swap_bytes: u64,
    /// Pages that came in and went out; 0 where the kernel does not count them (cgroup version 2).
    pub pages_in: u64,
    pub pages_out: u64,
    /// CPU time since it started, of all its CPUs together.
    pub cpu: Duration,
}

impl ContainerId {
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Container {
    /// What the planner sees of it; `None` unless it is a dyno of a formation.
    pub fn as_seen(&self) -> Option<SeenContainer> {
        let Some(Role::Dyno { dyno, attempt, .. }) = &self.role else {
            return None;
        };
        let state = match &self.state {
            ContainerState::Running { address: Some(address) } => SeenState::Running {
                address: SocketAddr::new(*address, DYNO_PORT),
            },
            // Without an address it cannot serve yet; `start` is idempotent and looks again.
            ContainerState::Created | ContainerState::Running { address: None } => SeenState::Created,
            ContainerState::Exited(exit) => SeenState::Exited {
                at: exit.at,
                code: exit.code,
                out_of_memory: exit.out_of_memory,
            },
        };
        Some(SeenContainer {
            id: self.id.as_str().to_owned(),
            dyno: *dyno,
            attempt: *attempt,
            state,
        })
    }

    pub const fn is_running(&self) -> bool {
        matches!(self.state, ContainerState::Running { .. })
    }
}

impl Exit {
    pub const fn is_success(&self) -> bool {
        self.code == 0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
