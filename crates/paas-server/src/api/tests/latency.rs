//! How long answers take on a small platform and on a large one: what `integration/bench/api` runs.
//!
//! Everything is real but the containers: a database of its own, as safe against power cuts as any, the controllers of apps and
//! certificates, a router, the clock, and a client on a connection that stays open. Every app has config, releases and a dyno that is up. In a debug build, as in
//! the gate, the platforms are small: that is so that the benchmark still works, and its figures mean nothing.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::TimeDelta;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use paas_core::{DynoState, ImageRef, Slug};
use paas_router::{Router, Settings};
use paas_store::{
    EmbeddedOptions, EmbeddedPostgres, Sealer, Stamp, Store, Wakeups,
    account::Account,
    app, build,
    deploy::{self, Deploy},
    dyno, new_id, release,
};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::server::token;
use crate::{
    api,
    clock::Clock,
    control::{AppsController, CertificatesController, RouterFeed},
    platform::Platform,
    testing::{self, person},
};

const SIZES: [usize; 2] = if cfg!(debug_assertions) { [3, 12] } else { [10, 1000] };
const ASKED: usize = if cfg!(debug_assertions) { 20 } else { 500 };
/// Each is a release, and a look of the controllers.
const CHANGED: usize = if cfg!(debug_assertions) { 5 } else { 300 };
/// Waits until the router has swapped.
const DEPLOYED: usize = if cfg!(debug_assertions) { 2 } else { 30 };
const RELEASES_OF_EACH: usize = 5;
/// Under which the slowest in a hundred reads is to stay.
const AIM: Duration = Duration::from_millis(20);
/// For a thousand dynos to come up.
const LIMIT: Duration = Duration::from_mins(3);
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Nothing is left to do when the controllers have not looked at the apps for so long.
const QUIET: Duration = Duration::from_secs(2);

