//! An app on a platform of its own, on the real Docker, taken down whatever happens.

use std::{
    fs::File,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use paas_build::{
    BuildError, BuildRequest, BuildSettings, Builder, Buildpack, Built, Pack, Source, Stack, StackSettings,
    remove_cache, remove_images,
};
use paas_core::{App, Build, ConfigVars, Id, ProcessType};
use paas_engine::{ContainerSpec, ContainerState, DYNO_PORT, DockerEngine, Engine, Environment, NetworkSpec, Role};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

const SOCKET: &str = "/var/run/docker.sock";
/// Of these tests alone; they run one after the other.
const SUBNET: &str = "10.249.77.0/26";
/// Where Debian keeps what its operator trusts.
const EXTRA_CA: &str = "/usr/local/share/ca-certificates";
const BOOT_LIMIT: Duration = Duration::from_mins(1);
/// What a dyno does before its command, in short.
const LAUNCHER: &str = r#"for file in /app/.profile.d/*.sh; do [ -f "$file" ] && . "$file"; done; exec bash -c "$0""#;

#[derive(Clone)]
pub(crate) struct Workshop {
    pub(crate) engine: Arc<dyn Engine>,
    settings: BuildSettings,
    app: Id<App>,
    config: ConfigVars,
    buildpacks: Vec<Pack>,
}

/// How a build went, and what it said.
pub(crate) struct Outcome {
    pub(crate) result: Result<Built, BuildError>,
    pub(crate) output: String,
    /// Whether its container was there before its source.
    pub(crate) has_waited: bool,
}

/// Ends when nobody waits any more.
pub(crate) type Expected = tokio::task::JoinHandle<()>;

pub(crate) struct RunningDyno(SocketAddr);

/// Runs one test. Builds are heavy, so tests wait for each other, in other processes too.
pub(crate) async fn in_workshop(test: impl AsyncFnOnce(&Workshop)) {
    let turn = File::create(std::env::temp_dir().join("paas-build-tests.lock")).unwrap();
    let turn = tokio::task::spawn_blocking(move || turn.lock().map(|()| turn))
        .await
        .unwrap()
        .unwrap();

    let platform = Uuid::new_v4().simple().to_string();
    let engine: Arc<dyn Engine> = Arc::new(DockerEngine::connect(Path::new(SOCKET), &platform).await.unwrap());
    let network = NetworkSpec {
        name: format!("paas-build-test-{platform}"),
        app: None,
        subnet: SUBNET.parse().unwrap(),
        bridge: format!("ps-{}", &platform[..10]),
        is_internal: false,
    };
    engine.ensure_network(&network).await.unwrap();
    let stack_settings = StackSettings {
        extra_ca: Some(PathBuf::from(EXTRA_CA)).filter(|folder| folder.is_dir()),
        network: Some(network.name.clone()),
        ..StackSettings::default()
    };
    let (output, _) = mpsc::channel(1);
    let stack = Stack::ensure(&*engine, &stack_settings, output, CancellationToken::new())
        .await
        .unwrap();
    let workshop = Workshop {
        engine,
        settings: BuildSettings {
            languages: stack_settings,
            ..BuildSettings::new(stack, network.name.clone(), 4 << 30)
        },
        app: Id::from_uuid(Uuid::new_v4()),
        config: ConfigVars::default(),
        buildpacks: Vec::new(),
    };
    let result = AssertUnwindSafe(test(&workshop)).catch_unwind().await;
    workshop.destroy_app().await;
    workshop.engine.remove_network(&network.name).await.unwrap();
    drop(turn);
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

impl Workshop {
    pub(crate) fn with_config(&self, key: &str, value: &str) -> Self {
        let change = (key.parse().unwrap(), Some(value.to_owned()));
        let config = self.config.with([change]).unwrap();
        Self { config, ..self.clone() }
    }

    pub(crate) fn with_buildpacks(&self, buildpacks: &[Buildpack]) -> Self {
        self.with_packs(buildpacks.iter().copied().map(Pack::Ours).collect())
    }

    /// Buildpacks of ours and from elsewhere, in order.
    pub(crate) fn with_packs(&self, buildpacks: Vec<Pack>) -> Self {
        Self {
            buildpacks,
            ..self.clone()
        }
    }

    pub(crate) fn with_memory(&self, bytes: u64) -> Self {
        let mut changed = self.clone();
        changed.settings.limits.memory_bytes = bytes;
        changed
    }

    pub(crate) fn with_timeout(&self, timeout: Duration) -> Self {
        let mut changed = self.clone();
        changed.settings.timeout = timeout;
        changed
    }

    /// One of `integration/apps`.
    pub(crate) async fn build_fixture(&self, name: &str) -> Outcome {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../integration/apps")
            .join(name);
        let tar = Command::new("tar")
            .arg("-C")
            .arg(folder)
            .args(["-c", "."])
            .output()
            .unwrap();
        assert!(tar.status.success());
        self.build_tar(&tar.stdout, None, &CancellationToken::new()).await
    }

    /// One that remembers what it built.
    pub(crate) fn builder(&self) -> Arc<Builder> {
        Arc::new(Builder::new(Arc::clone(&self.engine), self.settings.clone()))
    }

    /// Starts a container ahead of a build's source, and returns when it waits.
    pub(crate) async fn expect(
        &self,
        builder: &Arc<Builder>,
        build: Id<Build>,
        give_up: &CancellationToken,
    ) -> Expected {
        let (builder, app, give_up) = (Arc::clone(builder), self.app, give_up.clone());
        let expected = TaskTracker::new().spawn(async move { builder.expect(app, build, give_up).await });
        let name = format!("paas-build-{build}-ahead");
        let deadline = Instant::now() + BOOT_LIMIT;
        loop {
            let containers = self.engine.list().await.unwrap();
            if containers.iter().any(|one| one.name == name && one.is_running()) {
                return expected;
            }
            assert!(
                Instant::now() < deadline && !expected.is_finished(),
                "no container waits"
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// A build whose container may wait already.
    pub(crate) async fn build_as(&self, builder: &Builder, build: Id<Build>, files: &[(&str, String)]) -> Outcome {
        self.build_by((builder, build), &tar_of(files), None, &CancellationToken::new())
            .await
    }

    pub(crate) async fn build(&self, files: &[(&str, String)]) -> Outcome {
        self.build_tar(&tar_of(files), None, &CancellationToken::new()).await
    }

    /// The same with files that can run.
    pub(crate) async fn build_programs(&self, files: &[(&str, String)]) -> Outcome {
        let files: Vec<_> = files.iter().map(|(path, content)| (*path, content.as_str())).collect();
        self.build_tar(&programs_tar(&files), None, &CancellationToken::new())
            .await
    }

    /// Cancels the build once it has said `words`.
    pub(crate) async fn build_until(
        &self,
        files: &[(&str, String)],
        words: &str,
        cancel: &CancellationToken,
    ) -> Outcome {
        self.build_tar(&tar_of(files), Some(words), cancel).await
    }

    async fn build_tar(&self, tar: &[u8], until: Option<&str>, cancel: &CancellationToken) -> Outcome {
        let build = Id::from_uuid(Uuid::new_v4());
        self.build_by((&self.builder(), build), tar, until, cancel).await
    }

    async fn build_by(
        &self,
        (builder, build): (&Builder, Id<Build>),
        tar: &[u8],
        until: Option<&str>,
        cancel: &CancellationToken,
    ) -> Outcome {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("source.tar");
        std::fs::write(&path, tar).unwrap();
        let source = match Source::open(path).await {
            Ok(source) => source,
            Err(error) => {
                return Outcome {
                    output: error.explanation(),
                    result: Err(error),
                    has_waited: false,
                };
            }
        };
        let request = BuildRequest {
            app: self.app,
            build,
            source: &source,
            config: &self.config,
            commit: Some("0123abc"),
            is_container: false,
            buildpacks: &self.buildpacks,
        };
        let (lines, mut received) = mpsc::channel::<Bytes>(16);
        let build = builder.build(request, lines, cancel.clone());
        let read = async {
            let mut output = String::new();
            while let Some(bytes) = received.recv().await {
                output.push_str(&String::from_utf8_lossy(&bytes));
                if until.is_some_and(|words| output.contains(words)) {
                    cancel.cancel();
                }
            }
            output
        };
        let (result, output) = tokio::join!(build, read);
        let mut has_waited = false;
        if let Ok(Built {
            container: Some(container),
            ..
        }) = &result
        {
            let container_of = self.engine.inspect(container).await.unwrap();
            has_waited = container_of.is_some_and(|container| container.name.ends_with("-ahead"));
            builder.remove(container).await;
        }
        Outcome {
            result,
            output,
            has_waited,
        }
    }

    /// Starts the app's web process, and waits until it answers.
    pub(crate) async fn boot(&self, built: &Built) -> RunningDyno {
        let command = built.process_types[&ProcessType::web()].clone();
        let spec = ContainerSpec {
            environment: Environment::new()
                .with("PORT", DYNO_PORT.to_string())
                .with("HOME", "/app"),
            network: Some(self.settings.network.clone()),
            ..self.spec(
                built,
                ["/bin/bash", "-c", LAUNCHER]
                    .map(str::to_owned)
                    .into_iter()
                    .chain([command])
                    .collect(),
            )
        };
        let container = self.engine.start(&spec).await.unwrap();
        let ContainerState::Running { address: Some(address) } = container.state else {
            panic!("the dyno is {:?}", container.state);
        };
        let address = SocketAddr::new(address, DYNO_PORT);
        let deadline = Instant::now() + BOOT_LIMIT;
        while TcpStream::connect(address).await.is_err() {
            let seen = self.engine.inspect(&container.id).await.unwrap().unwrap();
            assert!(seen.is_running(), "the dyno ended: {:?}", seen.state);
            assert!(Instant::now() < deadline, "the dyno does not answer");
            sleep(Duration::from_millis(50)).await;
        }
        RunningDyno(address)
    }

    /// What a command says in a container of the built image.
    pub(crate) async fn output_of(&self, built: &Built, command: &str) -> String {
        let spec = self.spec(built, ["/bin/bash", "-c", command].map(str::to_owned).to_vec());
        let (output, mut pieces) = mpsc::channel(16);
        let run = self
            .engine
            .run(&spec, stream::empty().boxed(), output, CancellationToken::new());
        let read = async {
            let mut said = String::new();
            while let Some(piece) = pieces.recv().await {
                said.push_str(&String::from_utf8_lossy(&piece.bytes));
            }
            said
        };
        let (exit, said) = tokio::join!(run, read);
        exit.unwrap();
        said
    }

    fn spec(&self, built: &Built, command: Vec<String>) -> ContainerSpec {
        let role = Role::OneOff {
            app: self.app,
            name: "run.1".parse().unwrap(),
            release: "v1".parse().unwrap(),
        };
        let name = format!("paas-build-test-{}", Uuid::new_v4().simple());
        let limits = paas_core::DynoSize::default().into();
        ContainerSpec::new(name, role, built.image.clone(), command, limits)
    }

    pub(crate) async fn names(&self) -> Vec<String> {
        let containers = self.engine.list().await.unwrap();
        containers.into_iter().map(|container| container.name).collect()
    }

    pub(crate) async fn containers(&self) -> usize {
        self.engine.list().await.unwrap().len()
    }

    pub(crate) async fn tags(&self) -> Vec<String> {
        let images = self.engine.images().await.unwrap();
        let own = images.into_iter().filter(|image| image.app == Some(self.app));
        own.flat_map(|image| image.tags).map(|tag| tag.to_string()).collect()
    }

    pub(crate) async fn untagged_images(&self) -> usize {
        let images = self.engine.images().await.unwrap();
        images
            .iter()
            .filter(|image| image.app.is_some() && image.tags.is_empty())
            .count()
    }

    pub(crate) async fn volumes(&self) -> usize {
        self.engine.volumes().await.unwrap().len()
    }

    pub(crate) async fn purge_cache(&self) {
        self.remove_containers().await;
        remove_cache(&*self.engine, self.app).await.unwrap();
    }

    pub(crate) async fn destroy_app(&self) {
        self.remove_containers().await;
        remove_images(&*self.engine, self.app).await.unwrap();
        remove_cache(&*self.engine, self.app).await.unwrap();
    }

    async fn remove_containers(&self) {
        for container in self.engine.list().await.unwrap() {
            self.engine.remove(&container.id).await.unwrap();
        }
    }
}

impl RunningDyno {
    /// The whole answer, head and body.
    pub(crate) async fn get(&self, path: &str) -> String {
        let mut connection = TcpStream::connect(self.0).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: hello.localhost\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// A tar with these files, all of which can run.
pub(crate) fn programs_tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// A tar with these files, under whatever names.
fn tar_of(files: &[(&str, String)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        // The library's own setter refuses the names that a hostile archive has.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}
