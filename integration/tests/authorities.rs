//! Certificates in less usual ways: by records in the DNS, after a rehearsal, and from an authority of our own.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use chrono::{DateTime, TimeDelta, Utc};
use paas_integration::{App, Options, Pebble, PebbleOptions, Platform, Visitor, within};
use tempfile::TempDir;

/// Rehearsal, DNS, order, validation, certificate, on a machine that has other things to do.
const SOON: Duration = Duration::from_mins(1);

#[track_caller]
fn is_trusted(visitor: &Visitor, name: &str) {
    let mut last = None;
    let trusted = within(SOON, || {
        last = Some(visitor.visit(name));
        matches!(last, Some(Ok(_))).then_some(())
    });
    assert!(
        trusted.is_some(),
        "not within {SOON:?}: {name} over HTTPS, but {last:?}"
    );
}

/// A program that makes the records that it is told to make, as an operator would write one.
fn dns_hook(folder: &Path) -> PathBuf {
    let (path, address) = (folder.join("hook"), folder.join("management"));
    let script = format!(
        "#!/bin/sh\n\
         set -eu\n\
         case $1 in present) action=set-txt ;; cleanup) action=clear-txt ;; esac\n\
         body=\"{{\\\"host\\\":\\\"$2.\\\",\\\"value\\\":\\\"$3\\\"}}\"\n\
         exec curl --silent --show-error --fail --noproxy '*' --data \"$body\" \"http://$(cat {})/$action\"\n",
        address.display()
    );
    fs::write(&path, script).expect("a temporary file can be written");
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("its mode can be set");
    path
}

#[test]
#[ignore = "needs docker and pebble"]
fn a_wildcard_gets_its_certificate_by_records_in_the_dns() {
    let folder = TempDir::new().expect("the folder of temporary files can be written");
    let hook = dns_hook(folder.path()).display().to_string();
    let platform = Platform::with(Options {
        arguments: vec!["--dns-hook".to_owned(), hook],
        authority: Some(PebbleOptions::default()),
        ..Options::default()
    });
    let management = platform.names().management().to_string();
    fs::write(folder.path().join("management"), management).expect("a temporary file can be written");
    let app = platform.app("hello");
    app.paas(&["domains:add", "*.example.com"]).expect_success();
    let visitor = platform.visitor();
    is_trusted(&visitor, "one.example.com");
    is_trusted(&visitor, "another.example.com");
    assert!(visitor.visit("example.com").is_err(), "the wildcard is for one label");
    assert_eq!(platform.pebble().orders(), 1);
}

