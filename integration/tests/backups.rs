//! What was in a database comes back: after a table was dropped, after `kill -9` of `paasd` at any step, after the database itself
//! was destroyed. And a backup that is no good is found out before it is needed.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use paas_integration::{App, Platform, eventually};
use serde_json::Value;

/// The first platform of a machine makes the images.
const IMAGE_LIMIT: Duration = Duration::from_mins(5);
const SOON: Duration = Duration::from_mins(1);
const ABORTED: Option<i32> = Some(6);
/// In the order in which a backup and its way back come to them.
const FAIL_POINTS: [(&str, &str); 4] = [
    ("capture.before", "pg:backups:capture"),
    ("capture.after", "pg:backups:capture"),
    ("restore.before", "pg:backups:restore"),
    ("restore.after", "pg:backups:restore"),
];

#[test]
#[ignore = "needs docker"]
fn what_was_in_a_database_comes_back() {
    let platform = Platform::start();
    let app = platform.app("hello");
    for plan in ["heroku-postgresql", "heroku-redis"] {
        app.paas(&["addons:create", plan]).expect_success();
    }
    are_there(&app);
    sql(&app, "create table people as select generate_series(1, 1000) as id");
    redis(&app, "set greeting hello");

    comes_back(&app);
    is_found_out(&platform, &app);
    survives_the_death_of_the_server(&platform, &app);
    outlives_its_database(&app);
    a_copy_that_breaks_off_changes_nothing(&platform, &app);
}

/// Captured, lost, put back, counted.
fn comes_back(app: &App<'_>) {
    app.paas(&["pg:backups:schedules"]).expect_success().expect("daily at");
    // Not while this runs.
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is later")
        .as_secs();
    let hour = (seconds / 3600 + 12) % 24;
    let at = format!("{hour}:00 Etc/UTC");
    for addon in ["DATABASE", "REDIS"] {
        app.paas(&["pg:backups:schedule", addon, "--at", &at]).expect_success();
    }
    app.paas(&["pg:backups"]).expect_success().expect("No backups.");
    app.paas(&["pg:backups:capture"]).expect_success().expect("b001");
    app.paas(&["pg:backups:capture", "REDIS"])
        .expect_success()
        .expect("b002");

    sql(app, "drop table people");
    redis(app, "flushall");
    app.paas(&["pg:backups:restore", "b001", "DATABASE", "--confirm", "wrong"])
        .expect_code(1);
    app.paas(&["pg:backups:restore", "b001", "DATABASE", "--confirm", app.name()])
        .expect_success();
    app.paas(&["pg:backups:restore", "b002", "REDIS", "--confirm", app.name()])
        .expect_success();
    assert_eq!(people(app), "1000");
    assert_eq!(redis(app, "get greeting"), "hello");
    app.paas(&["pg:backups:restore", "b002", "DATABASE", "--confirm", app.name()])
        .expect_code(1)
        .expect("cannot be restored into heroku-postgresql");
    // What was there before is a backup, too, and the schedule is what it was.
    let kinds: Vec<_> = transfers(app).iter().map(|one| text(one, "kind")).collect();
    assert_eq!(
        kinds,
        [
            "manual",
            "manual",
            "restore",
            "before restore",
            "restore",
            "before restore"
        ]
    );
    app.paas(&["pg:backups:schedules"])
        .expect_success()
        .expect(&format!("daily at {at}"));

    let file = app.tree().join("latest.dump");
    app.paas(&["pg:backups:download", "b001", "--output", &file.display().to_string()])
        .expect_success();
    assert!(fs::read(file).expect("it is there").starts_with(b"PGDMP"));
    app.paas(&["pg:backups:info", "b001"])
        .expect_success()
        .expect("Completed");
    app.paas(&["pg:backups:delete", "b002", "--confirm", app.name()])
        .expect_success();
    app.paas(&["pg:backups:info", "b002"]).expect_code(1);
}

