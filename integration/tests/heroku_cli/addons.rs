//! Add-ons by Heroku's own client: asked for, waited for, shared, renamed, enlarged, destroyed; databases looked at, emptied and
//! promoted; credentials of a database, settings of a cache.

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

#[test]
#[ignore = "needs docker, npm's heroku"]
fn a_database_has_credentials_with_rights_of_their_own() {
    let platform = Platform::start();
    let heroku = Heroku::user(&platform);
    let (app, other) = (platform.app("hello"), platform.app("other"));
    app.paas(&["addons:create", "heroku-postgresql:standard-0", "--wait"])
        .expect_success();
    let run = |arguments: &[&str]| heroku.run_for(&app, arguments);
    run(&["pg:credentials:create", "--name", "reader"])
        .expect_success()
        .expect("Creating credential reader... done");
    let is_active = || {
        let listed = run(&["pg:credentials"]).expect_success().stdout.clone();
        listed
            .lines()
            .any(|line| line.contains("reader") && line.contains("active"))
    };
    eventually("the server knows it", LIMIT, is_active);
    app.paas(&[
        "pg:psql",
        "-c",
        "create table visits (n int); insert into visits values (7)",
    ])
    .expect_success();
    // It may connect, and see nothing until somebody says so.
    let look = ["pg:psql", "--credential", "reader", "-c", "select n from visits"];
    app.paas(&look).expect_code(1).expect("permission denied");
    app.paas(&["pg:psql", "-c", "grant select on visits to reader"])
        .expect_success();
    app.paas(&look).expect_success().expect("7");

    let attached = heroku.run_for(
        &other,
        &[
            "addons:attach",
            "hello::DATABASE",
            "--credential",
            "reader",
            "--as",
            "READS",
        ],
    );
    attached.expect_success().expect("READS");
    let url = || {
        let config = other.paas(&["config", "--json"]).expect_success().json();
        config["READS_URL"].as_str().unwrap_or_default().to_owned()
    };
    let before = url();
    assert!(before.starts_with("postgres://reader:"), "{before}");
    let refused = run(&["pg:credentials:destroy", "--name", "reader", "--confirm", "hello"]);
    refused.expect_code(1).expect("must be detached");
    let shown = run(&["pg:credentials:url", "--name", "reader"]);
    shown.expect_success().expect(&before);
    run(&["pg:credentials:rotate", "--name", "reader", "--confirm", "hello"])
        .expect_success()
        .expect("Rotating reader on");
    eventually("the app has another password", LIMIT, || url() != before);
    heroku.run_for(&other, &["addons:detach", "READS"]).expect_success();
    run(&["pg:credentials:repair-default", "--confirm", "hello"]).expect_success();
    let destroyed = run(&["pg:credentials:destroy", "--name", "reader", "--confirm", "hello"]);
    destroyed.expect_success().expect("The credential has been destroyed");
    eventually("the server forgets it", LIMIT, || {
        let roles = app.paas(&[
            "pg:psql",
            "-c",
            "select count(*) from pg_roles where rolname = 'reader'",
        ]);
        roles.expect_success().stdout.lines().any(|line| line.trim() == "0")
    });
    heroku.covers(&[
        "pg:credentials",
        "pg:credentials:create",
        "pg:credentials:destroy",
        "pg:credentials:repair-default",
        "pg:credentials:rotate",
        "pg:credentials:url",
    ]);
}

#[test]
#[ignore = "needs docker, npm's heroku"]
fn a_database_is_looked_at_emptied_and_made_the_main_one() {
    let platform = Platform::start();
    let heroku = Heroku::user(&platform);
    let app = platform.app("hello");
    let run = |arguments: &[&str]| heroku.run_for(&app, arguments);
    app.paas(&["addons:create", "heroku-postgresql:standard-0"])
        .expect_success();
    app.paas(&["addons:create", "heroku-postgresql:essential-0", "--as", "SECOND"])
        .expect_success();
    run(&["pg:wait", "--wait-interval", "1"]).expect_success();
    run(&["pg:wait", "SECOND", "--wait-interval", "1"]).expect_success();
    run(&["pg:info"])
        .expect_success()
        .expect("DATABASE_URL")
        .expect("SECOND_URL")
        .expect("standard-0")
        .expect("Available");

    let says = |statement: &str| {
        let said = app.paas(&["pg:psql", "-c", statement]);
        said.expect_success().stdout.clone()
    };
    says("create schema shop; create table shop.visits (n int); create function seven() returns int return 7");
    assert!(says("select seven()").contains('7'));
    run(&["pg:killall"])
        .expect_success()
        .expect("Terminating connections for all credentials... done");
    run(&["pg:stats-reset"]).expect_success().expect("reset successful");
    run(&["pg:reset", "--confirm", "hello"])
        .expect_success()
        .expect("Resetting");
    let left = "select (select count(*) from pg_namespace where nspname = 'shop') + \
                (select count(*) from pg_proc where proname = 'seven') as left_over";
    assert!(says(left).lines().any(|line| line.trim() == "0"));
    // It is a database as any: its owner makes tables, and the platform counts its statements.
    says("create table visits (n int)");
    assert!(says("select count(*) > 0 as counted from pg_stat_statements").contains('t'));

    let url = |name: &str| {
        let config = app.paas(&["config", "--json"]).expect_success().json();
        config[name].as_str().unwrap_or_default().to_owned()
    };
    let (first, second) = (url("DATABASE_URL"), url("SECOND_URL"));
    run(&["pg:promote", "SECOND"])
        .expect_success()
        .expect("to DATABASE_URL on");
    eventually("the app has the other one", LIMIT, || url("DATABASE_URL") == second);
    let config = app.paas(&["config", "--json"]).expect_success().json();
    let kept = config.as_object().expect("config vars").iter();
    let kept: Vec<_> = kept
        .filter(|(_, value)| **value == first)
        .map(|(name, _)| name)
        .collect();
    assert!(kept.len() == 1 && kept[0].starts_with("HEROKU_POSTGRESQL_"), "{kept:?}");
    heroku.covers(&[
        "pg:info",
        "pg:killall",
        "pg:promote",
        "pg:reset",
        "pg:stats-reset",
        "pg:wait",
    ]);
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
    run(&["redis:upgrade", "--version", "8.0", "--confirm", "hello"])
        .expect("cannot be upgraded: there is one version only");
    // The client attaches it once more, so that its address is never without a name.
    run(&["redis:promote", "REDIS"])
        .expect_success()
        .expect("Promoting")
        .expect("to REDIS_URL on hello");
    let config = app.paas(&["config"]).expect_success().stdout.clone();
    assert!(config.contains("REDIS_URL:"), "{config}");
    heroku.covers(&[
        "redis:credentials",
        "redis:info",
        "redis:keyspace-notifications",
        "redis:maxmemory",
        "redis:promote",
        "redis:stats-reset",
        "redis:timeout",
        "redis:wait",
    ]);
}
