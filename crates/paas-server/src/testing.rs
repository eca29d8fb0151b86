//! A platform of one test: a real database, an engine in memory, and a clock that stands still.

use std::{
    net::Ipv4Addr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use chrono::DateTime;
use clap::Parser;
use paas_api::Secret;
use paas_build::{BuildSettings, Builder, Stack, StackSettings};
use paas_engine::{Behaviour, Engine, FakeEngine};
use paas_store::{
    account::{self, Account, NewAccount},
    testing,
};
use tempfile::TempDir;
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    addon::{Bucket, Catalogue},
    aws::Credentials,
    clock::Clock,
    config::SettingsArgs,
    control::{Archives, LastAccount, OneOffs, Transfers, Turns, server_id},
    dns::{AddressFinder, Metadata},
    image_copies::ImageCopies,
    logs::{Collector, Limits, LogStore},
    output::Outputs,
    platform::Platform,
    rendezvous::{self, Rendezvous},
    ssh::Ssh,
};

pub(crate) mod git_server;
pub(crate) mod receiver;

/// A loopback address of this process alone, most likely: nobody else gets a port there that was let go.
pub(crate) fn own_loopback() -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | (high & 0x3f), low, 1)
}

/// What a backup of any add-on holds.
pub(crate) const DUMP: &str = "what was in it";

pub(crate) struct TestPlatform {
    pub(crate) platform: Arc<Platform>,
    /// The platform's engine.
    pub(crate) engine: FakeEngine,
    pub(crate) directory: TempDir,
}

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    settings: SettingsArgs,
}

/// A platform on which nothing runs yet.
pub(crate) async fn platform() -> TestPlatform {
    platform_with(&[]).await
}

/// One with settings of its own.
pub(crate) async fn platform_with(flags: &[&str]) -> TestPlatform {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().to_str().unwrap();
    let usual = [
        "paasd",
        "--data-dir",
        data_dir,
        "--domain",
        "example.test",
        "--http",
        "0.0.0.0:8080",
        "--public-address",
        "203.0.113.7",
    ];
    let args = Args::parse_from(usual.iter().chain(flags));
    let mut settings = args.settings.resolve().unwrap();
    if let Some(bucket) = &mut settings.bucket {
        bucket.credentials = Some(Credentials {
            access_key_id: "AKIDTEST".to_owned(),
            secret_access_key: Secret::new("secret"),
            session_token: None,
        });
    }
    let clock = Clock::fixed(DateTime::from_timestamp(1_767_323_045, 0).unwrap());
    let store = testing::database().await.store;
    let fake = FakeEngine::new({
        let clock = clock.clone();
        move || clock.now()
    });
    // What the stack is made from.
    fake.add_image("debian:bookworm-slim");
    let catalogue = Catalogue::load(&settings.addons()).unwrap();
    // What has a backup has something in it.
    for backup in catalogue.services().filter_map(|service| service.kind.backup.as_ref()) {
        fake.teach_command(backup, Behaviour::exits(0).saying(DUMP));
    }
    std::fs::create_dir_all(settings.backups()).unwrap();
    let engine: Arc<dyn Engine> = Arc::new(fake.clone());
    let network = settings.network_pool.builds("test");
    engine.ensure_network(&network).await.unwrap();
    let logs = Arc::new(LogStore::open(settings.logs(), Limits::default()).unwrap());
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    // Whose the backups are.
    std::fs::write(settings.data_dir.join("platform-id"), Uuid::new_v4().to_string()).unwrap();
    let platform = Arc::new(Platform {
        server: server_id(&settings),
        collector: Collector::new(Arc::clone(&engine), Arc::clone(&logs), tracker.clone(), stop.clone()),
        builder: Builder::new(
            Arc::clone(&engine),
            BuildSettings::new(Stack::ours(), network.name.clone(), 1 << 30),
        ),
        build_network: network,
        stack: StackSettings {
            work_dir: directory.path().join("stack"),
            ..StackSettings::default()
        },
        outputs: Arc::new(Outputs::new(settings.outputs())),
        copies: Arc::new(ImageCopies::new(settings.images())),
        disk: LastAccount::default(),
        turns: Turns::new(1),
        one_offs: OneOffs::default(),
        rendezvous: Rendezvous::new(rendezvous_limits()),
        sessions: Arc::default(),
        ssh: Ssh::new().unwrap(),
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
        bucket: Bucket::of(&settings, &clock).unwrap(),
        wake_log_drains: Notify::new(),
        wake_webhooks: Notify::new(),
        passes: watch::Sender::new(0),
        is_settled: AtomicBool::default(),
        tracker,
        stop,
        settings,
        clock,
        store,
        engine,
        logs,
    });
    TestPlatform {
        platform,
        engine: fake,
        directory,
    }
}

/// Short where a test waits for the end of it.
fn rendezvous_limits() -> rendezvous::Limits {
    rendezvous::Limits {
        attach: Duration::from_secs(5),
        hang_up: Duration::from_millis(20),
        stop: Duration::from_millis(500),
        ..rendezvous::Limits::default()
    }
}

/// Somebody without a password: hashing one takes a while.
pub(crate) async fn person(platform: &Platform, email: &str) -> Account {
    let new = NewAccount {
        email,
        password_hash: "none",
    };
    let mut connection = platform.store.connection().await.unwrap();
    account::create(&mut connection, new, platform.clock.now())
        .await
        .unwrap()
}
