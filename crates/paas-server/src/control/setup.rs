//! App setups: config, buildpacks, build, formation and the app's own first script, as its `app.json` has them.
//!
//! One task per setup. When the server ends, the setup has failed, and what was made of the app stays to be looked at.

mod addons;

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use futures_util::{StreamExt, stream};
use paas_build::Choice;
use paas_core::{App, ConfigKey, DynoSize, Id, LogSource, QuantityChange};
use paas_engine::{Limits, Role};
use paas_store::{
    self as store, Stamp, StoreError,
    account::Account,
    app_setup::{AppSetup, Postdeploy, SetupEnd},
    formation::FormationChange,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    boot::Verdict,
    deploy::{self, BuildSource, DeployError, NewBuild},
    dyno::LaunchPlan,
    turns::BuildUnderWay,
};
use crate::{
    platform::Platform,
    source::{self, Manifest},
};

/// What the container is called that runs the script.
pub(super) const PURPOSE: &str = "postdeploy";
/// Heroku's limit for a release phase; scripts that fill databases take their time, too.
const POSTDEPLOY_LIMIT: Duration = Duration::from_hours(1);
/// Of the script's output, the end is kept.
const MAXIMUM_OUTPUT_BYTES: usize = 256 * 1024;
/// How a setup ends that a server before this one worked on.
pub(super) const SERVER_ENDED: &str =
    "The server ended while it set the app up. Destroy the app, and set it up once more.";

pub(crate) struct NewSetup {
    pub(crate) id: Id<AppSetup>,
    /// It exists already, and is empty.
    pub(crate) app: App,
    pub(crate) actor: Account,
    pub(crate) source: BuildSource,
    pub(crate) version: Option<String>,
    /// In place of what the `app.json` says.
    pub(crate) env: BTreeMap<ConfigKey, String>,
    pub(crate) buildpacks: Option<Vec<Choice>>,
}

/// Why a setup did not come to its end, in words for whoever asked for it.
enum Failure {
    Manifest(Vec<String>),
    Told(String),
    Postdeploy(Postdeploy),
    Ours(anyhow::Error),
}

/// Sets the app up in a task of its own. Its row is there already.
pub(crate) fn start(platform: &Arc<Platform>, new: NewSetup) {
    // The end of the app ends it, as it does a build.
    let under_way = BuildUnderWay::new(platform, new.app.id, store::new_id(platform.clock.now()));
    let platform = Arc::clone(platform);
    platform.tracker.clone().spawn(async move {
        let (id, app) = (new.id, new.app.clone());
        let setup = Setup {
            platform: &platform,
            new,
            stop: under_way.abandon.clone(),
        };
        let ended = tokio::select! {
            ended = setup.run() => ended,
            // The row says pending until the next server looks, or goes with the app.
            () = under_way.abandon.cancelled() => return,
        };
        let end = match ended {
            Ok(end) => end,
            Err(failure) => failure.end(&app),
        };
        let word = if end.failure_message.is_none() {
            "succeeded"
        } else {
            "failed"
        };
        platform.log(app.id, LogSource::App, "api", format!("App setup {word}"));
        let stored = async {
            let mut conn = platform.store.connection().await?;
            store::app_setup::finish(&mut conn, id, &end, platform.clock.now()).await
        };
        if let Err(error) = stored.await {
            tracing::warn!(app.id = %app.id, %error, "the end of an app setup could not be recorded");
        }
    });
}

struct Setup<'a> {
    platform: &'a Arc<Platform>,
    new: NewSetup,
    stop: CancellationToken,
}

