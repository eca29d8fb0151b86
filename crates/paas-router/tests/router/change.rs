//! Only what is different crosses the socket, and nobody can tell.

use std::sync::{Arc, atomic::Ordering};

use paas_router::feed::{AppEntry, AppState, DrainOutcome, FeedClient, Policy, Table};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixStream, unix::OwnedReadHalf},
    time::{Duration, Instant, timeout},
};

use crate::{
    support::{DEADLINE, TestDyno, World, app, platform, quick, serving},
    tls::{certificate, handshake},
};

async fn ask(world: &World, host: &str) -> (u16, String) {
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let answer = world.send(&request).await;
    let body = if answer.status == 200 {
        answer.body
    } else {
        String::new()
    };
    (answer.status, body)
}

/// The numbers of this generator are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_and_whole_tables_make_the_same_router() {
    let dynos = [
        TestDyno::named("a").await,
        TestDyno::named("b").await,
        TestDyno::named("c").await,
    ];
    let names = [
        "one.test",
        "two.test",
        "*.wild.test",
        "x.wild.test",
        "api.test",
        "three.test",
    ];
    let asked = [
        "one.test",
        "two.test",
        "y.wild.test",
        "x.wild.test",
        "api.test",
        "three.test",
        "no.test",
    ];
    let (changed, whole) = (World::start(quick()).await, World::start(quick()).await);
    let mut dice = Dice(7);
    for round in 0..60 {
        // Each app has a few of the names, and no two have the same.
        let mut free: Vec<_> = names.to_vec();
        let mut apps = Vec::new();
        for id in 1..=4_u128 {
            if dice.below(4) == 0 {
                continue;
            }
            let mut entry = app("", AppState::Maintenance);
            entry.app = uuid::Uuid::from_u128(id);
            let count = dice.below(3).min(free.len());
            entry.hostnames = (0..count)
                .map(|_| free.swap_remove(dice.below(free.len())).to_owned())
                .collect();
            entry.state = match dice.below(4) {
                0 => AppState::NoWeb,
                1 => AppState::Crashed,
                // One dyno is one app's.
                _ => dynos
                    .get(usize::try_from(id).unwrap() - 1)
                    .map_or(AppState::Blank, |dyno| serving(&[dyno])),
            };
            apps.push(entry);
        }
        let mut table = Table {
            apps,
            ..Table::default()
        };
        if dice.below(3) == 0 {
            table.platform_hosts = vec![platform("api.test", dynos[2].address)];
        }
        changed.publish(table.clone()).await;
        // A connection of its own gets the table whole.
        let path = whole.directory.path().join("router.sock");
        let (feed, _reports) = FeedClient::connect(&path, &whole.tracker).await.unwrap();
        let version = feed.publish(table).await.unwrap();
        timeout(DEADLINE, feed.applied(version)).await.unwrap().unwrap();
        for host in asked {
            assert_eq!(
                ask(&changed, host).await,
                ask(&whole, host).await,
                "{host} in round {round}"
            );
        }
        for dyno in &dynos {
            let outcome = async |feed: &FeedClient| feed.drained(dyno.id, Duration::ZERO).await.unwrap();
            assert_eq!(
                outcome(&changed.feed).await,
                outcome(&feed).await,
                "{} in round {round}",
                dyno.name
            );
        }
    }
}

#[tokio::test]
async fn what_does_not_change_keeps_its_connections_and_its_version() {
    let (one, two) = (TestDyno::named("one").await, TestDyno::named("two").await);
    let world = World::start(quick()).await;
    let table = |states: [AppState; 2]| {
        let [first, second] = states;
        Table {
            apps: vec![app("one.test", first), app("two.test", second)],
            ..Table::default()
        }
    };
    world.publish(table([serving(&[&one]), serving(&[&two])])).await;
    for _ in 0..3 {
        assert_eq!(ask(&world, "one.test").await, (200, "one".to_owned()));
    }
    for state in [AppState::Booting, AppState::NoWeb, serving(&[&two])] {
        world.publish(table([serving(&[&one]), state])).await;
        assert_eq!(ask(&world, "one.test").await, (200, "one".to_owned()));
    }
    assert_eq!(
        one.connections.load(Ordering::SeqCst),
        1,
        "the pool outlives changes of others"
    );
    let same = table([serving(&[&one]), serving(&[&two])]);
    let version = world.feed.publish(same.clone()).await.unwrap();
    assert_eq!(
        world.feed.publish(same).await.unwrap(),
        version,
        "nothing to say is not said"
    );
}

