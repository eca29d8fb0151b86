//! An app that nobody asks for runs nothing, and whoever asks for it next gets an answer all the same.

use std::{thread, time::Duration};

use paas_integration::{Platform, eventually};

const SOON: Duration = Duration::from_mins(1);
const VISITORS: usize = 20;

#[test]
#[ignore = "needs docker"]
fn an_app_sleeps_when_nobody_asks_and_loses_no_visitor_who_wakes_it() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    app.serves("hello one", SOON);
    app.paas(&["ps:scale", "web=1:Eco"]).expect_success();
    platform
        .call("PATCH", "/apps/hello/routing", r#"{"sleep_after_seconds": 3}"#)
        .expect_status(200);

    eventually("nothing of the app runs", SOON, || {
        platform.engine().containers().is_empty()
    });
    let dynos = platform.call("GET", "/apps/hello/dynos", "").json();
    assert_eq!(
        (&dynos[0]["name"], &dynos[0]["state"]),
        (&"web.1".into(), &"idle".into()),
        "{dynos}"
    );

    let answers: Vec<_> = thread::scope(|scope| {
        let visitors: Vec<_> = (0..VISITORS).map(|_| scope.spawn(|| app.page("/"))).collect();
        visitors
            .into_iter()
            .map(|visitor| visitor.join().expect("an answer comes"))
            .collect()
    });
    assert!(answers.iter().all(|answer| answer == "hello one"), "{answers:?}");
    let log = app.paas(&["logs", "-n", "200"]).expect_success().stdout.clone();
    for line in ["heroku[web.1]: Idling", "heroku[web.1]: Unidling"] {
        assert!(log.contains(line), "{line:?} is not in the log:\n{log}");
    }
    assert!(!log.contains("status=503"), "{log}");

    platform
        .call("PATCH", "/apps/hello/routing", r#"{"sleep_after_seconds": null}"#)
        .expect_status(200);
    app.runs(&["web.1"], SOON);
}
