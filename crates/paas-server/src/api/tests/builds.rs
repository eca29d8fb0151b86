//! Builds from sources that clients upload or name.

use std::time::Duration;

use axum::body::Body;
use flate2::{Compression, write::GzEncoder};
use http::{Method, StatusCode, header};
use serde_json::json;

use super::server::{Server, server};

/// However busy the machine is.
const LIMIT: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

#[tokio::test]
async fn the_result_of_a_build_is_all_that_it_said() {
    let server = server().await;
    let app = server.app("hello").await;
    server.deploy(&app, &[("web", "./web")]).await;
    let build = server.get("/apps/hello/builds").await.json()[0].clone();
    let id = build["id"].as_str().unwrap();
    let mut output = server.platform.outputs.write(id.parse().unwrap()).await.unwrap();
    output.line("-----> Building").await.unwrap();
    output.line("-----> Done").await.unwrap();
    drop(output);
    let result = server.get(&format!("/apps/hello/builds/{id}/result")).await.ok();
    assert_eq!(
        result,
        json!({
            "build": { "id": id, "output_stream_url": build["output_stream_url"], "status": "succeeded" },
            "exit_code": 0,
            "lines": [
                { "line": "-----> Building\n", "stream": "STDOUT" },
                { "line": "-----> Done\n", "stream": "STDOUT" },
            ],
        })
    );
}

#[tokio::test]
async fn a_build_cache_is_emptied_unless_a_build_works_with_it() {
    let server = server().await;
    let app = server.app("hello").await;
    let path = "/apps/hello/build-cache";
    assert_eq!(server.delete(path).await.ok(), json!({}));
    assert!(server.log(&app).await.contains("Build cache purged by user"));

    let turn = server.platform.turns.app(app.app.id);
    let held = turn.lock().await;
    let answer = server.delete(path).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.text);
    drop(held);
    server.delete(path).await.ok();
}

/// A tar.gz with one file.
fn archive() -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(11);
    tar.append_data(&mut header, "hello-1a2b3c/Procfile", &b"web: ./web\n"[..])
        .unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

#[tokio::test]
async fn an_upload_can_be_built_again_and_with_other_buildpacks() {
    let server = server().await;
    server.app("hello").await;
    let source = server.post("/sources", json!({})).await.ok()["source_blob"].clone();
    let mut upload = server.request(Method::PUT, &Server::path_of(&source["put_url"]));
    upload.headers_mut().remove(header::AUTHORIZATION);
    let upload = server.send(upload.map(|_| Body::from(archive()))).await;
    assert_eq!(upload.status, StatusCode::OK);
    for (buildpacks, shown) in [
        (json!(null), json!(null)),
        (json!([]), json!(null)),
        (
            json!([{ "url": "heroku/nodejs" }, { "name": "heroku/python" }]),
            json!([
                { "name": "heroku/nodejs", "url": "urn:buildpack:heroku/nodejs" },
                { "name": "heroku/python", "url": "urn:buildpack:heroku/python" },
            ]),
        ),
    ] {
        let blob = json!({ "url": source["get_url"], "version": "v1", "version_description": "the first" });
        let new = json!({ "buildpacks": buildpacks, "source_blob": blob });
        let made = server.post("/apps/hello/builds", new).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        let build = made.json();
        assert_eq!(build["buildpacks"], shown);
        assert_eq!(build["source_blob"]["version_description"], "the first");
        let path = format!("/apps/hello/builds/{}", build["id"].as_str().unwrap());
        until_ended(&server, &path).await;
    }
    let other = json!({ "buildpacks": [{ "url": "heroku/cobol" }], "source_blob": { "url": source["get_url"] } });
    let refused = server.post("/apps/hello/builds", other).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
}

#[tokio::test]
async fn a_source_inside_is_not_fetched_and_the_build_says_so() {
    let server = server().await;
    server.app("hello").await;
    let url = "https://me:secret@127.0.0.1/hello.tgz?signature=secret";
    let made = server
        .post("/apps/hello/builds", json!({ "source_blob": { "url": url } }))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let build = made.json();
    assert_eq!(build["source_blob"]["url"], "https://127.0.0.1/hello.tgz");
    let path = format!("/apps/hello/builds/{}", build["id"].as_str().unwrap());
    assert_eq!(until_ended(&server, &path).await["status"], "failed");
    let output = server.get(&Server::path_of(&build["output_stream_url"])).await.text;
    assert!(output.contains("-----> Fetching the source from 127.0.0.1"), "{output}");
    assert!(
        output.contains("inside of a private network") && !output.contains("secret"),
        "{output}"
    );
}

#[tokio::test]
async fn an_app_setup_is_read_by_whoever_began_it() {
    let server = server().await;
    let source = server.post("/sources", json!({})).await.ok()["source_blob"].clone();
    let blob = json!({ "url": source["get_url"] });
    let empty = server.post("/app-setups", json!({ "source_blob": blob })).await;
    assert_eq!(empty.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", empty.text);
    assert_eq!(server.get("/apps").await.ok(), json!([]));

    let upload = server.request(Method::PUT, &Server::path_of(&source["put_url"]));
    server.send(upload.map(|_| Body::from(archive()))).await;
    let new = json!({ "app": { "name": "hello" }, "overrides": { "env": { "A": "1" } }, "source_blob": blob });
    let made = server.post("/app-setups", new).await;
    assert_eq!(made.status, StatusCode::ACCEPTED, "{}", made.text);
    let setup = made.json();
    assert_eq!(
        (&setup["status"], &setup["app"]["name"]),
        (&json!("pending"), &json!("hello"))
    );
    let path = format!("/app-setups/{}", setup["id"].as_str().unwrap());
    let ended = until_ended(&server, &path).await;
    assert_eq!(ended["status"], "failed");
    assert!(
        ended["manifest_errors"][0].as_str().unwrap().contains("no app.json"),
        "{ended}"
    );

    let mut strange = server.request(Method::GET, &path);
    let token = server.stranger("bob@example.com").await;
    strange
        .headers_mut()
        .insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    assert_eq!(server.send(strange).await.status, StatusCode::NOT_FOUND);
}

/// Each look is a request, and time stands still: the deploy goes on in between.
async fn until_ended(server: &Server, path: &str) -> serde_json::Value {
    let ended = async {
        loop {
            let build = server.get(path).await.ok();
            if build["status"] != "pending" {
                return build;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(LIMIT, ended).await.unwrap()
}
