//! `paasd serve`: builds all parts, runs them, and ends them in order.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use paas_build::{BuildSettings, Builder, Room, Stack, StackSettings};
use paas_engine::{DockerEngine, Engine, Firewall, NetworkSpec};
use paas_store::{DatabaseAddress, EmbeddedOptions, EmbeddedPostgres, Sealer, Store, Wakeups};
use rustix::fs::{FlockOperation, flock};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::stop_on_signal;
use crate::{
    addon::{Bucket, Catalogue},
    api,
    clock::Clock,
    config::Settings,
    control::{
        self, AddonsController, AppsController, Archives, ArchivesController, BackupsController, BucketController,
        CertificatesController, FirewallController, GitBackend, LastAccount, OneOffs, RouterFeed, Transfers, Turns,
        WebhooksController,
    },
    dns::{AddressFinder, Metadata},
    failpoint,
    git::{self, Git, GitPaths},
    image_copies::ImageCopies,
    log_drain::LogDrainsController,
    logs::{self, Collector, LogStore},
    output::Outputs,
    platform::Platform,
    registry,
    rendezvous::{self, Rendezvous},
    sessions,
    ssh::{self, Ssh},
};

/// How long tasks get to come to a safe place after a signal.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(40);
/// How long requests of the API may go on after a signal.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// How long the database may take to come up before the start fails.
const DATABASE_RETRY: Duration = Duration::from_millis(200);
const DATABASE_TRIES: u32 = 50;

pub(super) async fn run(settings: Settings) -> Result<()> {
    paas_router::raise_open_files();
    settings.failpoint.clone().map(failpoint::arm).transpose()?;
    let stop = stop_on_signal()?;
    make_data_dir(&settings)?;
    let _lock = lock_data_dir(&settings)?;
    let (store, embedded) = open_store(&settings).await?;
    let engine = connect_engine(&settings).await?;
    let firewall = shut_doors().await?;
    let network = make_build_network(&settings, &*engine).await?;
    let api_listener = TcpListener::bind(settings.api)
        .await
        .with_context(|| format!("listening on {} for the API: does another paasd run?", settings.api))?;
    let memory_bytes = engine.version().await?.memory_bytes;
    let mut build_settings = BuildSettings {
        checkpoint: failpoint::hit_in_build,
        languages: stack_settings(&settings, network.name.clone()),
        timeout: settings.build_timeout,
        cnb_builder: settings.cnb_builder.clone(),
        room: Some(Room {
            folder: settings.data_dir.clone(),
            build_bytes: settings.build_disk_bytes,
            full_percent: settings.build_disk_full_percent(),
        }),
        ..BuildSettings::new(Stack::ours(), network.name.clone(), memory_bytes)
    };
    build_settings.limits.memory_bytes = match settings.build_memory_bytes {
        Some(bytes) => bytes,
        None => paas_build::memory_share(memory_bytes, settings.concurrent_builds),
    };

    build_settings.limits.cpus = paas_build::cpus(settings.build_cpus);

    let tracker = TaskTracker::new();
    // The database outlives everything that asks it.
    let database_stop = CancellationToken::new();
    let database = embedded.map(|embedded| tracker_spawn_database(embedded, database_stop.clone()));

    let catalogue = load_catalogue(&settings, &store).await?;
    let clock = Clock::system();
    let logs = Arc::new(LogStore::open(settings.logs(), logs::Limits::default())?);
    let platform = Arc::new(Platform {
        server: control::server_id(&settings),
        collector: Collector::new(Arc::clone(&engine), Arc::clone(&logs), tracker.clone(), stop.clone()),
        builder: Builder::new(Arc::clone(&engine), build_settings),
        stack: stack_settings(&settings, network.name.clone()),
        build_network: network,
        outputs: Arc::new(Outputs::new(settings.outputs())),
        copies: Arc::new(ImageCopies::new(settings.images())),
        disk: LastAccount::default(),
        turns: Turns::new(settings.concurrent_builds),
        one_offs: OneOffs::default(),
        rendezvous: Rendezvous::new(rendezvous::Limits::default()),
        sessions: Arc::default(),
        ssh: Ssh::new().context("making a key for SSH")?,
        addresses: AddressFinder::new(
            settings.public_addresses.clone(),
            Metadata::of_this_machine(),
            settings.http.is_ipv6(),
        ),
        wake: Notify::new(),
        wake_certificates: Notify::new(),
        catalogue,
        wake_addons: Notify::new(),
        transfers: Transfers::default(),
        archives: Archives::default(),
        bucket: Bucket::of(&settings, &clock)?,
        wake_log_drains: Notify::new(),
        wake_webhooks: Notify::new(),
        passes: watch::Sender::new(0),
        is_settled: AtomicBool::default(),
        tracker: tracker.clone(),
        stop: stop.clone(),
        settings,
        clock,
        store,
        engine,
        logs,
    });
    control::abandon_builds(&platform)
        .await
        .context("ending the builds of the server before this one")?;
    control::abandon_backups(&platform)
        .await
        .context("ending the backups of the server before this one")?;
    control::resume_one_offs(&platform)
        .await
        .context("finding the one-off dynos of the server before this one")?;
    let ended = Box::pin(run_parts(&platform, firewall, api_listener)).await;

    stop.cancel();
    tracker.close();
    if timeout(SHUTDOWN_LIMIT, tracker.wait()).await.is_err() {
        tracing::warn!("some tasks did not end in time; the next start finds what they left");
    }
    if timeout(REQUEST_LIMIT, platform.store.close()).await.is_err() {
        tracing::warn!("the database is still being asked; it stops all the same");
    }
    database_stop.cancel();
    if let Some(database) = database {
        database.await.context("stopping the database")??;
    }
    tracing::info!("stopped");
    ended
}

