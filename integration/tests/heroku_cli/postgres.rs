//! What a database logs, its copies and its upgrades, by Heroku's own client.

use std::time::Duration;

use paas_integration::{App, Container, Heroku, Platform, eventually};

/// The first platform of a machine makes the image.
const LIMIT: Duration = Duration::from_mins(5);

#[test]
#[ignore = "needs docker, npm's heroku"]
fn a_database_logs_what_people_choose() {
    let platform = Platform::start();
    let heroku = Heroku::user(&platform);
    let app = platform.app("hello");
    app.paas(&["addons:create", "heroku-postgresql:standard-0", "--wait"])
        .expect_success();
    let run = |arguments: &[&str]| heroku.run_for(&app, arguments);
    run(&["pg:settings"])
        .expect_success()
        .expect("log-statement:")
        .expect("auto-explain.log-format:");
    for (name, key, value, says) in SETTINGS {
        let verb = format!("pg:settings:{name}");
        run(&[&verb, "DATABASE", "--", value])
            .expect_success()
            .expect(&format!("{key} has been set to {value} for "))
            .expect(says);
    }
    run(&["pg:settings:log-statement"])
        .expect_success()
        .expect("log-statement is set to all for ");
    run(&["pg:settings:data-connector-details-logs"])
        .expect_success()
        .expect("is set to false");
    run(&["pg:settings:data-connector-details-logs", "DATABASE", "on"])
        .expect_code(2)
        .expect("there are no data connectors here");
    app.paas(&["pg:settings:log-statement", "DATABASE", "dml"])
        .expect("must be one of all, ddl, mod, none");
    app.paas(&["pg:settings:log-connections"])
        .expect_success()
        .expect("is set to false");
    app.paas(&["pg:settings"])
        .expect_success()
        .expect("auto-explain.log-format");

    does_that(&app);
    keeps_quiet(&app);
    // The server is lost, and what it had been told with it.
    let lost = server(&app);
    app.platform()
        .engine()
        .docker(&["rm", "--force", &lost.id])
        .expect_success();
    eventually("there is another one", LIMIT, || {
        app.paas(&["pg:psql", "-c", "select 1"]).code == 0
    });
    does_that(&app);
    heroku.covers(&["pg:settings", "pg:settings:data-connector-details-logs"]);
    heroku.covers(&[
        "pg:settings:auto-explain",
        "pg:settings:auto-explain:log-analyze",
        "pg:settings:auto-explain:log-buffers",
        "pg:settings:auto-explain:log-format",
        "pg:settings:auto-explain:log-min-duration",
        "pg:settings:auto-explain:log-nested-statements",
        "pg:settings:auto-explain:log-triggers",
        "pg:settings:auto-explain:log-verbose",
        "pg:settings:log-connections",
        "pg:settings:log-lock-waits",
        "pg:settings:log-min-duration-statement",
        "pg:settings:log-min-error-statement",
        "pg:settings:log-statement",
        "pg:settings:track-functions",
    ]);
}

#[test]
#[ignore = "needs docker, npm's heroku"]
fn a_database_is_copied_and_comes_to_a_newer_version() {
    let platform = Platform::start();
    let heroku = Heroku::user(&platform);
    let app = platform.app("hello");
    let run = |arguments: &[&str]| heroku.run_for(&app, arguments);
    app.paas(&["addons:create", "heroku-postgresql:standard-0", "--wait"])
        .expect_success();
    app.paas(&["addons:create", "heroku-postgresql", "--as", "SECOND", "--wait"])
        .expect_success();
    let says = |database: &str, statement: &str| {
        let said = app.paas(&["pg:psql", database, "-c", statement]);
        said.expect_success().stdout.clone()
    };
    says(
        "DATABASE",
        "create table visits (n int); insert into visits values (4711)",
    );
    let copy = |from: &str| run(&["pg:copy", from, "SECOND", "--confirm", "SECOND"]);
    copy("DATABASE").expect_success().expect("Copying... done");
    assert!(says("SECOND", "select n from visits").contains("4711"));
    copy("postgres://user:secret@example.com/shop").expect("pg:push");
    run(&["pg:backups"]).expect_success().expect("c001").expect("Copies");

    run(&["pg:settings:log-statement", "DATABASE", "mod"]).expect_success();
    run(&["pg:upgrade:cancel", "DATABASE", "--confirm", "hello"]).expect("No upgrade of");
    let wait = || run(&["pg:upgrade:wait", "DATABASE", "--wait-interval", "1", "--no-notify"]);
    let begin = |verb: &str| {
        let begun = run(&[verb, "DATABASE", "--version", "17", "--confirm", "hello"]);
        begun.expect_success().expect("done");
    };
    // While somebody holds a table, nobody can copy it.
    let holder = app.start_paas(&["pg:psql", "-c", "begin; lock table visits; select pg_sleep(600)"]);
    let held =
        "select 'held' from pg_locks where relation = 'visits'::regclass and mode = 'AccessExclusiveLock' and granted";
    eventually("the table is held", LIMIT, || says("DATABASE", held).contains("1 row"));
    begin("pg:upgrade:prepare");
    run(&["pg:upgrade:cancel", "DATABASE", "--confirm", "hello"])
        .expect_success()
        .expect("being cancelled");
    wait().expect_code(1).expect("cancelled");
    run(&["pg:killall"]).expect_success();
    drop(holder);
    begin("pg:upgrade:dryrun");
    wait().expect_success().expect("dry run of version 17 succeeded");
    begin("pg:upgrade:run");
    wait().expect_success().expect("Upgraded from 15 to 17");
    eventually("it is there again, and does what was chosen", LIMIT, || {
        let asked = "select current_setting('server_version') || ' ' || current_setting('log_statement')";
        let said = app.paas(&["pg:psql", "-c", asked]).stdout;
        said.lines()
            .any(|line| line.trim().starts_with("17") && line.contains(" mod"))
    });
    assert!(says("DATABASE", "select n from visits").contains("4711"));
    heroku.covers(&[
        "pg:copy",
        "pg:upgrade:cancel",
        "pg:upgrade:dryrun",
        "pg:upgrade:prepare",
        "pg:upgrade:run",
        "pg:upgrade:wait",
    ]);
}

