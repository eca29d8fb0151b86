//! The disk: for operators, and for nobody else.

use http::{Method, StatusCode, header};
use serde_json::json;

use super::server::server;

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_takes_room_and_prunes_it() {
    let server = server().await;
    let app = server.app("hello").await;
    let logs = server.platform.settings.logs();
    let (own, stranger) = (app.app.id.to_string(), uuid::Uuid::new_v4().to_string());
    for folder in [&own, &stranger] {
        std::fs::create_dir_all(logs.join(folder)).unwrap();
        std::fs::write(logs.join(folder).join("file"), "x".repeat(500)).unwrap();
    }
    let disk = server.get("/disk").await.ok();
    assert_eq!(disk["limit_percent"], 85);
    assert_eq!(disk["apps"][0]["app"]["name"], "hello");
    // Its log has lines of its own.
    assert!(disk["apps"][0]["log_bytes"].as_u64() > Some(500), "{disk}");
    assert!(disk["file_systems"][0]["size_bytes"].as_u64() > Some(0), "{disk}");

    let rehearsed = server
        .post("/disk/actions/prune", json!({ "dry_run": true }))
        .await
        .ok();
    let items = json!([{ "app": null, "bytes": 500, "kind": "log", "name": stranger }]);
    assert_eq!((&rehearsed["items"], &rehearsed["pruned_bytes"]), (&items, &json!(500)));
    assert!(logs.join(&stranger).exists());
    let pruned = server.post("/disk/actions/prune", json!({})).await.ok();
    assert_eq!(pruned["items"], items);
    assert!(!logs.join(&stranger).exists() && logs.join(&own).exists());
}

#[tokio::test]
async fn who_is_no_operator_is_told_who_makes_one() {
    let server = server().await;
    let token = server.stranger("bob@example.com").await;
    for (method, path) in [(Method::GET, "/disk"), (Method::POST, "/disk/actions/prune")] {
        let mut request = server.request(method, path);
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        let answer = server.send(request.map(|_| "{}".into())).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text);
        assert!(answer.text.contains("paasd user operator"), "{}", answer.text);
    }
}
