//! A developer pushes an app, looks at it, changes it, and reads what it says.

use std::time::Duration;

use paas_integration::{Output, Platform, eventually};

const SOON: Duration = Duration::from_secs(30);

#[test]
#[ignore = "needs docker"]
fn a_push_builds_an_app_and_a_second_push_replaces_it() {
    let platform = Platform::start();
    let app = platform.app("hello");
    eventually("the app without a release has its page", SOON, || {
        // The API is up before the router listens.
        let answer = platform.get(&app.host(), "/");
        answer.is_some_and(|answer| answer.status == 503)
    });

    let commit = app.commit();
    let pushed = app.push();
    pushed.expect_success();
    for line in [
        "remote: -----> Python app detected",
        "remote: -----> Discovering process types",
        "remote: -----> Launching...",
        "deployed",
        "main -> main",
    ] {
        pushed.expect(line);
    }
    assert_eq!(app.page("/"), "hello one");
    assert_eq!(app.page("/dyno"), "web.1");
    app.runs(&["web.1"], SOON);
    app.paas(&["ps"])
        .expect_success()
        .expect("=== web (Standard-1X): python3 server.py (1)")
        .expect("web.1: up ");
    assert_ne!(app.pushed(), Some(commit), "push commits once more");

    let first = app.current();
    app.says("two").push().expect_success();
    assert_eq!(app.page("/"), "hello two");
    assert_eq!(app.current(), first + 1);
    let head = app.git(&["rev-parse", "HEAD"]).stdout.trim().to_owned();
    assert_eq!(app.pushed(), Some(head.clone()));
    let newest = &app.releases()[0];
    assert_eq!(newest["description"], format!("Deploy {}", &head[..8]));
    assert_eq!(newest["status"], "succeeded");
    let builds = app.builds();
    assert_eq!(builds.len(), 2);
    assert!(builds.iter().all(|build| build["status"] == "succeeded"), "{builds:?}");
    app.paas(&["builds:output"])
        .expect_success()
        .expect("Python app detected");
}

#[test]
#[ignore = "needs docker"]
fn log_lines_of_app_router_and_platform_are_kept_and_followed() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    app.page("/before");
    app.logs("app[web.1]: GET /before", SOON);
    app.logs(
        "heroku[router]: at=info method=GET path=\"/before\" host=hello.localhost",
        SOON,
    );
    app.logs("heroku[web.1]: State changed from starting to up", SOON);
    app.logs("heroku[web.1]: Starting process with command `python3 server.py`", SOON);
    app.logs("app[api]: Release v3 created by user you@example.com", SOON);
    let log = app.log();
    let line = log.lines().find(|line| line.contains("heroku[router]")).unwrap();
    for word in [
        "request_id=",
        "fwd=",
        "dyno=web.1",
        "connect=",
        "service=",
        "status=200",
        "bytes=",
    ] {
        assert!(line.contains(word), "no {word} in {line}");
    }
    let at = line.split(' ').next().unwrap();
    assert!(
        at.len() == 32 && at.ends_with("+00:00"),
        "no time as Logplex writes it: {at}"
    );

    let tail = app.start_paas(&["logs", "--tail", "-n", "0"]);
    // The tail listens from some moment on: ask until it has heard.
    let heard = paas_integration::within(SOON, || {
        app.page("/during");
        tail.text().contains("app[web.1]: GET /during").then_some(())
    });
    assert!(heard.is_some(), "{}", tail.text());
    assert!(!tail.text().contains("/before"), "{}", tail.text());
    tail.kill();

    let only_app = app.paas(&["logs", "--source", "app"]);
    only_app.expect_success().expect("app[web.1]").expect_no("heroku[");
    let only_dyno = app.paas(&["logs", "--dyno", "router"]);
    only_dyno.expect_success().expect("heroku[router]").expect_no("[web.1]");
    let last = app.paas(&["logs", "-n", "1"]);
    assert_eq!(last.expect_success().stdout.lines().count(), 1);
}

#[test]
#[ignore = "needs docker"]
fn what_was_pushed_can_be_cloned_and_fetched() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    let pushed = app.pushed().unwrap();
    let url = format!("http://{}/hello.git", platform.api());
    let mut clone = platform.user_command("git".as_ref());
    let copy = platform.work().join("copy");
    clone.args(["clone", "--quiet", &url]).arg(&copy);
    Output::of(&mut clone, "").expect_success();
    let server = std::fs::read_to_string(copy.join("server.py")).unwrap();
    assert!(server.contains("TEXT = \"one\""));

    app.says("two").push().expect_success();
    let mut fetch = platform.user_command("git".as_ref());
    fetch.arg("-C").arg(&copy).args(["fetch", "--quiet"]);
    Output::of(&mut fetch, "").expect_success();
    let mut log = platform.user_command("git".as_ref());
    log.arg("-C").arg(&copy).args(["log", "--format=%H", "origin/main"]);
    let commits = Output::of(&mut log, "");
    let commits: Vec<_> = commits.expect_success().stdout.lines().collect();
    assert_eq!(commits.len(), 2);
    assert_eq!(commits[1], pushed);
}

#[test]
#[ignore = "needs docker"]
fn hosts_of_nobody_get_404_and_hosts_of_the_platform_their_service() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    let unknown = platform.get("nobody.localhost", "/").unwrap();
    unknown.expect_status(404);
    assert!(!unknown.body.contains("hello"), "{unknown:?}");
    platform.get("hello.example.com", "/").unwrap().expect_status(404);
    platform.get("api.localhost", "/account").unwrap().expect_status(401);

    // git goes through the router too, with the same token.
    let token = platform.token();
    let url = format!("http://you:{token}@127.0.0.1:{}/hello.git", platform.http().port());
    app.git(&["-c", "http.extraHeader=Host: git.localhost", "ls-remote", &url])
        .expect_success()
        .expect("refs/heads/main");

    // A branch that is not main is kept, and not built.
    app.git(&["checkout", "--quiet", "-b", "feature"]);
    app.commit();
    let kept = app.git(&["push", "paas", "feature"]);
    kept.expect_success().expect("Stored feature without a build");
    assert_eq!(app.builds().len(), 1);
}
