//! The reconciler: scaling, restarts, crashes, and parts that are away.

use std::time::Duration;

use futures_util::future::join_all;
use paas_core::{DynoSize, DynoState, ReleaseStatus};
use paas_engine::{Behaviour, ContainerState, DYNO_PORT, Engine, Role};
use paas_router::feed::FeedClient;
use paas_store::{
    dyno::{self, DynoFilter},
    new_id,
};
use tokio::{net::TcpStream, time::timeout};

use super::{
    super::boot::Verdict,
    server::{Server, is_dyno},
};

#[tokio::test(flavor = "multi_thread")]
async fn scaling_starts_and_stops_dynos() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    server.push(&app, "web: ./serve\nworker: ./work").await;
    server.settles(&app, &["web.1 v3 up"]).await;
    server.scale(&app, "web", 2).await;
    server.scale(&app, "worker", 1).await;
    server
        .settles(&app, &["web.1 v3 up", "web.2 v3 up", "worker.1 v3 up"])
        .await;
    server.scale(&app, "web", 1).await;
    server.scale(&app, "worker", 0).await;
    server.settles(&app, &["web.1 v3 up"]).await;
    assert_eq!(router.get(&app).await, server.container(&app, is_dyno).await.name);
    server.scale(&app, "web", 0).await;
    server.settles(&app, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_replaces_each_dyno_by_one_just_like_it() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    server.push(&app, "web: ./serve").await;
    let before = router.get(&app).await;
    let mut connection = server.platform.store.connection().await.unwrap();
    dyno::condemn(&mut connection, app.app.id, DynoFilter::All, server.stamp())
        .await
        .unwrap();
    drop(connection);
    assert!(server.becomes(async || router.get(&app).await != before).await);
    server.settles(&app, &["web.1 v3 up"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dyno_that_crashes_starts_again() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    server.push(&app, "web: ./serve").await;
    let first = server.container(&app, is_dyno).await;
    server
        .engine
        .say(&first.id, paas_engine::OutputStream::Stderr, "last words");
    server.engine.crash(&first.id, 9);
    let is_back = async || {
        let running = server.containers(&app, is_dyno).await;
        running.len() == 1 && router.get(&app).await == running[0].name
    };
    assert!(server.becomes(is_back).await, "{}", server.log(&app).await);
    server.settles(&app, &["web.1 v3 up"]).await;
    assert_eq!(server.dyno_rows(&app).await[0].attempt, 2);
    for line in [
        "heroku[web.1]: Process exited with status 9",
        "heroku[web.1]: State changed from up to crashed",
        "heroku[web.1]: State changed from crashed to starting",
        "app[web.1]: last words",
    ] {
        server.logs(&app, line).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_that_the_engine_refuses_is_a_crash() {
    let (server, _router) = Server::start().await;
    let app = server.app("hello").await;
    server.push(&app, "web: ./serve").await;
    server.scale(&app, "web", 0).await;
    server.settles(&app, &[]).await;
    for image in server.engine.images().await.unwrap() {
        if image.app == Some(app.app.id) {
            server.engine.remove_image(&image.tags[0]).await.unwrap();
        }
    }
    server.scale(&app, "web", 1).await;
    server.logs(&app, "heroku[web.1]: Error R99 (Platform error)").await;
    // It is tried again at once, and then only after a while.
    let has_given_up = async || {
        let rows = server.dyno_rows(&app).await;
        rows.iter()
            .any(|dyno| dyno.failures == 2 && matches!(dyno.state, DynoState::Crashed(_)))
    };
    assert!(server.becomes(has_given_up).await, "{}", server.log(&app).await);
    let log = server.log(&app).await;
    assert_eq!(log.matches("Error R99").count(), 2, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_of_an_app_whose_only_dyno_just_died_wait_for_the_next_one() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    server.push(&app, "web: ./serve").await;
    let first = server.container(&app, is_dyno).await;
    let ContainerState::Running { address: Some(address) } = first.state else {
        panic!("it has no address: {first:?}");
    };
    server.engine.crash(&first.id, 137);
    // What the kernel takes for one that dies is reset, not refused.
    let is_refused = async || TcpStream::connect((address, DYNO_PORT)).await.is_err();
    assert!(server.becomes(is_refused).await);
    // Some find nobody at the old address, others a table without dynos.
    let answers = join_all((0..20).map(|_| router.get(&app))).await;
    server.settles(&app, &["web.1 v3 up"]).await;
    let second = server.container(&app, is_dyno).await;
    assert_ne!(second.name, first.name);
    assert!(answers.iter().all(|answer| *answer == second.name), "{answers:?}");
    server.logs(&app, "State changed from up to crashed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_away_fails_nothing() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    server.push(&app, "web: ./serve").await;
    let old = router.get(&app).await;
    server.engine.teach_command("./hang", Behaviour::runs());
    let deploy = server.submit(&app, "web: ./hang").await;
    assert!(
        server
            .becomes(async || server.containers(&app, is_dyno).await.len() == 2)
            .await
    );

    server.engine.go_down();
    server.wait(45);
    assert_eq!(router.get(&app).await, old);
    server.engine.come_back();
    server.set_config(&app, "COLOUR", "blue").await;
    server.engine.teach_command("./hang", Behaviour::answers());
    let pushed = server.end_of(deploy).await;
    assert_eq!(pushed.verdict, Verdict::Accepted, "{}", pushed.output);
    assert_eq!(server.status(&app, 4).await, ReleaseStatus::Succeeded);
    assert!(!server.log(&app).await.contains("crashed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn dynos_are_looked_after_while_no_router_runs() {
    let server = Server::new().await;
    let app = server.app("hello").await;
    let router = server.router().await;
    server.run().await;
    server.push(&app, "web: ./serve").await;
    let container = server.container(&app, is_dyno).await;
    drop(router);
    let socket = server.platform.settings.router_socket();
    assert!(server.becomes(async || !socket.exists()).await);
    server.engine.crash(&container.id, 1);
    server.logs(&app, "State changed from up to crashed").await;

    let router = server.router().await;
    let is_back = async || {
        let running = server.containers(&app, is_dyno).await;
        running.len() == 1 && router.get(&app).await == running[0].name
    };
    assert!(server.becomes(is_back).await, "{}", server.log(&app).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_was_fed_by_somebody_else_gets_the_table_again() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    server.push(&app, "web: ./serve").await;
    let serving = router.get(&app).await;
    // The same router, and a table that is not ours.
    let socket = server.platform.settings.router_socket();
    let connected = async {
        loop {
            // The server may have taken the feed back before the router said hello.
            if let Ok(connected) = FeedClient::connect(&socket, &server.platform.tracker).await {
                return connected;
            }
        }
    };
    let (rival, _reports) = timeout(Duration::from_secs(20), connected).await.unwrap();
    let empty = paas_router::feed::Table::default();
    // The server may have taken the feed back already.
    let _ = rival.publish(empty).await;
    timeout(Duration::from_secs(20), rival.closed()).await.unwrap();
    assert!(server.becomes(async || router.get(&app).await == serving).await);
    server.scale(&app, "web", 2).await;
    server.settles(&app, &["web.1 v3 up", "web.2 v3 up"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dyno_said_while_no_server_ran_is_stored_before_it_goes() {
    let server = Server::new().await;
    let app = server.app("hello").await;
    let release = server.release(&app, &[("web", "./serve")]).await;
    let now = server.platform.clock.now();
    let new = dyno::NewDyno {
        id: new_id(now),
        app: app.app.id,
        name: "web.1".parse().unwrap(),
        release: release.release.id,
        size: DynoSize::default(),
    };
    let role = Role::Dyno {
        app: app.app.id,
        dyno: new.id,
        attempt: 1,
        name: new.name.clone(),
        release: release.release.version,
    };
    let name = format!("paas-{}-1", new.id);
    let mut connection = server.platform.store.connection().await.unwrap();
    dyno::insert(&mut connection, new, now).await.unwrap();
    drop(connection);
    server
        .engine
        .teach_command("./gone", Behaviour::exits(1).saying("goodbye"));
    let gone = server.left_container(name, role, "./gone").await;

    let _router = server.router().await;
    server.run().await;
    server.settles(&app, &["web.1 v3 up"]).await;
    let is_removed = async || server.engine.inspect(&gone.id).await.unwrap().is_none();
    assert!(server.becomes(is_removed).await);
    let log = server.log(&app).await;
    assert_eq!(log.matches("app[web.1]: goodbye").count(), 1, "{log}");
}
