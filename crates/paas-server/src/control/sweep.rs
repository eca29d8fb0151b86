//! What a dead server leaves behind: found at the start and now and then, by comparing what is with what is wanted.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use paas_core::{App, Id, LogSource, Release};
use paas_engine::{Container, EngineError, Role};
use paas_store as store;
use tokio::time::sleep;

use super::{container, deploy::LEASE, disk, dyno, one_off, release_phase, setup, slug, test_run};
use crate::{platform::Platform, registry};

/// How often leases are looked at.
const PERIOD: Duration = Duration::from_secs(10);
/// How many periods pass between two searches for what is left over; the first is at the start.
const LEFTOVER_PERIODS: u32 = 60;
/// The same until all is found that a dead server left.
const FIRST_LEFTOVER_PERIODS: u32 = 2;

/// Sweeps until the platform stops.
pub(crate) async fn sweep(platform: Arc<Platform>) -> Result<()> {
    // At the start nobody runs any release phase; later, one that was made just now is its maker's to run.
    let mut resume_before = platform.clock.now();
    let mut until_leftovers = 0;
    // What is deployed at the start keeps what a dead server left of its app: until nobody is at work, that is not all found.
    let mut has_found_all = false;
    let is_busy = || !platform.turns.busy(None).is_empty();
    loop {
        let swept = async {
            resume_release_phases(&platform, resume_before).await?;
            expire_leases(&platform, platform.clock.now()).await?;
            if until_leftovers > 0 {
                until_leftovers -= 1;
            } else {
                let was_busy = is_busy();
                remove_leftovers(&platform).await?;
                has_found_all |= !was_busy && !is_busy();
                until_leftovers = if has_found_all {
                    LEFTOVER_PERIODS
                } else {
                    FIRST_LEFTOVER_PERIODS
                };
            }
            anyhow::Ok(())
        };
        let Some(swept) = platform.stop.run_until_cancelled(swept).await else {
            return Ok(());
        };
        if let Err(error) = swept {
            tracing::warn!(
                error = format!("{error:#}"),
                "could not look for what is left over; trying again"
            );
        } else {
            resume_before = platform.clock.now();
        }
        tokio::select! {
            () = sleep(PERIOD) => {}
            () = platform.stop.cancelled() => return Ok(()),
        }
    }
}

/// Goes on with release phases that nobody runs: those of a server before this one, and of a request that broke off between
/// its release and the start of its phase.
pub(super) async fn resume_release_phases(platform: &Arc<Platform>, made_before: DateTime<Utc>) -> Result<()> {
    let mut conn = platform.store.connection().await?;
    let pending = store::release::pending(&mut conn).await?;
    drop(conn);
    for release in pending {
        let Release { id, created_at, .. } = release.release;
        if created_at <= made_before && !platform.turns.is_in_release_phase(id) {
            tracing::info!(release.id = %id, "going on with a release phase");
            release_phase::start(platform, release).await;
        }
    }
    Ok(())
}

/// Fails the builds of a server before this one, at once: nobody works on them any more, and a push may be waiting to be
/// tried again. Only before this one has begun any.
pub(crate) async fn abandon_builds(platform: &Arc<Platform>) -> Result<()> {
    // Their containers first: they write into the cache that the next build of their app will use.
    let containers = platform.engine.list().await?;
    slug::remove_lent(platform, &containers).await?;
    for container in containers {
        if matches!(container.role, Some(Role::Build { .. })) {
            platform.engine.remove(&container.id).await?;
        }
    }
    let mut conn = platform.store.connection().await?;
    store::app_setup::abandon(&mut conn, setup::SERVER_ENDED, platform.clock.now()).await?;
    store::test_run::abandon(&mut conn, test_run::SERVER_ENDED, platform.clock.now()).await?;
    drop(conn);
    let after_any_lease = platform.clock.now() + TimeDelta::days(1);
    expire_leases(platform, after_any_lease).await
}