#[test]
#[ignore = "needs docker and pebble"]
fn the_first_order_of_a_name_is_rehearsed_and_its_renewals_are_not() {
    let platform = Platform::with(Options {
        authority: Some(PebbleOptions {
            validity: Duration::from_mins(1),
            ..PebbleOptions::default()
        }),
        ..Options::default()
    });
    let (http, https) = (platform.http().port(), platform.https().port());
    let staging = Pebble::start(PebbleOptions::new(platform.names(), http, https));
    platform.pebble().trust_also(&staging);
    platform.terminate();
    platform.serve(&["--acme-staging-directory", &staging.directory()]);

    let app = platform.app("hello");
    app.paas(&["domains:add", "www.example.com"]).expect_success();
    let visitor = platform.visitor();
    is_trusted(&visitor, "www.example.com");
    assert_eq!((staging.orders(), platform.pebble().orders()), (1, 1));
    let visits = visitor.keep_visiting("www.example.com");
    let renewed = within(2 * SOON, || (visits.seen().leaves.len() == 2).then_some(()));
    assert!(renewed.is_some(), "{:?}", visits.seen());
    assert_eq!((staging.orders(), platform.pebble().orders()), (1, 2));
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// A platform with a second authority, for which the first one was told to be like this.
fn with_fallback(first: PebbleOptions) -> (Platform, Pebble) {
    let platform = Platform::with(Options {
        authority: Some(first),
        ..Options::default()
    });
    let (http, https) = (platform.http().port(), platform.https().port());
    let fallback = Pebble::start(PebbleOptions {
        validity: Duration::from_mins(2),
        ..PebbleOptions::new(platform.names(), http, https)
    });
    platform.pebble().trust_also(&fallback);
    platform.terminate();
    platform.serve(&["--acme-fallback-directory", &fallback.directory()]);
    (platform, fallback)
}

/// Asks for the certificates of an app at once, again and again, until somebody is trusted.
#[track_caller]
fn is_trusted_when_asked_for(app: &App<'_>, visitor: &Visitor, name: &str) {
    let trusted = within(SOON, || {
        app.paas(&["certs:auto:refresh"]).expect_success();
        visitor.visit(name).ok()
    });
    let told = || app.paas(&["certs:auto"]).stdout.clone();
    assert!(trusted.is_some(), "not within {SOON:?}: {name} over HTTPS\n{}", told());
}

#[test]
#[ignore = "needs docker and pebble"]
fn an_authority_that_is_down_is_replaced_by_the_second_until_it_is_back() {
    let (platform, fallback) = with_fallback(PebbleOptions::default());
    platform.pebble().kill();
    let app = platform.app("hello");
    app.paas(&["domains:add", "www.example.com"]).expect_success();
    is_trusted_when_asked_for(
        &app,
        &Visitor::new(platform.https(), &fallback.root()),
        "www.example.com",
    );
    assert_eq!(fallback.orders(), 1);

    // The next renewal is the first one's again.
    platform.pebble().run();
    let both = format!("{}\n{}", platform.pebble().root(), fallback.root());
    let visits = Visitor::new(platform.https(), &both).keep_visiting("www.example.com");
    let renewed = within(2 * SOON, || (visits.seen().leaves.len() == 2).then_some(()));
    let seen = visits.seen();
    assert!(renewed.is_some(), "{seen:?}");
    assert!(seen.failures.is_empty(), "{seen:?}");
    assert_eq!((platform.pebble().orders(), fallback.orders()), (1, 1));
    is_trusted(&platform.visitor(), "www.example.com");
}

#[test]
#[ignore = "needs docker and pebble"]
fn an_authority_that_refuses_for_hours_is_replaced_by_the_second_at_once() {
    let (platform, fallback) = with_fallback(PebbleOptions {
        rest: Some(Duration::from_hours(2)),
        ..PebbleOptions::default()
    });
    let app = platform.app("hello");
    app.paas(&["domains:add", "www.example.com"]).expect_success();
    let visitor = Visitor::new(platform.https(), &fallback.root());
    is_trusted_when_asked_for(&app, &visitor, "www.example.com");
    // One name asked it, and was told how long it rests.
    let first = platform.pebble();
    assert_eq!((first.refused(), first.orders(), fallback.orders()), (1, 0, 1));
}

/// A minute goes by before a certificate that just came is replaced, and another one before it would be by itself.
#[test]
#[ignore = "needs docker and pebble"]
fn a_certificate_is_replaced_when_its_authority_says_so() {
    let later = now() + TimeDelta::days(30);
    let platform = Platform::with(Options {
        authority: Some(PebbleOptions {
            validity: Duration::from_mins(3),
            renewal: Some((later, later + TimeDelta::days(1))),
            ..PebbleOptions::default()
        }),
        ..Options::default()
    });
    let app = platform.app("hello");
    app.paas(&["domains:add", "www.example.com"]).expect_success();
    let visitor = platform.visitor();
    is_trusted(&visitor, "www.example.com");
    let pebble = platform.pebble();
    let asked = within(SOON, || pebble.asked_about().first().cloned()).expect("the authority is asked");

    // It has to take the certificate back.
    let past = now() - TimeDelta::hours(2);
    pebble.suggest_renewal(past, past + TimeDelta::hours(1));
    let visits = visitor.keep_visiting("www.example.com");
    let renewed = within(2 * SOON, || (visits.seen().leaves.len() == 2).then_some(()));
    let seen = visits.seen();
    assert!(renewed.is_some(), "{seen:?}");
    assert!(seen.failures.is_empty(), "{seen:?}");
    assert_eq!(pebble.orders(), 2);
    assert!(platform.log().contains("kind=\"advised\""), "{}", platform.log());
    let is_asked = within(SOON, || pebble.asked_about().into_iter().find(|id| *id != asked));
    assert!(is_asked.is_some(), "nobody asked about the new certificate");
}

#[test]
#[ignore = "needs docker"]
fn localhost_is_trusted_by_those_who_trust_the_platforms_own_authority() {
    let platform = Platform::start();
    platform.app("hello");
    let root = platform.data_dir().join("local-ca/root.pem");
    let root = fs::read_to_string(root).expect("the authority has a root");
    let visitor = Visitor::new(platform.https(), &root);
    is_trusted(&visitor, "hello.localhost");
    is_trusted(&visitor, "api.localhost");
    assert!(platform.paas(&["domains:add", "shop.test", "-a", "hello"]).code == 0);
    is_trusted(&visitor, "shop.test");
}
