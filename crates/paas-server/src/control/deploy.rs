//! A deploy: from a source archive to a release that serves, in one task that owns the build's row and output.
//!
//! A deploy belongs to its row, not to whoever asked: when the pusher goes away it goes on. Deploys of one app come one
//! after the other; builds of different apps share the machine's build slots.

use std::{
    convert::Infallible,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;
use paas_build::{BuildError, Built, Choice, Source};
use paas_core::{App, Build, BuildFailure, CNB_STACK, CONTAINER_STACK, Id, LogSource, ReleaseStatus, Slug};
use paas_engine::EngineError;
use paas_store::{self as store, Stamp, StoreError, account::Account, release::ReleaseRow};
use tokio::{
    sync::{Mutex, MutexGuard, oneshot},
    time::{MissedTickBehavior, interval},
};

use super::{
    boot::{self, Verdict},
    buildpack::{self, Buildpacks},
    container::{self, ImageError, WantedImage},
    disk,
    release_phase::{self, PhaseEnd},
    slots::Ticket,
    turns::BuildUnderWay,
};
use crate::{failpoint, output::OutputWriter, platform::Platform, source::Address};

mod build;
mod error;
mod fetch;

pub(super) use error::DeployError;
pub(super) use fetch::fetch;

/// A build whose server died is failed this long after its last heartbeat.
pub(super) const LEASE: TimeDelta = TimeDelta::seconds(25);
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Pieces of output on their way to the file.
const QUEUED_OUTPUT: usize = 64;

/// A source to build and deploy.
pub(crate) struct NewBuild {
    pub(crate) app: App,
    /// Who pushed, or called the API.
    pub(crate) actor: Account,
    pub(crate) source: BuildSource,
    pub(crate) commit: Option<String>,
    pub(crate) description: Option<String>,
    /// In place of those that the app is set to use.
    pub(crate) buildpacks: Option<Vec<Choice>>,
    /// Where a client of the API said that the source is.
    pub(crate) blob: Option<store::build::SourceBlob>,
}

/// What a build is made from.
pub(crate) enum BuildSource {
    /// A tar on disk. The deploy removes it.
    Tar(PathBuf),
    /// An archive somewhere else.
    At { address: Address, checksum: Option<String> },
    /// An image that is built already.
    Image(WantedImage),
}

/// A deploy under way.
pub(crate) struct Deploy {
    /// Its output (`Outputs::follow`) exists already, and ends with the deploy.
    pub(crate) build: Id<Build>,
    /// How it ended. Never resolves well when the process stops first.
    pub(crate) verdict: oneshot::Receiver<Verdict>,
}

/// Records the build and starts its deploy. Does not wait for it.
pub(crate) async fn submit(platform: &Arc<Platform>, new: NewBuild) -> Result<Deploy, StoreError> {
    let id = store::new_id(platform.clock.now());
    submit_as(platform, id, new).await
}

/// The same for a build whose id is known already.
pub(crate) async fn submit_as(platform: &Arc<Platform>, id: Id<Build>, new: NewBuild) -> Result<Deploy, StoreError> {
    let now = platform.clock.now();
    let row = store::build::NewBuild {
        id,
        app: new.app.id,
        commit: new.commit.clone(),
        description: new.description.clone(),
        buildpacks: new.buildpacks.as_deref().map(names_of),
        source: new.blob.clone(),
        lease_expires_at: now + LEASE,
    };
    let stamp = Stamp {
        by: new.actor.id,
        at: now,
    };
    let output = platform.outputs.write(*id.as_uuid()).await;
    let mut conn = platform.store.connection().await?;
    let buildpacks = match store::build::create(&mut conn, row, stamp).await {
        Ok(row) => row.buildpacks,
        Err(error) => {
            drop(output);
            // Nobody will ever ask for it, nor for the source.
            let _ = platform.outputs.remove(*id.as_uuid()).await;
            return Err(error);
        }
    };
    // No await from here to the task: a caller that goes away in between would leave a row that nobody works on.
    let (tell, verdict) = oneshot::channel();
    let under_way = BuildUnderWay::new(platform, new.app.id, id);
    let platform = Arc::clone(platform);
    platform.tracker.clone().spawn(async move {
        let verdict = match output {
            Ok(output) => {
                let task = Task {
                    platform: &platform,
                    id,
                    new,
                    buildpacks,
                    tar: None,
                    output,
                    under_way: &under_way,
                };
                // All that a deploy may come to is a large future.
                Box::pin(task.run()).await
            }
            Err(error) => {
                tracing::error!(build.id = %id, %error, "the output of a build cannot be written");
                end(&platform, new.app.id, id, BuildFailure::Rejected).await;
                Verdict::Rejected
            }
        };
        drop(under_way);
        // Nobody may be waiting any more.
        let _ = tell.send(verdict);
    });
    Ok(Deploy { build: id, verdict })
}

/// Cancels a build that is under way; `false` when this process works on none of that id.
pub(crate) fn cancel(platform: &Platform, build: Id<Build>) -> bool {
    platform.turns.cancel(build)
}

/// Empties the build cache of an app; `false` while a deploy of it is under way.
pub(crate) async fn purge_cache(platform: &Platform, app: Id<App>) -> Result<bool, EngineError> {
    let turn = platform.turns.app(app);
    let Ok(_turn) = turn.try_lock() else {
        return Ok(false);
    };
    match paas_build::remove_cache(&*platform.engine, app).await {
        // A push has begun.
        Err(EngineError::InUse { .. }) => Ok(false),
        removed => removed.map(|()| true),
    }
}

pub(super) struct Task<'a> {
    pub(super) platform: &'a Arc<Platform>,
    pub(super) id: Id<Build>,
    pub(super) new: NewBuild,
    pub(super) buildpacks: Vec<String>,
    /// The source, once it is here.
    pub(super) tar: Option<PathBuf>,
    pub(super) output: OutputWriter,
    pub(super) under_way: &'a BuildUnderWay,
}

