//! Requests that wait for a dyno, and apps that sleep until a request comes.

use std::{sync::Arc, time::Duration};

use http::Response;
use paas_router::{
    Code, Limits,
    feed::{AppState, Policy, Report},
};
use tokio::{
    io::AsyncWriteExt,
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use crate::{
    stream::upgrading,
    support::{Answer, HOST, TestDyno, World, full, id_of, quick, read_until, serving},
};

fn sleeping_after(sleep_after: Duration) -> Policy {
    Policy {
        sleep_after: Some(sleep_after),
        ..Policy::default()
    }
}

fn is_wake(report: &Report<'_>) -> bool {
    matches!(report, Report::Wake { app } if *app == id_of(HOST))
}

fn is_idle(report: &Report<'_>) -> bool {
    matches!(report, Report::Idle { app } if *app == id_of(HOST))
}

#[tokio::test]
async fn requests_wake_an_app_that_sleeps_and_are_all_served() {
    let mut world = World::start(Limits::default()).await;
    world.state(AppState::Asleep).await;
    let mut streams = Vec::new();
    for number in 0..20 {
        let mut stream = world.connect().await;
        let request = format!("GET /{number} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    // It is said at once, and again while somebody waits: the first time may not have been heard.
    assert!(is_wake(&world.event().await));
    assert!(is_wake(&world.event().await));
    world.state(AppState::Booting).await;
    let dyno = TestDyno::named("web.1").await;
    world.serve(&[&dyno]).await;
    for mut stream in streams {
        let answer = Answer::read_to_end(&mut stream).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "web.1"));
    }
}

#[tokio::test]
async fn an_app_that_does_not_wake_in_time_is_h20() {
    let mut world = World::start(quick()).await;
    world.state(AppState::Asleep).await;
    let started = Instant::now();
    world.expect_code(Code::H20).await;
    assert!(started.elapsed() >= quick().boot);
}

#[tokio::test]
async fn an_app_that_nobody_asks_for_is_idle_and_a_request_changes_that() {
    let dyno = TestDyno::named("web.1").await;
    let limits = Limits {
        look: Duration::from_millis(10),
        ..quick()
    };
    let after = Duration::from_millis(300);
    let mut world = World::start(limits).await;
    let started = Instant::now();
    world.rule(sleeping_after(after), serving(&[&dyno])).await;
    assert!(is_idle(&world.event().await));
    assert!(
        started.elapsed() + Duration::from_millis(50) >= after,
        "it counts from the start"
    );
    assert_eq!(world.get("/").await.status, 200);
    let asked = Instant::now();
    assert!(is_idle(&world.event().await));
    // The first of the two may have been on its way already.
    assert!(asked.elapsed() >= after || is_idle(&world.event().await));
}

#[tokio::test]
async fn a_tunnel_keeps_its_app_awake() {
    let dyno = upgrading().await;
    let limits = Limits {
        look: Duration::from_millis(10),
        ..Limits::default()
    };
    let mut world = World::ruled(limits, sleeping_after(Duration::from_hours(1)), serving(&[&dyno])).await;
    let mut stream = world.connect().await;
    let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    world
        .rule(sleeping_after(Duration::from_millis(50)), serving(&[&dyno]))
        .await;
    let idle = tokio::time::timeout(Duration::from_millis(500), world.event()).await;
    assert!(idle.is_err(), "{idle:?}");
    drop(stream);
    assert!(is_idle(&world.event().await));
}

#[tokio::test]
async fn an_app_without_the_rule_or_without_dynos_is_never_idle() {
    let dyno = TestDyno::named("web.1").await;
    let limits = Limits {
        look: Duration::from_millis(5),
        ..quick()
    };
    let mut world = World::serving(limits, &[&dyno]).await;
    for state in [AppState::Asleep, AppState::NoWeb, AppState::Blank] {
        world.rule(sleeping_after(Duration::from_millis(10)), state).await;
    }
    let idle = tokio::time::timeout(Duration::from_millis(300), world.event()).await;
    assert!(idle.is_err(), "{idle:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_requests_than_an_app_can_ever_answer_are_h11() {
    let (asked, mut was_asked) = mpsc::channel(16);
    let gate = Arc::new(Semaphore::new(0));
    let dyno = {
        let gate = gate.clone();
        TestDyno::answering("web.1", move |_| {
            let (asked, gate) = (asked.clone(), gate.clone());
            async move {
                asked.send(()).await.unwrap();
                gate.acquire().await.unwrap().forget();
                Response::new(full("slow"))
            }
        })
        .await
    };
    let limits = Limits {
        backlog: 3,
        ..Limits::default()
    };
    let world = Arc::new(World::serving(limits, &[&dyno]).await);
    let tracker = TaskTracker::new();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let world = world.clone();
            tracker.spawn(async move { world.get("/").await })
        })
        .collect();
    for _ in 0..3 {
        was_asked.recv().await.unwrap();
    }
    assert_eq!(world.get("/").await.status, 503);
    // One is through, one may come.
    gate.add_permits(4);
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap().body, "slow");
    }
    assert_eq!(world.get("/").await.body, "slow");
    let mut world = Arc::into_inner(world).unwrap();
    let record = world.record().await;
    assert_eq!((record.code, &record.dyno), (Some(Code::H11), &None), "{record}");
    assert!(
        record
            .to_string()
            .starts_with("at=error code=H11 desc=\"Backlog too deep\" method=GET ")
    );
}

#[tokio::test]
async fn those_who_wait_for_a_boot_are_counted_too() {
    let limits = Limits {
        backlog: 2,
        ..Limits::default()
    };
    let mut world = World::start(limits).await;
    world.state(AppState::Booting).await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = world.connect().await;
        let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    // Whichever of three comes last is refused.
    let mut third = world.connect().await;
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    third.write_all(request.as_bytes()).await.unwrap();
    streams.push(third);
    assert_eq!(world.record().await.code, Some(Code::H11));
    let dyno = TestDyno::named("web.1").await;
    world.serve(&[&dyno]).await;
    let mut statuses = Vec::new();
    for mut stream in streams {
        statuses.push(Answer::read_to_end(&mut stream).await.status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 503]);
}
