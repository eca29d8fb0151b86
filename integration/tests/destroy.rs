//! An app goes, and everything of it.

use std::time::Duration;

use paas_integration::{Platform, within};

const SOON: Duration = Duration::from_mins(1);

#[test]
#[ignore = "needs docker"]
fn a_destroyed_app_leaves_nothing_behind() {
    let platform = Platform::start();
    let app = platform.app("hello");
    let other = platform.app("other");
    app.write("Procfile", "web: python3 server.py\nworker: python3 -u -c 'import signal; print(\"working\"); signal.pause()'\nrelease: true\n");
    app.push().expect_success();
    app.says("two").push().expect_success();
    app.paas(&["config:set", "A=1"]).expect_success();
    app.paas(&["ps:scale", "web=2", "worker=1"]).expect_success();
    app.runs(&["web.1", "web.2", "worker.1"], SOON);
    other.push().expect_success();

    platform
        .paas(&["apps:destroy", "hello", "--confirm", "other"])
        .expect_code(1);
    assert_eq!(app.page("/"), "hello two");
    platform
        .paas(&["apps:destroy", "hello", "--confirm", "hello"])
        .expect_success();
    app.paas(&["apps:info"])
        .expect_code(1)
        .expect("Couldn't find that app.");
    let gone = within(SOON, || (app.get("/").status == 404).then_some(()));
    assert!(gone.is_some(), "the router still knows hello");
    assert_eq!(other.page("/"), "hello one");

    platform
        .paas(&["apps:destroy", "other", "--confirm", "other"])
        .expect_success();
    let mut left = Vec::new();
    let empty = within(SOON, || {
        left = platform.leftovers();
        left.is_empty().then_some(())
    });
    assert!(empty.is_some(), "{left:#?}");

    // The name is free at once.
    platform.paas(&["create", "hello"]).expect_success();
}
