//! Test runs: a source is built for its tests, which run in the build's container. Nothing is released.
//!
//! Tests get the config of the `app.json` and never that of the app: what runs there belongs to its users. A run takes its
//! turn as a deploy does. When the server ends, it has ended.

use std::{collections::BTreeMap, io, sync::Arc};

use paas_build::{BuildError, BuildRequest, Choice, Tests};
use paas_core::{App, Build, ConfigKey, ConfigVars, Id, LogSource};
use paas_store::{
    self as store, Stamp, StoreError,
    account::Account,
    test_run::{Commit, TestEnd, TestRun, TestStatus},
};
use tokio::fs;

use super::{
    deploy::{BuildSource, DeployError, NewBuild, Task},
    setup,
    turns::BuildUnderWay,
};
use crate::{
    output::OutputWriter,
    platform::Platform,
    source::{self, Manifest, Variable},
};

/// How a run ends that a server before this one worked on.
pub(super) const SERVER_ENDED: &str = "The server ended while the tests ran. Run them once more.";

pub(crate) struct NewTests {
    pub(crate) commit: Commit,
    pub(crate) app: App,
    pub(crate) actor: Account,
    pub(crate) source: BuildSource,
    /// Those that the app is set to use.
    pub(crate) buildpacks: Vec<String>,
}

/// The id by which the engine, the queue and a cancellation know a run.
pub(crate) fn build_of(run: Id<TestRun>) -> Id<Build> {
    Id::from_uuid(*run.as_uuid())
}

/// Records the run and begins it in a task of its own. Its output (`Outputs::follow`) exists when this returns.
pub(crate) async fn submit(platform: &Arc<Platform>, new: NewTests) -> Result<TestRun, StoreError> {
    let now = platform.clock.now();
    let id = store::new_id(now);
    let stamp = Stamp {
        by: new.actor.id,
        at: now,
    };
    let output = platform.outputs.write(*id.as_uuid()).await;
    let mut conn = platform.store.connection().await?;
    let run = match store::test_run::create(&mut conn, id, new.app.id, &new.commit, stamp).await {
        Ok(run) => run,
        Err(error) => {
            drop(output);
            // Nobody will ever ask for it.
            let _ = platform.outputs.remove(*id.as_uuid()).await;
            return Err(error);
        }
    };
    // No await from here to the task: a caller that goes away in between would leave a row that nobody works on.
    let under_way = BuildUnderWay::new(platform, new.app.id, build_of(id));
    let platform = Arc::clone(platform);
    let begun = run.clone();
    platform.tracker.clone().spawn(async move {
        match output {
            Ok(output) => work(&platform, new, &run, output, &under_way).await,
            Err(error) => {
                tracing::error!(test_run.id = %id, %error, "the output of a test run cannot be written");
                let end = TestEnd {
                    status: TestStatus::Errored,
                    message: DeployError::from(error).words(),
                    exit_code: None,
                };
                finish(&platform, &run, &end).await;
            }
        }
    });
    Ok(begun)
}

async fn work(platform: &Arc<Platform>, new: NewTests, run: &TestRun, output: OutputWriter, under_way: &BuildUnderWay) {
    let mut task = Task {
        platform,
        id: build_of(run.id),
        new: NewBuild {
            app: new.app,
            actor: new.actor,
            source: new.source,
            commit: Some(run.commit.sha.clone()).filter(|sha| !sha.is_empty()),
            description: None,
            buildpacks: None,
            blob: None,
        },
        buildpacks: new.buildpacks,
        tar: None,
        output,
        under_way,
    };
    let ended = test(&mut task, run).await;
    if let Some(tar) = &task.tar
        && let Err(error) = fs::remove_file(tar).await
    {
        tracing::warn!(source = %tar.display(), %error, "a source archive stays behind");
    }
    let end = match ended {
        Ok(status) => TestEnd {
            status: if status == 0 {
                TestStatus::Succeeded
            } else {
                TestStatus::Failed
            },
            message: None,
            exit_code: Some(status),
        },
        // The row ends with the app, or with the next start of the server.
        Err(_) if under_way.abandon.is_cancelled() => return,
        Err(failure) => failure.end(&mut task).await,
    };
    finish(platform, run, &end).await;
    // Whoever follows the output asks for the end next: it is there.
    drop(task);
}

async fn finish(platform: &Platform, run: &TestRun, end: &TestEnd) {
    let message = format!("Test run #{} {}", run.number, end.status.as_str());
    platform.log(run.app, LogSource::App, "api", message);
    let stored = async {
        let mut conn = platform.store.connection().await?;
        store::test_run::finish(&mut conn, run.id, end, platform.clock.now()).await
    };
    if let Err(error) = stored.await {
        tracing::warn!(app.id = %run.app, %error, "the end of a test run could not be recorded");
    }
}

