//! Following containers: no line lost, none twice.

use std::{
    collections::HashSet,
    fs,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use paas_core::{DynoSize, ImageRef};
use paas_engine::{Behaviour, ContainerId, ContainerSpec, Engine, FakeEngine, OutputStream, Role};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);
const OTHER: Id<App> = Id::from_uuid(Uuid::from_u128(2));

/// A server that follows logs, until it is stopped or its files are torn.
struct Server {
    logs: Arc<LogStore>,
    collector: Collector,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Server {
    fn start(engine: &FakeEngine, logs: Arc<LogStore>) -> Self {
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let engine: Arc<dyn Engine> = Arc::new(engine.clone());
        Self {
            collector: Collector::new(engine, Arc::clone(&logs), tracker.clone(), stop.clone()),
            logs,
            tracker,
            stop,
        }
    }

    async fn wait_for_lines(&self, count: u64) {
        self.wait_for_lines_of(APP, count).await;
    }

    async fn wait_for_lines_of(&self, app: Id<App>, count: u64) {
        let mut lines = Box::pin(self.logs.follow(app, count - 1, Filter::default()));
        tokio::time::timeout(DEADLINE, futures_util::StreamExt::next(&mut lines))
            .await
            .unwrap_or_else(|_| panic!("line {count} was never stored"));
    }

    async fn drained(&self, container: &ContainerId) {
        tokio::time::timeout(DEADLINE, self.collector.drained(container))
            .await
            .expect("the container's output is stored in time");
    }

    async fn end(self) {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(DEADLINE, self.tracker.wait()).await.unwrap();
    }
}

fn engine() -> FakeEngine {
    let engine = FakeEngine::new(|| at(0));
    engine.add_image("app");
    engine.teach(|_| true, Behaviour::runs());
    engine
}

async fn start(engine: &FakeEngine, name: &str) -> ContainerId {
    let role = Role::Dyno {
        app: APP,
        dyno: Id::from_uuid(Uuid::from_u128(7)),
        attempt: 1,
        name: name.parse().unwrap(),
        release: paas_core::ReleaseVersion::FIRST,
    };
    let command = vec!["run".to_owned()];
    let limits = DynoSize::default().into();
    let spec = ContainerSpec::new(name, role, ImageRef::new("app"), command, limits);
    engine.start(&spec).await.unwrap().id
}

fn say(engine: &FakeEngine, container: &ContainerId, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        engine.say(container, OutputStream::Stdout, &number.to_string());
    }
}

fn numbers(range: std::ops::RangeInclusive<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn a_dynos_output_is_stored_until_it_has_ended() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine();
    let container = start(&engine, "web.1").await;
    say(&engine, &container, 1..=3);
    let server = Server::start(&engine, open(directory.path()));
    server.collector.follow(APP, &container, "web.1");
    server.collector.follow(APP, &container, "web.1");
    server.wait_for_lines(3).await;
    engine.say(&container, OutputStream::Stderr, "oops");
    engine.crash(&container, 1);
    server.drained(&container).await;

    let tail = server.logs.tail(APP, 2, &Filter::default()).await.unwrap();
    assert_eq!(tail.lines[0].line, line("web.1", "3"));
    assert_eq!(tail.lines[1].line, line("web.1", "oops"));
    assert_eq!(tail.end, 4);
    // Nobody waits for a container that nobody follows.
    server.drained(&ContainerId::new("unknown")).await;
    server.end().await;
}

#[tokio::test]
async fn a_restart_goes_on_exactly_where_the_last_one_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine();
    let (web, worker) = (start(&engine, "web.1").await, start(&engine, "worker.1").await);
    let mut said = 0;
    for _ in 0..5 {
        let server = Server::start(&engine, open(directory.path()));
        // What was said while nobody listened.
        say(&engine, &web, said + 1..=said + 10);
        server.collector.follow(APP, &web, "web.1");
        server.collector.follow(APP, &worker, "worker.1");
        server.wait_for_lines(u64::from(said) + 10).await;
        say(&engine, &web, said + 11..=said + 20);
        server.wait_for_lines(u64::from(said) + 20).await;
        server.end().await;
        said += 20;
    }
    assert_eq!(messages(&open(directory.path())).await, numbers(1..=100));
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_write_loses_and_repeats_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine();
    let container = start(&engine, "web.1").await;
    say(&engine, &container, 1..=100);
    let server = Server::start(&engine, open(directory.path()));
    server.collector.follow(APP, &container, "web.1");
    server.wait_for_lines(100).await;
    server.end().await;

    let file = fs::read_dir(directory.path().join(APP.to_string()))
        .unwrap()
        .next()
        .unwrap();
    let path = file.unwrap().path();
    let whole = fs::read(&path).unwrap();
    // Cut everywhere: at the ends of lines, inside of them, and inside of a batch.
    for cut in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..cut]).unwrap();
        let server = Server::start(&engine, open(directory.path()));
        server.collector.follow(APP, &container, "web.1");
        server.wait_for_lines(100).await;
        assert_eq!(messages(&server.logs).await, numbers(1..=100), "cut at {cut}");
        server.end().await;
    }
}