/// A connection that stays open, with a token.
struct Client {
    sender: SendRequest<Full<Bytes>>,
    token: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a database of its own; integration/bench/api runs it in a release build"]
async fn reads_take_as_long_on_a_large_platform_as_on_a_small_one() {
    let mut out = io::stdout();
    writeln!(out, "{:60}{:>8}{:>8}{:>8}  ms", "", "p50", "p99", "max").unwrap();
    for apps in SIZES {
        let directory = tempfile::tempdir().unwrap();
        let (platform, database) = start(directory.path()).await;
        let ada = person(&platform, "ada@example.com").await;
        for number in 0..apps {
            make(&platform, &ada, &format!("app-{number:04}")).await;
        }
        let begun = Instant::now();
        run(&platform).await;
        all_up(&platform, apps).await;
        let all = format!("{apps:5} apps  until all of them are up");
        writeln!(out, "{all:76}{:8.0}", begun.elapsed().as_secs_f64() * 1000.0).unwrap();
        quiet(&platform).await;
        let address = serve(&platform).await;
        let mut client = Client::connect(&platform, address, &ada).await;
        let name = format!("app-{:04}", apps / 2);
        for (path, range) in [
            ("/apps".to_owned(), ""),
            ("/apps".to_owned(), "name ..; max=10"),
            ("/apps".to_owned(), "id ..; max=1000"),
            (format!("/apps/{name}"), ""),
            (format!("/apps/{name}/dynos"), ""),
            (format!("/apps/{name}/releases"), "version ..; max=15, order=desc"),
            (format!("/apps/{name}/config-vars"), ""),
        ] {
            let mut took = Vec::with_capacity(ASKED);
            for _ in 0..ASKED {
                took.push(client.ask(Method::GET, &path, range, String::new()).await);
            }
            report(&mut out, apps, &format!("GET {path} {range}"), took);
        }
        let path = format!("/apps/{name}/config-vars");
        let mut took = Vec::with_capacity(CHANGED);
        for value in 0..CHANGED {
            took.push(client.change(&path, value).await);
        }
        report(&mut out, apps, &format!("PATCH {path}"), took);
        quiet(&platform).await;
        let mut took = Vec::with_capacity(DEPLOYED);
        for value in 0..DEPLOYED {
            let began = Instant::now();
            client.change(&path, CHANGED + value).await;
            is_served(&platform, &name).await;
            took.push(began.elapsed());
        }
        report(&mut out, apps, "until the new release serves", took);
        platform.stop.cancel();
        platform.tracker.close();
        platform.tracker.wait().await;
        platform.store.close().await;
        database.stop().await;
    }
    writeln!(out, "aim: the slowest in a hundred reads under {} ms", AIM.as_millis()).unwrap();
}

/// A database that runs until it is stopped.
struct Database {
    running: TaskTracker,
    stop: CancellationToken,
}

impl Database {
    async fn stop(self) {
        self.stop.cancel();
        self.running.close();
        self.running.wait().await;
    }
}

/// A platform with a database of its own.
async fn start(directory: &Path) -> (Arc<Platform>, Database) {
    // The database has a user of its own, who has to come through.
    fs::set_permissions(directory, Permissions::from_mode(0o711)).unwrap();
    let database = EmbeddedPostgres::start(directory, EmbeddedOptions::default())
        .await
        .unwrap();
    let store = Store::new(database.address(), Sealer::ephemeral());
    store.migrate().await.unwrap();
    let testing::TestPlatform {
        mut platform,
        engine,
        directory: data_dir,
    } = testing::platform().await;
    let changed = Arc::get_mut(&mut platform).unwrap();
    changed.store = store;
    changed.clock = Clock::system();
    engine.add_image("paas/hello");
    let stopped = platform.stop.clone();
    platform.tracker.spawn(async move {
        // Kept until nobody writes there.
        let _data_dir = data_dir;
        stopped.cancelled().await;
    });
    let (running, stop) = (TaskTracker::new(), CancellationToken::new());
    running.spawn(database.run(stop.clone()));
    (platform, Database { running, stop })
}

/// An app with config, some releases, and a web process.
async fn make(platform: &Platform, owner: &Account, name: &str) {
    let stamp = Stamp {
        by: owner.id,
        at: platform.clock.now(),
    };
    let (store, sealer) = (&platform.store, &platform.store.sealer);
    let mut conn = store.connection().await.unwrap();
    let new = app::NewApp {
        id: new_id(stamp.at),
        name: name.parse().unwrap(),
        stack: "paas-12".to_owned(),
    };
    let app = app::create(&mut conn, sealer, new, stamp).await.unwrap().app.id;
    for number in 0..RELEASES_OF_EACH {
        let value = Some(format!("value {number}"));
        let changes = vec![("KEY".parse().unwrap(), value)];
        release::set_config(&mut conn, sealer, app, changes, stamp)
            .await
            .unwrap();
    }
    let new = build::NewBuild {
        id: new_id(stamp.at),
        app,
        commit: None,
        description: None,
        buildpacks: None,
        source: None,
        lease_expires_at: stamp.at + TimeDelta::minutes(1),
    };
    let build = build::create(&mut conn, new, stamp).await.unwrap().build.id;
    let slug = Slug {
        id: new_id(stamp.at),
        app,
        image: ImageRef::new("paas/hello"),
        images: std::collections::BTreeMap::new(),
        process_types: BTreeMap::from([("web".parse().unwrap(), "./web".to_owned())]),
        commit: None,
        buildpack_provided_description: Some("Python".to_owned()),
        size_bytes: 1,
        created_at: stamp.at,
    };
    let new = Deploy::new(build, slug, "Deploy");
    deploy::deploy(&mut conn, sealer, new, stamp).await.unwrap();
}

/// Starts a router and the controllers.
async fn run(platform: &Arc<Platform>) {
    let settings = Settings {
        http: ([127, 0, 0, 1], 0).into(),
        https: None,
        inherited: Vec::new(),
        socket: platform.settings.router_socket(),
        trusted_proxies: Vec::new(),
        proxy_protocol: false,
        ssh: None,
        limits: paas_router::Limits::default(),
    };
    let router = Router::bind(settings).await.unwrap().run(platform.stop.clone());
    let feed = Arc::new(RouterFeed::new(Arc::clone(platform)));
    let apps = Arc::new(AppsController::new(Arc::clone(platform), Arc::clone(&feed)));
    let certificates = Arc::new(CertificatesController::new(Arc::clone(platform), Arc::clone(&feed)).unwrap());
    let woken = Arc::clone(platform);
    platform.tracker.spawn(async move { router.await.unwrap() });
    platform.tracker.spawn(async move { certificates.run().await.unwrap() });
    platform.tracker.spawn(async move { feed.run().await.unwrap() });
    platform.tracker.spawn(async move { apps.run().await.unwrap() });
    platform.tracker.spawn(async move {
        let mut wakeups = Wakeups::new(&woken.store);
        while woken.stop.run_until_cancelled(wakeups.next()).await.is_some() {
            woken.wake.notify_one();
            woken.wake_certificates.notify_one();
        }
    });
}

async fn all_up(platform: &Platform, apps: usize) {
    let up = async {
        loop {
            let mut conn = platform.store.connection().await.unwrap();
            let dynos = dyno::all(&mut conn).await.unwrap();
            let up = dynos.iter().filter(|dyno| matches!(dyno.state, DynoState::Up { .. }));
            if up.count() == apps {
                return;
            }
            drop(conn);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    if tokio::time::timeout(LIMIT, up).await.is_err() {
        let mut conn = platform.store.connection().await.unwrap();
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        for dyno in dyno::all(&mut conn).await.unwrap() {
            *states.entry(dyno.state.as_str().to_owned()).or_default() += 1;
        }
        panic!("not every dyno comes up: {states:?}");
    }
}

async fn quiet(platform: &Platform) {
    let mut passes = platform.passes.subscribe();
    while let Ok(changed) = tokio::time::timeout(QUIET, passes.changed()).await {
        changed.unwrap();
    }
}

async fn is_served(platform: &Platform, name: &str) {
    let mut passes = platform.passes.subscribe();
    loop {
        let mut conn = platform.store.connection().await.unwrap();
        let app = app::find(&mut conn, name).await.unwrap().expect("an app");
        let newest = release::latest(&mut conn, app.app.id).await.unwrap();
        if newest.expect("a release").served_at.is_some() {
            return;
        }
        drop(conn);
        passes.changed().await.unwrap();
    }
}

async fn serve(platform: &Arc<Platform>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = api::router(Arc::clone(platform)).into_make_service();
    let stop = platform.stop.clone().cancelled_owned();
    let serving = axum::serve(listener, service).with_graceful_shutdown(stop);
    platform.tracker.spawn(async move { serving.await.unwrap() });
    address
}

impl Client {
    async fn connect(platform: &Arc<Platform>, address: SocketAddr, account: &Account) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        platform.tracker.spawn(async move { connection.await.unwrap() });
        Self {
            sender,
            token: token(platform, account).await,
        }
    }

    async fn change(&mut self, path: &str, value: usize) -> Duration {
        let body = json!({ "CHANGING": value.to_string() }).to_string();
        self.ask(Method::PATCH, path, "", body).await
    }

    /// How long it takes until the whole answer is there.
    async fn ask(&mut self, method: Method, path: &str, range: &str, body: String) -> Duration {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "127.0.0.1")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::RANGE, range)
            .body(Full::from(body))
            .unwrap();
        self.sender.ready().await.unwrap();
        let asked = Instant::now();
        let answer = self.sender.send_request(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let took = asked.elapsed();
        assert!(status.is_success(), "{path}: {status} {body:?}");
        took
    }
}

fn report(out: &mut impl Write, apps: usize, what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |percent: usize| (took[(took.len() - 1) * percent / 100]).as_secs_f64() * 1000.0;
    let what = format!("{apps:5} apps  {what}");
    writeln!(out, "{what:60}{:8.2}{:8.2}{:8.2}", at(50), at(99), at(100)).unwrap();
}
