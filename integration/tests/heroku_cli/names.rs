//! What an app answers to, and how: domains, certificates, features.

use std::{fs, time::Duration};

use paas_integration::{Heroku, Platform, Visitor};
use rcgen::{CertificateParams, KeyPair};

/// Certificates are made without an end.
const UNTIL: &str = "4096-01-01";
const SOON: Duration = Duration::from_mins(1);

#[test]
#[ignore = "needs docker, npm's heroku"]
fn domains_come_and_go() {
    let platform = Platform::start();
    let app = platform.app("hello");
    let other = platform.app("other");
    app.push().expect_success();
    let heroku = Heroku::user(&platform);
    let run = |arguments: &[&str]| heroku.run_for(&app, arguments);

    run(&["domains"]).expect_success().expect("hello.localhost");
    run(&["domains:add", "www.example.test"])
        .expect_success()
        .expect("Adding www.example.test to hello... done")
        .expect("Configure your app's DNS provider to point to the DNS Target");
    paas_integration::eventually("the domain leads to the app", SOON, || {
        let answer = platform.get("www.example.test", "/");
        answer.is_some_and(|answer| answer.body == "hello one")
    });
    run(&["domains:wait", "www.example.test"]).expect_success();
    let listed = run(&["domains", "--json"]).expect_success().json();
    assert_eq!(listed[0]["hostname"], "hello.localhost");
    assert_eq!(listed[1]["hostname"], "www.example.test");
    run(&["domains"]).expect_success().expect("=== hello Custom Domains");
    run(&["domains:info", "www.example.test"])
        .expect_success()
        .expect("hostname")
        .expect("www.example.test");
    heroku
        .run_for(&other, &["domains:add", "www.example.test"])
        .expect_code(2);
    run(&["domains:remove", "www.example.test"])
        .expect_success()
        .expect("Removing www.example.test from hello... done");
    paas_integration::eventually("the domain is nobody's", SOON, || {
        platform
            .get("www.example.test", "/")
            .is_some_and(|answer| answer.status == 404)
    });
    run(&["domains:remove", "www.example.test"]).expect_code(2);

    run(&["domains:add", "a.example.test"]).expect_success();
    run(&["domains:add", "*.b.example.test"]).expect_success();
    run(&["domains:clear"]).expect_success();
    assert_eq!(run(&["domains", "--json"]).json().as_array().unwrap().len(), 1);
    heroku.covers(&[
        "domains",
        "domains:add",
        "domains:clear",
        "domains:info",
        "domains:remove",
        "domains:wait",
    ]);
}

#[test]
#[ignore = "needs docker, npm's heroku"]
fn a_certificate_of_ones_own_is_shown_to_visitors() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    let heroku = Heroku::user(&platform);
    let run = |arguments: &[&str]| heroku.run_for(&app, arguments);
    run(&["domains:add", "www.example.test"]).expect_success();

    let [first, second] = ["first", "second"].map(|name| {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["www.example.test".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let paths = ["crt", "key"].map(|end| heroku.home().join(format!("{name}.{end}")));
        fs::write(&paths[0], certificate.pem()).unwrap();
        fs::write(&paths[1], key.serialize_pem()).unwrap();
        let paths = paths.map(|path| path.to_str().unwrap().to_owned());
        (paths, certificate)
    });
    let is_shown = |certificate: &rcgen::Certificate| {
        let visitor = Visitor::new(platform.https(), &certificate.pem());
        paas_integration::eventually("visitors are shown the certificate", SOON, || {
            let visit = visitor.visit("www.example.test");
            visit.is_ok_and(|visit| visit.leaf == certificate.der().as_ref() && visit.body == "hello one")
        });
    };

    run(&["certs"]).expect_success();
    let mut adding = heroku.terminal(&["certs:add", "-a", "hello", &first.0[0], &first.0[1]]);
    adding
        .sees("Which of these domains on this application", SOON)
        .sees("www.example.test", SOON)
        .types(" \r");
    adding
        .finish(SOON)
        .expect_success()
        .expect("Adding SSL certificate to hello");
    is_shown(&first.1);
    run(&["certs"]).expect_success().expect(UNTIL);
    run(&["certs:info"])
        .expect_success()
        .expect("SSL certificate is self signed");
    run(&["certs:update", &second.0[0], &second.0[1], "--confirm", "hello"])
        .expect_success()
        .expect("Updating SSL certificate");
    is_shown(&second.1);
    // Chosen once more, by its name.
    let listed = run(&["certs"]).stdout;
    let line = listed
        .lines()
        .find(|line| line.contains(UNTIL))
        .expect("the certificate is listed");
    let name = line.split_whitespace().next().expect("a certificate has a name");
    run(&["domains:update", "www.example.test", "--cert", name]).expect_success();
    // The wrong key is refused in words.
    run(&["certs:update", &first.0[0], &second.0[1], "--confirm", "hello"]).expect_code(2);
    is_shown(&second.1);
    run(&["certs:remove", "--confirm", "hello"])
        .expect_success()
        .expect("Removing SSL certificate");
    // One that comes by itself takes its place.
    run(&["certs"]).expect_success().expect_no(UNTIL);

    run(&["certs:auto"]).expect_success();
    run(&["certs:auto:disable", "--confirm", "hello"]).expect_success();
    assert_eq!(platform.sql("select acm from apps where name = 'hello'"), ["f"]);
    run(&["certs:auto:enable"]).expect_success();
    assert_eq!(platform.sql("select acm from apps where name = 'hello'"), ["t"]);
    run(&["certs:auto:refresh"]).expect_success();
    heroku.covers(&[
        "certs",
        "certs:add",
        "certs:auto",
        "certs:auto:disable",
        "certs:auto:enable",
        "certs:auto:refresh",
        "certs:info",
        "certs:remove",
        "certs:update",
        "domains:update",
    ]);
}

#[test]
#[ignore = "needs docker, npm's heroku"]
fn features_are_switched_and_visitors_notice() {
    let platform = Platform::start();
    let app = platform.app("hello");
    let other = platform.app("other");
    app.push().expect_success();
    let heroku = Heroku::user(&platform);
    let beside = |arguments: &[&str]| heroku.beside_for([&app, &other], arguments);

    beside(&["features"])
        .expect_success()
        .expect_alike()
        .expect("[ ] http-session-affinity");
    beside(&["features:info", "http-session-affinity"])
        .expect_success()
        .expect("http-session-affinity");
    let cookie = || app.get("/").header("set-cookie").is_some();
    assert!(!cookie());
    beside(&["features:enable", "http-session-affinity"])
        .expect_success()
        .expect("Enabling http-session-affinity for hello... done");
    paas_integration::eventually("visitors get a cookie", SOON, cookie);
    beside(&["features"]).expect_alike().expect("[+] http-session-affinity");
    beside(&["features:disable", "http-session-affinity"]).expect_success();
    paas_integration::eventually("visitors get no cookie", SOON, || !cookie());
    let unknown = heroku.run_for(&app, &["features:enable", "nonsense"]);
    assert_ne!(unknown.code, 0);
    heroku.covers(&["features", "features:disable", "features:enable", "features:info"]);
}
