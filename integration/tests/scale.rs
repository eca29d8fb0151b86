//! More dynos, fewer dynos.

use std::{collections::BTreeSet, time::Duration};

use paas_integration::{Platform, within};

const SOON: Duration = Duration::from_secs(40);

#[test]
#[ignore = "needs docker"]
fn web_dynos_come_and_go_and_share_the_requests() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    let version = app.current();
    for (quantity, names) in [
        (2, &["web.1", "web.2"][..]),
        (3, &["web.1", "web.2", "web.3"]),
        (1, &["web.1"]),
    ] {
        app.paas(&["ps:scale", &format!("web={quantity}")])
            .expect_success()
            .expect(&format!("now running web at {quantity}:Standard-1X"));
        app.runs(names, SOON);
        let wanted: BTreeSet<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut seen = BTreeSet::new();
        let shared = within(SOON, || {
            let dyno = app.page("/dyno");
            // The rows of the dynos go first, the router's table follows: until then, one that stops may still answer.
            if wanted.contains(&dyno) {
                seen.insert(dyno);
            } else {
                seen.clear();
            }
            (seen == wanted).then_some(())
        });
        assert!(shared.is_some(), "requests went to {seen:?}, not to {wanted:?}");
    }
    // The dynos that went have left no container behind.
    let gone = within(SOON, || (platform.engine().containers().len() == 1).then_some(()));
    assert!(gone.is_some(), "{:?}", platform.engine().containers());
    assert_eq!(app.current(), version, "scaling makes no release");

    app.paas(&["ps:scale", "web=0"]).expect_success();
    app.runs(&[], SOON);
    let closed = within(SOON, || {
        let answer = app.get("/");
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        (answer.status == 503).then_some(())
    });
    assert!(closed.is_some(), "requests are still answered");
    app.logs("code=H14 desc=\"No web processes running\"", SOON);
    app.paas(&["ps:scale", "web+1"]).expect_success();
    app.serves("hello one", SOON);
}
