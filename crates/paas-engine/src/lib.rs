//! Containers: one trait, [`Engine`]; Docker and a fake behind it.
//!
//! This crate runs what it is told to run and says what there is. It decides nothing: which containers ought to exist is
//! the planner's question (`paas-core`). It is the only place that speaks to Docker.
//!
//! - Every object that we make carries the label `paas.platform=<platform id>`. Objects without exactly our platform's id
//!   are never shown, changed or removed: several platforms share one Docker.
//! - Containers are found by label, never by name; a name only makes [`Engine::start`] idempotent.
//! - No port is ever published on the host, no container ever sees the engine's socket, and no restart policy is ever
//!   set: starting again is a decision.

mod container;
mod disk;
mod docker;
mod engine;
mod environment;
mod error;
mod fake;
mod firewall;
mod image;
mod log;
mod network;
mod pool;
mod role;
mod spec;
mod volume;

pub use container::{Container, ContainerId, ContainerState, DYNO_PORT, Exit, Usage};
pub use disk::{ContainerBytes, EngineDisk, ImageBytes, VolumeBytes};
pub use docker::DockerEngine;
pub use engine::{ByteStream, Engine, EngineVersion, Input};
pub use environment::Environment;
pub use error::EngineError;
pub use fake::{Behaviour, FakeEngine};
pub use firewall::{Firewall, FirewallError};
pub use image::{AdoptedImage, DockerfileBuild, Image, ImageConfig, LayerSpec, RegistryCredentials, SOURCE_LABEL};
pub use log::{LogChunk, LogPosition, LogPositionError, Output, OutputStream};
pub use network::{Network, NetworkSpec, Subnet, SubnetError};
pub use pool::{Pool, PoolError};
pub use role::Role;
pub use spec::{ContainerSpec, ExecSpec, Limits, TerminalSize, Tmpfs, User, VolumeMount};
pub use volume::Volume;

/// The result of whatever an engine does.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;