impl<'a> Task<'a> {
    async fn run(mut self) -> Verdict {
        let platform = self.platform;
        let id = self.id;
        let verdict = tokio::select! {
            verdict = self.deploy() => verdict,
            never = keep_lease(platform, id) => match never {},
        };
        if let Some(tar) = &self.tar
            && let Err(error) = tokio::fs::remove_file(tar).await
        {
            tracing::warn!(source = %tar.display(), %error, "a source archive stays behind");
        }
        match verdict {
            Ok(verdict) => verdict,
            Err(error) => {
                self.fail(&error).await;
                Verdict::Rejected
            }
        }
    }

    /// The story of a deploy.
    async fn deploy(&mut self) -> Result<Verdict, DeployError> {
        let platform = self.platform;
        self.obtain().await?;
        let app = self.new.app.id;
        let turn = platform.turns.app(app);
        let _turn = self.wait_for(&turn).await?;
        let mut built = self.make(app).await?;
        // Beside the launch, and within the turn: what empties the app's cache comes after it.
        let container = built.container.take();
        let clear = async {
            if let Some(container) = container {
                platform.builder.remove(&container).await;
            }
        };
        let (verdict, ()) = tokio::join!(self.release(built), clear);
        verdict
    }

    async fn release(&mut self, built: Built) -> Result<Verdict, DeployError> {
        let release = self.record(built).await?;
        // From here on the release goes its way, whatever becomes of this task.
        let under_way = self.under_way;
        tokio::select! {
            verdict = self.launch(&release) => verdict,
            () = under_way.abandon.cancelled() => Err(DeployError::Abandoned),
        }
    }

