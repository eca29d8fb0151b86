//! Builds that take their time: they queue, they can be cancelled, and they do not need whoever pushed.

use std::time::Duration;

use paas_integration::{App, Platform, request, within};

const SOON: Duration = Duration::from_mins(1);

/// An app whose build runs `command` first.
fn build_with(app: &App<'_>, command: &str) {
    app.clear().says("one").write(
        "Dockerfile",
        &format!("FROM paas/stack-12:run\nRUN {command}\nCOPY server.py .\nCMD [\"python3\", \"server.py\"]\n"),
    );
}

#[test]
#[ignore = "needs docker"]
fn pushes_to_one_app_come_one_after_the_other() {
    let platform = Platform::start();
    let app = platform.app("hello");
    build_with(&app, "echo the slow one begins && sleep infinity");
    let first = app.start_push();
    first.hears("the slow one begins", SOON);
    let id = app.builds()[0]["id"].as_str().expect("a build has an id").to_owned();
    build_with(&app, "echo the next one begins && sleep 3");
    let second = app.start_push();
    second.hears("Waiting for another", SOON);
    platform
        .call("DELETE", &format!("/apps/hello/builds/{id}"), "")
        .expect_status(200);
    first.finish(SOON).expect_code(1).expect_no("the next one");
    second.hears("the next one begins", SOON);

    // A third developer does not have what the second one is about to deploy.
    app.says("three");
    let third = app.start_push();
    third.hears("Waiting for another", SOON);
    second.finish(SOON).expect_success();
    third.finish(SOON).expect_code(1).expect("Fetch, merge and push again.");
    assert_eq!(app.page("/"), "hello one");
    let statuses: Vec<_> = app.builds().iter().map(|build| build["status"].clone()).collect();
    assert_eq!(statuses, ["succeeded", "failed"]);
    app.push().expect_success();
    assert_eq!(app.page("/"), "hello three");
}

#[test]
#[ignore = "needs docker"]
fn a_build_goes_on_when_the_pusher_goes_away() {
    let platform = Platform::start();
    let app = platform.app("hello");
    build_with(&app, "echo the slow one begins && sleep 3 && echo the slow one ends");
    let push = app.start_push();
    push.hears("the slow one begins", SOON);
    push.kill();
    app.serves("hello one", SOON);
    app.paas(&["builds:output"])
        .expect_success()
        .expect("the slow one ends");
    assert_eq!(app.builds()[0]["status"], "succeeded");
    // What serves is what a clone gets.
    let head = app.git(&["rev-parse", "HEAD"]).stdout.trim().to_owned();
    let moved = within(SOON, || app.pushed().filter(|pushed| *pushed == head));
    assert!(moved.is_some(), "the ref is at {:?}", app.pushed());
}

#[test]
#[ignore = "needs docker"]
fn a_build_that_is_cancelled_ends_and_releases_nothing() {
    let platform = Platform::start();
    let app = platform.app("hello");
    build_with(&app, "echo the endless one begins && sleep infinity");
    let push = app.start_push();
    push.hears("the endless one begins", SOON);
    let builds = app.builds();
    assert_eq!(builds[0]["status"], "pending");
    let id = builds[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/apps/hello/builds/{id}");
    platform.call("DELETE", &path, "").expect_status(200);
    push.finish(SOON).expect_code(1).expect("cancelled");
    assert_eq!(app.builds()[0]["status"], "failed");
    assert_eq!(app.pushed(), None);
    let left = within(SOON, || platform.engine().containers().is_empty().then_some(()));
    assert!(left.is_some(), "{:?}", platform.engine().containers());
    let again = platform.call("DELETE", &path, "");
    again.expect_status(409);
    assert_eq!(again.json()["id"], "conflict");
}

#[test]
#[ignore = "needs docker"]
fn a_source_archive_is_built_through_the_api() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.commit();
    app.git(&["archive", "--output=../source.tar.gz", "HEAD"])
        .expect_success();
    let archive = std::fs::read(platform.work().join("source.tar.gz")).unwrap();
    let blob = platform
        .call("POST", "/apps/hello/sources", "")
        .expect_status(201)
        .json();
    let path = |url: &str| {
        let (_, rest) = url.split_once("://").expect("a URL has a scheme");
        rest[rest.find('/').expect("a URL has a path")..].to_owned()
    };
    let text = |value: &serde_json::Value| value.as_str().expect("it is a text").to_owned();
    let put = path(&text(&blob["source_blob"]["put_url"]));
    // Whoever has the address may upload, as with Heroku's.
    let uploaded = request(platform.api(), "PUT", &put, &[("Content-Type", "")], &archive);
    uploaded.expect("the upload is answered").expect_status(200);
    let body = serde_json::json!({ "source_blob": { "url": blob["source_blob"]["get_url"], "version": "v1.0" } });
    let build = platform
        .call("POST", "/apps/hello/builds", &body.to_string())
        .expect_status(201)
        .json();
    let stream = path(&text(&build["output_stream_url"]));
    let output = request(platform.api(), "GET", &stream, &[], "").expect("the output is streamed");
    assert!(output.body.contains("-----> Python app detected"), "{output:?}");
    app.serves("hello one", SOON);
    assert_eq!(app.builds()[0]["status"], "succeeded");
}
