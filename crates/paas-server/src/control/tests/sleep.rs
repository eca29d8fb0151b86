//! Apps that nobody asks for.

use std::time::Duration;

use futures_util::future::join_all;
use paas_core::Routing;
use paas_store::{
    app::AppRow,
    dyno::{self, DynoFilter},
    routing,
};

use super::server::{Server, is_dyno};

/// The router counts real seconds; of the server's own clock, dynos have to be as old.
const SHORT: Duration = Duration::from_secs(1);

impl Server {
    async fn sleep_after(&self, app: &AppRow, sleep_after: Duration) {
        let rules = Routing {
            sleep_after: Some(sleep_after),
            ..Routing::default()
        };
        let mut connection = self.platform.store.connection().await.unwrap();
        routing::set(&mut connection, app.app.id, &rules, self.stamp())
            .await
            .unwrap();
    }

    /// An app that sleeps.
    async fn sleeper(&self) -> AppRow {
        let app = self.app("hello").await;
        self.push(&app, "web: ./serve\nworker: ./work").await;
        self.scale(&app, "worker", 1).await;
        self.settles(&app, &["web.1 v3 up", "worker.1 v3 up"]).await;
        self.sleep_after(&app, SHORT).await;
        self.wait(60);
        self.settles(&app, &[]).await;
        app
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_nobody_asks_for_sleeps_until_somebody_does() {
    let (server, router) = Server::start().await;
    let app = server.sleeper().await;
    for line in [
        "heroku[web.1]: Idling",
        "heroku[worker.1]: Idling",
        "heroku[web.1]: Stopping all processes with SIGTERM",
        "heroku[web.1]: Process exited with status 143",
        "heroku[web.1]: State changed from up to down",
    ] {
        server.logs(&app, line).await;
    }
    // Long enough from here on for the router's last words to be late.
    server.sleep_after(&app, Duration::from_hours(1)).await;
    server.settles(&app, &["web.1 v3 up", "worker.1 v3 up"]).await;
    server.sleep_after(&app, SHORT).await;
    server.wait(60);
    server.settles(&app, &[]).await;

    let visitors = (0..20).map(|_| router.get(&app));
    let answers = join_all(visitors).await;
    server.settles(&app, &["web.1 v3 up", "worker.1 v3 up"]).await;
    let running = server.containers(&app, is_dyno).await;
    let is_of_app = |answer: &String| running.iter().any(|container| container.name == *answer);
    assert!(answers.iter().all(is_of_app), "{answers:?}");
    server.logs(&app, "heroku[web.1]: Unidling").await;
    server
        .logs(&app, "heroku[web.1]: State changed from down to starting")
        .await;
    assert!(
        !server.log(&app).await.contains("status=503"),
        "{}",
        server.log(&app).await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_and_a_restart_wake_an_app() {
    let (server, _router) = Server::start().await;
    let app = server.sleeper().await;
    let pushed = server.push(&app, "web: ./serve").await;
    assert!(pushed.output.contains("deployed"), "{}", pushed.output);
    server.wait(60);
    server.settles(&app, &[]).await;
    let mut connection = server.platform.store.connection().await.unwrap();
    dyno::condemn(&mut connection, app.app.id, DynoFilter::All, server.stamp())
        .await
        .unwrap();
    drop(connection);
    server.settles(&app, &["web.1 v4 up"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dyno_that_is_young_is_wanted_whatever_the_router_says() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    server.push(&app, "web: ./serve").await;
    server.settles(&app, &["web.1 v3 up"]).await;
    let container = server.container(&app, is_dyno).await.name;
    // By the router's clock it is idle, by the server's its dyno was made this very moment.
    server.sleep_after(&app, SHORT).await;
    let rules = server.platform.passes.subscribe();
    let passes = *rules.borrow();
    let has_been_told = async || *rules.borrow() > passes + 2;
    assert!(
        server.becomes(has_been_told).await,
        "each word of the router is a reason to look"
    );
    assert_eq!(router.get(&app).await, container);
    assert!(!server.log(&app).await.contains("Idling"));
    server.wait(2);
    server.settles(&app, &[]).await;
}