/// What people may have as add-ons: providers may come before anybody else has looked at their rows.
async fn load_catalogue(settings: &Settings, store: &Store) -> Result<Catalogue> {
    let catalogue = Catalogue::load(&settings.addons())?;
    let mut conn = store.connection().await?;
    let providers = paas_store::addon_provider::all(&mut conn).await;
    catalogue
        .providers()
        .replace(&providers.context("reading the providers of add-ons")?);
    Ok(catalogue)
}

/// Runs every long-lived part until a signal comes, or one of them ends early.
async fn run_parts(platform: &Arc<Platform>, firewall: Firewall, api_listener: TcpListener) -> Result<()> {
    let feed = Arc::new(RouterFeed::new(Arc::clone(platform)));
    let apps = Arc::new(AppsController::new(Arc::clone(platform), Arc::clone(&feed)));
    let certificates = Arc::new(CertificatesController::new(Arc::clone(platform), Arc::clone(&feed))?);
    let addons = Arc::new(AddonsController::new(Arc::clone(platform)));
    let backups = BackupsController::new(Arc::clone(platform));
    let bucket = BucketController::new(Arc::clone(platform));
    let archives = Arc::new(ArchivesController::new(Arc::clone(platform)));
    let firewall = FirewallController::new(Arc::clone(platform), firewall);
    let log_drains = LogDrainsController::new(Arc::clone(platform))?;
    let webhooks = WebhooksController::new(Arc::clone(platform))?;
    let git = open_git(platform)?;
    let hooks = git::Receiver::bind(Arc::clone(&git)).context("opening the hook's socket")?;
    let rendezvous = rendezvous::Listener::bind(Arc::clone(platform), Arc::clone(&feed)).await?;
    let rendezvous_address = rendezvous.address()?;
    let ssh = ssh::Listener::bind(Arc::clone(platform))?;
    // The API answers every path that is not git's.
    let service = git::router(git)
        .merge(registry::router(Arc::clone(platform)))
        .merge(api::router(Arc::clone(platform)));
    let serving = serve_api(platform, api_listener, service);
    let settings = &platform.settings;
    tracing::info!(
        api = %settings.api,
        http = %settings.http,
        rendezvous = %rendezvous_address,
        domain = %settings.domain,
        data_dir = %settings.data_dir.display(),
        "serving"
    );
    greet(platform).await;

    let result = tokio::try_join!(
        ends("API", serving),
        ends("git hooks", async { Ok(hooks.run(platform.stop.clone()).await?) }),
        ends("apps", apps.run()),
        ends("certificates", certificates.run()),
        ends("add-ons", addons.run()),
        ends("backups", backups.run()),
        ends("bucket", bucket.run()),
        ends("archives", archives.run()),
        ends("router feed", feed.run()),
        ends("rendezvous", rendezvous.run()),
        ends("SSH", ssh.run()),
        ends("firewall", firewall.run()),
        ends("log drains", log_drains.run()),
        ends("webhooks", webhooks.run()),
        ends("runtime metrics", control::measure(Arc::clone(platform))),
        ends("sweep", control::sweep(Arc::clone(platform))),
        ends("image copies", control::keep_images(Arc::clone(platform))),
        ends("wake-ups", wake(platform)),
        ends("sessions", sessions::watch(platform)),
    );
    platform.stop.cancel();
    // After a part that failed, whoever starts us again finds the router serving.
    if result.is_ok() {
        feed.stop_router().await;
    }
    result.map(drop)
}