/// A proof counts what is in a backup; one that was damaged on the disk is no good.
fn is_found_out(platform: &Platform, app: &App<'_>) {
    app.paas(&["pg:backups:prove", "b001"])
        .expect_success()
        .expect("b001 is good: 1 tables, 1000 rows");
    eventually("nothing is left of the scratch server", SOON, || {
        !platform.engine().volumes().iter().any(|name| name.contains("proof"))
    });
    app.paas(&["pg:backups:capture"]).expect_success();
    let newest = transfers(app).pop().expect("it was captured");
    let path = file_of(platform, &newest);
    let mut bytes = fs::read(&path).expect("it is on the disk");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("it is our file");
    let name = text(&newest, "name");
    app.paas(&["pg:backups:prove", &name])
        .expect_code(1)
        .expect("is damaged");
    app.paas(&["pg:backups"]).expect_success().expect("NO GOOD");
    app.logs(&format!("Backup {name} is no good"), SOON);
    app.paas(&["pg:backups:restore", &name, "DATABASE", "--confirm", app.name()])
        .expect_code(1)
        .expect("damaged");
    assert_eq!(people(app), "1000");
}

/// At any step: what was begun has failed, nothing is left of it, and the database holds all or nothing of it.
fn survives_the_death_of_the_server(platform: &Platform, app: &App<'_>) {
    for (point, verb) in FAIL_POINTS {
        platform.kill();
        platform.serve(&["--failpoint", point]);
        let begun = match verb {
            "pg:backups:capture" => app.start_paas(&[verb]),
            _ => app.start_paas(&[verb, "b001", "DATABASE", "--confirm", app.name()]),
        };
        let status = platform.ends(SOON);
        assert_eq!(status.signal(), ABORTED, "{point}: {status}");
        let _ = begun.finish(SOON);
        platform.serve(&[]);
        is_at_rest(platform, app, point);
    }

    // It waits for the lock, in the midst of its work.
    let holding = app.start_paas(&["pg:psql", "-c", "begin; lock table people; select pg_sleep(300)"]);
    eventually("the table is locked", SOON, || {
        sql(
            app,
            "select count(*) from pg_locks where mode = 'AccessExclusiveLock' and granted",
        ) != "0"
    });
    let capture = app.start_paas(&["pg:backups:capture"]);
    eventually("the dump waits for it", SOON, || {
        sql(
            app,
            "select count(*) from pg_stat_activity where application_name = 'pg_dump'",
        ) == "1"
    });
    comes_last(platform, "pg_dump");
    platform.kill();
    let _ = (capture.finish(SOON), holding.kill());
    platform.serve(&[]);
    eventually("no program of it is left", SOON, || {
        sql(
            app,
            "select count(*) from pg_stat_activity where application_name = 'pg_dump'",
        ) == "0"
    });
    sql(
        app,
        "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()",
    );
    is_at_rest(platform, app, "kill -9");
}

/// A program in an add-on lets its server and everything else there go first.
#[track_caller]
fn comes_last(platform: &Platform, program: &str) {
    let tops = programs_in_addons(platform);
    let nice = tops
        .lines()
        .find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [_, nice, name] if name == program => Some(nice.to_owned()),
            _ => None,
        });
    assert_eq!(nice.as_deref(), Some("19"), "{tops}");
}

/// A line for each, with its number, its niceness and its name.
fn programs_in_addons(platform: &Platform) -> String {
    let containers = platform.engine().containers();
    let addons = containers.iter().filter(|container| container.role == "addon");
    let tops = addons.map(|addon| {
        let top = platform.engine().docker(&["top", &addon.id, "-eo", "pid,ni,comm"]);
        top.expect_success().text()
    });
    tops.collect()
}

