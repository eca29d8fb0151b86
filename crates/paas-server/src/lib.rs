//! The server: API, git, controllers, logs and the wiring of all parts. The composition root: known by no other crate.
//!
//! `paasd serve` is the control plane and `paasd router` the data plane, two processes, so that a crash, a restart or an
//! upgrade of the one never touches a request of the other. Everything the control plane knows is in Postgres and in the
//! engine: whatever line it dies at, the next start carries on from there.

mod addon;
mod aws;
mod clock;
mod config;
mod failpoint;
mod image_copies;
mod output;
mod own_socket;
mod platform;
mod platform_hosts;
mod rendezvous;
mod sessions;

mod api;
mod control;
mod dns;
mod git;
mod log_drain;
mod logs;
mod outbound;
mod registry;
mod source;
mod ssh;
mod strangers;

mod commands;
mod hook;

#[cfg(test)]
mod testing;

pub use commands::{Cli, run};
