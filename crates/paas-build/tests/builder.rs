//! What a builder makes of how a build container ends, on an engine in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs::File,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use chrono::DateTime;
use paas_build::{
    BuildError, BuildRequest, BuildSettings, Builder, Buildpack, Built, Pack, Source, Stack, StackSettings,
};
use paas_core::{BuildFailure, ConfigVars, Id, ImageRef, ProcessType};
use paas_engine::{Behaviour, ContainerSpec, Engine, FakeEngine, NetworkSpec, Role};
use tempfile::TempDir;
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn engine() -> Arc<FakeEngine> {
    let engine = FakeEngine::new(|| DateTime::UNIX_EPOCH);
    engine.add_image("paas/stack-12:run");
    engine.add_image("paas/stack-12:build");
    Arc::new(engine)
}

fn is_build(spec: &ContainerSpec) -> bool {
    matches!(spec.role, Role::Build { .. })
}

/// A build that succeeds, and hands this over; what seldom changes, too, if there is a `layer`.
fn succeeds(result: &[(&str, &str)]) -> Behaviour {
    let has_layer = result.iter().any(|(name, _)| *name == "layer");
    let mut behaviour = ends(0, result);
    if has_layer {
        behaviour = behaviour.sending(tar(&[("app/.heroku/python/bin/python", "")]));
    }
    behaviour.sending(tar(&[("app/app.py", "")]))
}

/// A build that says so in its result.
fn ends(code: i32, result: &[(&str, &str)]) -> Behaviour {
    let result: Vec<_> = result
        .iter()
        .map(|(name, content)| (format!("result/{name}"), *content))
        .collect();
    let result: Vec<_> = result.iter().map(|(path, content)| (path.as_str(), *content)).collect();
    Behaviour::exits(code).sending(tar(&result))
}

struct Try {
    engine: Arc<FakeEngine>,
    files: Vec<(&'static str, &'static str)>,
    config: ConfigVars,
    buildpacks: Vec<Pack>,
    output_bytes: u64,
    timeout: Duration,
    work_dir: TempDir,
}

impl Try {
    fn new(behaviour: Behaviour) -> Self {
        let engine = engine();
        engine.teach(is_build, behaviour);
        Self {
            engine,
            files: vec![("app.py", ""), ("Procfile", "web: ./serve\n")],
            config: ConfigVars::default(),
            buildpacks: Vec::new(),
            output_bytes: 1 << 20,
            timeout: Duration::from_mins(15),
            work_dir: tempfile::tempdir().unwrap(),
        }
    }

    async fn build(&self) -> (Result<Built, BuildError>, String) {
        let network = NetworkSpec {
            name: "builds".to_owned(),
            app: None,
            subnet: "10.0.0.0/26".parse().unwrap(),
            bridge: "ps-builds".to_owned(),
            is_internal: false,
        };
        self.engine.ensure_network(&network).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("source.tar");
        std::fs::write(&path, tar(&self.files)).unwrap();
        let source = Source::open(path).await.unwrap();
        let settings = BuildSettings {
            output_bytes: self.output_bytes,
            timeout: self.timeout,
            languages: StackSettings {
                work_dir: self.work_dir.path().to_owned(),
                ..StackSettings::default()
            },
            ..BuildSettings::new(Stack::ours(), "builds", 1 << 30)
        };
        let builder = Builder::new(Arc::clone(&self.engine) as Arc<dyn Engine>, settings);
        let request = BuildRequest {
            app: Id::from_uuid(Uuid::from_u128(1)),
            build: Id::from_uuid(Uuid::new_v4()),
            source: &source,
            config: &self.config,
            commit: None,
            is_container: false,
            buildpacks: &self.buildpacks,
        };
        let (lines, mut received) = mpsc::channel::<Bytes>(256);
        let result = builder.build(request, lines, CancellationToken::new()).await;
        if let Ok(Built {
            container: Some(container),
            ..
        }) = &result
        {
            builder.remove(container).await;
        }
        let mut output = String::new();
        while let Some(bytes) = received.recv().await {
            output.push_str(&String::from_utf8_lossy(&bytes));
        }
        (result, output)
    }
}

