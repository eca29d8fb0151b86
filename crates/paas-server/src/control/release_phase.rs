//! The release phase: the `release` process of a slug runs before its release goes live.
//!
//! It is a container with the release's id in its name, and nothing else: whoever calls [`run`] again, after whatever
//! crash, finds the container, waits for its end and decides. A migration is never started twice for one release.

use std::{collections::HashSet, sync::Arc};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use paas_core::{DynoSize, LogLine, LogSource, ProcessType, ReleaseFailure, ReleaseStatus};
use paas_engine::{Container, ContainerState, Exit, Limits, Role};
use paas_store::{self as store, release::ReleaseRow};

use super::dyno::LaunchPlan;
use crate::{output::OutputWriter, platform::Platform};

/// Runs, or goes on watching, the release phase of a pending release in a task of its own. A release that is not pending
/// any more is left alone.
pub(crate) fn start(platform: &Arc<Platform>, release: ReleaseRow) {
    let platform = Arc::clone(platform);
    platform.tracker.clone().spawn(async move {
        let id = release.release.id;
        tokio::select! {
            ended = run(&platform, &release, None) => {
                if let Err(error) = ended {
                    tracing::error!(release.id = %id, error = format!("{error:#}"), "a release phase could not be run");
                }
            }
            () = platform.stop.cancelled() => {}
        }
    });
}

/// Runs the release phase and ends the release's pending state: whether it succeeded. `pusher` sees the output too.
pub(super) async fn run(
    platform: &Arc<Platform>,
    release: &ReleaseRow,
    pusher: Option<&mut OutputWriter>,
) -> Result<bool> {
    if release.release.status != ReleaseStatus::Pending {
        return Ok(release.release.status == ReleaseStatus::Succeeded);
    }
    let ended = watch(platform, release, pusher).await;
    let now = platform.clock.now();
    let app = release.release.app;
    let version = release.release.version;
    let mut conn = platform.store.connection().await?;
    let succeeded = match ended {
        Ok(exit) if exit.is_success() => store::release::succeed(&mut conn, release.release.id, now).await?,
        ended => {
            store::release::fail(&mut conn, release.release.id, ReleaseFailure::ReleasePhase, now).await?;
            let why = match ended {
                Ok(exit) => format!("exited with status {}", exit.code),
                Err(error) => {
                    tracing::error!(release.id = %release.release.id, error = format!("{error:#}"), "a release phase could not be run");
                    "could not be run".to_owned()
                }
            };
            let message = format!("Release {version} failed: its release command {why}");
            platform.log(app, LogSource::App, "api", message);
            false
        }
    };
    drop(conn);
    remove(platform, release).await?;
    platform.wake.notify_one();
    Ok(succeeded)
}

/// Starts the container unless it was started before, hands its output on, and waits for its end.
async fn watch(platform: &Arc<Platform>, release: &ReleaseRow, mut pusher: Option<&mut OutputWriter>) -> Result<Exit> {
    let plan = LaunchPlan::read(platform, release.release.app, release.release.id).await?;
    let process = format!("release.{}", release.release.version.number());
    let command = plan.slug.process_types.get(&ProcessType::release());
    let command = command.context("the slug has no release process")?;
    let role = Role::Release {
        app: release.release.app,
        release: release.release.id,
        version: release.release.version,
    };
    let name = format!("paas-release-{}", release.release.id);
    let mut spec = plan
        .spec(platform, name, role, command, Limits::from(DynoSize::default()))
        .await?;
    spec.environment = spec.environment.with("DYNO", process.clone());
    let message = format!("Starting process with command `{command}`");
    platform.log(release.release.app, LogSource::Heroku, &process, message);
    let container = platform.engine.start(&spec).await?;

    let mut kept = platform.outputs.write(*release.release.id.as_uuid()).await?;
    let mut chunks = platform.engine.logs(&container.id, None);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        let text = String::from_utf8_lossy(&chunk.bytes).into_owned();
        kept.line(&text).await?;
        if let Some(pusher) = pusher.as_deref_mut() {
            pusher.line(&format!("       {text}")).await?;
        }
        let line = LogLine {
            at: chunk.position.at,
            source: LogSource::App,
            process: process.clone(),
            message: text,
        };
        platform.logs.append(release.release.app, &[line]);
    }
    let exit = end_of(platform, &container).await?;
    let message = format!("Process exited with status {}", exit.code);
    platform.log(release.release.app, LogSource::Heroku, &process, message);
    Ok(exit)
}

/// How the container ended. Its output has ended, so it is about to, or has.
async fn end_of(platform: &Platform, container: &Container) -> Result<Exit> {
    let mut hints = platform.engine.hints();
    loop {
        let seen = platform.engine.inspect(&container.id).await?;
        let seen = seen.context("the release phase's container is gone")?;
        if let ContainerState::Exited(exit) = seen.state {
            return Ok(exit);
        }
        hints.next().await;
    }
}

async fn remove(platform: &Platform, release: &ReleaseRow) -> Result<()> {
    let id = release.release.id;
    let ours = |role: &Option<Role>| matches!(role, Some(Role::Release { release, .. }) if *release == id);
    let containers = platform.engine.list().await?;
    let ended: HashSet<_> = containers
        .into_iter()
        .filter(|container| ours(&container.role))
        .map(|container| container.id)
        .collect();
    for container in ended {
        platform.engine.remove(&container).await?;
    }
    Ok(())
}
