//! `paasd` goes and comes; the apps do not notice.

use std::time::Duration;

use paas_integration::{Platform, within};

const SOON: Duration = Duration::from_mins(1);

#[test]
#[ignore = "needs docker"]
fn a_clean_stop_leaves_dynos_running_and_the_next_start_adopts_them() {
    let platform = Platform::start();
    let engine = platform.engine();
    let app = platform.app("hello");
    app.push().expect_success();
    let before = engine.containers();
    app.page("/before-the-stop");
    app.logs("GET /before-the-stop", SOON);

    let status = platform.terminate();
    assert!(status.success(), "{status}\n{}", platform.log());
    assert!(platform.processes().is_empty(), "{:?}", platform.processes());
    assert_eq!(engine.containers(), before, "dynos belong to Docker");

    platform.serve(&[]);
    app.serves("hello one", SOON);
    assert_eq!(engine.containers(), before, "nothing was started anew");
    app.runs(&["web.1"], SOON);
    // Its log goes on where it stopped: no line twice.
    app.page("/after-the-stop");
    app.logs("app[web.1]: GET /after-the-stop", SOON);
    let log = app.log();
    assert_eq!(log.matches("app[web.1]: GET /before-the-stop").count(), 1, "{log}");
    app.says("two").push().expect_success();
    assert_eq!(app.page("/"), "hello two");
}

#[test]
#[ignore = "needs docker"]
fn a_killed_server_is_followed_by_one_that_finds_everything() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    let (router, postgres) = (platform.router().unwrap(), platform.postgres().unwrap());
    platform.kill();
    assert_eq!(app.page("/"), "hello one", "the router serves alone");
    platform.serve(&[]);
    assert_eq!(app.page("/"), "hello one");
    assert_eq!(platform.router(), Some(router), "the router is found again");
    assert_eq!(platform.postgres(), Some(postgres), "the database is found again");
    app.paas(&["config:set", "GREETING=hi"]).expect_success();
    app.serves("hi one", SOON);
}

#[test]
#[ignore = "needs docker"]
fn a_second_server_on_the_same_data_is_refused() {
    let platform = Platform::start();
    let second = platform.paasd(&["serve"], "");
    second.expect_code(1).expect("another paasd serves").expect("hint:");
    platform.paas(&["apps"]).expect_success();
}

#[test]
#[ignore = "needs docker"]
fn a_dead_router_is_replaced() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    let router = platform.router().unwrap();
    platform.end(&router);
    let replaced = within(SOON, || platform.router().filter(|other| other.id != router.id));
    assert!(replaced.is_some(), "{}", platform.log());
    app.serves("hello one", SOON);
}