    /// The turn of the app.
    pub(super) async fn wait_for<'b>(&mut self, turn: &'b Mutex<()>) -> Result<MutexGuard<'b, ()>, DeployError> {
        if let Ok(turn) = turn.try_lock() {
            return Ok(turn);
        }
        let line = "-----> Waiting for another deploy of this app to end";
        self.output.line(line).await?;
        tokio::select! {
            turn = turn.lock() => Ok(turn),
            () = self.under_way.cancel.cancelled() => Err(BuildError::Cancelled.into()),
        }
    }

    async fn make(&mut self, app: Id<App>) -> Result<Built, DeployError> {
        let Some(tar) = self.tar.clone() else {
            let _slot = self.wait_for_slot().await?;
            self.check_disk().await?;
            let BuildSource::Image(wanted) = &self.new.source else {
                return Err(BuildError::EmptySource.into());
            };
            let cancel = &self.under_way.cancel;
            return Ok(container::take(self.platform, app, wanted, &mut self.output, cancel).await?);
        };
        let source = self.open(&tar).await?;
        let stack = self.build_stack(app).await?;
        // The builder of that stack has buildpacks of its own.
        let buildpacks = if stack == CNB_STACK {
            if !self.buildpacks.is_empty() {
                let line = "       The buildpacks of this app (paas buildpacks) are not the builder's: project.toml names those";
                self.output.line(line).await?;
            }
            None
        } else {
            Some(self.bring_buildpacks(&source).await?)
        };
        if let Some(buildpacks) = &buildpacks
            && !self.buildpacks.is_empty()
        {
            let mut conn = self.platform.store.connection().await?;
            store::build::set_buildpacks(&mut conn, self.id, &self.buildpacks, &buildpacks.versions).await?;
        }
        failpoint::hit("build.before");
        let built = self
            .build(&source, buildpacks.as_ref(), stack == CONTAINER_STACK)
            .await?;
        failpoint::hit("build.after");
        Ok(built)
    }

    /// The tar of the source, on our disk.
    pub(super) async fn obtain(&mut self) -> Result<(), DeployError> {
        let tar = match &self.new.source {
            BuildSource::Image(_) => return Ok(()),
            BuildSource::Tar(tar) => tar.clone(),
            BuildSource::At { address, checksum } => {
                let line = format!("-----> Fetching the source from {}", address.host());
                self.output.line(&line).await?;
                fetch(self.platform, address, checksum.clone(), &self.under_way.cancel).await?
            }
        };
        self.tar = Some(tar);
        Ok(())
    }

    /// Follows the release until it serves, or will not.
    async fn launch(&mut self, release: &ReleaseRow) -> Result<Verdict, DeployError> {
        let platform = self.platform;
        let version = release.release.version;
        if release.release.status == ReleaseStatus::Pending {
            self.output.line("-----> Running release command").await?;
            match release_phase::run(platform, release, &mut self.output).await {
                PhaseEnd::Succeeded => {}
                PhaseEnd::Failed => {
                    let line = format!(
                        "\n !     Release command failed: {version} is not live, and what ran before still runs"
                    );
                    self.output.line(&line).await?;
                    return Ok(Verdict::Rejected);
                }
                PhaseEnd::Abandoned => return Err(DeployError::Abandoned),
            }
        }
        self.output.line("-----> Launching...").await?;
        self.output.line(&format!("       Released {version}")).await?;
        Ok(boot::wait(platform, &self.new.app, release, &mut self.output).await?)
    }

    pub(super) async fn open(&mut self, tar: &Path) -> Result<Source, DeployError> {
        match Source::open(tar).await {
            Ok(source) => Ok(source),
            Err(error) => {
                self.explain(&error).await?;
                Err(error.into())
            }
        }
    }

    /// The buildpacks that somebody chose, or else those that the source names.
    pub(super) async fn bring_buildpacks(&mut self, source: &Source) -> Result<Buildpacks, DeployError> {
        if self.buildpacks.is_empty() && !source.buildpacks.is_empty() {
            self.output.line("-----> Using the buildpacks in .buildpacks").await?;
            self.buildpacks.clone_from(&source.buildpacks);
        }
        // Here, since not every way to a build leads through the API.
        let choices = Choice::read_all(&self.buildpacks)?;
        if choices.iter().any(|choice| matches!(choice, Choice::Elsewhere(_))) {
            self.check_disk().await?;
        }
        let cancel = &self.under_way.cancel;
        let brought = buildpack::bring(self.platform, &choices, &mut self.output, cancel).await?;
        self.buildpacks = choices.iter().map(Choice::to_string).collect();
        Ok(brought)
    }

    /// Tells whoever pushed when there is no room for a build.
    pub(super) async fn check_disk(&mut self) -> Result<(), DeployError> {
        if let Some(full) = disk::check(self.platform, Some(self.id)).await? {
            self.trouble(&full.explanation()).await?;
            return Err(full.into());
        }
        Ok(())
    }

    /// The build's turn among those of the machine, until the ticket is dropped.
    pub(super) async fn wait_for_slot(&mut self) -> Result<Ticket<'a>, DeployError> {
        let mut ticket = self.platform.turns.slots.ask();
        let mut told = None;
        loop {
            let ahead = ticket.ahead();
            if ahead == 0 {
                return Ok(ticket);
            }
            if told.is_none() {
                let line = "-----> Waiting for other builds on this machine to end";
                self.output.line(line).await?;
            }
            if told != Some(ahead) {
                self.output.line(&format!("       Number {ahead} in the queue")).await?;
                told = Some(ahead);
            }
            tokio::select! {
                () = ticket.changed() => {}
                () = self.under_way.cancel.cancelled() => return Err(BuildError::Cancelled.into()),
            }
        }
    }

    /// Slug, end of the build, and release: one transaction.
    async fn record(&mut self, built: Built) -> Result<ReleaseRow, DeployError> {
        let platform = self.platform;
        let now = platform.clock.now();
        let description = match &self.new.source {
            BuildSource::Image(wanted) => format!("Deploy {}", wanted.name),
            _ => describe(self.new.commit.as_deref()),
        };
        let slug = Slug {
            id: store::new_id(now),
            app: self.new.app.id,
            image: built.image,
            images: built.images,
            process_types: built.process_types,
            commit: self.new.commit.clone(),
            buildpack_provided_description: built.buildpack_description,
            size_bytes: built.size_bytes,
            created_at: now,
        };
        let deploy = store::deploy::Deploy {
            build: self.id,
            slug,
            description: description.clone(),
            detected_buildpack: built.detected.map(|buildpack| buildpack.heroku_name().to_owned()),
            default_config: built.default_config.into_iter().collect(),
        };
        let stamp = Stamp {
            by: self.new.actor.id,
            at: now,
        };
        failpoint::hit("release-row.before");
        let mut transaction = platform.store.begin().await?;
        let release = store::deploy::deploy(&mut transaction, &platform.store.sealer, deploy, stamp).await?;
        transaction.commit().await?;
        failpoint::hit("release-row.after");
        let by = &self.new.actor.email;
        let say = |message: String| platform.log(self.new.app.id, LogSource::App, "api", message);
        say("Build succeeded".to_owned());
        say(format!("{description} by user {by}"));
        say(format!("Release {} created by user {by}", release.release.version));
        platform.wake.notify_one();
        Ok(release)
    }

    async fn explain(&mut self, error: &BuildError) -> io::Result<()> {
        self.trouble(&error.explanation()).await
    }

    async fn trouble(&mut self, text: &str) -> io::Result<()> {
        for line in text.lines() {
            self.output.line(format!(" !     {line}").trim_end()).await?;
        }
        Ok(())
    }

    /// Ends the build's row, and tells the pusher what the output does not say yet.
    async fn fail(&mut self, error: &DeployError) {
        let platform = self.platform;
        let why = match error {
            DeployError::Build(BuildError::Cancelled) | DeployError::Image(ImageError::Cancelled) => {
                BuildFailure::Cancelled
            }
            _ => BuildFailure::Rejected,
        };
        if error.is_ours() {
            tracing::error!(app.name = %self.new.app.name, build.id = %self.id, error = ?error, "a deploy failed");
        }
        if let Some(words) = error.words()
            && let Err(error) = self.output.line(&format!(" !     {words}")).await
        {
            tracing::warn!(%error, "the output of a build could not be written");
        }
        end(platform, self.new.app.id, self.id, why).await;
    }
}

