use std::os::unix::fs::PermissionsExt;

use paas_router::{
    Limits,
    feed::{FeedClient, FeedError, Report},
};
use tokio::time::timeout;

use crate::support::{DEADLINE, TestDyno, World, quick};

#[tokio::test]
async fn hello_says_who_and_where_the_router_is() {
    let world = World::start(quick()).await;
    let hello = world.feed.hello();
    assert_eq!((hello.pid, hello.version), (std::process::id(), 0));
    assert_eq!((hello.http, hello.https), (world.addresses.http, world.addresses.https));
    let mode = std::fs::metadata(world.directory.path().join("router.sock"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_router_goes_on_without_its_feeder_and_takes_the_next_one() {
    let dyno = TestDyno::named("web.1").await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    let path = world.directory.path().join("router.sock");
    // A new feeder replaces the old one, which is told.
    let (feed, reports) = FeedClient::connect(&path, &world.tracker).await.unwrap();
    timeout(DEADLINE, world.feed.closed()).await.unwrap();
    let publish = world.feed.publish(paas_router::feed::Table::default()).await;
    assert!(matches!(publish, Err(FeedError::Disconnected)));
    assert!(matches!(world.feed.applied(99).await, Err(FeedError::Disconnected)));
    assert!(world.reports.next().await.is_none());
    // It finds the table where the old one left it, and counts on from there.
    assert_eq!(feed.hello().version, 1);
    (world.feed, world.reports) = (feed, reports);
    let other = TestDyno::named("web.2").await;
    world.serve(&[&other]).await;
    assert_eq!(world.get("/").await.body, "web.2");
    assert_eq!(world.record().await.dyno.as_deref(), Some("web.2"));
}

#[tokio::test]
async fn reports_wait_for_the_next_feeder_and_those_beyond_the_limit_are_counted() {
    let dyno = TestDyno::named("web.1").await;
    let limits = Limits { records: 5, ..quick() };
    let mut world = World::serving(limits, &[&dyno]).await;
    let path = world.directory.path().join("router.sock");
    // The feeder goes away; whatever is asked now has nobody to tell.
    let (feed, reports) = FeedClient::connect(&path, &world.tracker).await.unwrap();
    world.feed = feed.clone();
    drop((
        feed,
        reports,
        std::mem::replace(
            &mut world.reports,
            FeedClient::connect(&path, &world.tracker).await.unwrap().1,
        ),
    ));
    for _ in 0..30 {
        assert_eq!(world.get("/").await.body, "web.1");
    }
    let (feed, mut reports) = FeedClient::connect(&path, &world.tracker).await.unwrap();
    let (mut records, mut dropped) = (0, 0);
    while records + dropped < 30 {
        match timeout(DEADLINE, reports.next()).await.unwrap().unwrap() {
            Report::Access(_) => records += 1,
            Report::Dropped { count } => dropped += count,
            other => panic!("{other:?}"),
        }
    }
    assert!(dropped > 0, "{records} records, {dropped} dropped");
    drop(feed);
}

#[tokio::test]
async fn nobody_there_is_an_error_with_the_path() {
    let world = World::start(quick()).await;
    let path = world.directory.path().join("nobody.sock");
    let error = FeedClient::connect(&path, &world.tracker).await.err().unwrap();
    assert!(error.to_string().contains("nobody.sock"), "{error}");
}
