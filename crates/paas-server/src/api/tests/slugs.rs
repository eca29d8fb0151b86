//! Slugs that somebody else has compiled: made, uploaded, released, given out again.

use axum::body::Body;
use flate2::{Compression, write::GzEncoder};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::server::{Answer, Server, server};

fn archive(path: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(5);
    tar.append_data(&mut header, path, &b"hello"[..]).unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

async fn put(server: &Server, url: &Value, bytes: Vec<u8>) -> Answer {
    let mut request = server.request(Method::PUT, &Server::path_of(url));
    request.headers_mut().remove(header::AUTHORIZATION);
    server.send(request.map(|_| Body::from(bytes))).await
}

async fn release(server: &Server, slug: &Value) -> Answer {
    server.post("/apps/hello/releases", json!({ "slug": slug["id"] })).await
}

#[tokio::test]
async fn an_uploaded_slug_is_released_like_any_other() {
    let server = server().await;
    let app = server.app("hello").await;
    let new = json!({ "process_types": { "web": "./web", "worker": "./work" }, "commit": "0123456789abcdef" });
    let made = server.post("/apps/hello/slugs", new).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let slug = made.json();
    assert_eq!(slug["blob"]["method"], "put");
    let early = release(&server, &slug).await;
    assert_eq!(early.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(early.text.contains("nothing has been uploaded"), "{}", early.text);

    assert_eq!(
        put(&server, &slug["blob"]["url"], archive("./app/web")).await.status,
        StatusCode::OK
    );
    let path = format!("/apps/hello/slugs/{}", slug["id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.ok()["blob"]["method"], "get");

    let released = release(&server, &slug).await.ok();
    assert_eq!(released["slug"]["id"], slug["id"]);
    assert_eq!(released["description"], "Deploy 01234567");
    assert_eq!(
        server.get("/apps/hello/formation").await.column("type"),
        ["web", "worker"]
    );
    assert_eq!(server.get("/apps/hello/formation").await.column("quantity"), [1, 0]);
    let info = server.get(&path).await.ok();
    assert_eq!(info["blob"]["method"], "get");
    assert!(info["size"].is_u64(), "{info}");
    assert!(server.log(&app).await.contains("Deploy 01234567 by user"));
    // Once more, with the image that is there.
    assert_eq!(release(&server, &slug).await.ok()["version"], 4);
}

#[tokio::test]
async fn a_slug_that_cannot_be_one_is_refused() {
    let server = server().await;
    server.app("hello").await;
    for (new, words) in [
        (json!({}), "process_types"),
        (json!({ "process_types": {} }), "must name 1 to"),
        (json!({ "process_types": { "we b": "x" } }), "Process type"),
        (json!({ "process_types": { "web": " " } }), "command of web"),
        (
            json!({ "process_types": { "web": "x" }, "stack": "cedar-14" }),
            "cedar-14 is not available",
        ),
        (
            json!({ "process_types": { "web": "x" }, "commit": "a\nb" }),
            "control characters",
        ),
    ] {
        let refused = server.post("/apps/hello/slugs", new).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
        assert!(refused.text.contains(words), "{}", refused.text);
    }
    for (upload, checksum, words) in [
        (b"no archive".to_vec(), None, "not a whole tar.gz"),
        (archive("etc/passwd"), None, "not in ./app"),
        (archive("app/web"), Some("SHA256:00"), "checksum"),
        (archive("app/web"), Some(&*"0".repeat(64)), "checksum"),
    ] {
        let new = json!({ "process_types": { "web": "x" }, "checksum": checksum });
        let slug = server.post("/apps/hello/slugs", new).await.ok();
        put(&server, &slug["blob"]["url"], upload).await;
        let refused = release(&server, &slug).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
        assert!(refused.text.contains(words), "{}", refused.text);
    }
    assert_eq!(server.get("/apps/hello/releases").await.column("version"), [1, 2]);
}

#[tokio::test]
async fn a_slug_of_another_app_is_no_slug() {
    let server = server().await;
    server.app("hello").await;
    server.app("other").await;
    let new = json!({ "process_types": { "web": "./web" } });
    let slug = server.post("/apps/other/slugs", new).await.ok();
    put(&server, &slug["blob"]["url"], archive("app/web")).await;
    assert_eq!(release(&server, &slug).await.status, StatusCode::NOT_FOUND);
    let path = format!("/apps/hello/slugs/{}", slug["id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.status, StatusCode::NOT_FOUND);
}
