//! The controllers: loops and tasks that bring what is closer to what is wanted.
//!
//! Only [`AppsController`] writes dyno rows. Every task may be ended at any line: what it was doing is found again from
//! rows and containers, by the next pass or the next start.

mod apps;
mod boot;
mod deploy;
mod destroy;
mod dyno;
mod firewall;
mod git_backend;
mod probe;
mod release_phase;
mod router_feed;
mod sweep;

pub(crate) use apps::AppsController;
pub(crate) use deploy::{NewBuild, Turns, cancel, submit};
pub(crate) use firewall::FirewallController;
pub(crate) use git_backend::GitBackend;
pub(crate) use release_phase::start as start_release_phase;
pub(crate) use router_feed::RouterFeed;
pub(crate) use sweep::{abandon_builds, sweep};
