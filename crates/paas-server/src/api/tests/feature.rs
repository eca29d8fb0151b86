//! Features: listed, switched, and kept.

use http::StatusCode;
use serde_json::{Value, json};

use super::server::server;

#[tokio::test]
async fn features_and_labs_are_one_list() {
    let server = server().await;
    server.app("hello").await;
    let features = server.get("/apps/hello/features").await.ok();
    let named = |state: &str| {
        let features = features.as_array().unwrap().iter();
        let names = features.filter(|feature| feature["state"] == state);
        names
            .map(|feature| feature["name"].as_str().unwrap())
            .collect::<Vec<_>>()
    };
    let general = [
        "hsts",
        "http-session-affinity",
        "https-redirect",
        "preboot",
        "runtime-heroku-exec",
    ];
    assert_eq!(named("general"), general);
    assert_eq!(named("beta"), ["log-runtime-metrics", "runtime-dyno-metadata"]);
}

#[tokio::test]
async fn a_feature_stays_as_it_was_switched() {
    let server = server().await;
    let app = server.app("hello").await;
    for name in server.get("/apps/hello/features").await.column("name") {
        let name = name.as_str().unwrap();
        let path = format!("/apps/hello/features/{name}");
        let was = server.get(&path).await.ok()["enabled"].as_bool().unwrap();
        assert_eq!(was, name == "runtime-heroku-exec", "{name}");
        for enabled in [!was, was, !was] {
            let switched = server.patch(&path, json!({ "enabled": enabled })).await.ok();
            assert_eq!(switched["enabled"], Value::Bool(enabled));
            assert_eq!(server.get(&path).await.ok(), switched);
        }
    }
    let log = server.log(&app).await;
    for line in [
        "Enable feature log-runtime-metrics by user",
        "Disable feature runtime-heroku-exec by user",
    ] {
        assert!(log.contains(line), "{log}");
    }
    let unknown = server.get("/apps/hello/features/spaces-strict-tls").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nobody_enters_the_dynos_of_an_app_that_wants_nobody_in() {
    let server = server().await;
    server.app("hello").await;
    let feature = "/apps/hello/features/runtime-heroku-exec";
    for action in ["exec", "forward"] {
        let path = format!("/apps/hello/dynos/web.1/actions/{action}");
        server.patch(feature, json!({ "enabled": false })).await.ok();
        let refused = server.post(&path, json!({})).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.text.contains("features:enable runtime-heroku-exec -a hello"));
        server.patch(feature, json!({ "enabled": true })).await.ok();
        assert_eq!(server.post(&path, json!({})).await.status, StatusCode::NOT_FOUND);
    }
}

/// Heroku's command asks for the account's feature first, and must not find it.
#[tokio::test]
async fn accounts_have_no_features() {
    let server = server().await;
    assert_eq!(server.get("/account/features").await.ok(), json!([]));
    let path = "/account/features/runtime-dyno-metadata";
    assert_eq!(server.get(path).await.status, StatusCode::NOT_FOUND);
    let switched = server.patch(path, json!({ "enabled": true })).await;
    assert_eq!(switched.status, StatusCode::NOT_FOUND);
}