/// Ends the row of a build that made no slug, unless it has ended.
async fn end(platform: &Platform, app: Id<App>, build: Id<Build>, why: BuildFailure) {
    let ended = async {
        let mut conn = platform.store.connection().await?;
        store::build::fail(&mut conn, build, why, platform.clock.now()).await
    };
    match ended.await {
        Ok(true) => platform.log(app, LogSource::App, "api", "Build failed"),
        // It has a slug, and what failed came later.
        Ok(false) => {}
        // Its lease runs out, and with it the build.
        Err(error) => tracing::warn!(build.id = %build, %error, "a failed build could not be recorded"),
    }
}

/// Extends the lease of a build for as long as it is pending. Whoever lost it finds out when it ends the build.
async fn keep_lease(platform: &Platform, build: Id<Build>) -> Infallible {
    let mut beat = interval(HEARTBEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let extended = async {
            let mut conn = platform.store.connection().await?;
            store::build::heartbeat(&mut conn, build, platform.clock.now() + LEASE).await
        };
        match extended.await {
            Ok(true) => {}
            Ok(false) => std::future::pending().await,
            Err(error) => tracing::warn!(build.id = %build, %error, "a build's lease could not be extended"),
        }
    }
}

fn names_of(buildpacks: &[Choice]) -> Vec<String> {
    buildpacks.iter().map(Choice::to_string).collect()
}

/// What the release of a commit is called. A version that came through the API can be any text.
fn describe(commit: Option<&str>) -> String {
    let short: String = commit.unwrap_or("source").chars().take(8).collect();
    format!("Deploy {short}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_called_after_any_version() {
        assert_eq!(
            describe(Some("1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b")),
            "Deploy 1a2b3c4d"
        );
        assert_eq!(describe(Some("v1 – größer als je")), "Deploy v1 – grö");
        assert_eq!(describe(None), "Deploy source");
    }
}
