//! Dynos die: the platform starts them again, at once and then ever more slowly.

use std::time::Duration;

use chrono::{DateTime, FixedOffset, TimeDelta};
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
    let mut asked: Vec<DateTime<chrono::Utc>> = Vec::new();
    for crash in 1..=2 {
        app.serves("hello one", SOON);
        asked.push(std::time::SystemTime::now().into());
        app.page("/exit?4");
        let crashed = within(SOON, || (times(&app.log(), CRASHED).len() == crash).then_some(()));
        assert!(crashed.is_some(), "{}", app.log());
    }
    app.serves("hello one", SOON);
    app.runs(&["web.1"], SOON);

    // The first restart comes at once, the second one ten seconds after the crash, which comes after it was asked for.
    let log = app.log();
    let starts = times(&log, "Starting process with command");
    let waits: Vec<_> = asked
        .iter()
        .zip(&starts[1..])
        .map(|(asked, start)| start.signed_duration_since(*asked))
        .collect();
    assert!(
        waits.len() == 2 && waits[1] >= TimeDelta::seconds(10),
        "{waits:?}\n{log}"
    );
    let at_once = starts[1].signed_duration_since(times(&log, CRASHED)[0]);
    assert!(at_once < TimeDelta::seconds(8), "{at_once}\n{log}");

    // Nobody has to wait who says so.
    app.page("/exit?4");
    let crashed = within(SOON, || (times(&app.log(), CRASHED).len() == 3).then_some(()));
    assert!(crashed.is_some(), "{}", app.log());
    // For twenty seconds there is nobody.
    let away = app.get("/");
    assert_eq!(away.status, 503, "{away:?}\n{}", app.log());
    app.logs("code=H10 desc=\"App crashed\"", SOON);
    app.paas(&["ps:restart"]).expect_success();
    app.serves("hello one", SOON);
    let log = app.log();
    let starts = times(&log, "Starting process with command");
    let wait = starts[3].signed_duration_since(times(&log, CRASHED)[2]);
    assert!(wait < TimeDelta::seconds(20), "{wait}\n{log}");
}

const CRASHED: &str = "State changed from up to crashed";

/// When the lines with this in them were written.
fn times(log: &str, text: &str) -> Vec<DateTime<FixedOffset>> {
    let lines = log.lines().filter(|line| line.contains(text));
    lines
        .map(|line| line.split(' ').next().unwrap_or_default())
        .map(|time| DateTime::parse_from_rfc3339(time).expect("a line begins with its time"))
        .collect()
}