/// Answers requests until the platform stops, then lets those in flight end, within reason: a followed log never does.
async fn serve_api(platform: &Platform, listener: TcpListener, service: axum::Router) -> Result<()> {
    let service = service.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(platform.stop.clone().cancelled_owned());
    tokio::select! {
        served = serving.into_future() => Ok(served?),
        () = async {
            platform.stop.cancelled().await;
            sleep(REQUEST_LIMIT).await;
        } => Ok(()),
    }
}

fn open_git(platform: &Arc<Platform>) -> Result<Arc<Git>> {
    let settings = &platform.settings;
    let program = std::env::current_exe().context("finding this program's own file")?;
    let paths = GitPaths {
        repositories: settings.repositories(),
        sources: settings.sources(),
        socket: settings.hook_socket(),
        hooks: settings.hooks(),
        hook_command: vec![program, "hook".into()],
    };
    let backend = Arc::new(GitBackend(Arc::clone(platform)));
    Git::open(paths, backend, platform.tracker.clone(), platform.stop.clone()).context("opening the repositories")
}

/// A part that fails ends all others.
async fn ends<T>(part: &'static str, running: impl Future<Output = Result<T>>) -> Result<T> {
    running.await.with_context(|| format!("{part} ended"))
}

/// Hands the database's wake-ups on.
async fn wake(platform: &Platform) -> Result<()> {
    let mut wakeups = Wakeups::new(&platform.store);
    loop {
        tokio::select! {
            () = wakeups.next() => {
                platform.wake.notify_one();
                platform.wake_certificates.notify_one();
                platform.wake_addons.notify_one();
                platform.wake_log_drains.notify_one();
                platform.wake_webhooks.notify_one();
            }
            () = platform.stop.cancelled() => return Ok(()),
        }
    }
}

/// Says how to begin while nobody has an account.
async fn greet(platform: &Platform) {
    let counted = async {
        let mut conn = platform.store.connection().await?;
        paas_store::account::count(&mut conn).await
    };
    if matches!(counted.await, Ok(0)) {
        tracing::info!("nobody has an account yet: paasd user create you@example.com makes the first");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "waited for after the tracker: the database stops last of all"
)]
fn tracker_spawn_database(
    embedded: EmbeddedPostgres,
    stop: CancellationToken,
) -> tokio::task::JoinHandle<Result<(), paas_store::EmbeddedError>> {
    tokio::spawn(embedded.run(stop))
}

/// Makes the data directory, for us alone.
pub(super) fn make_data_dir(settings: &Settings) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        // The embedded database's own user has to come through.
        .mode(0o711)
        .create(&settings.data_dir)
        .with_context(|| format!("making the data directory {}", settings.data_dir.display()))?;
    let private = [
        settings.repositories(),
        settings.sources(),
        settings.outputs(),
        settings.logs(),
        settings.hooks(),
        settings.registry(),
        settings.backups(),
        settings.archive(),
    ];
    for dir in private {
        let context = || format!("making {}", dir.display());
        DirBuilder::new().recursive(true).create(&dir).with_context(context)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).with_context(context)?;
    }
    Ok(())
}

