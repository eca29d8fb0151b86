//! A container as it is asked for.

use paas_core::{DynoSize, ImageRef};

use crate::{Environment, Role};

/// All that an engine needs to make a container. What is not here (capabilities, privileges, restart policy, ports) cannot
/// be asked for: every container is hardened in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Unique on the engine. Asking twice for one name means one container.
    pub name: String,
    pub role: Role,
    pub image: ImageRef,
    /// The whole argv: the image's entrypoint does not count. Empty: what the image itself would run.
    pub command: Vec<String>,
    pub environment: Environment,
    pub user: User,
    pub working_dir: String,
    pub hostname: Option<String>,
    /// The name of a network that [`Engine::ensure_network`](crate::Engine::ensure_network) made. `None`: no network at all.
    pub network: Option<String>,
    /// What it is called on its network, besides its own name.
    pub aliases: Vec<String>,
    pub limits: Limits,
    pub volumes: Vec<VolumeMount>,
    pub tmpfs: Vec<Tmpfs>,
    /// A pseudo-terminal instead of two output streams: for people.
    pub terminal: Option<TerminalSize>,
}

/// A program that is to run beside what a container runs already, as its user and in its directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecSpec {
    pub command: Vec<String>,
    /// On top of the container's own.
    pub environment: Environment,
    pub terminal: Option<TerminalSize>,
}

/// Who the processes are. There is no root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

/// How much of the machine a container may use. Swap is never on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub memory_bytes: u64,
    /// The share of a busy CPU; 1024 is an ordinary container's.
    pub cpu_weight: u32,
    /// The processors that it may use, the first and the last; `None`: all.
    pub cpus: Option<(u16, u16)>,
    /// The share of a busy disk, 10 to 1000; `None` is the engine's ordinary one. Ignored where the kernel cannot.
    pub io_weight: Option<u16>,
    /// Processes and threads together.
    pub pids: u32,
}

/// A named volume, made when there is none, labelled with the role's app.
///
/// An empty volume takes over files and owner of the image's directory at `path`: the image must have it, or else it
/// belongs to root and a non-root user cannot write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeMount {
    pub volume: String,
    pub path: String,
}

/// A file system in memory, writable by the spec's user alone, never executable as set-uid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tmpfs {
    pub path: String,
    pub size_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    pub columns: u16,
    pub rows: u16,
}

impl ContainerSpec {
    /// A spec for a dyno's user in `/app`, with no network, volumes or terminal.
    pub fn new(name: impl Into<String>, role: Role, image: ImageRef, command: Vec<String>, limits: Limits) -> Self {
        Self {
            name: name.into(),
            role,
            image,
            command,
            environment: Environment::default(),
            user: User::DYNO,
            working_dir: "/app".to_owned(),
            hostname: None,
            network: None,
            aliases: Vec::new(),
            limits,
            volumes: Vec::new(),
            tmpfs: Vec::new(),
            terminal: None,
        }
    }
}

impl TerminalSize {
    /// Of a terminal that nobody has measured.
    pub const USUAL: Self = Self { columns: 80, rows: 24 };
}

impl User {
    /// Owner of `/app` in a dyno.
    pub const DYNO: Self = Self {
        uid: 10_001,
        gid: 10_001,
    };
}

impl Limits {
    /// As the kernel writes them (cpuset(7), *List format*).
    pub(crate) fn cpuset(&self) -> Option<String> {
        self.cpus.map(|(first, last)| format!("{first}-{last}"))
    }
}

impl From<DynoSize> for Limits {
    fn from(size: DynoSize) -> Self {
        Self {
            memory_bytes: size.memory_bytes(),
            cpu_weight: size.cpu_weight(),
            cpus: None,
            io_weight: None,
            pids: size.pids(),
        }
    }
}