fn is_at_rest(platform: &Platform, app: &App<'_>, when: &str) {
    let mut begun = transfers(app);
    // What is copied before a restore is a backup of its own.
    begun.retain(|one| one["kind"] != "before restore");
    let last = begun.pop().expect("there are some");
    assert_eq!(last["succeeded"], Value::Bool(false), "{when}: {last}");
    assert_eq!(
        platform
            .sql("select id from addon_backups where state = 'running'")
            .len(),
        0
    );
    let kept = platform
        .sql("select id from addon_backups where state = 'succeeded' and kind not in ('restore', 'copy') order by id");
    let mut files: Vec<_> = fs::read_dir(platform.data_dir().join("backups"))
        .expect("backups are there")
        .map(|entry| {
            entry
                .expect("it can be read")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    files.sort_unstable();
    assert_eq!(files, kept, "{when}");
    are_there(app);
    eventually(&format!("{when}: the database answers"), SOON, || people(app) == "1000");
}

/// Destroyed, and there all the same.
fn outlives_its_database(app: &App<'_>) {
    app.paas(&["addons:destroy", "DATABASE", "--confirm", app.name()])
        .expect_success();
    let last = || transfers(app).into_iter().find(|one| one["kind"] == "last");
    eventually("its last backup is there", SOON, || {
        last().is_some_and(|last| last["succeeded"] == true)
    });
    let name = text(&last().expect("it is there"), "name");
    app.paas(&["addons:create", "heroku-postgresql"]).expect_success();
    are_there(app);
    app.paas(&["pg:backups:restore", &name, "DATABASE", "--confirm", app.name()])
        .expect_success();
    assert_eq!(people(app), "1000");
}

/// Neither of its programs goes on without the server, and the next copy is whole.
fn a_copy_that_breaks_off_changes_nothing(platform: &Platform, app: &App<'_>) {
    let copy = ["pg:copy", "DATABASE", "COPY", "--confirm", app.name()];
    let count = |table: &str| {
        let said = app.paas(&["pg:psql", "COPY", "-c", &format!("select count(*) from {table}")]);
        said.stdout.lines().nth(2).unwrap_or_default().trim().to_owned()
    };
    app.paas(&["addons:create", "heroku-postgresql", "--as", "COPY"])
        .expect_success();
    are_there(app);
    app.paas(&["pg:psql", "COPY", "-c", "create table kept as select 1 as id"])
        .expect_success();
    platform.kill();
    platform.serve(&["--failpoint", "copy.amid"]);
    let begun = app.start_paas(&copy);
    let status = platform.ends(SOON);
    assert_eq!(status.signal(), ABORTED, "{status}");
    let _ = begun.finish(SOON);
    platform.serve(&[]);
    is_at_rest(platform, app, "copy.amid");
    let programs = programs_in_addons(platform);
    assert!(
        !programs.contains("pg_dump") && !programs.contains("pg_restore"),
        "{programs}"
    );
    assert_eq!(count("kept"), "1");
    app.paas(&copy).expect_success();
    assert_eq!(count("people"), "1000");
    app.paas(&["pg:backups"]).expect_success().expect("=== Copies");
}

fn are_there(app: &App<'_>) {
    eventually("the add-ons are there", IMAGE_LIMIT, || {
        let addons = app.paas(&["addons", "--json"]).expect_success().json();
        let addons = addons.as_array().cloned().unwrap_or_default();
        !addons.is_empty() && addons.iter().all(|addon| addon["state"] == "provisioned")
    });
}

/// The one value that a database answers with; nothing while it does not answer.
fn sql(app: &App<'_>, statement: &str) -> String {
    let said = app.paas(&["pg:psql", "-c", statement]);
    // Below the name of the column and a line.
    said.stdout.lines().nth(2).unwrap_or_default().trim().to_owned()
}

fn people(app: &App<'_>) -> String {
    sql(app, "select count(*) from people")
}

fn redis(app: &App<'_>, command: &str) -> String {
    let arguments = ["redis:cli", "-a", app.name()];
    let said = app.platform().paas_reading(&arguments, &format!("{command}\n"));
    said.expect_success().stdout.trim().to_owned()
}

/// The oldest first.
fn transfers(app: &App<'_>) -> Vec<Value> {
    let listed = app.paas(&["pg:backups", "--json"]).expect_success().json();
    let mut transfers = listed.as_array().cloned().expect("a list");
    transfers.reverse();
    transfers
}

fn text(transfer: &Value, field: &str) -> String {
    transfer[field].as_str().expect("it is text").to_owned()
}

fn file_of(platform: &Platform, transfer: &Value) -> PathBuf {
    platform.data_dir().join("backups").join(text(transfer, "uuid"))
}
