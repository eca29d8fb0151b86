//! Logs: read, followed across a restart, sent on; features that show in them.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use paas_integration::{App, Heroku, Options, Platform, Rsyslog, eventually, within};

const LIMIT: Duration = Duration::from_mins(1);
/// Of something that takes a busy machine some tries.
const TRIES_LIMIT: Duration = Duration::from_mins(5);

#[test]
#[ignore = "needs docker, rsyslog, npm's heroku"]
fn logs_are_read_followed_and_sent_on() {
    let platform = Platform::with(Options {
        arguments: vec!["--local-drains".to_owned()],
        ..Options::default()
    });
    let heroku = Heroku::user(&platform);
    let rsyslog = Rsyslog::start();
    let app = platform.app("hello");
    let token = adds_a_drain(&platform, &heroku, &app, &rsyslog.url());

    app.write("Procfile", "web: python3 server.py\nrelease: echo migrating\n");
    app.push().expect_success();
    app.page("/");
    for told in [
        "app api local7.info Deploy",
        "heroku web.1 syslog.notice State changed from starting to up",
        "app web.1 local7.info listening, text one",
        "heroku router local3.info at=info method=GET path=\"/\"",
    ] {
        let line = format!("{token} {told}");
        eventually(&format!("rsyslog has {line:?}"), LIMIT, || {
            rsyslog.told().contains(&line)
        });
    }
    reads(&heroku, &app);
    follows_across_a_restart(&platform, &heroku, &app);
    // So does the drain.
    let after = format!("{token} app api local7.info Set COLOUR config vars");
    eventually("rsyslog hears of the change", LIMIT, || rsyslog.told().contains(&after));
    let told = rsyslog.told();
    let deploys = told.lines().filter(|line| line.contains("app api local7.info Deploy"));
    assert_eq!(deploys.count(), 1, "{told}");

    switches_labs(&heroku, &app);
    let url = rsyslog.url();
    heroku
        .run_for(&app, &["drains:remove", &url])
        .expect_success()
        .expect(&format!("Successfully removed drain {url}"));
    assert_eq!(platform.sql("select count(*) from log_drains"), ["0"]);
    heroku.covers(&["drains", "drains:add", "drains:remove", "logs", "releases:output"]);
    heroku.covers(&["labs", "labs:disable", "labs:enable", "labs:info"]);
}

/// Adds a drain, and says its token.
fn adds_a_drain(platform: &Platform, heroku: &Heroku<'_>, app: &App<'_>, url: &str) -> String {
    let none = heroku.beside_for([app, app], &["drains"]);
    none.expect_alike().expect_success();
    heroku
        .run_for(app, &["drains:add", url])
        .expect_success()
        .expect(&format!("Successfully added drain {url}"));
    let again = heroku.run_for(app, &["drains:add", url]);
    again.expect("Url has already been taken");
    assert_ne!(again.code, 0);
    let listed = heroku.beside_for([app, app], &["drains"]);
    listed
        .expect_alike()
        .expect_success()
        .expect(&format!("=== Drains\n\n{url} (d."));
    let json = heroku.beside_for([app, app], &["drains", "--json"]);
    json.expect_alike().expect_success();
    heroku
        .run_for(app, &["drains:add", "http://169.254.169.254/latest"])
        .expect("169.254.169.254 is not an address");
    let token = json.heroku.json()[0]["token"].as_str().map(str::to_owned);
    let token = token.expect("a drain has a token");
    assert_eq!(platform.sql("select token from log_drains"), [token.as_str()]);
    token
}

