//! From the working tree to a running release, and back: git, releases, rollback, config, dynos.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use paas_integration::{App, Heroku, Platform, Terminal, eventually};
use serde_json::json;

const SOON: Duration = Duration::from_mins(1);

#[test]
#[ignore = "needs docker, npm's heroku"]
fn a_push_with_the_clients_credentials_deploys_and_a_rollback_goes_back() {
    let platform = Platform::start();
    let app = platform.app("hello");
    let heroku = Heroku::user(&platform).in_folder(app.tree());
    let url = format!("https://{}/hello.git", heroku.git_host());

    heroku
        .run(&["git:remote", "-a", "hello"])
        .expect_success()
        .expect(&format!("set git remote heroku to {url}"));
    assert_eq!(app.git(&["remote", "get-url", "heroku"]).stdout.trim(), url);

    let first = app.commit();
    let pushed = heroku.git(&["push", "heroku", "main"]);
    for line in [
        "remote: -----> Python app detected",
        "remote: -----> Launching...",
        "main -> main",
    ] {
        pushed.expect_success().expect(line);
    }
    app.serves("hello one", SOON);
    assert_eq!(app.pushed(), Some(first.clone()));

    let copy = platform.work().join("copy");
    let copy = copy.to_str().unwrap();
    heroku.run(&["git:clone", copy, "-a", "hello"]).expect_success();
    let head = heroku.git(&["-C", copy, "rev-parse", "HEAD"]);
    assert_eq!(head.expect_success().stdout.trim(), first);

    // From here on the app is told from the remote.
    app.says("two").commit();
    heroku.git(&["push", "heroku", "main"]).expect_success();
    app.serves("hello two", SOON);
    heroku.run(&["config:set", "GREETING=bye"]).expect_success();
    app.serves("bye two", SOON);

    releases(&heroku, &app);
    rollback(&heroku, &app);

    let refused = Heroku::stranger(&platform)
        .in_folder(app.tree())
        .git(&["push", "heroku", "main"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    heroku.covers(&["git:clone", "git:remote", "git:credentials", "config:set"]);
}

fn releases(heroku: &Heroku<'_>, app: &App<'_>) {
    let listed = heroku.beside(&["releases", "-a", app.name()]);
    listed
        .expect_success()
        .expect_alike()
        .expect("=== hello Releases - Current: v5")
        .expect("Set GREETING config vars   you@example.com");
    let lines = listed.heroku.stdout.lines().filter(|line| line.starts_with("  v"));
    assert_eq!(lines.count(), 1 + 5, "{listed:?}");
    let one = heroku.run(&["releases", "-n", "1", "--json"]);
    let one = one.expect_success().json();
    assert_eq!((&one[0]["version"], &one[0]["current"]), (&json!(5), &json!(true)));
    assert_eq!(one.as_array().map(Vec::len), Some(1));
    heroku
        .run(&["releases:info"])
        .expect_success()
        .expect("=== Release v5")
        .expect("Set GREETING config vars");
    let info = heroku.run(&["releases:info", "v3", "--json"]);
    assert_eq!(info.expect_success().json()["version"], 3);
    heroku
        .run(&["releases:info", "v99"])
        .expect_code(2)
        .expect("Couldn't find that release");
    heroku.covers(&["releases", "releases:info"]);
}

fn rollback(heroku: &Heroku<'_>, app: &App<'_>) {
    let rolled = heroku.run(&["rollback", "v3"]);
    rolled
        .expect_success()
        .expect("Rolling back hello to v3... done, v6")
        .expect("Rollback affects code and config vars");
    app.serves("hello one", SOON);
    heroku.run(&["config", "--json"]).expect_success();
    assert_eq!(app.current(), 6);
    // Without a version: the one before.
    heroku.run(&["releases:rollback"]).expect_success();
    app.serves("bye two", SOON);
    heroku
        .run(&["rollback", "v99"])
        .expect_code(2)
        .expect("Couldn't find that release");
    heroku.covers(&["releases:rollback"]);
}

#[test]
#[ignore = "needs docker, npm's heroku"]
fn config_vars_reach_the_dynos_and_both_clients_say_the_same() {
    let platform = Platform::start();
    let app = platform.app("hello");
    let other = platform.app("other");
    let heroku = Heroku::user(&platform);
    let apps = [&app, &other];
    let beside = |arguments: &[&str]| heroku.beside_for(apps, arguments);

    let set = beside(&["config:set", "GREETING=hi", "LONG=a b  c"]);
    set.expect_success().expect_alike();
    set.expect("Setting GREETING, LONG and restarting hello... done, v");
    beside(&["config:set", "MORE=x=y"]).expect_success().expect_alike();
    beside(&["config"]).expect_success().expect_alike();
    beside(&["config:set", "ZED=1", "EMPTY="])
        .expect_success()
        .expect_alike();
    beside(&["config:unset", "ZED"]).expect_success().expect_alike();
    beside(&["ps"]).expect_success().expect_alike();
    beside(&["domains"]).expect_success();
    let shell = beside(&["config", "--shell"]);
    shell.expect_success().expect_alike().expect("LONG='a b  c'");
    let vars = heroku.run_for(&app, &["config", "--json"]).expect_success().json();
    assert_eq!(
        vars,
        json!({ "GREETING": "hi", "EMPTY": "", "LONG": "a b  c", "MORE": "x=y" })
    );
    let got = beside(&["config:get", "GREETING"]);
    assert_eq!(got.expect_alike().heroku.stdout, "hi\n");
    let nothing = beside(&["config:get", "NOTHING"]);
    assert_eq!(nothing.expect_success().expect_alike().heroku.stdout, "\n");
    for arguments in [
        ["config:get", "--json", "GREETING", "NOTHING"],
        ["config:get", "--shell", "LONG", "EMPTY"],
    ] {
        beside(&arguments).expect_success().expect_alike();
    }

    app.push().expect_success();
    assert_eq!(app.page("/env?LONG"), "a b  c");
    assert_eq!(app.page("/"), "hi one");
    let unset = beside(&["config:unset", "EMPTY", "GREETING"]);
    unset.expect_success().expect_alike();
    unset.expect("Unsetting EMPTY, GREETING and restarting hello... done, v");
    app.serves("hello one", SOON);
    assert_eq!(app.page("/env?EMPTY"), "(not set)");

    // The editor adds one and takes one away.
    let editor = heroku.home().join("editor");
    fs::write(
        &editor,
        "#!/bin/sh\nsed -i -e /^MORE=/d -e '1i ADDED=\"with the editor\"' \"$1\"\n",
    )
    .and_then(|()| fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)))
    .unwrap();
    let mut edit = heroku.command(&["config:edit", "-a", "hello"]);
    edit.env("EDITOR", &editor);
    let mut edited = Terminal::start(&edit, (100, 30));
    edited
        .sees("+ ADDED='with the editor'", SOON)
        .sees("Update config on", SOON)
        .types("y\r");
    edited.finish(SOON).expect_success();
    assert_eq!(heroku.strays(), [""; 0]);
    let vars = heroku.run_for(&app, &["config", "--json"]).json();
    assert_eq!(vars, json!({ "LONG": "a b  c", "ADDED": "with the editor" }));

    let refused = beside(&["config:set", "not a name=1"]);
    assert_ne!(refused.heroku.code, 0);
    heroku.covers(&["config", "config:edit", "config:get", "config:set", "config:unset"]);
}

