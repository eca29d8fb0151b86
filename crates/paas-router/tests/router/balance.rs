use std::collections::BTreeSet;

use paas_router::feed::{AppState, Table};

use crate::support::{HOST, TestDyno, World, app, platform, quick, serving};

#[tokio::test]
async fn before_the_first_table_everything_is_503_and_worth_a_retry() {
    let world = World::start(quick()).await;
    let answer = world.get("/").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
}

#[tokio::test]
async fn an_unknown_host_gets_our_404_and_never_another_app() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::serving(quick(), &[&dyno]).await;
    for host in ["other.test", "hello.test.evil", "127.0.0.1", "xhello.test"] {
        let answer = world
            .send(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
            .await;
        assert_eq!(answer.status, 404, "{host}");
        assert!(answer.body.contains("No such app"));
    }
    assert_eq!(dyno.connections.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn hosts_are_known_in_any_case_and_with_any_port() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::serving(quick(), &[&dyno]).await;
    for host in ["hello.test", "HELLO.test", "hello.test:8080", "Hello.Test.:80"] {
        let answer = world
            .send(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
            .await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "web.1"), "{host}");
    }
}

#[tokio::test]
async fn requests_are_spread_over_all_dynos() {
    let dynos = [
        TestDyno::named("web.1").await,
        TestDyno::named("web.2").await,
        TestDyno::named("web.3").await,
    ];
    let world = World::serving(quick(), &dynos.each_ref()).await;
    let mut seen = BTreeSet::new();
    for _ in 0..60 {
        seen.insert(world.get("/").await.body);
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[tokio::test]
async fn a_dyno_that_refuses_is_passed_over_without_an_error() {
    let (alive, dead) = (TestDyno::named("web.1").await, TestDyno::refusing("web.2").await);
    let world = World::serving(quick(), &[&alive, &dead]).await;
    for _ in 0..30 {
        assert_eq!(world.get("/").await.body, "web.1");
    }
}

#[tokio::test]
async fn a_platform_host_wins_over_an_app_and_leaves_no_record() {
    let (api, dyno) = (TestDyno::named("api").await, TestDyno::named("web.1").await);
    let mut world = World::start(quick()).await;
    world
        .publish(Table {
            apps: vec![app("api.test", AppState::Blank), app(HOST, serving(&[&dyno]))],
            platform_hosts: vec![platform("api.test", api.address)],
            ..Table::default()
        })
        .await;
    let answer = world
        .send("GET / HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(answer.body, "api");
    world.get("/").await;
    assert_eq!(world.record().await.host, HOST);
}

#[tokio::test]
async fn acme_challenges_never_reach_an_app() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::serving(quick(), &[&dyno]).await;
    assert_eq!(world.get("/.well-known/acme-challenge/token").await.status, 404);
    assert_eq!(world.get("/.well-known/security.txt").await.body, "web.1");
}
