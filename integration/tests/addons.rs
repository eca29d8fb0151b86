//! A database, a cache and more for an app: made by a command each, killed, shared, rotated, and destroyed.

use std::time::Duration;

use paas_integration::{App, Container, Platform, eventually, within};

/// The first platform of a machine makes the images.
const IMAGE_LIMIT: Duration = Duration::from_mins(8);
const SOON: Duration = Duration::from_mins(2);

#[test]
#[ignore = "needs docker"]
fn an_app_gets_its_servers_by_a_command_each_and_keeps_what_is_in_them() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.fixture("addons");
    creates(&app);
    app.deploys();
    shows(&app, "0 0 0 0 0");
    assert_eq!(app.page("/visit"), "1 1 1 1 1");
    assert_eq!(app.page("/visit"), "2 2 2 2 2");

    survives(&platform, &app);
    rotates(&app);
    shares(&platform, &app);
    copies(&platform, &app);
    refuses(&app);
    destroys(&platform, &app);
}

/// Waits until `/`, which counts nothing, says this.
#[track_caller]
fn shows(app: &App<'_>, text: &str) {
    let mut last = String::new();
    let shown = within(SOON, || {
        app.get("/").body.clone_into(&mut last);
        (last == text).then_some(())
    });
    assert!(shown.is_some(), "{} shows {last:?} instead of {text:?}", app.name());
}

fn creates(app: &App<'_>) {
    for plan in [
        "heroku-postgresql:essential-0",
        "heroku-redis:mini",
        "memcachier",
        "jawsdb",
        "cloudamqp",
    ] {
        let made = app.paas(&["addons:create", plan]);
        made.expect_success().expect("is being created in the background");
    }
    eventually("all add-ons are there", IMAGE_LIMIT, || {
        let addons = app.paas(&["addons", "--json"]).expect_success().json();
        let addons = addons.as_array().cloned().unwrap_or_default();
        addons.len() == 5 && addons.iter().all(|addon| addon["state"] == "provisioned")
    });
    app.paas(&["addons:wait"]).expect_success();
    let config = app.paas(&["config", "--json"]).expect_success().json();
    let url = config["DATABASE_URL"].as_str().expect("it is set");
    assert!(url.starts_with("postgres://"), "{url}");
    let told: Vec<String> = app
        .releases()
        .iter()
        .filter_map(|release| release["description"].as_str().map(str::to_owned))
        .collect();
    let is_told = |start: &str| told.iter().any(|description| description.starts_with(start));
    assert!(
        is_told("Attach DATABASE (@ref:postgresql-") && is_told("@ref:postgresql-"),
        "{told:?}"
    );
}

fn servers(platform: &Platform) -> Vec<Container> {
    let mut containers = platform.engine().containers();
    containers.retain(|container| container.role == "addon" && container.state == "running");
    containers
}

/// Every server and the platform itself are killed: all but the memory come back with what was in them.
fn survives(platform: &Platform, app: &App<'_>) {
    let before = servers(platform);
    assert_eq!(before.len(), 5);
    let ids: Vec<&str> = before.iter().map(|container| container.id.as_str()).collect();
    platform
        .engine()
        .docker(&[&["kill"], &ids[..]].concat())
        .expect_success();
    platform.kill();
    platform.serve(&[]);
    eventually("others run", SOON, || {
        let now = servers(platform);
        now.len() == 5 && !now.iter().any(|container| ids.contains(&container.id.as_str()))
    });
    shows(app, "2 2 0 2 2");
    assert_eq!(app.page("/visit"), "3 3 1 3 3");
}

/// Whoever held the old password does not come in any more, and the app does not notice.
fn rotates(app: &App<'_>) {
    let url = || {
        let config = app.paas(&["config", "--json"]).expect_success().json();
        config["DATABASE_URL"].as_str().expect("it is set").to_owned()
    };
    let before = url();
    app.paas(&["pg:credentials:rotate", "--confirm", app.name()])
        .expect_success();
    eventually("the app has another password", SOON, || url() != before);
    shows(app, "3 3 1 3 3");
    let old = format!("DATABASE_URL={before}");
    app.paas(&["run", "-x", "-e", &old, "--", "python3", "opens.py"])
        .expect_code(3);
    app.paas(&["run", "-x", "--", "python3", "opens.py"]).expect_success();
}

