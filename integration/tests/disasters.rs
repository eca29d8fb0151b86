//! Parts of the platform are killed under load; the machine's engine stays.

use std::time::Duration;

use paas_integration::{Load, Platform, Target, eventually, request, within};

const SOON: Duration = Duration::from_mins(1);
/// A dead router answers again within this.
const ROUTER_GAP: Duration = Duration::from_secs(1);

#[test]
#[ignore = "needs docker"]
fn a_killed_database_costs_no_request_and_comes_back() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    app.serves("hello one", SOON);
    let before = platform.postgres().expect("the database runs");
    let load = Load::start(platform.http(), &[Target::new(app.host())]);

    platform.end(&before);
    let authorization = format!("Bearer {}", platform.token());
    let mut statuses = Vec::new();
    let answered = within(SOON, || {
        let headers = [("Authorization", authorization.as_str())];
        let answer = request(platform.api(), "GET", "/account", &headers, "").expect("the API answers all the time");
        statuses.push(answer.status);
        // The database of before may have answered a last time.
        let is_back = platform.postgres().is_some_and(|now| now != before);
        (answer.status == 200 && is_back).then_some(())
    });
    assert!(answered.is_some(), "the API does not recover: {statuses:?}");
    assert!(
        statuses.iter().all(|status| [200, 503].contains(status)),
        "{statuses:?}"
    );

    app.paas(&["config:set", "GREETING=welcome back"]).expect_success();
    app.serves("welcome back one", SOON);
    app.runs(&["web.1"], SOON);
    let answered = load.traffic().requests;
    eventually("the load goes on", SOON, || load.traffic().requests > answered + 400);
    load.stop().expect_all_answered();
}

#[test]
#[ignore = "needs docker"]
fn a_killed_router_answers_again_within_a_second() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    app.serves("hello one", SOON);
    let load = Load::start(platform.http(), &[Target::new(app.host())]);

    let mut gaps = Vec::new();
    for _ in 0..3 {
        let failed = load.traffic().failures.len();
        let before = platform.router().expect("the router runs");
        platform.end(&before);
        eventually("another router runs", SOON, || {
            platform.router().is_some_and(|now| now != before)
        });
        app.serves("hello one", SOON);
        let answered = load.traffic().requests;
        eventually("the load goes on", SOON, || load.traffic().requests > answered + 200);
        let mut traffic = load.traffic();
        traffic.failures.drain(..failed);
        gaps.push(traffic.gap());
    }
    // A machine that is held up once says nothing of the router.
    gaps.sort();
    assert!(gaps[1] < ROUTER_GAP, "{gaps:?}");
    load.stop().expect_rate();
}

#[test]
#[ignore = "needs docker"]
fn a_killed_server_costs_no_request_and_its_next_start_goes_on() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    app.serves("hello one", SOON);
    let container = platform.engine().dyno("web.1");
    let load = Load::start(platform.http(), &[Target::new(app.host())]);
    let router = platform.router();

    platform.kill();
    let answered = load.traffic().requests;
    eventually("the router serves alone", SOON, || {
        load.traffic().requests > answered + 400
    });
    platform.serve(&[]);
    app.runs(&["web.1"], SOON);
    assert_eq!(platform.engine().dyno("web.1"), container, "the dyno was left alone");
    assert_eq!(platform.router(), router, "the router was left alone");

    app.says("two").push().expect_success();
    app.serves("hello two", SOON);
    load.stop().expect_all_answered();
}
