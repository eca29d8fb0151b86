//! Buildpacks: chosen, listed, and what Heroku's registry would say about them.

use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::server::{Answer, Server, server};

async fn put(server: &Server, updates: Value) -> Answer {
    let request = server.request(Method::PUT, "/apps/hello/buildpack-installations");
    let body = json!({ "updates": updates }).to_string();
    server.send(request.map(|_| body.into())).await
}

fn urls(answer: &Answer) -> Vec<Value> {
    let list = answer.ok();
    let items = list.as_array().unwrap().iter();
    items.map(|item| item["buildpack"]["url"].clone()).collect()
}

#[tokio::test]
async fn buildpacks_stay_as_they_were_chosen_however_they_were_named() {
    let server = server().await;
    let app = server.app("hello").await;
    let chosen = json!([
        { "buildpack": "https://github.com/heroku/heroku-buildpack-nodejs" },
        { "buildpack": { "url": "urn:buildpack:heroku/python" } },
    ]);
    let expected = ["urn:buildpack:heroku/nodejs", "urn:buildpack:heroku/python"];
    assert_eq!(urls(&put(&server, chosen).await), expected);
    let listed = server.get("/apps/hello/buildpack-installations").await;
    assert_eq!(urls(&listed), expected);
    assert_eq!(listed.column("ordinal"), [0, 1]);
    assert!(
        server
            .log(&app)
            .await
            .contains("Buildpacks set to heroku/nodejs, heroku/python by user")
    );

    assert_eq!(urls(&put(&server, json!([])).await), Vec::<Value>::new());
    assert!(server.log(&app).await.contains("Buildpacks cleared by user"));
}

#[tokio::test]
async fn buildpacks_from_elsewhere_are_kept_with_their_addresses() {
    let server = server().await;
    server.app("hello").await;
    let chosen = json!([
        { "buildpack": "https://github.com/somebody/buildpack.git#v2" },
        { "buildpack": { "url": "https://example.com/buildpack.tgz" } },
        { "buildpack": "somebody/thing" },
        { "buildpack": "heroku/python" },
    ]);
    let expected = [
        "https://github.com/somebody/buildpack.git#v2",
        "https://example.com/buildpack.tgz",
        "urn:buildpack:somebody/thing",
        "urn:buildpack:heroku/python",
    ];
    assert_eq!(urls(&put(&server, chosen).await), expected);
    let again = json!(expected.map(|url| json!({ "buildpack": url })));
    assert_eq!(
        urls(&put(&server, again).await),
        expected,
        "what is listed can be sent back"
    );
}

#[tokio::test]
async fn what_can_be_no_buildpack_is_refused_and_changes_nothing() {
    let server = server().await;
    server.app("hello").await;
    put(&server, json!([{ "buildpack": "heroku/python" }])).await.ok();
    for (updates, words) in [
        (
            json!([{ "buildpack": "file:///srv/buildpack" }]),
            "must be a whole https URL",
        ),
        (
            json!([{ "buildpack": "https://me:secret@example.com/buildpack" }]),
            "no user and no password",
        ),
        (
            json!([{ "buildpack": "heroku/cobol" }]),
            "heroku/ruby, heroku/python, heroku/java, heroku/go, heroku/php, heroku/rust, heroku/nodejs, heroku/static",
        ),
        (
            json!([{ "buildpack": "heroku/python" }, { "buildpack": "python" }]),
            "named twice",
        ),
        (json!([{}]), "That buildpack cannot be used here"),
        (json!([{ "buildpack": 3 }]), "does not fit"),
        (json!(null), "does not fit"),
    ] {
        let answer = put(&server, updates).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
        assert!(answer.text.contains(words), "{}", answer.text);
    }
    let listed = server.get("/apps/hello/buildpack-installations").await;
    assert_eq!(urls(&listed), ["urn:buildpack:heroku/python"]);
}

#[tokio::test]
async fn the_registry_knows_our_buildpacks_and_asks_nobody_who_they_are() {
    let server = server().await;
    let get = async |path: &str| {
        let mut request = server.request(Method::GET, &format!("/buildpack-registry/buildpacks{path}"));
        request.headers_mut().remove(header::AUTHORIZATION);
        server.send(request).await
    };
    let names = |answer: Answer| answer.column("name");
    assert_eq!(
        names(get("").await),
        ["ruby", "python", "java", "go", "php", "rust", "nodejs", "static"]
    );
    assert_eq!(
        names(get("?in[name][]=python&in[name][]=static").await),
        ["python", "static"]
    );
    assert_eq!(names(get("?like[description]=node.js").await), ["nodejs"]);
    assert_eq!(
        names(get("?in%5Bnamespace%5D%5B%5D=somebody").await),
        Vec::<Value>::new()
    );
    for path in ["/heroku%2Fpython", "/heroku/python"] {
        assert_eq!(get(path).await.ok()["blob_url"], "urn:buildpack:heroku/python");
    }
    assert_eq!(get("/heroku%2Fpython/revisions").await.ok()[0]["status"], "published");
    assert_eq!(get("/heroku%2Fpython/readme").await.ok()["encoding"], "base64");
    let other = get("/somebody%2Fthing").await.ok();
    assert_eq!(other["blob_url"], "urn:buildpack:somebody/thing");
    for path in ["/heroku%2Fcobol", "/heroku/cobol", "/heroku%2Fcobol/readme"] {
        assert_eq!(get(path).await.status, StatusCode::NOT_FOUND);
    }
}