fn reads(heroku: &Heroku<'_>, app: &App<'_>) {
    for arguments in [
        &["logs", "-n", "3"][..],
        &["logs", "--source", "app", "-d", "web.1"],
        &["logs", "--source", "heroku", "--process-type", "web"],
        &["logs", "--dyno", "release.3"],
    ] {
        heroku.beside_for([app, app], arguments).expect_alike().expect_success();
    }
    let three = heroku.run_for(app, &["logs", "-n", "3"]);
    assert_eq!(three.stdout.lines().count(), 3, "{three:?}");
    let only = heroku.run_for(app, &["logs", "--source", "app", "-d", "web.1"]);
    assert!(
        only.stdout.lines().all(|line| line.contains(" app[web.1]: ")),
        "{only:?}"
    );
    let output = heroku.beside_for([app, app], &["releases:output"]);
    output.expect_alike().expect_success();
    assert_eq!(output.heroku.stdout.trim(), "migrating");
}

/// The client goes on behind the last line that it has, with the next server.
fn follows_across_a_restart(platform: &Platform, heroku: &Heroku<'_>, app: &App<'_>) {
    let restarted = || {
        let tail = heroku.start(&["logs", "--tail", "-a", app.name()]);
        tail.hears("listening, text one", LIMIT);
        let begun = Instant::now();
        platform.terminate();
        platform.serve(&[]);
        // The client asks once, ten seconds later: a restart that took longer says nothing.
        if begun.elapsed() < Duration::from_secs(8) {
            return Some(tail);
        }
        tail.kill();
        None
    };
    let tail = within(TRIES_LIMIT, restarted).expect("a restart takes less than eight seconds");
    app.paas(&["config:set", "COLOUR=blue"]).expect_success();
    tail.hears("Set COLOUR config vars", LIMIT);
    let text = tail.text();
    let lines: Vec<_> = text.lines().collect();
    let different: BTreeSet<_> = lines.iter().collect();
    assert_eq!(lines.len(), different.len(), "a line came twice: {text}");
    tail.kill();
    assert_eq!(heroku.strays(), [""; 0]);
}

fn switches_labs(heroku: &Heroku<'_>, app: &App<'_>) {
    heroku
        .run_for(app, &["labs:enable", "log-runtime-metrics"])
        .expect_success()
        .expect("Enabling log-runtime-metrics for");
    for arguments in [&["labs"][..], &["labs:info", "runtime-dyno-metadata"]] {
        heroku.beside_for([app, app], arguments).expect_alike().expect_success();
    }
    app.logs("sample#memory_quota=512.00MB", LIMIT);
    app.logs("sample#load_avg_1m=", LIMIT);
    heroku
        .run_for(app, &["labs:disable", "log-runtime-metrics"])
        .expect_success();
    heroku
        .run_for(app, &["labs:enable", "runtime-dyno-metadata"])
        .expect_success();
    assert_eq!(app.page("/env?HEROKU_APP_NAME"), "(not set)");
    app.paas(&["config:set", "COLOUR=green"]).expect_success();
    eventually("the dyno knows its app", LIMIT, || {
        app.page("/env?HEROKU_APP_NAME") == "hello"
    });
    assert!(app.page("/env?HEROKU_RELEASE_VERSION").starts_with('v'));
}

#[test]
#[ignore = "needs docker, rsyslog"]
fn a_drain_with_tls_reaches_a_syslog_daemon_that_its_platform_trusts() {
    let rsyslog = Rsyslog::start();
    let folder = rsyslog.authorities().display().to_string();
    let platform = Platform::with(Options {
        arguments: ["--local-drains", "--extra-ca", &folder].map(str::to_owned).to_vec(),
        ..Options::default()
    });
    let app = platform.app("hello");
    let url = rsyslog.tls_url();
    app.paas(&["drains:add", &url]).expect_success();
    app.paas(&["config:set", "COLOUR=blue"]).expect_success();
    let line = "app api local7.info Set COLOUR config vars";
    eventually("the change is told by TLS", LIMIT, || {
        rsyslog.told_by_tls().contains(line)
    });
    assert_eq!(rsyslog.told(), "");
    let drains = app.paas(&["drains", "--json"]).json();
    let token = drains[0]["token"].as_str().expect("a drain has a token");
    app.paas(&["drains:remove", token])
        .expect_success()
        .expect(&format!("Successfully removed drain {url}"));
}