#[tokio::test]
async fn each_way_to_fail_has_its_own_words_and_leaves_no_container() {
    let ways = [
        (
            Behaviour::exits(20),
            " !     No default language could be detected for this app.",
        ),
        (Behaviour::exits(21), " !     The build failed."),
        (
            Behaviour::exits(21).complaining("cp: cannot write: No space left on device"),
            " !     The platform's disk is full.",
        ),
        (Behaviour::exits(22), " !     The build ran out of memory."),
        (Behaviour::runs_out_of_memory(), " !     The build ran out of memory."),
        (Behaviour::exits(23), " !     The platform's disk is full."),
        (Behaviour::exits(24), " !     The source archive cannot be read."),
        (Behaviour::exits(25), " !     The app's process types cannot be read."),
        (Behaviour::exits(125), " !     The build could not be run."),
    ];
    for (behaviour, headline) in ways {
        let attempt = Try::new(behaviour.clone());
        let (result, output) = attempt.build().await;
        let error = result.unwrap_err();
        assert!(output.contains(headline), "{behaviour:?} said {output}");
        assert_eq!(error.failure(), BuildFailure::Rejected);
        assert!(
            attempt.engine.list().await.unwrap().is_empty(),
            "{behaviour:?} left its container"
        );
    }
}

#[tokio::test]
async fn a_chosen_buildpack_is_named_when_it_does_not_fit() {
    let mut attempt = Try::new(Behaviour::exits(20));
    attempt.buildpacks = vec![Pack::Ours(Buildpack::Nodejs)];
    let (result, output) = attempt.build().await;
    assert!(matches!(result, Err(BuildError::WrongBuildpack { .. })));
    assert!(output.contains("App not compatible with buildpack: nodejs"), "{output}");
}

#[tokio::test]
async fn of_several_buildpacks_the_one_that_does_not_fit_is_named() {
    let misfit = ends(20, &[("misfit", "1")]);
    let mut attempt = Try::new(misfit);
    attempt.buildpacks = vec![Pack::Ours(Buildpack::Nodejs), Pack::Ours(Buildpack::Static)];
    let (_, output) = attempt.build().await;
    assert!(output.contains("App not compatible with buildpack: static"), "{output}");
}

#[tokio::test]
async fn the_procfile_wins_over_the_buildpacks_default_process_types() {
    let release = "default_process_types:\n  web: by default\n  console: python\n";
    let attempt = Try::new(succeeds(&[("description", "Python\n"), ("release", release)]));
    let (result, output) = attempt.build().await;
    let built = result.unwrap();
    assert_eq!(built.process_types[&ProcessType::web()], "./serve");
    assert_eq!(built.process_types[&"console".parse().unwrap()], "python");
    assert!(output.contains("Procfile declares types -> web\n"), "{output}");
    assert!(output.contains("Default types for Python -> console\n"), "{output}");
}

#[tokio::test]
async fn an_app_that_slugignore_makes_one_of_another_language_gets_its_compilers() {
    let mut attempt = Try::new(succeeds(&[("description", "Go\n"), ("chosen", "go")]));
    attempt.files = vec![
        ("Gemfile", ""),
        ("go.mod", ""),
        (".slugignore", "Gemfile\n"),
        ("Procfile", "web: x"),
    ];
    let images = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&images);
    let watch = move |spec: &ContainerSpec| {
        record.lock().unwrap().push(spec.image.to_string());
        spec.environment.get("EXPECTED_BUILDPACK") == Some("ruby")
    };
    let other = ends(27, &[("chosen", "go")]);
    attempt.engine.teach(watch, other);
    let (result, output) = attempt.build().await;
    assert_eq!(result.unwrap().detected, Some(Buildpack::Go), "{output}");
    assert_eq!(
        *images.lock().unwrap(),
        ["paas/stack-12:build-ruby", "paas/stack-12:build-go"]
    );
    assert!(attempt.engine.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_a_build_says_of_itself_is_not_believed_when_somebody_has_chosen() {
    let mut attempt = Try::new(succeeds(&[("chosen", "go")]));
    attempt.buildpacks = vec![Pack::Ours(Buildpack::Python)];
    assert_eq!(attempt.build().await.0.unwrap().detected, None);
}

/// The lock is that of the machine: another process makes the stack for longer than a build may take.
#[tokio::test(start_paused = true)]
async fn the_time_that_a_language_takes_to_install_is_not_the_apps() {
    let mut attempt = Try::new(succeeds(&[]));
    attempt.files.push(("Gemfile", ""));
    attempt.timeout = Duration::from_secs(2);
    let other = File::open(attempt.work_dir.path()).unwrap();
    other.lock().unwrap();
    let release = async {
        sleep(Duration::from_mins(2)).await;
        drop(other);
    };
    let ((result, output), ()) = tokio::join!(attempt.build(), release);
    assert!(result.is_ok(), "{output}");
    assert!(output.contains("-----> Waiting for another process"), "{output}");
}

#[tokio::test]
async fn an_app_with_nothing_to_run_is_told_so_and_builds() {
    let mut attempt = Try::new(succeeds(&[("description", "Python\n")]));
    attempt.files = vec![("requirements.txt", "")];
    let (result, output) = attempt.build().await;
    assert!(result.unwrap().process_types.is_empty());
    assert!(output.contains("There is nothing to run: add a Procfile"), "{output}");
}

#[tokio::test]
async fn config_vars_are_in_no_argv_and_no_environment() {
    let mut attempt = Try::new(succeeds(&[]));
    let change = ("SECRET".parse().unwrap(), Some("hunter2".to_owned()));
    attempt.config = attempt.config.with([change]).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let watch = move |spec: &ContainerSpec| {
        let environment: Vec<_> = spec
            .environment
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        record
            .lock()
            .unwrap()
            .push(format!("{:?} {environment:?}", spec.command));
        false
    };
    attempt.engine.teach(watch, Behaviour::exits(0));
    attempt.build().await.0.unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.iter().any(|spec| spec.contains("STACK=paas-12")), "{seen:?}");
    assert!(!seen.iter().any(|spec| spec.contains("hunter2")), "{seen:?}");
}

