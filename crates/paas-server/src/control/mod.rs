//! The controllers: loops and tasks that bring what is closer to what is wanted.
//!
//! Only [`AppsController`] writes dyno rows. Every task may be ended at any line: what it was doing is found again from
//! rows and containers, by the next pass or the next start.

mod addons;
mod apps;
mod beside;
mod boot;
mod buildpack;
mod certificates;
mod container;
mod deploy;
mod destroy;
mod disk;
mod dyno;
mod exposure;
mod firewall;
mod git_backend;
mod image;
mod one_off;
mod probe;
mod release_phase;
mod router_feed;
mod runtime_metrics;
mod setup;
mod sleep;
mod slots;
mod slug;
mod sweep;
mod test_run;
mod turns;
mod webhooks;
mod work;

#[cfg(test)]
mod tests;

pub(crate) use addons::{
    AddonsController, Archives, ArchivesController, BackupsController, BucketController, Transfers, abandon_backups,
    archiving, bring_backup_back, can_back_up, capture_backup, catch_up as catch_up_archive, client_command,
    container_of as container_of_addon, copy_addon, earliest as earliest_moment, moments, prove_backup,
    released as released_by_addon, restore_backup, run_in as run_in_addon, throw_backup_away, vault_of,
};
pub(crate) use apps::AppsController;
pub(crate) use beside::{BesideDyno, SHELL, container_of_one_off, exec, forward, join, relay};
pub(crate) use certificates::{CertificatesController, server_id};
pub(crate) use container::{ImageChanges, ImageError, WantedImage, disk_is_nearly_full, release_images};
pub(crate) use deploy::{BuildSource, NewBuild, cancel, purge_cache, submit};
pub(crate) use disk::{
    AppBytes, BytesAccount, FileSystem, LastAccount, Pruned, account as account_disk, forget as forget_disk,
    prune as prune_disk, rehearse as rehearse_prune,
};
pub(crate) use dyno::launch_command;
pub(crate) use firewall::FirewallController;
pub(crate) use git_backend::GitBackend;
pub(crate) use image::keep_images;
pub(crate) use one_off::{Errand, OneOffs, random_index, resume as resume_one_offs, run as run_one_off};
pub(crate) use release_phase::start as start_release_phase;
pub(crate) use router_feed::RouterFeed;
pub(crate) use runtime_metrics::measure;
pub(crate) use setup::{NewSetup, start as start_setup};
pub(crate) use slug::{AdoptError, adopt as adopt_slug, download as download_slug};
pub(crate) use sweep::{abandon_builds, sweep};
pub(crate) use test_run::{NewTests, build_of, submit as submit_tests};
pub(crate) use turns::Turns;
pub(crate) use webhooks::WebhooksController;

use paas_engine::EngineError;
use paas_router::feed::FeedError;
use paas_store::StoreError;

/// Whether the same may well succeed a little later, with nothing changed: the engine, the database or the router is away.
fn is_temporary(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<EngineError>()
            .is_some_and(EngineError::is_temporary)
            || matches!(cause.downcast_ref::<StoreError>(), Some(StoreError::Unavailable(_)))
            || cause.is::<FeedError>()
    })
}
