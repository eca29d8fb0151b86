//! A source archive becomes an image and process types.
//!
//! A build runs in a container of the stack's build image, as a user without rights, behind limits that the running apps
//! do not feel. Nothing of a source is ever unpacked, read by a tool or run outside that container; only the names of
//! its files and its Procfile are looked at before. Config vars reach a build as files in memory (`ENV_DIR`), never an
//! argv, an image or a log.
//!
//! This crate stores nothing and decides nothing about releases. What goes wrong is said in words for the person whose
//! build it was: all of them are in `errors`.

mod archive;
mod errors;
mod output;

mod buildpack;
mod choice;
mod cnb;
mod heroku_yml;
mod source;

mod builder;
mod cpus;
mod delivery;
mod discover;
mod dockerfile;
mod image;
mod images;
mod report;
mod room;
mod signs;
mod status;
mod test_run;
mod workplace;

mod base;
mod stack;

mod sweep;

pub use builder::{BuildRequest, BuildSettings, Builder, Built, Checkpoint, memory_share};
pub use buildpack::{Buildpack, NotOurs};
pub use choice::{Choice, Pack, RemoteBuildpack, RemoteKind, UnknownBuildpack};
pub use cnb::{CnbError, launch};
pub use cpus::cpus;
pub use dockerfile::own_command;
pub use errors::{BuildError, StackError};
pub use heroku_yml::HerokuYmlError;
pub use room::Room;
pub use source::Source;
pub use stack::{ServiceRecipe, Stack, StackSettings};
pub use sweep::{remove_cache, remove_images, unused_images};
pub use test_run::Tests;