#[tokio::test]
async fn a_kept_layer_is_announced_to_the_next_build_and_replaced_by_another() {
    let key = "0123456789abcdef";
    let attempt = Try::new(succeeds(&[("layer", key)]));
    attempt.build().await.0.unwrap();

    let announced = Arc::new(Mutex::new(None));
    let record = Arc::clone(&announced);
    let watch = move |spec: &ContainerSpec| {
        if is_build(spec) {
            *record.lock().unwrap() = spec.environment.get("KNOWN_LAYERS").map(str::to_owned);
        }
        is_build(spec)
    };
    let other = succeeds(&[("layer", "fedcba9876543210")]);
    attempt.engine.teach(watch, other);
    attempt.build().await.0.unwrap();
    assert_eq!(announced.lock().unwrap().as_deref(), Some(key));

    let images = attempt.engine.images().await.unwrap();
    let tags: Vec<_> = images
        .iter()
        .flat_map(|image| &image.tags)
        .map(ImageRef::as_str)
        .collect();
    let layers: Vec<_> = tags.iter().filter(|tag| tag.contains(":layer-")).collect();
    assert!(layers.len() == 1 && layers[0].ends_with("fedcba9876543210"), "{tags:?}");
}

#[tokio::test]
async fn a_build_that_says_too_much_is_cut_short_and_goes_on() {
    let mut attempt = Try::new(succeeds(&[]).complaining(&"x".repeat(5000)).complaining("the end"));
    attempt.output_bytes = 2048;
    let (result, output) = attempt.build().await;
    result.unwrap();
    assert_eq!(output.matches('x').count(), 2048, "{output}");
    assert!(!output.contains("the end"), "{output}");
    assert!(
        output.contains(" !     The build has said more than 2.0K: the rest of it"),
        "{output}"
    );
    assert!(output.contains("-----> Packing the slug"), "{output}");
}

#[test]
fn builds_together_leave_half_of_the_machine_to_what_runs() {
    const GIBIBYTE: u64 = 1 << 30;
    assert_eq!(paas_build::memory_share(4 * GIBIBYTE, 1), 2 * GIBIBYTE);
    assert_eq!(paas_build::memory_share(16 * GIBIBYTE, 4), 2 * GIBIBYTE);
    assert_eq!(paas_build::memory_share(64 * GIBIBYTE, 1), 4 * GIBIBYTE);
    assert_eq!(paas_build::memory_share(GIBIBYTE, 8), GIBIBYTE / 2);
}

#[tokio::test]
async fn a_dockerfile_that_fails_says_which_step() {
    let mut attempt = Try::new(Behaviour::exits(20));
    attempt.files = vec![("Dockerfile", "FROM scratch\n")];
    attempt
        .engine
        .fail_build("The command 'make' returned a non-zero code: 2");
    let (result, output) = attempt.build().await;
    assert!(matches!(result, Err(BuildError::DockerfileFailed { .. })));
    assert!(
        output.contains(" !     The command 'make' returned a non-zero code: 2"),
        "{output}"
    );
}