/// Another app uses the database, and does no more.
fn shares(platform: &Platform, app: &App<'_>) {
    let other = platform.app("other");
    other.fixture("addons");
    other.deploys();
    shows(&other, "none none none none none");
    let attached = other.paas(&["addons:attach", "hello::DATABASE", "--as", "SHARED"]);
    attached.expect_success().expect("SHARED_URL");
    shows(&other, "3 none none none none");
    let listed = app.paas(&["addons"]).expect_success().stdout.clone();
    assert!(listed.contains("SHARED on other"), "{listed}");
    other.paas(&["addons:detach", "SHARED"]).expect_success();
    shows(&other, "none none none none none");
    other.paas(&["apps:destroy", "--confirm", "other"]).expect_success();
    shows(app, "3 3 1 3 3");
}

/// What is in a database comes into another one: straight, and by way of this machine's own programs.
fn copies(platform: &Platform, app: &App<'_>) {
    app.paas(&["addons:create", "heroku-postgresql", "--as", "COPY", "--wait"])
        .expect_success();
    let count = |statement: &str| {
        let said = app.paas(&["pg:psql", "COPY", "-c", statement]);
        said.expect_success()
            .stdout
            .lines()
            .nth(2)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    app.paas(&["pg:copy", "DATABASE", "COPY", "--confirm", app.name()])
        .expect_success();
    assert_eq!(count("select count(*) from visits"), "3");

    let config = app.paas(&["config", "--json"]).expect_success().json();
    let url = config["DATABASE_URL"].as_str().expect("it is set").to_owned();
    // A machine beside the platform has no names for what is on its networks.
    let host = url.split(['@', ':']).nth(3).expect("an address has a host");
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
    let ids: Vec<String> = servers(platform).into_iter().map(|server| server.id).collect();
    let address = ids.iter().find_map(|id| {
        let name = platform
            .engine()
            .docker(&["inspect", "--format", "{{.Config.Hostname}}", id]);
        let found = platform.engine().docker(&["inspect", "--format", format, id]);
        let address = found.stdout.split_whitespace().next().map(str::to_owned);
        (name.stdout.trim() == host).then_some(address).flatten()
    });
    let near = url.replace(host, &address.expect("the database has an address"));
    let push = app.paas(&["pg:push", &near, "COPY"]);
    push.expect_code(2).expect("is not empty");
    app.paas(&["pg:reset", "COPY", "--confirm", app.name()])
        .expect_success();
    let push = app.paas(&["pg:push", &near, "COPY"]);
    push.expect_success().expect("Pushing complete.");
    assert_eq!(count("select count(*) from visits"), "3");
    app.paas(&["addons:destroy", "COPY", "--confirm", app.name()])
        .expect_success();
}

fn refuses(app: &App<'_>) {
    app.paas(&["config:unset", "DATABASE_URL"])
        .expect_code(1)
        .expect("Cannot overwrite attachment values DATABASE_URL");
    app.paas(&["addons:detach", "DATABASE"])
        .expect_code(1)
        .expect("Cannot destroy last attachment");
    app.paas(&["addons:create", "heroku-postgresql:colossal"])
        .expect_code(1)
        .expect("heroku-postgresql:colossal");
    app.paas(&["addons:destroy", "DATABASE", "--confirm", "wrong"])
        .expect_code(1);
}

fn destroys(platform: &Platform, app: &App<'_>) {
    app.paas(&["addons:destroy", "DATABASE", "--confirm", app.name()])
        .expect_success();
    shows(app, "none 3 1 3 3");
    app.paas(&["apps:destroy", "--confirm", app.name()]).expect_success();
    eventually("nothing is left of them", SOON, || {
        let is_addon = |name: &String| name.starts_with("paas-addon-");
        let containers = platform.engine().containers();
        !containers.iter().any(|container| container.role == "addon")
            && !platform.engine().volumes().iter().any(is_addon)
            && platform.sql("select count(*) from addons") == ["0"]
    });
}