#[tokio::test]
async fn a_quiet_dyno_is_not_repeated_after_a_chatty_one_has_filled_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine();
    let (web, worker) = (start(&engine, "web.1").await, start(&engine, "worker.1").await);
    let limits = Limits {
        bytes_per_app: 16 * 1024,
        ..Limits::default()
    };
    let store = || Arc::new(LogStore::open(directory.path().to_owned(), limits).unwrap());
    let server = Server::start(&engine, store());
    server.collector.follow(APP, &worker, "worker.1");
    engine.say(&worker, OutputStream::Stdout, "ready");
    server.wait_for_lines(1).await;
    server.collector.follow(APP, &web, "web.1");
    for round in 0..10 {
        say(&engine, &web, round * 100 + 1..=round * 100 + 100);
        server.wait_for_lines(u64::from(round) * 100 + 101).await;
    }
    let kept = messages(&server.logs).await;
    assert!(!kept.contains(&"ready".to_owned()), "the log is not full yet");
    server.end().await;

    let server = Server::start(&engine, store());
    server.collector.follow(APP, &worker, "worker.1");
    engine.say(&worker, OutputStream::Stdout, "still here");
    server.wait_for_lines(1002).await;
    let kept = messages(&server.logs).await;
    assert!(!kept.contains(&"ready".to_owned()), "the quiet dyno's line came again");
    assert_eq!(kept.last().unwrap(), "still here");
    server.end().await;
}

#[tokio::test]
async fn an_engine_that_fails_is_asked_again() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine();
    let container = start(&engine, "web.1").await;
    let server = Server::start(&engine, open(directory.path()));
    server.collector.follow(APP, &container, "web.1");
    say(&engine, &container, 1..=1);
    server.wait_for_lines(1).await;
    engine.go_down();
    say(&engine, &container, 2..=3);
    engine.come_back();
    say(&engine, &container, 4..=4);
    server.wait_for_lines(4).await;
    assert_eq!(messages(&server.logs).await, numbers(1..=4));
    server.end().await;
}

#[tokio::test]
async fn a_container_that_was_removed_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine();
    let container = start(&engine, "web.1").await;
    let server = Server::start(&engine, open(directory.path()));
    server.collector.follow(APP, &container, "web.1");
    say(&engine, &container, 1..=1);
    server.wait_for_lines(1).await;
    assert!(server.logs.position(APP, &container).unwrap().is_some());
    engine.vanish(&container);
    server.drained(&container).await;
    server.collector.forget(&container);
    assert_eq!(server.logs.position(APP, &container).unwrap(), None);
    server.end().await;
}

#[tokio::test]
async fn what_a_server_says_is_in_the_logs_of_those_that_use_it_for_as_long_as_they_do() {
    let directory = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(1));
    let clock = Arc::clone(&now);
    let engine = FakeEngine::new(move || at(clock.load(Ordering::Relaxed)));
    engine.add_image("app");
    engine.teach(|_| true, Behaviour::runs());
    let (database, dyno) = (start(&engine, "web.1").await, start(&engine, "web.2").await);
    let server = Server::start(&engine, open(directory.path()));
    let shared = |name: &str, since: i64| Shared {
        process: "postgres.1".to_owned(),
        prefix: format!("[{name}] "),
        without: vec!["platform: ".to_owned()],
        since: at(since),
    };
    say(&engine, &database, 1..=1);
    now.store(10, Ordering::Relaxed);
    engine.say(&database, OutputStream::Stderr, "platform: secret");
    say(&engine, &database, 2..=2);
    server.collector.follow(APP, &dyno, "web.2");
    server.collector.share(APP, &database, shared("DATABASE", 0));
    server.collector.share(OTHER, &database, shared("MAIN", 5));
    server.wait_for_lines(2).await;
    server.wait_for_lines_of(OTHER, 1).await;
    assert_eq!(messages(&server.logs).await, ["[DATABASE] 1", "[DATABASE] 2"]);
    let seen = server.logs.tail(OTHER, 9, &Filter::default()).await.unwrap();
    // It uses the server since a moment between the two.
    assert_eq!(seen.lines[0].line.message, "[MAIN] 2");

    server
        .collector
        .share_no_others(&HashSet::from([(database.clone(), APP)]));
    assert!(!server.collector.is_followed(OTHER, &database));
    // Dynos are nobody else's business.
    assert!(server.collector.is_followed(APP, &dyno));
    say(&engine, &database, 3..=3);
    server.wait_for_lines(3).await;
    engine.crash(&database, 1);
    server.drained(&database).await;
    assert_eq!(server.logs.tail(OTHER, 9, &Filter::default()).await.unwrap().end, 1);
    assert_eq!(server.logs.position(OTHER, &database).unwrap(), None);
    server.end().await;
}

#[tokio::test]
async fn a_long_line_is_stored_in_pieces_and_not_again() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine();
    let container = start(&engine, "web.1").await;
    let long = "0123456789".repeat(2500);
    engine.say(&container, OutputStream::Stdout, &long);
    for lines in [3, 4] {
        let server = Server::start(&engine, open(directory.path()));
        server.collector.follow(APP, &container, "web.1");
        server.wait_for_lines(lines).await;
        let stored = messages(&server.logs).await;
        assert_eq!(stored[..3].concat(), long);
        assert_eq!(stored.len() as u64, lines);
        server.end().await;
        engine.say(&container, OutputStream::Stdout, "more");
    }
}
