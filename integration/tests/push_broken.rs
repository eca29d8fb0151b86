//! A push that does not work out: the pusher is told why, and everything that ran goes on as it was.

use std::time::Duration;

use paas_integration::{App, Container, Output, Platform, within};

const SOON: Duration = Duration::from_secs(30);

/// Pushes what the working tree holds by now; it must be refused, and change nothing.
fn is_refused(app: &App<'_>) -> Output {
    let (current, pushed) = (app.current(), app.pushed());
    let container = app.page("/dyno");
    let refused = app.push();
    refused.expect_code(1).expect("pre-receive hook declined");
    assert_eq!(app.pushed(), pushed, "the ref has moved");
    assert_eq!(app.current(), current);
    assert_eq!(app.page("/"), "hello one");
    assert_eq!(app.page("/dyno"), container);
    app.runs(&["web.1"], SOON);
    refused
}

#[test]
#[ignore = "needs docker"]
fn an_app_that_crashes_at_boot_never_replaces_the_one_that_serves() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    app.write("server.py", "import sys\nprint('no database here')\nsys.exit(7)\n");
    let refused = is_refused(&app);
    refused.expect("did not boot").expect("app[web.1]: no database here");
    let failed = &app.releases()[0];
    assert_eq!(
        (&failed["status"], &failed["current"]),
        (&"failed".into(), &false.into())
    );
    app.logs("Process exited with status 7", SOON);

    // The next push is none the worse for it.
    app.says("two").push().expect_success();
    assert_eq!(app.page("/"), "hello two");
}

#[test]
#[ignore = "needs docker"]
fn an_app_that_does_not_listen_has_a_minute_and_never_replaces_the_one_that_serves() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    app.write("Procfile", "web: echo thinking; exec sleep infinity\n");
    let refused = is_refused(&app);
    refused
        .expect("did not boot")
        .expect("app[web.1]: thinking")
        .expect("Error R10");
    app.logs(
        "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 60 seconds",
        SOON,
    );
    let only_one = within(SOON, || (platform.engine().containers().len() == 1).then_some(()));
    assert!(only_one.is_some(), "{:?}", platform.engine().containers());
}

#[test]
#[ignore = "needs docker"]
fn a_first_deploy_that_crashes_is_told_and_tried_again() {
    let platform = Platform::start();
    let app = platform.app("hello");
    // Heroku keeps such a release too: nothing served before, and setting what is missing must be able to heal it.
    app.write(
        "Procfile",
        "web: test -n \"$NEEDED\" || { echo NEEDED is not set; exit 3; }; exec python3 server.py\n",
    );
    let pushed = app.push();
    pushed
        .expect_success()
        .expect("crashed: it exited with status 3")
        .expect("NEEDED is not set");
    // It is started again after ten seconds, and crashes again.
    let crashed = within(SOON, || (app.states().get("web.1")? == "crashed").then_some(()));
    assert!(crashed.is_some(), "{:?}", app.states());
    app.get("/").expect_status(503);
    app.logs("code=H10 desc=\"App crashed\"", SOON);
    app.paas(&["config:set", "NEEDED=yes"]).expect_success();
    app.serves("hello one", SOON);
}

#[test]
#[ignore = "needs docker"]
fn a_failing_release_phase_stops_the_deploy() {
    let platform = Platform::start();
    let app = platform.app("hello");
    let release = "echo migrating as $DYNO; exit ${RELEASE_CODE:-0}";
    app.write("Procfile", &format!("web: python3 server.py\nrelease: {release}\n"));
    app.push().expect_success().expect("migrating as release.");
    app.says("two").write(
        "Procfile",
        "web: python3 server.py\nrelease: echo no such table; exit 5\n",
    );
    let refused = is_refused(&app);
    refused.expect("Release command failed").expect("no such table");
    let failed = &app.releases()[0];
    assert_eq!(failed["status"], "failed");
    let version = format!("v{}", failed["version"]);
    app.paas(&["releases:output", &version])
        .expect_success()
        .expect("no such table");

    // Config runs the release command too, and what fails there does not reach the app.
    let current = app.current();
    app.paas(&["config:set", "RELEASE_CODE=5"]);
    let failed = within(SOON, || (app.releases()[0]["status"] == "failed").then_some(()));
    assert!(failed.is_some(), "{:?}", app.releases());
    assert_eq!(app.current(), current);
    assert_eq!(app.page("/env?RELEASE_CODE"), "(not set)");
    let others = |containers: Vec<Container>| containers.into_iter().any(|container| container.role != "dyno");
    let gone = within(SOON, || (!others(platform.engine().containers())).then_some(()));
    assert!(gone.is_some(), "{:?}", platform.engine().containers());
}

#[test]
#[ignore = "needs docker"]
fn a_build_that_fails_changes_nothing() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    let releases = app.releases().len();
    app.write("requirements.txt", "this is no requirement\n");
    let refused = is_refused(&app);
    refused.expect("The build failed").expect("this is no requirement");
    assert_eq!(app.releases().len(), releases);
    let build = &app.builds()[0];
    assert_eq!(build["status"], "failed");
    app.paas(&["builds:output"]).expect("this is no requirement");
    assert!(
        platform
            .engine()
            .containers()
            .iter()
            .all(|container| container.role == "dyno")
    );
}
