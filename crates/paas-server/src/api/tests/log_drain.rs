//! Log drains: made, found by every name, refused in words.

use http::StatusCode;
use serde_json::json;

use super::server::server;

#[tokio::test]
async fn a_drain_is_made_found_and_removed_by_id_token_and_url() {
    let server = server().await;
    let app = server.app("hello").await;
    let url = "https://ann:hunter2@logs.example.com/in?key=s3cret";
    let encoded = "https%3A%2F%2Fann%3Ahunter2%40logs.example.com%2Fin%3Fkey%3Ds3cret";
    for name in ["id", "token", "url"] {
        let made = server.post("/apps/hello/log-drains", json!({ "url": url })).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        let made = made.json();
        assert_eq!(made["url"], url);
        assert_eq!(made["app"]["name"], "hello");
        assert_eq!(server.get("/apps/hello/log-drains").await.ok(), json!([made]));
        let extended = server.get("/apps/hello/log-drains?extended=true").await.ok();
        assert_eq!(extended[0]["extended"]["drain_id"], made["id"]);
        let path = match name {
            "url" => format!("/apps/hello/log-drains/{encoded}"),
            name => format!("/apps/hello/log-drains/{}", made[name].as_str().unwrap()),
        };
        assert_eq!(server.get(&path).await.ok(), made);
        assert_eq!(server.delete(&path).await.ok(), made);
        assert_eq!(server.get(&path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(server.delete(&path).await.json()["resource"], "drain");
    }
    let log = server.log(&app).await;
    assert!(
        log.contains("app[api]: Add drain d.") && log.contains("Remove drain d."),
        "{log}"
    );
    assert!(!log.contains("hunter2") && !log.contains("s3cret"), "{log}");
}

#[tokio::test]
async fn what_no_drain_can_be_is_refused_in_words() {
    let server = server().await;
    server.app("hello").await;
    server.app("other").await;
    let first = json!({ "url": "syslog://logs.example.com" });
    server.post("/apps/hello/log-drains", first.clone()).await.ok();
    for (url, words) in [
        ("", "Url scheme must be one of"),
        ("logs.example.com", "Url scheme must be one of"),
        ("udp://logs.example.com", "Url scheme must be one of"),
        ("https://", "Url host is invalid"),
        ("syslog://logs.example.com/path", "no more than a host and a port"),
        ("syslog://logs.example.com", "Url has already been taken"),
        ("http://localhost:5050", "is this machine itself"),
        ("http://127.0.0.1:5050", "is this machine itself"),
        ("http://[::1]:5050", "is this machine itself"),
        (
            "http://169.254.169.254/latest",
            "not an address that anything may be sent to",
        ),
        ("http://10.210.0.66:5000", "inside of the apps' own networks"),
    ] {
        let refused = server.post("/apps/hello/log-drains", json!({ "url": url })).await;
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{url}: {}",
            refused.text
        );
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words), "{url}: {message}");
    }
    for number in 1..5 {
        let url = format!("syslog://logs.example.com:{number}");
        server.post("/apps/hello/log-drains", json!({ "url": url })).await.ok();
    }
    let sixth = json!({ "url": "syslog://logs.example.com:6" });
    let refused = server.post("/apps/hello/log-drains", sixth).await;
    assert!(refused.text.contains("maximum of 5 drains"), "{}", refused.text);
    // Another app may have the same.
    server.post("/apps/other/log-drains", first).await.ok();
}

#[tokio::test]
async fn telemetry_drains_are_refused_in_words() {
    let server = server().await;
    server.app("hello").await;
    let refused = server.post("/telemetry-drains", json!({})).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("log drain"), "{}", refused.text);
    let missing = server
        .get("/telemetry-drains/6f1c1e5a-43a1-4f0d-8b5e-0d5f7a3c9e10")
        .await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}
