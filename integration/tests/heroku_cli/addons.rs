//! Add-ons by Heroku's own client: asked for, waited for, shared, renamed, enlarged, destroyed; settings of a cache.

use std::time::Duration;

use paas_integration::{App, Heroku, Platform, eventually};

/// The first platform of a machine makes the images.
const LIMIT: Duration = Duration::from_mins(5);

#[test]
#[ignore = "needs docker, npm's heroku"]
fn addons_are_made_shared_and_destroyed() {
    let platform = Platform::start();
    let heroku = Heroku::user(&platform);
    let (app, other) = (platform.app("hello"), platform.app("other"));
    looks(&heroku, &app);
    let name = creates(&heroku, &app);
    let run = |arguments: &[&str]| heroku.run_for(&app, arguments);

    let attached = heroku.run_for(&other, &["addons:attach", &name, "--as", "CACHE"]);
    attached.expect_success().expect("CACHE");
    let listed = run(&["addons"]);
    listed.expect_success().expect("heroku-redis").expect("CACHE on");
    heroku
        .run_for(&other, &["addons:detach", "CACHE"])
        .expect_success()
        .expect("Detaching CACHE");
    sets(&heroku, &app);

    heroku
        .run(&["addons:rename", &name, "my-cache"])
        .expect_success()
        .expect("my-cache");
    let upgraded = run(&["addons:upgrade", "my-cache", "heroku-redis:premium-0"]);
    upgraded.expect_success().expect("heroku-redis:premium-0");
    run(&["addons:info", "my-cache"])
        .expect_success()
        .expect("heroku-redis:premium-0")
        .expect("hello::REDIS");
    run(&["addons:docs", "my-cache", "--show-url"])
        .expect_success()
        .expect("heroku-redis");
    let destroyed = run(&["addons:destroy", "my-cache", "--confirm", "hello"]);
    destroyed.expect_success().expect("Destroying");
    run(&["addons"]).expect_success().expect("No add-ons for app");
    heroku.covers(&[
        "addons",
        "addons:attach",
        "addons:detach",
        "addons:destroy",
        "addons:docs",
    ]);
    heroku.covers(&[
        "addons:create",
        "addons:info",
        "addons:rename",
        "addons:upgrade",
        "addons:wait",
    ]);
    heroku.covers(&["addons:plans", "addons:services"]);
}

fn looks(heroku: &Heroku<'_>, app: &App<'_>) {
    heroku
        .run_for(app, &["addons"])
        .expect_success()
        .expect("No add-ons for app");
    heroku
        .run(&["addons:services"])
        .expect_success()
        .expect("heroku-postgresql");
    heroku
        .run(&["addons:plans", "heroku-redis"])
        .expect_success()
        .expect("heroku-redis:mini");
}

/// What the add-on is called.
fn creates(heroku: &Heroku<'_>, app: &App<'_>) -> String {
    let made = heroku.run_for(app, &["addons:create", "heroku-redis:mini"]);
    made.expect_success().expect("is being created in the background");
    heroku.run_for(app, &["addons:wait", "REDIS"]).expect_success();
    eventually("it is there", LIMIT, || {
        let addons = app.paas(&["addons", "--json"]).expect_success().json();
        addons[0]["state"] == "provisioned"
    });
    let config = app.paas(&["config"]).expect_success().stdout.clone();
    assert!(config.contains("redis://:"), "{config}");
    let addons = app.paas(&["addons", "--json"]).expect_success().json();
    addons[0]["name"].as_str().expect("it has a name").to_owned()
}

/// What people choose is what the server does.
fn sets(heroku: &Heroku<'_>, app: &App<'_>) {
    let run = |arguments: &[&str]| heroku.run_for(app, arguments);
    run(&["redis:wait"]).expect_success();
    run(&["redis:maxmemory", "--policy", "allkeys-lru"])
        .expect_success()
        .expect("set to allkeys-lru.")
        .expect("allkeys-lru removes less recently used keys first.");
    run(&["redis:timeout", "--seconds", "60"])
        .expect_success()
        .expect("stopped after idling for 60 seconds");
    run(&["redis:keyspace-notifications", "--config", "KEx"])
        .expect_success()
        .expect("set to 'KEx'");
    run(&["redis:info"])
        .expect_success()
        .expect("Timeout:")
        .expect("allkeys-lru");
    let url = run(&["redis:credentials"]).expect_success().stdout.trim().to_owned();
    assert!(url.starts_with("redis://:"), "{url}");
    run(&["redis:stats-reset", "--confirm", "hello"])
        .expect_success()
        .expect("Stats reset successful.");
    // Nobody may ask with CONFIG, but a file tells what the server has.
    let asks = "cat /run/addon/credentials; REDISCLI_AUTH=$(cat /run/addon/platform) redis-cli --user platform -s \
                /run/addon/redis.sock config get timeout maxmemory-policy notify-keyspace-events";
    let server = app.platform().engine().containers();
    let server = server.into_iter().find(|container| container.role == "addon");
    let server = server.expect("it runs");
    eventually("the server does what was chosen", LIMIT, || {
        let said = app
            .platform()
            .engine()
            .exec(&server, &["sh", "-c", asks])
            .stdout
            .clone();
        let lines: Vec<_> = said.lines().collect();
        ["60", "allkeys-lru"].iter().all(|value| lines.contains(value)) && said.contains("SETTING_TIMEOUT='60'")
    });
    run(&["redis:credentials", "--reset"])
        .expect_success()
        .expect("Resetting credentials");
    eventually("its address has another password", LIMIT, || {
        !app.paas(&["redis:credentials"]).expect_success().stdout.contains(&url)
    });
    heroku.covers(&[
        "redis:credentials",
        "redis:info",
        "redis:keyspace-notifications",
        "redis:maxmemory",
        "redis:stats-reset",
        "redis:timeout",
        "redis:wait",
    ]);
}
