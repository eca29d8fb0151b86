//! Certificates come by themselves, from a real authority, and are there before the old ones end.

use std::time::Duration;

use paas_integration::{App, Options, PebbleOptions, Platform, Visitor, eventually, within};

const NAME: &str = "www.example.com";
/// DNS, order, validation, certificate.
const SOON: Duration = Duration::from_mins(1);

fn platform(authority: fn(&mut PebbleOptions)) -> Platform {
    Platform::with(Options {
        authority: Some(authority),
        ..Options::default()
    })
}

/// Waits until visitors who trust the authority come through.
#[track_caller]
fn is_trusted(visitor: &Visitor, name: &str, limit: Duration) {
    let mut last = Err("never tried".to_owned());
    let trusted = within(limit, || {
        last = visitor.visit(name);
        last.is_ok().then_some(())
    });
    assert!(
        trusted.is_some(),
        "not within {limit:?}: {name} over HTTPS, but {last:?}"
    );
}

#[track_caller]
fn add_domain(app: &App<'_>, name: &str) {
    app.paas(&["domains:add", name]).expect_success();
}

/// Waits until people are told this about the certificates of the app.
#[track_caller]
fn is_told(app: &App<'_>, text: &str) {
    let told = within(SOON, || certs_auto(app).contains(text).then_some(()));
    assert!(told.is_some(), "not told: {text:?} in\n{}", certs_auto(app));
}

/// What people are told about the certificates of the app.
#[track_caller]
fn certs_auto(app: &App<'_>) -> String {
    app.paas(&["certs:auto"]).expect_success().stdout.clone()
}

#[test]
#[ignore = "needs docker and pebble"]
fn a_domain_is_added_and_serves_over_https_with_no_further_step() {
    let platform = platform(|options| options.bad_nonces = 50);
    let app = platform.app("hello");
    app.push().expect_success();
    add_domain(&app, NAME);
    app.paas(&["domains:wait", NAME]).expect_success();
    let visitor = platform.visitor();
    is_trusted(&visitor, NAME, SOON);
    let visit = visitor.visit(NAME).unwrap();
    assert_eq!((visit.status, visit.body.as_str()), (200, "hello one"));
    // Names that nobody added get no order, however often they are called.
    for _ in 0..5 {
        assert!(visitor.visit("other.example.com").is_err());
    }
    assert_eq!(platform.pebble().orders(), 1);
}

#[test]
#[ignore = "needs docker and pebble"]
fn no_order_is_placed_before_the_name_points_here() {
    let platform = platform(|_| ());
    let app = platform.app("hello");
    platform.names().add_a(NAME, &["192.0.2.7"]);
    add_domain(&app, NAME);
    is_told(&app, "192.0.2.7");
    assert_eq!(platform.pebble().orders(), 0);
    platform.names().clear_a(NAME);
    app.paas(&["certs:auto:refresh"]).expect_success();
    is_trusted(&platform.visitor(), NAME, SOON);
    assert_eq!(platform.pebble().orders(), 1);
}

/// Two thirds of two minutes go by before the first renewal.
#[test]
#[ignore = "needs docker and pebble"]
fn the_old_certificate_serves_while_its_renewal_fails_and_no_handshake_does() {
    let platform = platform(|options| options.validity = Duration::from_mins(2));
    let app = platform.app("hello");
    add_domain(&app, NAME);
    let visitor = platform.visitor();
    is_trusted(&visitor, NAME, SOON);
    let visits = visitor.keep_visiting(NAME);
    // The authority cannot look the name up any more; whether we can is another matter.
    platform.names().set_servfail(NAME);
    let failed = within(Duration::from_mins(2), || {
        (platform.pebble().orders() == 2).then_some(())
    });
    assert!(failed.is_some(), "{}\n{:?}", certs_auto(&app), visits.seen());
    is_told(&app, "could not resolve");
    assert_eq!(visits.seen().leaves.len(), 1, "{:?}", visits.seen());

    platform.names().clear_servfail(NAME);
    app.paas(&["certs:auto:refresh"]).expect_success();
    let renewed = within(SOON, || (visits.seen().leaves.len() == 2).then_some(()));
    let seen = visits.seen();
    assert!(renewed.is_some(), "{}\n{seen:?}", certs_auto(&app));
    assert!(seen.failures.is_empty(), "{seen:?}");
    assert!(seen.handshakes > 500, "{seen:?}");
    assert_eq!(
        platform.pebble().orders(),
        3,
        "the first one, the one that failed, and the last one"
    );
}

/// Who comes after a killed server waits until that one's lease of the name is over.
#[test]
#[ignore = "needs docker and pebble"]
fn an_order_is_carried_on_by_the_server_after_the_one_that_was_killed() {
    let platform = platform(|options| options.validation_pause = Duration::from_secs(10));
    let app = platform.app("hello");
    add_domain(&app, NAME);
    eventually("an order is placed", SOON, || platform.pebble().orders() == 1);
    platform.kill();
    platform.serve(&[]);
    is_trusted(&platform.visitor(), NAME, Duration::from_mins(4));
    // Servers that come and go while there is nothing to do place no orders.
    for _ in 0..3 {
        platform.kill();
        platform.serve(&[]);
    }
    is_trusted(&platform.visitor(), NAME, SOON);
    assert_eq!(platform.pebble().orders(), 1);
}

#[test]
#[ignore = "needs docker and pebble"]
fn an_authority_that_is_down_is_asked_again_when_it_is_back() {
    let platform = platform(|_| ());
    let app = platform.app("hello");
    platform.pebble().kill();
    add_domain(&app, NAME);
    is_told(&app, "does not answer");
    platform.pebble().run();
    // By itself after a minute or two; or at once for who does not want to wait.
    app.paas(&["certs:auto:refresh"]).expect_success();
    is_trusted(&platform.visitor(), NAME, SOON);
    assert_eq!(platform.pebble().orders(), 1);
}
