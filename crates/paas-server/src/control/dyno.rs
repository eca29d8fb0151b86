//! One dyno's container: made, ended, removed, and what its log says about it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::SecondsFormat;
use paas_core::{
    App, ConfigVars, Crash, Dyno, DynoState, Feature, Id, ImageRef, LogSource, ProcessType, Release, Slug,
};
use paas_engine::{Container, ContainerId, ContainerSpec, ContainerState, DYNO_PORT, Limits, Role};
use paas_store as store;
use tokio::time::timeout;

use super::{AppsController, addons, image, is_temporary, router_feed::Receipt};
use crate::{failpoint, platform::Platform};

/// How long requests in flight may take before their dyno is told to stop (Heroku's rolling limit is 55 s; ours per drain).
const DRAIN_LIMIT: Duration = Duration::from_secs(30);
/// Between SIGTERM and SIGKILL (Dev Center, *Dynos*, "Graceful shutdown with SIGTERM").
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How long the last output of an ended container may take to be stored before the container goes all the same.
const OUTPUT_LIMIT: Duration = Duration::from_secs(30);

/// Sources the app's profile scripts, then runs the command, as Heroku does. `$0` is the command: nothing is pasted into
/// the script. An image without bash gets what its own shell can do.
const LAUNCHER: &str = r#"if [ -x /bin/bash ]; then exec /bin/bash -c '
for profile in .profile.d/*.sh .profile; do [ -f "$profile" ] && . "./$profile"; done
exec /bin/bash -c "$0"' "$0"; fi
exec /bin/sh -c "$0""#;

/// Creates and starts the container of a starting dyno. What cannot be started crashes, so that its deploy fails and it is
/// tried again ever more slowly; an engine that is away is no reason to.
pub(super) async fn launch(controller: &AppsController, dyno: &Dyno, receipt: &Receipt) -> Result<()> {
    // A new container may get the address of a dead one: no table may still name it.
    controller.feed.applied(receipt).await?;
    let launched = start(&controller.platform, dyno).await;
    if let Err(error) = &launched
        && !is_temporary(error)
    {
        let message = format!("Error R99 (Platform error) -> {error:#}");
        let process = dyno.name.to_string();
        controller.platform.log(dyno.app, LogSource::Heroku, &process, message);
        controller.refuse(dyno.id);
    }
    launched
}

async fn start(platform: &Platform, dyno: &Dyno) -> Result<()> {
    let plan = LaunchPlan::read(platform, dyno.app, dyno.release).await?;
    let plan = plan.of_type(&dyno.name.process_type);
    let command = plan.slug.process_types.get(&dyno.name.process_type);
    let command =
        command.with_context(|| format!("{} has no process type {}", dyno.version, dyno.name.process_type))?;
    let role = Role::Dyno {
        app: dyno.app,
        dyno: dyno.id,
        attempt: dyno.attempt,
        name: dyno.name.clone(),
        release: dyno.version,
    };
    let name = format!("paas-{}-{}", dyno.id, dyno.attempt);
    let mut spec = plan
        .spec(platform, name, role, command, Limits::from(dyno.size))
        .await?;
    spec.environment = spec.environment.with("DYNO", dyno.name.to_string());
    if dyno.name.process_type.is_web() {
        spec.environment = spec.environment.with("PORT", DYNO_PORT.to_string());
    }
    spec.hostname = Some(dyno.name.to_string().replace('.', "-"));

    let process = dyno.name.to_string();
    let message = format!("Starting process with command `{command}`");
    platform.log(dyno.app, LogSource::Heroku, &process, message);
    failpoint::hit("start.before");
    let container = platform.engine.start(&spec).await?;
    failpoint::hit("start.after");
    platform.collector.follow(dyno.app, &container.id, &process);
    if container.state == (ContainerState::Running { address: None }) {
        bail!("its container has lost its network");
    }
    Ok(())
}

/// Ends a stopping dyno: no new request, then none in flight, then SIGTERM, SIGKILL, and its container goes.
pub(super) async fn terminate(controller: &AppsController, dyno: &Dyno, receipt: &Receipt) -> Result<()> {
    let platform = &controller.platform;
    controller.feed.applied(receipt).await?;
    let Some(container) = dyno.container.as_deref().map(ContainerId::new) else {
        return Ok(());
    };
    if dyno.name.process_type.is_web() {
        failpoint::hit("drain.before");
        controller.feed.drained(dyno.id, DRAIN_LIMIT).await?;
        failpoint::hit("drain.after");
    }
    let process = dyno.name.to_string();
    let log = |message: String| platform.log(dyno.app, LogSource::Heroku, &process, message);
    failpoint::hit("stop.before");
    let running = platform.engine.inspect(&container).await?;
    if running.is_some_and(|container| container.is_running()) {
        log("Stopping all processes with SIGTERM".to_owned());
        let begun = tokio::time::Instant::now();
        if let Some(exit) = platform.engine.stop(&container, STOP_LIMIT).await? {
            if begun.elapsed() >= STOP_LIMIT {
                log(
                    "Error R12 (Exit timeout) -> At least one process failed to exit within 30 seconds of SIGTERM"
                        .to_owned(),
                );
                log("Stopping remaining processes with SIGKILL".to_owned());
            }
            log(format!("Process exited with status {}", exit.code));
        }
        log("State changed from up to down".to_owned());
    }
    remove(platform, &container).await?;
    failpoint::hit("stop.after");
    Ok(())
}

/// Removes a container that belongs to no dyno any more: of an earlier attempt, or one that missed its boot limit.
pub(super) async fn remove_orphan(controller: &AppsController, container: &Container, receipt: &Receipt) -> Result<()> {
    controller.feed.applied(receipt).await?;
    end(&controller.platform, container).await
}

/// Kills a container if it still runs, and removes it once all that it said is stored.
pub(super) async fn end(platform: &Platform, container: &Container) -> Result<()> {
    if container.is_running() {
        platform.engine.stop(&container.id, Duration::ZERO).await?;
    }
    remove(platform, &container.id).await
}

/// Removes an ended container, once all that it said is stored.
async fn remove(platform: &Platform, container: &ContainerId) -> Result<()> {
    output_stored(platform, container).await;
    platform.engine.remove(container).await?;
    platform.collector.forget(container);
    Ok(())
}

/// Waits until all that an ended container said is stored, within reason.
pub(super) async fn output_stored(platform: &Platform, container: &ContainerId) {
    let stored = timeout(OUTPUT_LIMIT, platform.collector.drained(container));
    if stored.await.is_err() {
        tracing::warn!(%container, "the last output of a container could not be stored in time");
    }
}

/// What a release's containers have in common.
pub(super) struct LaunchPlan {
    app: store::app::AppRow,
    pub(super) slug: Slug,
    image: ImageRef,
    /// What is meant to run, when it is one of the release's own.
    process_type: Option<ProcessType>,
    config: ConfigVars,
    release: Release,
    has_metadata: bool,
}

impl LaunchPlan {
    pub(super) async fn read(platform: &Platform, app: Id<App>, release: Id<Release>) -> Result<Self> {
        let mut conn = platform.store.connection().await?;
        let app = store::app::by_id(&mut conn, app).await?.context("the app is gone")?;
        let row = store::release::by_id(&mut conn, release).await?;
        let release = row.context("the release is gone")?.release;
        let slug = release.slug.context("the release has no slug")?;
        let slug = store::slug::get(&mut conn, slug).await?.context("the slug is gone")?;
        let config = store::release::config(&mut conn, &platform.store.sealer, release.id).await?;
        let features = store::feature::get(&mut conn, app.app.id).await?;
        Ok(Self {
            app,
            image: slug.image.clone(),
            process_type: None,
            slug,
            config,
            release,
            has_metadata: features.is_on(Feature::RuntimeDynoMetadata),
        })
    }

    /// The same for a process of this type, which may have an image of its own.
    pub(super) fn of_type(self, process_type: &ProcessType) -> Self {
        Self {
            image: self.slug.image_of(process_type).clone(),
            process_type: Some(process_type.clone()),
            ..self
        }
    }

    /// A container on the app's network with the release's config; without `DYNO` and `PORT`.
    pub(super) async fn spec(
        &self,
        platform: &Platform,
        name: String,
        role: Role,
        command: &str,
        limits: Limits,
    ) -> Result<ContainerSpec> {
        let network = platform.settings.network_pool.app(self.app.app.id, self.app.subnet)?;
        platform.engine.ensure_network(&network).await?;
        addons::join(platform, self.app.app.id, &network.name).await?;
        let image = image::find(platform, &self.image).await?;
        // What an image runs by itself needs no shell: there may be none in it.
        let is_its_own = paas_build::own_command(&image).is_some_and(|own| own == command);
        let declared = self.process_type.as_ref();
        let declared = declared.and_then(|name| Some((name, self.slug.process_types.get(name)?.as_str())));
        let command = match paas_build::launch(&image, declared, command) {
            Some(by_launcher) => by_launcher,
            None if is_its_own => Vec::new(),
            None => launch_command(command),
        };
        let metadata = self.has_metadata.then(|| self.metadata(platform, &role, &name));
        let mut spec = ContainerSpec::new(name, role, self.image.clone(), command, limits);
        // Config vars come last: what people set themselves is what they want.
        spec.environment = metadata.into_iter().flatten().collect();
        spec.environment.extend(config_pairs(&self.config));
        spec.network = Some(network.name);
        spec.working_dir = match image.working_dir {
            // As Docker has it.
            none if none.is_empty() => "/".to_owned(),
            directory => directory,
        };
        Ok(spec)
    }
}

impl LaunchPlan {
    /// What a dyno is told about itself (Dev Center, *Dyno Metadata*).
    fn metadata(&self, platform: &Platform, role: &Role, container: &str) -> Vec<(String, String)> {
        let app = &self.app.app;
        let commit = self.slug.commit.clone().unwrap_or_default();
        let short: String = commit.chars().take(8).collect();
        let description = format!("Deploy {short}").trim_end().to_owned();
        let dyno = match role {
            Role::Dyno { dyno, .. } => dyno.to_string(),
            _ => container.to_owned(),
        };
        let domain = platform.settings.domain.child(app.name.as_str());
        let created_at = self.release.created_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let variables = [
            ("HEROKU_APP_DEFAULT_DOMAIN_NAME", domain.to_string()),
            ("HEROKU_APP_ID", app.id.to_string()),
            ("HEROKU_APP_NAME", app.name.to_string()),
            ("HEROKU_BUILD_COMMIT", commit.clone()),
            ("HEROKU_BUILD_DESCRIPTION", description.clone()),
            ("HEROKU_DYNO_ID", dyno),
            ("HEROKU_RELEASE_CREATED_AT", created_at),
            ("HEROKU_RELEASE_VERSION", self.release.version.to_string()),
            ("HEROKU_SLUG_COMMIT", commit),
            ("HEROKU_SLUG_DESCRIPTION", description),
        ];
        variables.map(|(key, value)| (key.to_owned(), value)).into()
    }
}

fn config_pairs(config: &ConfigVars) -> impl Iterator<Item = (String, String)> {
    config
        .iter()
        .map(|(key, value)| (key.as_str().to_owned(), value.clone()))
}

/// The argv of a command line in a dyno: a shell, after the app's profile scripts.
pub(crate) fn launch_command(command: &str) -> Vec<String> {
    ["/bin/sh", "-c", LAUNCHER, command].map(str::to_owned).to_vec()
}

/// Says in the app's log how a dyno changed, in Heroku's words.
pub(super) fn log_change(platform: &Platform, before: &Dyno, after: &Dyno) {
    let process = after.name.to_string();
    let log = |message: String| platform.log(after.app, LogSource::Heroku, &process, message);
    if let DynoState::Crashed(crash) = &after.state
        && before.state != after.state
    {
        for line in crash_lines(&after.name.process_type, crash) {
            log(line);
        }
    }
    let (from, to) = (before.state.as_str(), after.state.as_str());
    if from != to {
        log(format!("State changed from {from} to {to}"));
    }
}

fn crash_lines(process_type: &ProcessType, crash: &Crash) -> Vec<String> {
    let mut lines = Vec::new();
    if crash.boot_timeout && process_type.is_web() {
        lines.push(
            "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 60 seconds of launch".to_owned(),
        );
        lines.push("Stopping process with SIGKILL".to_owned());
    }
    if crash.out_of_memory {
        lines.push("Error R15 (Memory quota vastly exceeded)".to_owned());
    }
    match crash.exit_code {
        Some(code) => lines.push(format!("Process exited with status {code}")),
        None if !crash.boot_timeout => lines.push("Process vanished: its container is gone".to_owned()),
        None => {}
    }
    lines
}
