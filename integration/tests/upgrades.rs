//! A fork holds what its original held at one moment, however much is written meanwhile; and a database comes to a newer version with every
//! committed row, under the same address. Whoever kills `paasd` at any step of either finds one whole database afterwards.

use std::{
    os::unix::process::ExitStatusExt,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::Duration,
};

use paas_integration::{App, Platform, eventually};
use serde_json::Value;

/// The first platform of a machine makes the images.
const IMAGE_LIMIT: Duration = Duration::from_mins(4);
const SOON: Duration = Duration::from_mins(1);
/// Before somebody who was refused tries again.
const PAUSE: Duration = Duration::from_millis(200);
const ABORTED: Option<i32> = Some(6);
/// Each begins where the one before has died.
const FORKING: [&str; 2] = ["fork.before", "fork.after"];
const UPGRADING: [&str; 6] = [
    "dry-run.before",
    "dry-run.after",
    "upgrade-dump.before",
    "upgrade-dump.after",
    "upgrade-swap.before",
    "upgrade-swap.after",
];
/// Both of a pair are there, or none.
const PAIR: &str = "with one as (insert into lefts default values returning id) insert into rights select id from one";
const COUNTS: &str = "select (select count(*) from lefts) || ' ' || (select count(*) from rights)";

#[test]
#[ignore = "needs docker"]
fn a_database_is_forked_under_writes_and_comes_to_a_newer_version_whoever_dies() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.paas(&["addons:create", "heroku-postgresql"]).expect_success();
    are_there(&app);
    refuses(&app);
    sql(&app, "DATABASE", "create table lefts (id serial primary key)");
    sql(&app, "DATABASE", "create table rights (id int not null)");

    let written = AtomicU32::new(0);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = End(&is_over);
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if app.paas(&["pg:psql", "-c", PAIR]).code == 0 {
                    written.fetch_add(1, Ordering::Relaxed);
                } else {
                    // Nobody answers: it comes again.
                    thread::sleep(PAUSE);
                }
            }
        });
        forks(&platform, &app, &written);
        upgrades(&platform, &app, &written);
    });
    has_all(&app, written.into_inner());
    tries(&app);
}

/// Every pair that somebody was told of is there, and no half of one.
fn has_all(app: &App<'_>, acknowledged: u32) {
    let counts = sql(app, "DATABASE", COUNTS);
    let (lefts, rights) = counts.split_once(' ').expect("it answers");
    assert_eq!(lefts, rights, "whole pairs");
    assert!(
        lefts.parse::<u32>().expect("a count") >= acknowledged,
        "{counts}, and {acknowledged} were acknowledged"
    );
}

/// Whatever becomes of the story, whoever writes comes to an end.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn refuses(app: &App<'_>) {
    let refused = app.paas(&["addons:create", "heroku-postgresql", "--", "--version", "12"]);
    refused.expect_code(1).expect("There are: 15, 17");
    let refused = app.paas(&["addons:create", "heroku-redis", "--", "--fork", "DATABASE"]);
    refused.expect_code(1).expect("cannot be put into a redis");
    let refused = app.paas(&["pg:upgrade:run", "--version", "15", "--confirm", app.name()]);
    refused.expect_code(1).expect("is of version 15 already");
}

fn forks(platform: &Platform, app: &App<'_>, written: &AtomicU32) {
    let [first, others @ ..] = &FORKING;
    eventually("somebody writes", SOON, || written.load(Ordering::Relaxed) > 3);
    platform.kill();
    platform.serve(&["--failpoint", first]);
    let fork = [
        "addons:create",
        "heroku-postgresql",
        "--as",
        "FORK",
        "--",
        "--fork",
        "DATABASE",
    ];
    let begun = app.start_paas(&fork);
    let status = platform.ends(SOON);
    assert_eq!(status.signal(), ABORTED, "{first}: {status}");
    let _ = begun.finish(SOON);
    for point in others {
        platform.spawn(&["--failpoint", point]);
        let status = platform.ends(SOON);
        assert_eq!(status.signal(), ABORTED, "{point}: {status}");
    }
    platform.serve(&[]);
    are_there(app);
    let counts = sql(app, "FORK", COUNTS);
    let (lefts, rights) = counts.split_once(' ').expect("it answers");
    assert_eq!(lefts, rights, "a moment of the original");
    assert!(lefts.parse::<u32>().expect("a count") > 3, "{counts}");
    let before = written.load(Ordering::Relaxed);
    eventually("the original is written to as before", SOON, || {
        written.load(Ordering::Relaxed) > before
    });
    assert_ne!(address(app, "DATABASE_URL"), address(app, "FORK_URL"));
    assert_eq!(
        sql(app, "FORK", COUNTS),
        counts,
        "what comes after is the original's alone"
    );
    app.paas(&["addons:destroy", "FORK", "--confirm", app.name()])
        .expect_success();
}

