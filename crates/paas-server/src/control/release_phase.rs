//! The release phase: the `release` process of a slug runs before its release goes live.
//!
//! It is a container with the release's id in its name, and nothing else: whoever runs it again, after whatever crash,
//! finds the container, waits for its end and decides. A migration is never started twice for one release, and an engine
//! or a database that is away neither ends nor fails one.

use std::{io, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use paas_core::{DynoSize, LogSource, ProcessType, ReleaseFailure, ReleaseStatus};
use paas_engine::{Container, ContainerState, Exit, Limits, LogChunk, LogPosition, Role};
use paas_store::{self as store, release::ReleaseRow};
use tokio::time::sleep;

use super::{
    dyno::{self, LaunchPlan},
    is_temporary,
    turns::PhaseUnderWay,
};
use crate::{output::OutputWriter, platform::Platform};

/// Between two looks at a release phase whose engine or database is away.
const RETRY: Duration = Duration::from_secs(1);

/// How a release phase ended for those who wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PhaseEnd {
    Succeeded,
    Failed,
    /// This process or the app ends; the release is as it was.
    Abandoned,
}

/// Runs, or goes on watching, the release phase of a pending release in a task of its own. One that is under way is left
/// alone. Its output can be followed from now on.
pub(crate) async fn start(platform: &Arc<Platform>, release: ReleaseRow) {
    let Some(turn) = PhaseUnderWay::new(platform, release.release.app, release.release.id) else {
        return;
    };
    let kept = match platform.outputs.rewrite(*release.release.id.as_uuid()).await {
        Ok(kept) => Some(kept),
        Err(error) => {
            tracing::warn!(release.id = %release.release.id, %error, "the output of a release phase cannot be kept");
            None
        }
    };
    let platform = Arc::clone(platform);
    platform.tracker.clone().spawn(async move {
        run_in_turn(&platform, &release, None, kept, turn).await;
    });
}

/// Runs the release phase and ends the release's pending state. `pusher` sees the output too.
pub(super) async fn run(platform: &Arc<Platform>, release: &ReleaseRow, pusher: &mut OutputWriter) -> PhaseEnd {
    let turn = PhaseUnderWay::when_free(platform, release.release.app, release.release.id).await;
    run_in_turn(platform, release, Some(pusher), None, turn).await
}

async fn run_in_turn(
    platform: &Arc<Platform>,
    release: &ReleaseRow,
    pusher: Option<&mut OutputWriter>,
    kept: Option<OutputWriter>,
    turn: PhaseUnderWay,
) -> PhaseEnd {
    let phase = Phase {
        platform,
        release,
        process: format!("release.{}", release.release.version.number()),
        pusher,
        kept,
        said: None,
    };
    tokio::select! {
        has_succeeded = phase.run() => if has_succeeded { PhaseEnd::Succeeded } else { PhaseEnd::Failed },
        () = turn.abandon.cancelled() => PhaseEnd::Abandoned,
    }
}

struct Phase<'a> {
    platform: &'a Arc<Platform>,
    release: &'a ReleaseRow,
    process: String,
    pusher: Option<&'a mut OutputWriter>,
    /// The output that the API gives out.
    kept: Option<OutputWriter>,
    /// How much of the output was handed on by this task.
    said: Option<LogPosition>,
}

