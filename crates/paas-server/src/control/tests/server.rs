//! A server of one test: all controllers, and a router of its own.

use std::{path::PathBuf, time::Duration};

use chrono::TimeDelta;
use futures_util::TryStreamExt;
use paas_core::{DynoSize, DynoState, Id, ImageRef, QuantityChange, ReleaseStatus, Slug};
use paas_engine::{Behaviour, Container, ContainerSpec, ContainerState, Engine, FakeEngine, Limits, Role};
use paas_router::{Router, Settings};
use paas_store::{
    Stamp, Wakeups,
    account::Account,
    app::{self, AppRow, NewApp},
    build, deploy, dyno, formation, new_id,
    release::{self, ReleaseRow},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::{
    AddonsController, AppsController, BuildSource, CertificatesController, NewBuild, RouterFeed, abandon_builds,
    boot::Verdict, deploy::Deploy, submit, sweep,
};
use crate::{logs::Filter, platform::Platform, testing};

/// However busy the machine is.
const LIMIT: Duration = Duration::from_secs(20);
/// How long an output that goes on may be silent before it counts as read.
const SHORT: Duration = Duration::from_secs(1);
/// Between two looks at something that nobody announces.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

pub(super) struct Server {
    pub(super) platform: std::sync::Arc<Platform>,
    pub(super) engine: FakeEngine,
    pub(super) account: Account,
    _stop: DropGuard,
    _directory: TempDir,
}

pub(super) struct TestRouter {
    address: std::net::SocketAddr,
    pub(super) https: std::net::SocketAddr,
    _stop: DropGuard,
}

/// How a deploy ended, and what its pusher saw.
pub(super) struct Pushed {
    pub(super) verdict: Verdict,
    pub(super) output: String,
}

impl Server {
    /// A server that was not started yet. Builds succeed and dynos answer unless the engine is taught otherwise.
    pub(super) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// One with settings of its own.
    pub(super) async fn with(flags: &[&str]) -> Self {
        let testing::TestPlatform {
            platform,
            engine,
            directory,
        } = testing::platform_with(flags).await;
        engine.teach(is_build, built());
        Self {
            account: testing::person(&platform, "ada@example.com").await,
            _stop: platform.stop.clone().drop_guard(),
            _directory: directory,
            platform,
            engine,
        }
    }

    /// A server that runs, and its router.
    pub(super) async fn start() -> (Self, TestRouter) {
        let server = Self::new().await;
        let router = server.router().await;
        server.run().await;
        (server, router)
    }

    /// Starts all controllers, as `paasd serve` does.
    pub(super) async fn run(&self) {
        let platform = &self.platform;
        abandon_builds(platform).await.unwrap();
        let feed = std::sync::Arc::new(RouterFeed::new(platform.clone()));
        let apps = std::sync::Arc::new(AppsController::new(platform.clone(), feed.clone()));
        let certificates = CertificatesController::new(platform.clone(), feed.clone()).unwrap();
        let certificates = std::sync::Arc::new(certificates);
        platform.tracker.spawn(async move { certificates.run().await.unwrap() });
        platform.tracker.spawn(async move { feed.run().await.unwrap() });
        platform.tracker.spawn(async move { apps.run().await.unwrap() });
        let addons = std::sync::Arc::new(AddonsController::new(platform.clone()));
        platform.tracker.spawn(async move { addons.run().await.unwrap() });
        let sweeping = sweep(platform.clone());
        platform.tracker.spawn(async move { sweeping.await.unwrap() });
        let woken = platform.clone();
        platform.tracker.spawn(async move {
            let mut wakeups = Wakeups::new(&woken.store);
            while woken.stop.run_until_cancelled(wakeups.next()).await.is_some() {
                woken.wake.notify_one();
                woken.wake_certificates.notify_one();
                woken.wake_addons.notify_one();
            }
        });
    }

    /// Starts a router where the server looks for one.
    pub(super) async fn router(&self) -> TestRouter {
        let settings = Settings {
            http: ([127, 0, 0, 1], 0).into(),
            https: Some(([127, 0, 0, 1], 0).into()),
            inherited: Vec::new(),
            socket: self.platform.settings.router_socket(),
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            ssh: None,
            limits: paas_router::Limits::default(),
        };
        let router = Router::bind(settings).await.unwrap();
        let (address, https) = (router.addresses().http, router.addresses().https.unwrap());
        let stop = CancellationToken::new();
        let running = router.run(stop.clone());
        self.platform.tracker.spawn(async move { running.await.unwrap() });
        TestRouter {
            address,
            https,
            _stop: stop.drop_guard(),
        }
    }

    pub(super) async fn app(&self, name: &str) -> AppRow {
        let stamp = self.stamp();
        let new = NewApp {
            id: new_id(stamp.at),
            name: name.parse().unwrap(),
            stack: "paas-12".to_owned(),
        };
        let mut connection = self.platform.store.connection().await.unwrap();
        app::create(&mut connection, &self.platform.store.sealer, new, stamp)
            .await
            .unwrap()
    }

    /// A release that a server before this one made.
    pub(super) async fn release(&self, app: &AppRow, process_types: &[(&str, &str)]) -> ReleaseRow {
        let stamp = self.stamp();
        let store = &self.platform.store;
        let mut connection = store.connection().await.unwrap();
        let new = build::NewBuild {
            id: new_id(stamp.at),
            app: app.app.id,
            commit: None,
            description: None,
            buildpacks: None,
            source: None,
            lease_expires_at: stamp.at + TimeDelta::seconds(25),
        };
        let build = build::create(&mut connection, new, stamp).await.unwrap().build.id;
        self.engine.add_image("paas/hello");
        let slug = Slug {
            id: new_id(stamp.at),
            app: app.app.id,
            image: ImageRef::new("paas/hello"),
            images: std::collections::BTreeMap::new(),
            process_types: process_types
                .iter()
                .map(|(name, command)| (name.parse().unwrap(), (*command).to_owned()))
                .collect(),
            commit: None,
            buildpack_provided_description: None,
            size_bytes: 1,
            created_at: stamp.at,
        };
        let new = deploy::Deploy::new(build, slug, "Deploy");
        deploy::deploy(&mut connection, &store.sealer, new, stamp)
            .await
            .unwrap()
    }

    /// A container that a server before this one started.
    pub(super) async fn left_container(&self, name: String, role: Role, command: &str) -> Container {
        self.engine.add_image("paas/hello");
        let limits = Limits::from(DynoSize::default());
        let command = vec![command.to_owned()];
        let spec = ContainerSpec::new(name, role, ImageRef::new("paas/hello"), command, limits);
        self.engine.start(&spec).await.unwrap()
    }

    /// Pushes a source with this Procfile, and waits for the end of its deploy.
    pub(super) async fn push(&self, app: &AppRow, procfile: &str) -> Pushed {
        let deploy = self.submit(app, procfile).await;
        self.end_of(deploy).await
    }

    /// Pushes a source with this Procfile.
    pub(super) async fn submit(&self, app: &AppRow, procfile: &str) -> Deploy {
        self.submit_files(app, &[("Procfile", procfile), ("app.py", "")]).await
    }

    /// Pushes these files.
    pub(super) async fn submit_files(&self, app: &AppRow, files: &[(&str, &str)]) -> Deploy {
        self.platform.clock.advance(TimeDelta::seconds(1));
        let new = NewBuild {
            app: app.app.clone(),
            actor: self.account.clone(),
            source: BuildSource::Tar(self.source_of(files)),
            commit: Some("0123456789abcdef".to_owned()),
            description: None,
            buildpacks: None,
            blob: None,
        };
        submit(&self.platform, new).await.unwrap()
    }

    pub(super) async fn end_of(&self, deploy: Deploy) -> Pushed {
        let verdict = timeout(LIMIT, deploy.verdict).await;
        // The output of a deploy without an end has none either.
        let silence = if verdict.is_ok() { LIMIT } else { SHORT };
        let output = self.output_until(*deploy.build.as_uuid(), silence).await;
        let Ok(Ok(verdict)) = verdict else {
            panic!("the deploy has no end:\n{output}");
        };
        Pushed { verdict, output }
    }

    /// Waits until a deploy has said this.
    pub(super) async fn says(&self, deploy: &Deploy, words: &str) {
        let output = self.platform.outputs.follow(*deploy.build.as_uuid()).await;
        let mut output = std::pin::pin!(output.unwrap().unwrap());
        let mut said = String::new();
        let listen = async {
            while let Some(bytes) = output.try_next().await.unwrap() {
                said.push_str(&String::from_utf8_lossy(&bytes));
                if said.contains(words) {
                    return true;
                }
            }
            false
        };
        let has_said = timeout(LIMIT, listen).await;
        assert!(matches!(has_said, Ok(true)), "not {words:?}:\n{said}");
    }

    /// An output that has ended.
    pub(super) async fn output(&self, id: uuid::Uuid) -> String {
        self.output_until(id, LIMIT).await
    }

    /// What an output that goes on has said so far.
    pub(super) async fn output_so_far(&self, id: uuid::Uuid) -> String {
        self.output_until(id, SHORT).await
    }

    async fn output_until(&self, id: uuid::Uuid, silence: Duration) -> String {
        let output = self.platform.outputs.follow(id).await.unwrap().unwrap();
        let mut output = std::pin::pin!(output);
        let mut bytes = Vec::new();
        // One that does not end is shown as far as it got.
        while let Ok(chunk) = timeout(silence, output.try_next()).await {
            match chunk.unwrap() {
                Some(chunk) => bytes.extend_from_slice(&chunk),
                None => break,
            }
        }
        String::from_utf8(bytes).unwrap()
    }

    /// A source with these files.
    pub(super) fn source_of(&self, files: &[(&str, &str)]) -> PathBuf {
        let sources = self.platform.settings.sources();
        std::fs::create_dir_all(&sources).unwrap();
        let path = sources.join(format!("{}.tar", uuid::Uuid::new_v4()));
        std::fs::write(&path, tar(files)).unwrap();
        path
    }

    pub(super) async fn scale(&self, app: &AppRow, process_type: &str, quantity: u32) {
        let change = formation::FormationChange {
            process_type: process_type.parse().unwrap(),
            quantity: Some(QuantityChange::To(quantity)),
            size: None,
        };
        let mut connection = self.platform.store.connection().await.unwrap();
        formation::update(&mut connection, app.app.id, change, self.stamp())
            .await
            .unwrap();
    }

    pub(super) async fn set_config(&self, app: &AppRow, key: &str, value: &str) -> ReleaseRow {
        let changes = vec![(key.parse().unwrap(), Some(value.to_owned()))];
        let store = &self.platform.store;
        let mut connection = store.connection().await.unwrap();
        let made = release::set_config(&mut connection, &store.sealer, app.app.id, changes, self.stamp()).await;
        made.unwrap().unwrap()
    }

    pub(super) async fn status(&self, app: &AppRow, version: u32) -> ReleaseStatus {
        let mut connection = self.platform.store.connection().await.unwrap();
        let version = paas_core::ReleaseVersion::new(version).unwrap();
        let row = release::by_version(&mut connection, app.app.id, version).await.unwrap();
        row.unwrap().release.status
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            by: self.account.id,
            at: self.platform.clock.now(),
        }
    }

    /// Lets time pass, and the controllers notice.
    pub(super) fn wait(&self, seconds: i64) {
        self.platform.clock.advance(TimeDelta::seconds(seconds));
        self.platform.wake.notify_one();
    }

    /// The dynos of an app and their states: `web.1 v2 up`.
    pub(super) async fn dynos(&self, app: &AppRow) -> Vec<String> {
        let dynos = self.dyno_rows(app).await;
        let show = |dyno: &paas_core::Dyno| format!("{} {} {}", dyno.name, dyno.version, dyno.state.as_str());
        dynos.iter().map(show).collect()
    }

    pub(super) async fn dyno_rows(&self, app: &AppRow) -> Vec<paas_core::Dyno> {
        let mut connection = self.platform.store.connection().await.unwrap();
        dyno::of(&mut connection, app.app.id).await.unwrap()
    }

    /// Waits until these are the dynos of an app, and their containers the only ones.
    pub(super) async fn settles(&self, app: &AppRow, expected: &[&str]) {
        let settled = self.becomes(async || {
            let rows = self.dyno_rows(app).await;
            let is_alive = |dyno: &&paas_core::Dyno| !matches!(dyno.state, DynoState::Crashed(_));
            let alive = rows.iter().filter(is_alive).count();
            self.dynos(app).await == expected && self.containers(app, is_dyno).await.len() == alive
        });
        if !settled.await {
            let containers = self.containers(app, is_dyno).await;
            panic!(
                "{:?} instead of {expected:?}\n{containers:#?}\n{}",
                self.dynos(app).await,
                self.log(app).await
            );
        }
    }

    /// Waits until something is so; `false` when it never is.
    pub(super) async fn becomes(&self, condition: impl AsyncFn() -> bool) -> bool {
        let looking = async {
            while !condition().await {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        timeout(LIMIT, looking).await.is_ok()
    }

    /// The running containers of an app with such a role.
    pub(super) async fn containers(&self, app: &AppRow, has_role: fn(&Role) -> bool) -> Vec<Container> {
        let mut containers = self.all_containers(app, has_role).await;
        containers.retain(|container| matches!(container.state, ContainerState::Running { .. }));
        containers
    }

    pub(super) async fn all_containers(&self, app: &AppRow, has_role: fn(&Role) -> bool) -> Vec<Container> {
        let mut containers = self.engine.list().await.unwrap();
        containers.retain(|container| {
            let role = container.role.as_ref();
            role.and_then(Role::app) == Some(app.app.id) && role.is_some_and(has_role)
        });
        containers
    }

    /// Waits for the first running container of such a role.
    pub(super) async fn container(&self, app: &AppRow, has_role: fn(&Role) -> bool) -> Container {
        let comes = self.becomes(async || !self.containers(app, has_role).await.is_empty());
        assert!(comes.await, "no such container\n{}", self.log(app).await);
        self.containers(app, has_role).await.remove(0)
    }

    /// The log of an app.
    pub(super) async fn log(&self, app: &AppRow) -> String {
        let tail = self.platform.logs.tail(app.app.id, 1000, &Filter::default()).await;
        let lines = tail.unwrap().lines;
        let lines: Vec<String> = lines
            .iter()
            .map(|stored| {
                format!(
                    "{}[{}]: {}",
                    stored.line.source, stored.line.process, stored.line.message
                )
            })
            .collect();
        lines.join("\n")
    }

    /// Waits until the log of an app holds this text.
    pub(super) async fn logs(&self, app: &AppRow, text: &str) {
        let logged = self.becomes(async || self.log(app).await.contains(text));
        assert!(logged.await, "{text:?} is not in the log:\n{}", self.log(app).await);
    }
}

impl TestRouter {
    /// The answer to a visitor of an app: its dyno's container, or what the router says.
    pub(super) async fn get(&self, app: &AppRow) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "GET / HTTP/1.1\r\nHost: {}.example.test\r\nConnection: close\r\n\r\n",
            app.app.name
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        body.trim_end().to_owned()
    }
}

pub(super) fn is_dyno(role: &Role) -> bool {
    matches!(role, Role::Dyno { .. })
}

pub(super) fn is_release(role: &Role) -> bool {
    matches!(role, Role::Release { .. })
}

pub(super) fn is_build_role(role: &Role) -> bool {
    matches!(role, Role::Build { .. })
}

pub(super) fn is_build(spec: &ContainerSpec) -> bool {
    is_build_role(&spec.role)
}

/// A build that succeeds.
pub(super) fn built() -> Behaviour {
    Behaviour::exits(0)
        .sending(tar(&[("result/description", "Test\n")]))
        .sending(tar(&[("app/serve", "")]))
}

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

/// The id in a build's own words.
pub(super) fn uuid_of<T>(id: Id<T>) -> uuid::Uuid {
    *id.as_uuid()
}
