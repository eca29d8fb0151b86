//! Restarting dynos, and closing the app for a while.

use std::time::Duration;

use paas_integration::{Platform, within};

const SOON: Duration = Duration::from_secs(40);

#[test]
#[ignore = "needs docker"]
fn a_restart_replaces_dynos_and_drops_no_request() {
    let platform = Platform::start();
    let engine = platform.engine();
    let app = platform.app("hello");
    app.push().expect_success();
    let (version, old) = (app.current(), engine.dyno("web.1").unwrap());
    app.paas(&["ps:restart"]).expect_success();
    let replaced = within(SOON, || {
        assert_eq!(app.page("/"), "hello one");
        let gone = !engine.containers().iter().any(|container| container.id == old.id);
        (gone && engine.dyno("web.1").is_some()).then_some(())
    });
    assert!(replaced.is_some(), "{:?}", engine.containers());
    assert_eq!(app.current(), version, "a restart makes no release");

    app.paas(&["ps:scale", "web=2"]).expect_success();
    app.runs(&["web.1", "web.2"], SOON);
    let (one, two) = (engine.dyno("web.1").unwrap(), engine.dyno("web.2").unwrap());
    app.paas(&["ps:restart", "web.2"]).expect_success();
    let replaced = within(SOON, || engine.dyno("web.2").filter(|dyno| dyno.id != two.id));
    assert!(replaced.is_some(), "{:?}", engine.containers());
    assert_eq!(engine.dyno("web.1"), Some(one));
}

#[test]
#[ignore = "needs docker"]
fn maintenance_closes_the_app_and_opens_it_again() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    app.paas(&["maintenance:on"]).expect_success();
    let closed = within(SOON, || Some(app.get("/")).filter(|answer| answer.status == 503));
    let closed = closed.expect("visitors get the maintenance page");
    assert!(closed.body.contains("undergoing maintenance"), "{closed:?}");
    app.logs("code=H80 desc=\"Maintenance mode\"", SOON);
    app.runs(&["web.1"], SOON);
    app.paas(&["maintenance:off"]).expect_success();
    app.serves("hello one", SOON);

    // A new name is a new address.
    app.paas(&["apps:rename", "renamed"]).expect_success();
    let moved = within(SOON, || {
        platform
            .get("renamed.localhost", "/")
            .filter(|answer| answer.status == 200)
    });
    assert_eq!(moved.expect("the new name serves").body, "hello one");
    let old = within(SOON, || {
        platform
            .get("hello.localhost", "/")
            .filter(|answer| answer.status == 404)
    });
    assert!(old.is_some(), "the old name still serves");
}