impl Phase<'_> {
    /// Whether the release succeeded. Goes on until somebody who can tell has told.
    async fn run(mut self) -> bool {
        let release = &self.release.release;
        loop {
            let ended = async {
                let succeeded = match self.status().await? {
                    ReleaseStatus::Pending => self.decide().await?,
                    // Whoever had the turn before us ended it.
                    status => return Ok(status == ReleaseStatus::Succeeded),
                };
                self.platform.wake.notify_one();
                anyhow::Ok(succeeded)
            };
            match ended.await {
                Ok(succeeded) => {
                    // What stays behind is found by the sweep.
                    if let Err(error) = self.remove().await {
                        tracing::warn!(release.id = %release.id, error = format!("{error:#}"), "the container of a release phase stays behind");
                    }
                    return succeeded;
                }
                Err(error) => {
                    tracing::warn!(release.id = %release.id, error = format!("{error:#}"), "a release phase cannot be watched; trying again");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// Watches the process to its end and stores what that means.
    async fn decide(&mut self) -> Result<bool> {
        let release = &self.release.release;
        let why = match self.watch().await {
            Ok(exit) if exit.is_success() => None,
            Ok(exit) => Some(format!("exited with status {}", exit.code)),
            Err(error) if is_temporary(&error) => return Err(error),
            Err(error) => {
                tracing::error!(release.id = %release.id, error = format!("{error:#}"), "a release phase could not be run");
                Some("could not be run".to_owned())
            }
        };
        let now = self.platform.clock.now();
        let mut conn = self.platform.store.connection().await?;
        let Some(why) = why else {
            return Ok(store::release::succeed(&mut conn, release.id, now).await?);
        };
        let is_news = store::release::fail(&mut conn, release.id, ReleaseFailure::ReleasePhase, now).await?;
        drop(conn);
        if is_news {
            let message = format!("Release {} failed: its release command {why}", release.version);
            self.platform.log(release.app, LogSource::App, "api", message);
        }
        Ok(false)
    }

    async fn status(&self) -> Result<ReleaseStatus> {
        let mut conn = self.platform.store.connection().await?;
        let row = store::release::by_id(&mut conn, self.release.release.id).await?;
        // Its app is gone, and with it what there was to decide.
        Ok(row.map_or(ReleaseStatus::Expired, |row| row.release.status))
    }

    /// Starts the container unless it was started before, hands its output on, and waits for its end.
    async fn watch(&mut self) -> Result<Exit> {
        let platform = self.platform;
        let release = &self.release.release;
        let plan = LaunchPlan::read(platform, release.app, release.id).await?;
        let plan = plan.of_type(&ProcessType::release());
        let command = plan.slug.process_types.get(&ProcessType::release());
        let command = command.context("the slug has no release process")?;
        let role = Role::Release {
            app: release.app,
            release: release.id,
            version: release.version,
        };
        let name = format!("paas-release-{}", release.id);
        let is_new = !self.containers().await?.iter().any(|container| container.name == name);
        let mut spec = plan
            .spec(platform, name, role, command, Limits::from(DynoSize::default()))
            .await?;
        spec.environment = spec.environment.with("DYNO", self.process.clone());
        if is_new {
            self.log(format!("Starting process with command `{command}`"));
        }
        let container = platform.engine.start(&spec).await?;
        platform.collector.follow(release.app, &container.id, &self.process);

        // From here on somebody may follow it, however silent it is.
        if let Err(error) = self.kept().await {
            tracing::warn!(release.id = %release.id, %error, "the output of a release phase cannot be kept");
        }
        let mut chunks = platform.engine.logs(&container.id, self.said);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            if let Err(error) = self.hand_on(&chunk).await {
                tracing::warn!(release.id = %release.id, %error, "the output of a release phase could not be written");
            }
            self.said = Some(chunk.position);
        }
        self.end_of(&container).await
    }

    /// Lets those read along who wait for the end. The app's log is the collector's.
    async fn hand_on(&mut self, chunk: &LogChunk) -> io::Result<()> {
        let text = String::from_utf8_lossy(&chunk.bytes);
        self.kept().await?.line(&text).await?;
        if let Some(pusher) = self.pusher.as_deref_mut() {
            pusher.line(format!("       {text}").trim_end()).await?;
        }
        Ok(())
    }

    /// The output that the API gives out.
    async fn kept(&mut self) -> io::Result<&mut OutputWriter> {
        let kept = match self.kept.take() {
            Some(kept) => kept,
            // All output comes again to whoever goes on with a phase of a server before.
            None => {
                let id = *self.release.release.id.as_uuid();
                self.platform.outputs.rewrite(id).await?
            }
        };
        Ok(self.kept.insert(kept))
    }

    /// How the container ended. Its output has ended, so it is about to, or has.
    async fn end_of(&self, container: &Container) -> Result<Exit> {
        let mut hints = self.platform.engine.hints();
        loop {
            let seen = self.platform.engine.inspect(&container.id).await?;
            let seen = seen.context("the release phase's container is gone")?;
            if let ContainerState::Exited(exit) = seen.state {
                dyno::output_stored(self.platform, &container.id).await;
                self.log(format!("Process exited with status {}", exit.code));
                return Ok(exit);
            }
            hints.next().await;
        }
    }

    async fn remove(&self) -> Result<()> {
        for container in self.containers().await? {
            dyno::end(self.platform, &container).await?;
        }
        Ok(())
    }

    async fn containers(&self) -> Result<Vec<Container>> {
        let id = self.release.release.id;
        let mut containers = self.platform.engine.list().await?;
        containers.retain(|container| matches!(&container.role, Some(Role::Release { release, .. }) if *release == id));
        Ok(containers)
    }

    fn log(&self, message: String) {
        let app = self.release.release.app;
        self.platform.log(app, LogSource::Heroku, &self.process, message);
    }
}
