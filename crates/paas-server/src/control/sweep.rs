//! What a dead server leaves behind: found at the start and now and then, by comparing what is with what is wanted.

use std::{collections::HashSet, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use paas_core::{Id, LogSource};
use paas_engine::Role;
use paas_store as store;
use tokio::time::sleep;

use super::release_phase;
use crate::platform::Platform;

/// How often leases are looked at.
const PERIOD: Duration = Duration::from_secs(10);
/// How many periods pass between two searches for what is left over; the first is at the start.
const LEFTOVER_PERIODS: u32 = 60;

/// Sweeps until the platform stops.
pub(crate) async fn sweep(platform: Arc<Platform>) -> Result<()> {
    // Nobody but this process runs release phases, and it has just started: whatever is pending goes on here.
    loop {
        match resume_release_phases(&platform).await {
            Ok(()) => break,
            Err(error) => tracing::warn!(
                error = format!("{error:#}"),
                "could not resume release phases; trying again"
            ),
        }
        tokio::select! {
            () = sleep(Duration::from_secs(1)) => {}
            () = platform.stop.cancelled() => return Ok(()),
        }
    }
    let mut until_leftovers = 0;
    loop {
        let swept = async {
            expire_leases(&platform, platform.clock.now()).await?;
            if until_leftovers > 0 {
                until_leftovers -= 1;
            } else if remove_leftovers(&platform).await? {
                until_leftovers = LEFTOVER_PERIODS;
            }
            anyhow::Ok(())
        };
        if let Err(error) = swept.await {
            tracing::warn!(
                error = format!("{error:#}"),
                "could not look for what is left over; trying again"
            );
        }
        tokio::select! {
            () = sleep(PERIOD) => {}
            () = platform.stop.cancelled() => return Ok(()),
        }
    }
}

async fn resume_release_phases(platform: &Arc<Platform>) -> Result<()> {
    let mut conn = platform.store.connection().await?;
    for release in store::release::pending(&mut conn).await? {
        tracing::info!(release.id = %release.release.id, "going on with a release phase");
        release_phase::start(platform, release);
    }
    Ok(())
}

/// Fails the builds of a server before this one, at once: nobody works on them any more, and a push may be waiting to be
/// tried again. Only before this one has begun any.
pub(crate) async fn abandon_builds(platform: &Arc<Platform>) -> Result<()> {
    let after_any_lease = platform.clock.now() + TimeDelta::days(1);
    expire_leases(platform, after_any_lease).await
}

/// Fails builds whose lease ends before `horizon`.
async fn expire_leases(platform: &Arc<Platform>, horizon: DateTime<Utc>) -> Result<()> {
    let mut conn = platform.store.connection().await?;
    for expired in store::build::expire_leases(&mut conn, horizon, platform.clock.now()).await? {
        if let Ok(mut output) = platform.outputs.write(*expired.build.id.as_uuid()).await {
            let line = " !     The server ended while it was building. Nothing changed; push again.";
            output.line(line).await.context("ending the output of a build")?;
        }
        let message = "Build failed: the server ended while it was building";
        platform.log(expired.build.app, LogSource::App, "api", message);
    }
    Ok(())
}

/// `false` when builds under way were in the way of a part of it.
async fn remove_leftovers(platform: &Arc<Platform>) -> Result<bool> {
    let running = platform.turns.running();
    for container in platform.engine.list().await? {
        let is_leftover = match &container.role {
            Some(Role::Build { build, .. }) => !platform.turns.running().contains(build),
            // Between a build and its image; no longer than its build.
            Some(Role::Task { purpose }) => purpose == "layer" && platform.turns.running().is_empty(),
            _ => false,
        };
        if is_leftover {
            tracing::info!(container.id = %container.id, "removing a build's container that nobody waits for");
            platform.engine.remove(&container.id).await?;
        }
    }
    let is_complete = remove_images(platform, &running).await?;
    remove_networks_and_volumes(platform).await?;
    remove_sources(platform, &running).await?;
    let (logs, now) = (Arc::clone(&platform.logs), platform.clock.now());
    tokio::task::spawn_blocking(move || logs.prune(now)).await??;
    Ok(is_complete)
}

/// Images of apps that no release can run. Those of builds under way are not in a row yet: none is touched meanwhile.
async fn remove_images(platform: &Platform, running: &[Id<paas_core::Build>]) -> Result<bool> {
    if !running.is_empty() {
        return Ok(false);
    }
    let images = platform.engine.images().await?;
    // Rows after images: whatever a build made in between is not in the list. And again, whether none has begun.
    let mut conn = platform.store.connection().await?;
    let in_use: HashSet<_> = store::slug::images_in_use(&mut conn).await?.into_iter().collect();
    drop(conn);
    if !platform.turns.running().is_empty() {
        return Ok(false);
    }
    paas_build::remove_unused_images(&*platform.engine, images, &in_use).await?;
    Ok(true)
}

async fn remove_networks_and_volumes(platform: &Platform) -> Result<()> {
    let networks = platform.engine.networks().await?;
    let volumes = platform.engine.volumes().await?;
    let mut conn = platform.store.connection().await?;
    for network in networks {
        if let Some(app) = network.app
            && store::app::by_id(&mut conn, app).await?.is_none()
        {
            platform.engine.remove_network(&network.name).await?;
        }
    }
    for volume in volumes {
        if let Some(app) = volume.app
            && store::app::by_id(&mut conn, app).await?.is_none()
        {
            platform.engine.remove_volume(&volume.name).await?;
        }
    }
    Ok(())
}

/// Source archives that no build of this process will read.
async fn remove_sources(platform: &Platform, running: &[Id<paas_core::Build>]) -> Result<()> {
    if !running.is_empty() {
        return Ok(());
    }
    let dir = platform.settings.sources();
    let mut entries = match tokio::fs::read_dir(&dir).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("reading {}", dir.display())),
    };
    while let Some(entry) = entries.next_entry().await? {
        let age = entry.metadata().await?.modified()?.elapsed().unwrap_or_default();
        // One that is being received has no build yet, but it grows.
        if age > PERIOD * 6 {
            tokio::fs::remove_file(entry.path()).await?;
        }
    }
    Ok(())
}