fn upgrades(platform: &Platform, app: &App<'_>, written: &AtomicU32) {
    app.paas(&["pg:credentials:create", "--name", "reader"])
        .expect_success();
    eventually("there is a reader", SOON, || {
        app.paas(&["pg:psql", "--credential", "reader", "-c", "select 1"]).code == 0
    });
    sql(app, "DATABASE", "grant select on lefts to reader");
    let url = address(app, "DATABASE_URL");
    // A word that the newer server keeps for itself.
    sql(app, "DATABASE", "create table system_user (id int)");

    let [first, others @ ..] = &UPGRADING;
    platform.kill();
    platform.serve(&["--failpoint", first]);
    let run = [
        "pg:upgrade:run",
        "--version",
        "17",
        "--confirm",
        app.name(),
        "--no-wait",
    ];
    app.paas(&run).expect_success();
    for point in others {
        let status = platform.ends(IMAGE_LIMIT);
        assert_eq!(status.signal(), ABORTED, "before {point}: {status}");
        platform.spawn(&["--failpoint", point]);
    }
    let status = platform.ends(IMAGE_LIMIT);
    assert_eq!(status.signal(), ABORTED, "{status}");
    platform.serve(&[]);
    let waited = app.paas(&["pg:upgrade:wait"]);
    waited.expect_success().expect("Upgraded from 15 to 17: 3 tables");

    let acknowledged = written.load(Ordering::Relaxed);
    has_all(app, acknowledged);
    eventually("it is written to again", SOON, || {
        written.load(Ordering::Relaxed) > acknowledged
    });
    assert!(sql(app, "DATABASE", "show server_version").starts_with("17"));
    assert_eq!(address(app, "DATABASE_URL"), url);
    let read = app.paas(&["pg:psql", "--credential", "reader", "-c", "select count(*) from lefts"]);
    read.expect_success();
    let info = app.paas(&["pg:info"]);
    info.expect_success().expect("what it had before, of version 15");
    keeps_one_volume(platform, app);
    eventually("it can be gone back to what it held since", SOON * 2, || {
        app.paas(&["pg:info"]).stdout.contains("earliest from")
    });
}

/// Besides its own there is the one that it had before, and no other.
fn keeps_one_volume(platform: &Platform, app: &App<'_>) {
    let addons = app.paas(&["addons", "--json"]).expect_success().json();
    let old = format!("paas-addon-{}", addons[0]["id"].as_str().expect("an id"));
    eventually("there are the old volume and the new one", SOON, || {
        let mut volumes = platform.engine().volumes();
        volumes.retain(|name| name.starts_with("paas-addon-") || name.starts_with("paas-upgrade-"));
        volumes.sort();
        let is_new = |name: &str| {
            let moment = name.strip_prefix(&format!("{old}-"));
            moment.is_some_and(|moment| moment.bytes().all(|byte| byte.is_ascii_digit()))
        };
        matches!(&volumes[..], [one, other] if *one == old && is_new(other))
    });
}

/// A new one of the newest version has nowhere to go.
fn tries(app: &App<'_>) {
    let refused = app.paas(&["pg:upgrade:dryrun"]);
    refused.expect_code(1).expect("is of version 17 already");
    app.paas(&[
        "addons:create",
        "heroku-postgresql",
        "--as",
        "OLD",
        "--",
        "--version",
        "15",
    ])
    .expect_success();
    are_there(app);
    sql(
        app,
        "OLD",
        "create table people as select generate_series(1, 1000) as id",
    );
    // What people set is for their own connections.
    sql(
        app,
        "OLD",
        "do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$",
    );
    let tried = app.paas(&["pg:upgrade:dryrun", "OLD"]);
    tried
        .expect_success()
        .expect("version 17 succeeded: 1 tables, 1000 rows");
    assert!(sql(app, "OLD", "show server_version").starts_with("15"));
}

fn are_there(app: &App<'_>) {
    eventually("the add-ons are there", IMAGE_LIMIT, || {
        let addons = app.paas(&["addons", "--json"]).expect_success().json();
        let addons = addons.as_array().cloned().unwrap_or_default();
        !addons.is_empty() && addons.iter().all(|addon| addon["state"] == "provisioned")
    });
}

fn address(app: &App<'_>, key: &str) -> Value {
    app.paas(&["config", "--json"]).expect_success().json()[key].clone()
}

/// The one value that a database answers with; nothing while it does not answer.
fn sql(app: &App<'_>, database: &str, statement: &str) -> String {
    let said = app.paas(&["pg:psql", database, "-c", statement]);
    // Below the name of the column and a line.
    said.stdout.lines().nth(2).unwrap_or_default().trim().to_owned()
}