/// Two servers on one data directory would undo each other's work.
fn lock_data_dir(settings: &Settings) -> Result<File> {
    let path = settings.data_dir.join("lock");
    let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(_) => bail!(
            "another paasd serves {}\nhint: stop it first, or give another --data-dir",
            settings.data_dir.display()
        ),
    }
}

/// Whether a server holds the data directory.
pub(super) fn is_running(settings: &Settings) -> bool {
    lock_data_dir(settings).is_err()
}

/// The store on the embedded database, or on the one that was given.
pub(super) async fn open_store(settings: &Settings) -> Result<(Store, Option<EmbeddedPostgres>)> {
    let sealer = Sealer::load_or_create(&settings.data_dir.join("key")).context("opening the sealing key")?;
    let (address, embedded): (DatabaseAddress, _) = match &settings.database_url {
        Some(url) => (url.parse().context("--database-url")?, None),
        None => {
            let embedded = EmbeddedPostgres::start(&settings.data_dir, EmbeddedOptions::default())
                .await
                .context("starting the embedded database")?;
            (embedded.address().clone(), Some(embedded))
        }
    };
    let store = Store::new(&address, sealer);
    let mut tries = 0;
    loop {
        match store.migrate().await {
            Ok(()) => return Ok((store, embedded)),
            Err(paas_store::StoreError::Unavailable(error)) if tries < DATABASE_TRIES => {
                tries += 1;
                tracing::info!(%error, "waiting for the database");
                sleep(DATABASE_RETRY).await;
            }
            Err(error) => return Err(error).context("bringing the database up to date"),
        }
    }
}

/// The engine, as this platform: it sees nothing of another one's on the same machine.
pub(super) async fn connect_engine(settings: &Settings) -> Result<Arc<dyn Engine>> {
    let platform = platform_id(settings)?;
    let engine = DockerEngine::connect(&settings.docker, &platform)
        .await
        .context("connecting to Docker")?;
    Ok(Arc::new(engine))
}

/// Closes what Docker leaves open between dynos and this host.
pub(super) async fn shut_doors() -> Result<Firewall> {
    let firewall = Firewall::of_this_machine();
    firewall.ensure().await.context("setting the firewall rules")?;
    Ok(firewall)
}

/// The network that builds reach the package registries through.
pub(super) async fn make_build_network(settings: &Settings, engine: &dyn Engine) -> Result<NetworkSpec> {
    let network = settings.network_pool.builds(&platform_id(settings)?);
    engine
        .ensure_network(&network)
        .await
        .context("making the build network")?;
    Ok(network)
}

pub(super) fn stack_settings(settings: &Settings, network: String) -> StackSettings {
    StackSettings {
        extra_ca: Some(settings.extra_ca.clone()).filter(|dir| dir.is_dir()),
        network: Some(network),
        ..StackSettings::default()
    }
}

/// Who we are, on every container, image, network and volume that we make.
fn platform_id(settings: &Settings) -> Result<String> {
    let path: PathBuf = settings.data_dir.join("platform-id");
    let context = || format!("the platform's id in {}", path.display());
    let mut options = OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => {
            let id = Uuid::new_v4().simple().to_string();
            file.write_all(id.as_bytes()).with_context(context)?;
            file.sync_all().with_context(context)?;
            Ok(id)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mut id = String::new();
            fs::File::open(&path)
                .and_then(|mut file| file.read_to_string(&mut id))
                .with_context(context)?;
            let id = id.trim().to_owned();
            if id.is_empty() {
                bail!(
                    "{} is empty\nhint: remove it if this platform has no apps yet",
                    path.display()
                );
            }
            Ok(id)
        }
        Err(error) => Err(error).with_context(context),
    }
}