/// Fails builds whose lease ends before `horizon`.
pub(super) async fn expire_leases(platform: &Arc<Platform>, horizon: DateTime<Utc>) -> Result<()> {
    let mut conn = platform.store.connection().await?;
    let now = platform.clock.now();
    // A database that was away for long has taken no heartbeat: what this process works on is not dead.
    for build in platform.turns.running() {
        store::build::heartbeat(&mut conn, build, now + LEASE).await?;
    }
    let expired = store::build::expire_leases(&mut conn, horizon, now).await?;
    drop(conn);
    for expired in expired {
        if let Ok(mut output) = platform.outputs.write(*expired.build.id.as_uuid()).await {
            let line = " !     The server ended while it was building. Nothing changed; push again.";
            output.line(line).await.context("ending the output of a build")?;
        }
        let message = "Build failed: the server ended while it was building";
        platform.log(expired.build.app, LogSource::App, "api", message);
    }
    Ok(())
}

async fn remove_leftovers(platform: &Arc<Platform>) -> Result<()> {
    let containers = platform.engine.list().await?;
    remove_release_containers(platform, &containers).await?;
    one_off::remove_leftovers(platform, &containers).await?;
    for container in containers {
        let is_leftover = match &container.role {
            Some(Role::Build { build, .. }) => {
                !platform.turns.running().contains(build) && !platform.builder.expects(*build)
            }
            // Between a build and its image; no longer than its build.
            Some(Role::Task { purpose }) => purpose == "layer" && platform.turns.running().is_empty(),
            _ => false,
        };
        if is_leftover {
            tracing::info!(container.id = %container.id, "removing a build's container that nobody waits for");
            platform.engine.remove(&container.id).await?;
        }
    }
    remove_networks(platform).await?;
    container::remove_loaded(platform).await?;
    let pruned = disk::prune(platform, None).await?;
    if !pruned.is_empty() {
        let bytes: u64 = pruned.iter().map(|item| item.bytes).sum();
        tracing::info!(items = pruned.len(), bytes, "removed what nobody needs any more");
        disk::forget(platform).await;
    }
    registry::sweep(&platform.settings.registry(), SystemTime::now())
        .await
        .context("removing pushed images that nothing leads to")?;
    let (logs, now) = (Arc::clone(&platform.logs), platform.clock.now());
    tokio::task::spawn_blocking(move || logs.prune(now)).await??;
    Ok(())
}

/// Containers of release phases that have been decided.
async fn remove_release_containers(platform: &Platform, containers: &[Container]) -> Result<()> {
    let mut conn = platform.store.connection().await?;
    // Rows after containers: each of these had a pending release when it was made.
    let pending = store::release::pending(&mut conn).await?;
    drop(conn);
    for container in containers {
        if let Some(Role::Release { release: id, .. }) = &container.role
            && !pending.iter().any(|row| row.release.id == *id)
            && !platform.turns.is_in_release_phase(*id)
        {
            tracing::info!(container.id = %container.id, "removing the container of a release phase that has ended");
            dyno::end(platform, container).await?;
        }
    }
    Ok(())
}

/// Networks of apps that are gone. What else is left of them takes room, and is pruned (`disk`).
async fn remove_networks(platform: &Platform) -> Result<()> {
    let networks = platform.engine.networks().await?;
    let mut conn = platform.store.connection().await?;
    let apps = store::disk::apps(&mut conn).await?;
    drop(conn);
    let is_gone = |app: Option<Id<App>>| app.is_some_and(|app| !apps.contains_key(&app));
    for network in networks.iter().filter(|network| is_gone(network.app)) {
        another_time(platform.engine.remove_network(&network.name).await)?;
    }
    Ok(())
}

/// What is still in use goes another time, and must not keep the rest from going.
fn another_time(removed: Result<(), EngineError>) -> Result<(), EngineError> {
    match removed {
        Err(EngineError::InUse { .. }) => Ok(()),
        removed => removed,
    }
}