/// The verb, what the client calls it, what it is to be, and what the client says to that.
const SETTINGS: [(&str, &str, &str, &str); 14] = [
    ("auto-explain", "auto-explain", "true", "will be logged for future"),
    (
        "auto-explain:log-analyze",
        "auto-explain.log-analyze",
        "true",
        "will be logged",
    ),
    (
        "auto-explain:log-buffers",
        "auto-explain.log-buffers",
        "true",
        "have been enabled",
    ),
    (
        "auto-explain:log-format",
        "auto-explain.log-format",
        "json",
        "in json format",
    ),
    (
        "auto-explain:log-min-duration",
        "auto-explain.log-min-duration",
        "0",
        "All queries",
    ),
    (
        "auto-explain:log-nested-statements",
        "auto-explain.log-nested-statements",
        "true",
        "will be included",
    ),
    (
        "auto-explain:log-triggers",
        "auto-explain.log-triggers",
        "true",
        "have been enabled",
    ),
    (
        "auto-explain:log-verbose",
        "auto-explain.log-verbose",
        "true",
        "has been enabled",
    ),
    ("log-connections", "log-connections", "false", "no log message"),
    ("log-lock-waits", "log-lock-waits", "false", "no log message"),
    (
        "log-min-duration-statement",
        "log-min-duration-statement",
        "-1",
        "will not be logged",
    ),
    (
        "log-min-error-statement",
        "log-min-error-statement",
        "log",
        "end with a log message",
    ),
    ("log-statement", "log-statement", "all", "All statements will be logged"),
    ("track-functions", "track-functions", "pl", "procedural language"),
];

/// A new connection has all of it, and what it says is in the log of its server with its plan.
fn does_that(app: &App<'_>) {
    let shown = "select concat_ws(' ', current_setting('log_statement'), current_setting('track_functions'), \
                 current_setting('log_min_duration_statement'), current_setting('log_lock_waits'), \
                 current_setting('auto_explain.log_format'))";
    eventually("its server does what was chosen", LIMIT, || {
        let said = app.paas(&["pg:psql", "-c", shown]);
        said.stdout.contains("all pl -1 off json")
    });
    app.paas(&["pg:psql", "-c", "select 1234 as marked"]).expect_success();
    eventually("it is in the log of its server", LIMIT, || {
        let logged = log(app);
        logged.contains("statement: select 1234 as marked") && logged.contains("\"Plan\": {")
    });
    app.logs("statement: select 1234 as marked", LIMIT);
    let log = app.log();
    let mut said = log.lines().filter(|line| line.contains("app[postgres."));
    assert!(said.all(|line| line.contains("]: [DATABASE] ")), "{log}");
    assert!(!log.contains("postgres@[local]"), "{log}");
}

/// The platform itself makes users, and nobody reads their passwords in a log.
fn keeps_quiet(app: &App<'_>) {
    let url = || {
        let config = app.paas(&["config", "--json"]).expect_success().json();
        config["DATABASE_URL"].as_str().unwrap_or_default().to_owned()
    };
    let before = url();
    app.paas(&["pg:credentials:rotate", "--confirm", "hello"])
        .expect_success();
    eventually("it has another password", LIMIT, || url() != before);
    let logged = log(app);
    for said in ["alter role", "create role", "password"] {
        assert!(!logged.to_lowercase().contains(said), "{said}: {logged}");
    }
}

fn server(app: &App<'_>) -> Container {
    let servers = app.platform().engine().containers();
    let server = servers.into_iter().find(|container| container.role == "addon");
    server.expect("it runs")
}

fn log(app: &App<'_>) -> String {
    app.platform().engine().docker(&["logs", &server(app).id]).text()
}