/// Why there is no status.
enum Failure {
    Manifest(Vec<String>),
    Deploy(DeployError),
}

async fn test(task: &mut Task<'_>, run: &TestRun) -> Result<i32, Failure> {
    task.obtain().await?;
    let tar = task.tar.clone().ok_or(DeployError::from(BuildError::EmptySource))?;
    let text = tokio::task::spawn_blocking({
        let tar = tar.clone();
        move || source::find_manifest(&tar)
    });
    let text = text
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(DeployError::from)?;
    let manifest = match text {
        Some(text) => Manifest::parse(&text).map_err(Failure::Manifest)?,
        None => Manifest::default(),
    };
    let config = config(&manifest)?;
    if !manifest.tests.buildpacks.is_empty() {
        task.buildpacks = manifest.tests.buildpacks.iter().map(Choice::to_string).collect();
    }
    let turn = task.platform.turns.app(run.app);
    let _turn = task.wait_for(&turn).await?;
    let source = task.open(&tar).await?;
    let buildpacks = task.bring_buildpacks(&source).await?;
    let _slot = task.wait_for_slot().await?;
    task.check_disk().await?;
    let mut conn = task.platform.store.connection().await?;
    store::test_run::begin(&mut conn, run.id, task.platform.clock.now()).await?;
    drop(conn);
    let tests = Tests {
        setup: manifest.tests.setup,
        command: manifest.tests.command,
        environment: [
            ("HEROKU_TEST_RUN_ID", run.id.to_string()),
            ("HEROKU_TEST_RUN_NUMBER", run.number.to_string()),
            ("HEROKU_TEST_RUN_BRANCH", run.commit.branch.clone()),
            ("HEROKU_TEST_RUN_COMMIT_VERSION", run.commit.sha.clone()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .to_vec(),
    };
    let request = BuildRequest {
        app: run.app,
        build: task.id,
        source: &source,
        config: &config,
        commit: Some(run.commit.sha.as_str()).filter(|sha| !sha.is_empty()),
        is_container: false,
        buildpacks: &buildpacks.packs,
    };
    let builder = &task.platform.builder;
    let status = task
        .with_stack(|lines, cancel| builder.test(request, &tests, lines, cancel))
        .await?;
    Ok(status)
}

/// What the `app.json` says, for tests above all.
fn config(manifest: &Manifest) -> Result<ConfigVars, Failure> {
    let variables: BTreeMap<&ConfigKey, &Variable> = manifest.env.iter().chain(&manifest.tests.env).collect();
    let (mut changes, mut missing) = (Vec::new(), Vec::new());
    for (key, variable) in variables {
        if let Some(value) = &variable.value {
            changes.push((key.clone(), Some(value.clone())));
        } else if variable.is_secret {
            let value = setup::secret().map_err(DeployError::from)?;
            changes.push((key.clone(), Some(value)));
        } else if variable.is_required {
            missing.push(format!(
                "env: {key} has no value for tests: give it one in environments.test.env"
            ));
        }
    }
    if !missing.is_empty() {
        return Err(Failure::Manifest(missing));
    }
    let config = ConfigVars::default().with(changes);
    config.map_err(|error| Failure::Manifest(vec![format!("env: {error}")]))
}

impl Failure {
    /// Tells whoever reads the output what it does not say yet.
    async fn end(self, task: &mut Task<'_>) -> TestEnd {
        let (status, words) = match self {
            Self::Manifest(problems) => (
                TestStatus::Errored,
                Some(format!("The app.json cannot be used: {}", problems.join("; "))),
            ),
            Self::Deploy(DeployError::Build(BuildError::Cancelled)) => (TestStatus::Cancelled, None),
            Self::Deploy(error) => {
                if error.is_ours() {
                    tracing::error!(app.name = %task.new.app.name, error = ?error, "tests could not be run");
                }
                (TestStatus::Errored, error.words())
            }
        };
        if let Some(words) = &words
            && let Err(error) = task.output.line(&format!(" !     {words}")).await
        {
            tracing::warn!(%error, "the output of a test run could not be written");
        }
        let message = words.or_else(|| {
            (status == TestStatus::Errored).then(|| "The app could not be built: the output says why".to_owned())
        });
        TestEnd {
            status,
            message,
            exit_code: None,
        }
    }
}

impl From<DeployError> for Failure {
    fn from(error: DeployError) -> Self {
        Self::Deploy(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Deploy(error.into())
    }
}
