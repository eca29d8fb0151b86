//! The container stack, and images that cannot be released.

use http::StatusCode;
use serde_json::json;

use super::server::{server, server_with};

#[tokio::test]
async fn a_stack_is_chosen_for_the_next_build() {
    let server = server().await;
    let app = server.app("hello").await;
    let set = async |stack: &str| {
        let answer = server.patch("/apps/hello", json!({ "build_stack": stack })).await.ok();
        let name = |field: &str| answer[field]["name"].as_str().unwrap().to_owned();
        (name("stack"), name("build_stack"))
    };
    let names = |stack: &str, build_stack: &str| (stack.to_owned(), build_stack.to_owned());
    // Nothing runs yet that was built for another one.
    assert_eq!(set("container").await, names("container", "container"));
    server.deploy(&app, &[("web", "./web")]).await;
    assert_eq!(set("paas-12").await, names("container", "paas-12"));
    server.deploy(&app, &[("web", "./web")]).await;
    assert_eq!(server.get("/apps/hello").await.ok()["stack"]["name"], "paas-12");
    assert_eq!(server.get("/stacks").await.column("name"), ["container", "paas-12"]);
    // Without a builder there is no such stack, and whoever asks for it is told why.
    let refused = server.patch("/apps/hello", json!({ "build_stack": "cnb" })).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("set PAAS_CNB_BUILDER"));
    let made = server
        .post("/apps", json!({ "name": "images", "stack": "container" }))
        .await
        .ok();
    assert_eq!(made["stack"]["name"], "container");
}

#[tokio::test]
async fn with_a_builder_there_is_a_stack_of_its_buildpacks() {
    let server = server_with(&["--cnb-builder", "heroku/builder:24"]).await;
    server.app("hello").await;
    let app = server.patch("/apps/hello", json!({ "build_stack": "cnb" })).await.ok();
    assert_eq!(app["build_stack"]["name"], "cnb");
    assert_eq!(
        server.get("/stacks").await.column("name"),
        ["cnb", "container", "paas-12"]
    );
}

#[tokio::test]
async fn an_image_that_was_not_pushed_is_not_released() {
    let server = server().await;
    let app = server.app("hello").await;
    server.deploy(&app, &[("web", "./web")]).await;
    let digest = format!("sha256:{}", "0".repeat(64));
    let release = async |image: serde_json::Value| {
        let update = json!({ "updates": [{ "type": "web", "docker_image": image }] });
        server.patch("/apps/hello/formation", update).await
    };
    let missing = release(json!(digest)).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND, "{}", missing.text);
    assert!(missing.text.contains("paas container:push web"), "{}", missing.text);
    let bad = release(json!("../../key")).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", bad.text);
    // What runs is no image that could be taken away.
    let none = release(json!(null)).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND, "{}", none.text);
    assert_eq!(server.get("/apps/hello/releases").await.column("version"), [1, 2, 3]);
}

#[tokio::test]
async fn what_cannot_be_scaled_keeps_images_from_being_released() {
    let server = server().await;
    let app = server.app("hello").await;
    server.deploy(&app, &[("web", "./web")]).await;
    let image = format!("sha256:{}", "0".repeat(64));
    let refused = async |updates: serde_json::Value| {
        let answer = server
            .patch("/apps/hello/formation", json!({ "updates": updates }))
            .await;
        (answer.status, answer.text)
    };
    let web = json!({ "type": "web", "docker_image": image });
    let (status, text) = refused(json!([web, { "type": "nope", "quantity": 1 }])).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(text.contains("process type (nope)"), "{text}");
    let many = json!({ "type": "web", "docker_image": image, "quantity": 1_000_000 });
    let (status, text) = refused(json!([many])).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{text}");
    let gone = json!({ "type": "web", "docker_image": null, "quantity": 1 });
    let (status, text) = refused(json!([gone])).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{text}");
    assert!(text.contains("process type (web)"), "{text}");
    // Of a new type it is the image that is looked for.
    let (_, text) = refused(json!([{ "type": "worker", "docker_image": image, "quantity": 1 }])).await;
    assert!(text.contains("paas container:push worker"), "{text}");
}

#[tokio::test]
async fn an_image_is_named_as_docker_writes_it_and_fetched_from_the_internet() {
    let server = server().await;
    server.app("hello").await;
    for (image, words) in [
        ("sha256:0123", "is no name of an image"),
        ("--help", "is no name of an image"),
        ("127.0.0.1:5000/team/app", "PAAS_ALLOW_PRIVATE_SOURCES"),
        ("localhost/app", "PAAS_ALLOW_PRIVATE_SOURCES"),
        ("LocalHost/app", "PAAS_ALLOW_PRIVATE_SOURCES"),
        ("[::1]:5000/app", "is no name of an image"),
    ] {
        let refused = server.post("/apps/hello/images", json!({ "image": image })).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
        assert!(refused.text.contains(words), "{image}: {}", refused.text);
    }
    let half = json!({ "image": "team/app", "registry_user": "me" });
    let refused = server.post("/apps/hello/images", half).await;
    assert!(refused.text.contains("registry_password"), "{}", refused.text);
}
