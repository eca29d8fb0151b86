//! Dynos die: the platform starts them again, at once and then ever more slowly.

use std::time::Duration;

use paas_integration::{Platform, within};

const SOON: Duration = Duration::from_secs(40);

#[test]
#[ignore = "needs docker"]
fn a_dyno_that_is_killed_or_removed_comes_back() {
    let platform = Platform::start();
    let engine = platform.engine();
    let app = platform.app("hello");
    app.push().expect_success();
    let restarted = |old: &str| {
        within(SOON, || engine.dyno("web.1").filter(|dyno| dyno.id != old)).expect("web.1 has a new container");
        app.serves("hello one", SOON);
        app.runs(&["web.1"], SOON);
    };

    let first = engine.dyno("web.1").unwrap();
    engine.docker(&["kill", &first.id]).expect_success();
    restarted(&first.id);
    app.logs("Process exited with status 137", SOON);
    app.logs("heroku[web.1]: State changed from up to crashed", SOON);

    // Somebody removes the container behind our back.
    let second = engine.dyno("web.1").unwrap();
    // A dyno that has been up for less than five minutes waits before it is started again: a restart begins anew.
    engine.docker(&["rm", "--force", &second.id]).expect_success();
    restarted(&second.id);
    assert_eq!(engine.containers().len(), 1, "{:?}", engine.containers());
}

#[test]
#[ignore = "needs docker"]
fn an_app_that_keeps_crashing_is_started_ever_more_slowly() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    for crash in 1..=2 {
        app.serves("hello one", SOON);
        app.page("/exit?4");
        // Once at once, then after ten seconds.
        let crashed = within(SOON, || {
            let count = app.log().matches("State changed from up to crashed").count();
            (count == crash).then_some(())
        });
        assert!(crashed.is_some(), "{}", app.log());
    }
    assert_eq!(
        app.states()["web.1"],
        "crashed",
        "the second restart does not come at once"
    );
    app.get("/").expect_status(503);
    app.logs("code=H10 desc=\"App crashed\"", SOON);
    app.serves("hello one", SOON);
    app.paas(&["ps:restart"]).expect_success();
    app.runs(&["web.1"], SOON);
}
