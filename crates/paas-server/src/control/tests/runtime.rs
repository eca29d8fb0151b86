//! What dynos are told about themselves, and what is told about them.

use paas_core::Feature;
use paas_store::{app::AppRow, feature};

use super::server::{Server, is_dyno};
use crate::control::runtime_metrics::Meter;

impl Server {
    async fn enable(&self, app: &AppRow, feature: Feature) {
        let mut connection = self.platform.store.connection().await.unwrap();
        feature::set(&mut connection, app.app.id, feature, true, self.stamp())
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dynos_know_their_app_and_release_when_it_wants_them_to() {
    let (server, _router) = Server::start().await;
    let app = server.app("hello").await;
    server.push(&app, "web: ./serve").await;
    server.settles(&app, &["web.1 v3 up"]).await;
    let environment = async || {
        let container = server.container(&app, is_dyno).await;
        server.engine.spec(&container.id).unwrap().environment
    };
    assert_eq!(environment().await.get("HEROKU_APP_NAME"), None);

    server.enable(&app, Feature::RuntimeDynoMetadata).await;
    server.set_config(&app, "HEROKU_SLUG_DESCRIPTION", "mine").await;
    server.settles(&app, &["web.1 v4 up"]).await;
    let told = environment().await;
    assert_eq!(told.get("HEROKU_APP_NAME"), Some("hello"));
    assert_eq!(told.get("HEROKU_APP_ID"), Some(app.app.id.to_string().as_str()));
    assert_eq!(told.get("HEROKU_APP_DEFAULT_DOMAIN_NAME"), Some("hello.example.test"));
    assert_eq!(told.get("HEROKU_RELEASE_VERSION"), Some("v4"));
    assert_eq!(told.get("HEROKU_SLUG_DESCRIPTION"), Some("mine"), "config vars win");
    assert_eq!(told.get("HEROKU_SLUG_COMMIT"), told.get("HEROKU_BUILD_COMMIT"));
    let created_at = told.get("HEROKU_RELEASE_CREATED_AT").unwrap();
    assert!(
        created_at.starts_with("2026-01-02T") && created_at.ends_with('Z'),
        "{created_at}"
    );
    let dyno = server.dyno_rows(&app).await.remove(0);
    assert_eq!(told.get("HEROKU_DYNO_ID"), Some(dyno.id.to_string().as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_load_are_logged_for_apps_that_want_it() {
    let (server, _router) = Server::start().await;
    let (app, other) = (server.app("hello").await, server.app("other").await);
    for app in [&app, &other] {
        server.push(app, "web: ./serve").await;
        server.settles(app, &["web.1 v3 up"]).await;
    }
    server.enable(&app, Feature::LogRuntimeMetrics).await;
    let mut meter = Meter::default();
    for _ in 0..2 {
        meter.round(&server.platform).await.unwrap();
    }
    let dyno = server.dyno_rows(&app).await.remove(0);
    let source = format!("heroku[web.1]: source=web.1 dyno=heroku.{}.{}", app.app.id, dyno.id);
    let log = server.log(&app).await;
    let of = |sample: &str| {
        log.lines()
            .filter(|line| line.contains(&format!("{source} {sample}")))
            .count()
    };
    let memory = "sample#memory_total=21.00MB sample#memory_rss=20.00MB sample#memory_cache=1.00MB sample#memory_swap=0.00MB \
                  sample#memory_pgpgin=0pages sample#memory_pgpgout=0pages sample#memory_quota=512.00MB";
    assert_eq!(of(memory), 2, "{log}");
    // What a dyno does is known from two looks at it.
    let load = "sample#load_avg_1m=0.00 sample#load_avg_5m=0.00 sample#load_avg_15m=0.00";
    assert_eq!(of(load), 1, "{log}");
    assert!(!server.log(&other).await.contains("sample#"));
}
