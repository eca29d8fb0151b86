//! Certificates in less usual ways: by records in the DNS, after a rehearsal, and from an authority of our own.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use paas_integration::{Options, Pebble, PebbleOptions, Platform, Visitor, within};
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
    let ca = fs::read(staging.ca_file()).expect("an authority has a certificate");
    let mut trusted = OpenOptions::new()
        .append(true)
        .open(platform.pebble().ca_file())
        .expect("an authority has a certificate");
    trusted.write_all(&ca).expect("a temporary file can be written");
    platform.terminate();
    platform.serve(&["--acme-staging-directory", &staging.directory()]);

    let app = platform.app("hello");
    app.paas(&["domains:add", "www.example.com"]).expect_success();
    let visitor = platform.visitor();
    is_trusted(&visitor, "www.example.com");
    assert_eq!((staging.orders(), platform.pebble().orders()), (1, 1));
    let visits = visitor.keep_visiting("www.example.com");
    let renewed = within(SOON, || (visits.seen().leaves.len() == 2).then_some(()));
    assert!(renewed.is_some(), "{:?}", visits.seen());
    assert_eq!((staging.orders(), platform.pebble().orders()), (1, 2));
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
