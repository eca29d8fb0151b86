//! What is promised about drains, held against receivers that misbehave.

use std::{sync::Arc, time::Duration};

use paas_core::{App, Id, LogSource};
use paas_store::{
    Stamp,
    account::Account,
    app::{self, NewApp},
    log_drain::{self, LogDrain},
    new_id,
};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{LogDrainsController, backlog::BACKLOG_LINES, place::PlaceFile, sender::Sender};
use crate::{
    logs::Filter,
    outbound::{Connector, Policy},
    platform::Platform,
    testing::{self, person},
};

mod faults;
mod receiver;
mod wire;

/// However busy the machine is.
const LIMIT: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

struct World {
    platform: Arc<Platform>,
    account: Account,
    app: Id<App>,
    _stop: DropGuard,
    _directory: TempDir,
}

/// A sender that runs until it is dropped, as in a server that is killed.
struct Running {
    _killed: DropGuard,
}

impl World {
    /// A platform whose drains may lead to this machine, with one app.
    async fn new() -> Self {
        Self::with(&["--local-drains"]).await
    }

    async fn with(flags: &[&str]) -> Self {
        let testing::TestPlatform {
            platform, directory, ..
        } = testing::platform_with(flags).await;
        let account = person(&platform, "ada@example.com").await;
        let stamp = Stamp {
            by: account.id,
            at: platform.clock.now(),
        };
        let new = NewApp {
            id: new_id(stamp.at),
            name: "hello".parse().unwrap(),
            stack: "paas-12".to_owned(),
        };
        let mut connection = platform.store.connection().await.unwrap();
        let app = app::create(&mut connection, &platform.store.sealer, new, stamp).await;
        Self {
            app: app.unwrap().app.id,
            account,
            _stop: platform.stop.clone().drop_guard(),
            _directory: directory,
            platform,
        }
    }

    /// A drain of the app, that begins where the log ends.
    async fn drain(&self, url: &str) -> LogDrain {
        let stamp = Stamp {
            by: self.account.id,
            at: self.platform.clock.now(),
        };
        let end = self.platform.logs.end(self.app).await.unwrap();
        let mut connection = self.platform.store.connection().await.unwrap();
        let sealer = &self.platform.store.sealer;
        let url = url.parse().unwrap();
        log_drain::create(&mut connection, sealer, self.app, &url, end, stamp)
            .await
            .unwrap()
    }

    fn connector(&self) -> Connector {
        let settings = &self.platform.settings;
        Connector::new(Policy::of_receivers(settings), &settings.extra_ca).unwrap()
    }

    fn start(&self, drain: &LogDrain) -> Running {
        let connector = self.connector();
        let path = self.platform.logs.directory(self.app).join("drain-test");
        let platform = Arc::clone(&self.platform);
        let sender = Sender::new(platform, connector, drain.clone(), PlaceFile::new(path));
        let killed = CancellationToken::new();
        let running = killed.clone();
        self.platform.tracker.spawn(async move {
            running.run_until_cancelled(sender.run()).await;
        });
        Running {
            _killed: killed.drop_guard(),
        }
    }

    fn say(&self, message: &str) {
        self.platform.log(self.app, LogSource::App, "web.1", message);
    }

    async fn log(&self) -> Vec<String> {
        let tail = self.platform.logs.tail(self.app, 10_000, &Filter::default()).await;
        tail.unwrap()
            .lines
            .iter()
            .map(|stored| stored.line.to_string())
            .collect()
    }

    /// Waits until the app's log has a line with this text.
    async fn logs(&self, text: &str) {
        let found = timeout(LIMIT, async {
            while !self.log().await.iter().any(|line| line.contains(text)) {
                sleep(LOOK_AGAIN).await;
            }
        });
        assert!(found.await.is_ok(), "no {text:?} in {:#?}", self.log().await);
    }
}

#[tokio::test]
async fn the_controller_runs_the_drains_that_have_rows() {
    let world = World::new().await;
    let mut receiver = receiver::Syslog::bind().await;
    world.say("before");
    let drain = world.drain(&receiver.url()).await;
    world.say("one");
    let mut controller = LogDrainsController::new(Arc::clone(&world.platform)).unwrap();
    controller.pass().await.unwrap();
    controller.pass().await.unwrap();
    assert_eq!(receiver.message().await, "one");

    let mut connection = world.platform.store.connection().await.unwrap();
    let stamp = Stamp {
        by: world.account.id,
        at: world.platform.clock.now(),
    };
    log_drain::delete(&mut connection, &drain, stamp).await.unwrap();
    controller.pass().await.unwrap();
    receiver.closed().await;
    world.say("two");
    // The next drain begins behind it, and nothing of the last one is left.
    world.drain(&receiver.url()).await;
    world.say("three");
    controller.pass().await.unwrap();
    assert_eq!(receiver.message().await, "three");
    let directory = world.platform.logs.directory(world.app);
    let places = std::fs::read_dir(directory).unwrap().filter_map(Result::ok);
    let places: Vec<_> = places
        .filter(|file| file.file_name().to_string_lossy().starts_with("drain-"))
        .collect();
    assert!(places.len() <= 1, "{places:?}");
}
