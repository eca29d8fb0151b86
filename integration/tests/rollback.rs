//! Back to an earlier release: its code and its config.

use std::time::Duration;

use paas_integration::Platform;

const SOON: Duration = Duration::from_secs(40);

#[test]
#[ignore = "needs docker"]
fn a_rollback_restores_code_and_config() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.paas(&["config:set", "GREETING=hi"]).expect_success();
    app.push().expect_success();
    assert_eq!(app.page("/"), "hi one");
    let good = app.current();

    app.says("two").push().expect_success();
    app.paas(&["config:set", "GREETING=bye", "EXTRA=1"]).expect_success();
    app.serves("bye two", SOON);
    let bad = app.current();

    app.paas(&["rollback", &format!("v{good}")])
        .expect_success()
        .expect(&format!("v{good}"));
    app.serves("hi one", SOON);
    assert_eq!(app.page("/env?EXTRA"), "(not set)");
    assert_eq!(app.current(), bad + 1, "a rollback is a new release");
    assert_eq!(app.releases()[0]["description"], format!("Rollback to v{good}"));
    let config = app.paas(&["config", "--json"]).expect_success().json();
    assert_eq!(config, serde_json::json!({ "GREETING": "hi" }));

    // Without a version: the release before this one.
    app.paas(&["rollback"]).expect_success();
    app.serves("bye two", SOON);

    let unknown = app.paas(&["rollback", "v99"]);
    unknown.expect_code(1).expect("Couldn't find that release.");
    app.paas(&["rollback", "v1"])
        .expect_code(1)
        .expect("Cannot roll back to v1");
}