#[tokio::test]
async fn certificates_that_stay_are_named_and_others_are_sent() {
    let world = World::start(quick()).await;
    let (one, two, new) = (
        certificate("one.test"),
        certificate("two.test"),
        certificate("one.test"),
    );
    let table = |certificates: &[&paas_router::feed::Certificate]| Table {
        certificates: certificates.iter().map(|it| Arc::new((*it).clone())).collect(),
        ..Table::default()
    };
    world.publish(table(&[&one, &two])).await;
    assert!(handshake(&world, "one.test", &one).await.is_ok());
    // In another order, one of them renewed.
    world.publish(table(&[&two, &new])).await;
    assert!(handshake(&world, "one.test", &one).await.is_err());
    assert!(handshake(&world, "one.test", &new).await.is_ok());
    assert!(handshake(&world, "two.test", &two).await.is_ok());
    world.publish(table(&[&new])).await;
    assert!(handshake(&world, "two.test", &two).await.is_err());
    assert!(handshake(&world, "one.test", &new).await.is_ok());
}

#[tokio::test]
async fn a_name_goes_from_one_app_to_another_in_one_change() {
    let (one, two) = (TestDyno::named("one").await, TestDyno::named("two").await);
    let world = World::start(quick()).await;
    let named = |id: u128, hostname: &str, dyno: &TestDyno| AppEntry {
        app: uuid::Uuid::from_u128(id),
        ..app(hostname, serving(&[dyno]))
    };
    for (first, second) in [("a.test", "b.test"), ("b.test", "a.test"), ("a.test", "b.test")] {
        world
            .publish(Table {
                apps: vec![named(1, first, &one), named(2, second, &two)],
                ..Table::default()
            })
            .await;
        assert_eq!(ask(&world, first).await, (200, "one".to_owned()));
        assert_eq!(ask(&world, second).await, (200, "two".to_owned()));
    }
}

/// The number of this kind of frame, its first byte.
const APPLIED: u8 = 1;

/// What the router says next: a length, and so many bytes.
async fn frame(read: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let reading = async {
        let mut frame = vec![0; read.read_u32().await.ok()? as usize];
        read.read_exact(&mut frame).await.ok()?;
        Some(frame)
    };
    timeout(DEADLINE, reading).await.unwrap()
}

#[tokio::test]
async fn a_connection_lost_in_the_middle_of_a_change_changes_nothing() {
    let (one, two) = (TestDyno::named("one").await, TestDyno::named("two").await);
    let mut world = World::serving(quick(), &[&one]).await;
    let path = world.directory.path().join("router.sock");
    let half = async |line: &str| {
        let stream = UnixStream::connect(&path).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        frame(&mut read).await.unwrap();
        write.write_all(line.as_bytes()).await.unwrap();
        write.shutdown().await.unwrap();
        // The router hangs up, because half a frame is none, and a change of another table is refused.
        while let Some(frame) = frame(&mut read).await {
            assert_ne!(frame[0], APPLIED, "{frame:?}");
        }
    };
    half(r#"{"Change":{"version":2,"base":1,"change":{"apps":[],"gone":["#).await;
    half("{\"Change\":{\"version\":9,\"base\":8,\"change\":{\"apps\":[],\"gone\":[],\"certificates\":null,\"challenges\":null}}}\n").await;
    half("{\"Change\":{\"version\":2,\"base\":1,\"change\":{\"apps\":[],\"gone\":[],\"certificates\":[{\"Kept\":7}],\"challenges\":null}}}\n").await;
    assert_eq!(world.get("/").await.body, "one");
    // The next feeder sends the table whole, and counts on.
    (world.feed, world.reports) = FeedClient::connect(&path, &world.tracker).await.unwrap();
    assert_eq!(world.feed.hello().version, 1);
    world.serve(&[&two]).await;
    assert_eq!(world.get("/").await.body, "two");
    assert_eq!(
        world.feed.drained(one.id, DEADLINE).await.unwrap(),
        DrainOutcome::Drained
    );
}

#[tokio::test]
async fn a_change_among_thousands_of_hosts_is_as_quick_as_among_few() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::start(quick()).await;
    let mut table = Table {
        apps: (0..5_000)
            .map(|number| AppEntry {
                app: uuid::Uuid::from_u128(number),
                policy: Policy::default(),
                ..app(&format!("app-{number}.test"), serving(&[]))
            })
            .collect(),
        ..Table::default()
    };
    world.publish(table.clone()).await;
    let mut quickest = Duration::MAX;
    for number in 0..50 {
        table.apps[number].state = serving(&[&dyno]);
        let began = Instant::now();
        let version = world.feed.publish(table.clone()).await.unwrap();
        world.feed.applied(version).await.unwrap();
        quickest = quickest.min(began.elapsed());
        table.apps[number].state = AppState::NoWeb;
    }
    // Even without optimisation; whole tables would take many times as long, every time.
    assert!(quickest < Duration::from_millis(100), "{quickest:?}");
    assert_eq!(ask(&world, "app-49.test").await, (200, "web.1".to_owned()));
    assert_eq!(ask(&world, "app-48.test").await.0, 503);
}
