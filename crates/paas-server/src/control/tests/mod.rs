//! The controllers on a real database, a real router and an engine in memory.

mod addons;
mod apps;
mod archives;
mod backups;
mod buildpacks;
mod certificates;
mod deploy;
mod destroy;
mod disk;
mod exposure;
mod release_phase;
mod runtime;
mod server;
mod setup;
mod sleep;
mod sweep;
mod upgrades;