#[test]
#[ignore = "needs docker, npm's heroku"]
fn dynos_are_scaled_restarted_and_stopped() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.write("Procfile", "web: python3 server.py\nworker: sleep 1000\n");
    app.push().expect_success();
    app.runs(&["web.1"], SOON);
    let heroku = Heroku::user(&platform);
    let run = |arguments: &[&str]| heroku.run_for(&app, arguments);

    run(&["ps"])
        .expect_success()
        .expect("=== web (Standard-1X): python3 server.py (1)\n\nweb.1: up 20");
    assert_eq!(run(&["ps", "--json"]).expect_success().json()[0]["name"], "web.1");
    run(&["ps:scale"])
        .expect_success()
        .expect("web=1:Standard-1X worker=0:Standard-1X");
    run(&["ps:scale", "web=2", "worker+1:Basic"])
        .expect_success()
        .expect("Scaling dynos... done, now running web at 2:Standard-1X, worker at 1:Basic");
    run(&["ps:wait"]).expect_success();
    app.runs(&["web.1", "web.2", "worker.1"], SOON);
    let limits = platform.sql("select size from formations where process_type = 'worker'");
    assert_eq!(limits, ["Basic"]);

    let ids = || -> Vec<String> {
        let mut dynos = app.ps();
        dynos.sort_by_key(|dyno| dyno["name"].to_string());
        dynos.iter().map(|dyno| dyno["id"].to_string()).collect()
    };
    let before = ids();
    run(&["ps:restart", "-d", "web.1"])
        .expect_success()
        .expect("Restarting dyno web.1 on hello... done");
    eventually("web.1 is another one", SOON, || {
        let now = ids();
        now.len() == 3 && now[0] != before[0] && now[1..] == before[1..]
    });
    run(&["ps:restart", "-p", "worker"]).expect_success();
    eventually("worker.1 is another one", SOON, || {
        let now = ids();
        now.len() == 3 && now[2] != before[2]
    });
    let before = ids();
    run(&["ps:restart"]).expect_success();
    // Between two dynos of a worker's slot there is none that could be stopped.
    eventually("worker.1 is another one again", SOON, || {
        let now = ids();
        now.len() == 3 && now[2] != before[2]
    });
    run(&["ps:stop", "worker.1"]).expect_success();

    run(&["ps:type"])
        .expect_success()
        .expect("web      Standard-1X   2")
        .expect("worker   Basic         1");
    run(&["ps:type", "worker=standard-2x"])
        .expect_success()
        .expect("Standard-2X");
    run(&["ps:scale", "web-1", "worker=0"])
        .expect_success()
        .expect("now running web at 1:Standard-1X, worker at 0:Standard-2X");
    app.runs(&["web.1"], SOON);

    run(&["ps:scale", "nonsense=1"])
        .expect_code(2)
        .expect("Couldn't find that process type");
    run(&["ps:restart", "-d", "web.9"]).expect_code(2);
    heroku.covers(&["ps", "ps:restart", "ps:scale", "ps:stop", "ps:type", "ps:wait"]);
}
