//! Add-ons that addresses outside may come to: asked for by those who may, for some, for a while.

use chrono::TimeDelta;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::server::{Answer, Server, server, server_with};

impl Server {
    async fn addon_of_hello(&self, plan: &str) -> String {
        let made = self
            .post("/apps/hello/addons", json!({ "plan": { "name": plan } }))
            .await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        format!("/addons/{}/exposure", made.json()["id"].as_str().unwrap())
    }

    async fn exposes(&self, path: &str, wanted: Value) -> Answer {
        self.send_json(Method::PUT, path, wanted).await
    }
}

#[tokio::test]
async fn no_add_on_is_exposed_until_the_operator_says_by_which_ports() {
    let server = server().await;
    server.app("hello").await;
    let path = server.addon_of_hello("heroku-postgresql").await;
    let refused = server.exposes(&path, json!({ "allow": ["203.0.113.7"] })).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("--addon-ports"), "{}", refused.text);
}

#[tokio::test]
async fn an_add_on_is_exposed_to_some_for_a_while() {
    let server = server_with(&["--addon-ports", "20000-20000"]).await;
    server.app("hello").await;
    let path = server.addon_of_hello("heroku-postgresql").await;
    let (cache, redis) = (
        server.addon_of_hello("memcachier").await,
        server.addon_of_hello("heroku-redis").await,
    );
    for (path, wanted, words) in [
        (&path, json!({ "allow": ["0.0.0.0/0"] }), "too much of the internet"),
        (&path, json!({ "allow": [] }), "Nobody would be allowed"),
        (
            &path,
            json!({ "allow": ["203.0.113.7"], "until": "91 days" }),
            "90 days at most",
        ),
        (
            &path,
            json!({ "allow": ["203.0.113.7"], "until": "soon" }),
            "is no time",
        ),
        (&cache, json!({ "allow": ["203.0.113.7"] }), "unencrypted"),
    ] {
        let refused = server.exposes(path, wanted).await;
        assert!(
            refused.status.is_client_error() && refused.text.contains(words),
            "{}",
            refused.text
        );
    }
    let made = server
        .exposes(&path, json!({ "allow": ["203.0.113.7", "198.51.100.9/24"] }))
        .await
        .ok();
    assert_eq!(made["allow"], json!(["203.0.113.7/32", "198.51.100.0/24"]));
    let url = made["url"].as_str().unwrap();
    assert!(
        url.starts_with("postgres://") && url.contains("@api.example.test:20000/"),
        "{url}"
    );
    let taken = server.exposes(&redis, json!({ "allow": ["203.0.113.7"] })).await;
    assert!(taken.text.contains("All ports"), "{}", taken.text);

    // Who may see no config vars sees no password, and the list shows none to anybody.
    let listed = server.get("/addon-exposures").await.ok();
    assert_eq!((&listed[0]["port"], &listed[0]["url"]), (&json!(20000), &Value::Null));
    assert_eq!(server.get(&path).await.ok()["url"], made["url"]);
    let eve = server.stranger("eve@example.com").await;
    for method in [Method::GET, Method::DELETE] {
        let mut request = server.request(method, &path);
        let bearer = format!("Bearer {eve}").parse().unwrap();
        request.headers_mut().insert(http::header::AUTHORIZATION, bearer);
        assert_eq!(server.send(request).await.status, StatusCode::NOT_FOUND);
    }

    // Once more is for longer, with the same port; and it ends by itself.
    let longer = json!({ "allow": ["203.0.113.7"], "until": "30 days" });
    assert_eq!(server.exposes(&path, longer).await.ok()["port"], 20000);
    server.platform.clock.advance(TimeDelta::days(29));
    assert_eq!(server.get(&path).await.status, StatusCode::OK);
    server.platform.clock.advance(TimeDelta::days(1));
    assert_eq!(server.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get("/addon-exposures").await.ok(), json!([]));

    let again = server.exposes(&path, json!({ "allow": ["203.0.113.7"] })).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text);
    server.delete(&path).await.ok();
    assert_eq!(server.delete(&path).await.status, StatusCode::NOT_FOUND);
}