impl Setup<'_> {
    async fn run(mut self) -> Result<SetupEnd, Failure> {
        let tar = self.obtain().await?;
        let manifest = match read(tar.clone()).await {
            Ok(manifest) => manifest,
            Err(failure) => {
                // What stays behind is swept later.
                let _ = tokio::fs::remove_file(&tar).await;
                return Err(failure);
            }
        };
        for note in &manifest.notes {
            let message = format!("app.json: {note}");
            self.platform.log(self.new.app.id, LogSource::App, "api", message);
        }
        if let Err(failure) = self.configure(&manifest).await {
            let _ = tokio::fs::remove_file(&tar).await;
            return Err(failure);
        }
        if let Err(failure) = self.provision(&manifest).await {
            let _ = tokio::fs::remove_file(&tar).await;
            return Err(failure);
        }
        self.build(tar, &manifest).await?;
        self.scale(&manifest).await?;
        let postdeploy = match &manifest.postdeploy {
            Some(command) => Some(self.postdeploy(command).await?),
            None => None,
        };
        Ok(SetupEnd {
            postdeploy,
            resolved_success_url: manifest.success_url.map(|url| self.resolve(&url)),
            ..SetupEnd::default()
        })
    }

    async fn obtain(&self) -> Result<PathBuf, Failure> {
        match &self.new.source {
            BuildSource::Tar(tar) => Ok(tar.clone()),
            BuildSource::Image(_) => Err(Failure::Told(
                "An app setup needs a source, and not an image".to_owned(),
            )),
            BuildSource::At { address, checksum } => {
                let fetched = deploy::fetch(self.platform, address, checksum.clone(), &self.stop).await;
                fetched.map_err(|error: DeployError| match error.words() {
                    Some(words) => Failure::Told(words),
                    None => Failure::Ours(error.into()),
                })
            }
        }
    }

    /// Config vars and buildpacks, before the first build.
    async fn configure(&self, manifest: &Manifest) -> Result<(), Failure> {
        let mut missing = Vec::new();
        let mut changes = BTreeMap::new();
        for (key, variable) in &manifest.env {
            if self.new.env.contains_key(key) {
                continue;
            }
            if let Some(value) = &variable.value {
                changes.insert(key.clone(), Some(value.clone()));
            } else if variable.is_secret {
                changes.insert(key.clone(), Some(secret()?));
            } else if variable.is_required {
                missing.push(format!("env: {key} is required: give it a value in overrides.env"));
            }
        }
        if !missing.is_empty() {
            return Err(Failure::Manifest(missing));
        }
        let overrides = self.new.env.iter();
        changes.extend(overrides.map(|(key, value)| (key.clone(), Some(value.clone()))));
        let (app, stamp) = (self.new.app.id, self.stamp());
        let buildpacks = self.new.buildpacks.as_ref().unwrap_or(&manifest.buildpacks);
        let names: Vec<String> = buildpacks.iter().map(Choice::to_string).collect();
        let mut transaction = self.platform.store.begin().await?;
        let sealer = &self.platform.store.sealer;
        let set = store::release::set_config(&mut transaction, sealer, app, changes.into_iter().collect(), stamp).await;
        if let Err(StoreError::Config(error)) = set {
            return Err(Failure::Manifest(vec![format!("env: {error}")]));
        }
        set?;
        if !names.is_empty() {
            store::app::set_buildpacks(&mut transaction, app, &names, stamp).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn build(&mut self, tar: PathBuf, manifest: &Manifest) -> Result<(), Failure> {
        let new = NewBuild {
            app: self.new.app.clone(),
            actor: self.new.actor.clone(),
            source: BuildSource::Tar(tar),
            commit: self.new.version.clone(),
            description: None,
            buildpacks: self
                .new
                .buildpacks
                .clone()
                .or_else(|| Some(manifest.buildpacks.clone()))
                .filter(|buildpacks| !buildpacks.is_empty()),
            blob: None,
        };
        let deploy = deploy::submit(self.platform, new).await?;
        let mut conn = self.platform.store.connection().await?;
        store::app_setup::set_build(&mut conn, self.new.id, deploy.build, self.platform.clock.now()).await?;
        drop(conn);
        match deploy.verdict.await {
            Ok(Verdict::Accepted) => Ok(()),
            Ok(Verdict::Rejected) => Err(Failure::Told(
                "The build or the release failed: the output of the build says why".to_owned(),
            )),
            Err(_) => Err(Failure::Told(SERVER_ENDED.trim_end_matches('.').to_owned())),
        }
    }

    async fn scale(&self, manifest: &Manifest) -> Result<(), Failure> {
        if manifest.formation.is_empty() {
            return Ok(());
        }
        let mut transaction = self.platform.store.begin().await?;
        for (process_type, dynos) in &manifest.formation {
            let change = FormationChange {
                process_type: process_type.clone(),
                quantity: dynos.quantity.map(QuantityChange::To),
                size: dynos.size,
            };
            match store::formation::update(&mut transaction, self.new.app.id, change, self.stamp()).await {
                Ok(_) => {}
                Err(StoreError::UnknownProcessType { process_type }) => {
                    let problem = format!("formation: the app has no process type {process_type}");
                    return Err(Failure::Manifest(vec![problem]));
                }
                Err(error) => return Err(error.into()),
            }
        }
        transaction.commit().await?;
        self.platform.wake.notify_one();
        Ok(())
    }

    /// Runs the script in a container of the release, as a release phase does.
    async fn postdeploy(&self, command: &str) -> Result<Postdeploy, Failure> {
        let ran = timeout(POSTDEPLOY_LIMIT, self.run_script(command)).await;
        let postdeploy = match ran {
            Ok(postdeploy) => postdeploy?,
            Err(_) => {
                return Err(Failure::Told(
                    "The postdeploy script took longer than an hour".to_owned(),
                ));
            }
        };
        if postdeploy.exit_code == 0 {
            Ok(postdeploy)
        } else {
            Err(Failure::Postdeploy(postdeploy))
        }
    }

    async fn run_script(&self, command: &str) -> Result<Postdeploy> {
        let (platform, app) = (self.platform, self.new.app.id);
        let mut conn = platform.store.connection().await?;
        let current = store::release::current(&mut conn, app).await?;
        drop(conn);
        let current = current.context("the app has no release")?;
        let plan = LaunchPlan::read(platform, app, current.release.id).await?;
        let role = Role::Task {
            purpose: PURPOSE.to_owned(),
        };
        let name = format!("paas-postdeploy-{}", self.new.id);
        let limits = Limits::from(DynoSize::default());
        let mut spec = plan.spec(platform, name.clone(), role, command, limits).await?;
        spec.environment = spec.environment.with("DYNO", format!("{PURPOSE}.1"));
        let log = |source, message: String| platform.log(app, source, &format!("{PURPOSE}.1"), message);
        log(LogSource::Heroku, format!("Starting process with command `{command}`"));

        let (output, mut pieces) = mpsc::channel(64);
        let run = platform
            .engine
            .run(&spec, stream::empty().boxed(), output, self.stop.clone());
        let listen = async {
            let mut said = Vec::new();
            while let Some(piece) = pieces.recv().await {
                said.extend_from_slice(&piece.bytes);
                if said.len() > 2 * MAXIMUM_OUTPUT_BYTES {
                    said.drain(..said.len() - MAXIMUM_OUTPUT_BYTES);
                }
            }
            said
        };
        let (exit, said) = tokio::join!(run, listen);
        for container in platform.engine.list().await? {
            if container.name == name {
                platform.engine.remove(&container.id).await?;
            }
        }
        let said = &said[said.len().saturating_sub(MAXIMUM_OUTPUT_BYTES)..];
        let output = String::from_utf8_lossy(said).replace('\0', "");
        for line in output.lines() {
            log(LogSource::App, line.to_owned());
        }
        let exit = exit?;
        log(LogSource::Heroku, format!("Process exited with status {}", exit.code));
        Ok(Postdeploy {
            output,
            exit_code: exit.code,
        })
    }

    /// `/welcome` is a page of the app.
    fn resolve(&self, url: &str) -> String {
        if url.starts_with('/') {
            let base = self.platform.settings.app_url(&self.new.app.name);
            return format!("{}{url}", base.trim_end_matches('/'));
        }
        url.to_owned()
    }

    fn stamp(&self) -> Stamp {
        Stamp {
            by: self.new.actor.id,
            at: self.platform.clock.now(),
        }
    }
}

async fn read(tar: PathBuf) -> Result<Manifest, Failure> {
    let found = tokio::task::spawn_blocking(move || source::find_manifest(&tar)).await;
    let found = found.map_err(anyhow::Error::from)?.context("reading the source")?;
    let text = found.ok_or_else(|| {
        Failure::Manifest(vec![
            "There is no app.json at the root of the source: an empty object is enough".to_owned(),
        ])
    })?;
    Manifest::parse(&text).map_err(Failure::Manifest)
}

/// 256 bits, as Heroku's 64 hexadecimal digits.
pub(super) fn secret() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    let text = bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    Ok(text)
}

impl Failure {
    fn end(self, app: &App) -> SetupEnd {
        let mut end = SetupEnd::default();
        let message = match self {
            Self::Manifest(problems) => {
                end.manifest_errors = problems;
                "The app.json cannot be used".to_owned()
            }
            Self::Told(message) => message,
            Self::Postdeploy(postdeploy) => {
                let message = format!("The postdeploy script exited with status {}", postdeploy.exit_code);
                end.postdeploy = Some(postdeploy);
                message
            }
            Self::Ours(error) => {
                tracing::error!(app.name = %app.name, error = format!("{error:#}"), "an app setup failed");
                "The platform could not set the app up; its log says why".to_owned()
            }
        };
        end.failure_message = Some(message);
        end
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Ours(error.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Ours(error)
    }
}
