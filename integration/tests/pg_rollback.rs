//! What a database held at a moment comes back in a new one: after a table was dropped, after `kill -9` of `paasd` at any step, of the
//! server itself in the midst of writing. A moment that cannot be reached is refused, with those that can be.

use std::{os::unix::process::ExitStatusExt, time::Duration};

use paas_integration::{App, Container, Platform, eventually};

/// The first platform of a machine makes the image.
const IMAGE_LIMIT: Duration = Duration::from_mins(5);
const SOON: Duration = Duration::from_mins(1);
const ABORTED: Option<i32> = Some(6);
/// Each dies at its own place of the way from the spool into the archive.
const ARCHIVING: [&str; 2] = ["segment.before", "segment.after"];
/// Each begins where the one before has died.
const ROLLING_BACK: [&str; 5] = [
    "rollback.before",
    "rollback.amid",
    "rollback.after",
    "base.before",
    "base.after",
];

#[test]
#[ignore = "needs docker"]
fn what_a_database_held_at_a_moment_comes_back_in_a_new_one() {
    let platform = Platform::start();
    let app = platform.app("hello");
    for plan in ["heroku-postgresql", "heroku-redis"] {
        app.paas(&["addons:create", plan]).expect_success();
    }
    are_there(&app);
    can_go_back(&app, "DATABASE");

    sql(&app, "DATABASE", "create table people (id int)");
    write(&app, 1);
    let moment = now(&app);
    write(&app, 2);
    sql(&app, "DATABASE", "drop table people");
    let rolled_back = app.paas(&["pg:rollback", "--to", &moment, "--as", "BEFORE"]);
    rolled_back.expect_success().expect("BEFORE_URL");
    assert_eq!(sql(&app, "BEFORE", "select string_agg(id::text, ',') from people"), "1");
    is_its_own(&platform, &app);
    refuses(&app);
    survives_every_death(&platform, &app);
}

/// Another password, and a database that can be written to, backed up and destroyed.
fn is_its_own(platform: &Platform, app: &App<'_>) {
    let config = app.paas(&["config", "--json"]).expect_success().json();
    assert_ne!(config["DATABASE_URL"], config["BEFORE_URL"]);
    sql(app, "BEFORE", "insert into people values (9)");
    assert_eq!(sql(app, "BEFORE", "select count(*) from people"), "2");
    can_go_back(app, "BEFORE");
    app.paas(&["addons:destroy", "BEFORE", "--confirm", app.name()])
        .expect_success();
    // After its last backup.
    eventually("its server is gone", SOON, || servers(platform).len() == 1);
}

fn refuses(app: &App<'_>) {
    for (to, words) in [
        ("9 days ago", "It can be to every moment from"),
        ("2099-01-01 00:00 Europe/Paris", "in the future"),
        ("yesterday", "Moment must be such as"),
    ] {
        let refused = app.paas(&["pg:rollback", "--to", to]);
        refused.expect_code(1).expect(words);
    }
    let refused = app.paas(&["pg:rollback", "REDIS", "--by", "1 minute"]);
    refused.expect_code(1).expect("cannot be gone back to a moment");
}

/// What was committed before a moment is there, whoever died since, and nothing of what came after.
fn survives_every_death(platform: &Platform, app: &App<'_>) {
    let host = host(app);
    sql(app, "DATABASE", "create table people (id int)");
    for (number, point) in ARCHIVING.iter().enumerate() {
        write(app, number);
        platform.kill();
        // Nobody takes it meanwhile.
        hand_on(platform, &host);
        platform.spawn(&["--failpoint", point]);
        let status = platform.ends(SOON);
        assert_eq!(status.signal(), ABORTED, "{point}: {status}");
        platform.serve(&[]);
        answers(app);
    }
    let database = server(platform, &host);
    platform.engine().docker(&["kill", &database.id]).expect_success();
    answers(app);
    write(app, 7);
    let moment = now(app);
    write(app, 8);

    let [first, others @ ..] = &ROLLING_BACK;
    platform.kill();
    platform.serve(&["--failpoint", first]);
    let begun = app.start_paas(&["pg:rollback", "--to", &moment, "--as", "AFTER"]);
    let status = platform.ends(SOON);
    assert_eq!(status.signal(), ABORTED, "{first}: {status}");
    let _ = begun.finish(SOON);
    for point in others {
        platform.spawn(&["--failpoint", point]);
        let status = platform.ends(IMAGE_LIMIT);
        assert_eq!(status.signal(), ABORTED, "{point}: {status}");
    }
    platform.serve(&[]);
    are_there(app);
    can_go_back(app, "AFTER");
    let all = "select string_agg(id::text, ',' order by id) from people";
    assert_eq!(sql(app, "AFTER", all), "0,1,7");
    assert_eq!(sql(app, "DATABASE", all), "0,1,7,8");
    eventually("nothing else is left", SOON, || servers(platform).len() == 2);
}

/// A database puts what is in its memory into its spool.
fn hand_on(platform: &Platform, host: &str) {
    let database = server(platform, host);
    let psql = "psql -XAt -h /run/addon -U postgres -d postgres";
    let switch = format!("{psql} -c 'select pg_switch_wal()'");
    let waiting = "ls /data/spool | wc -l";
    platform
        .engine()
        .exec(&database, &["sh", "-c", &switch])
        .expect_success();
    eventually("it waits in the spool", SOON, || {
        let counted = platform.engine().exec(&database, &["sh", "-c", waiting]);
        counted.expect_success().stdout.trim() != "0"
    });
}

/// Where the database of an app is.
fn host(app: &App<'_>) -> String {
    let config = app.paas(&["config", "--json"]).expect_success().json();
    let url = config["DATABASE_URL"].as_str().expect("it has one").to_owned();
    let (_, rest) = url.split_once('@').expect("somebody logs in there");
    rest.split([':', '/']).next().unwrap_or_default().to_owned()
}

/// The one that answers there.
fn server(platform: &Platform, host: &str) -> Container {
    let is_it = |container: &Container| {
        let asked = platform.engine().exec(container, &["hostname"]);
        asked.stdout.trim() == host
    };
    servers(platform).into_iter().find(is_it).expect("it runs")
}

/// The containers of databases, and of no proof or copy of one.
fn servers(platform: &Platform) -> Vec<Container> {
    let mut containers = platform.engine().containers();
    containers.retain(|container| {
        if container.role != "addon" {
            return false;
        }
        let asked = platform
            .engine()
            .exec(container, &["sh", "-c", "command -v pg_ctlcluster"]);
        asked.code == 0
    });
    containers
}

fn can_go_back(app: &App<'_>, database: &str) {
    eventually("it can be gone back", SOON, || {
        let info = app.paas(&["pg:info", database]);
        info.stdout.contains("earliest from")
    });
}

fn are_there(app: &App<'_>) {
    eventually("the add-ons are there", IMAGE_LIMIT, || {
        let addons = app.paas(&["addons", "--json"]).expect_success().json();
        let addons = addons.as_array().cloned().unwrap_or_default();
        !addons.is_empty() && addons.iter().all(|addon| addon["state"] == "provisioned")
    });
}

fn answers(app: &App<'_>) {
    eventually("the database answers", SOON, || sql(app, "DATABASE", "select 1") == "1");
}

fn write(app: &App<'_>, id: usize) {
    let statement = format!("insert into people values ({id})");
    app.paas(&["pg:psql", "-c", &statement]).expect_success();
}

/// By the clock of the database.
fn now(app: &App<'_>) -> String {
    sql(
        app,
        "DATABASE",
        "select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
    )
}

/// The one value that a database answers with; nothing while it does not answer.
fn sql(app: &App<'_>, database: &str, statement: &str) -> String {
    let said = app.paas(&["pg:psql", database, "-c", statement]);
    // Below the name of the column and a line.
    said.stdout.lines().nth(2).unwrap_or_default().trim().to_owned()
}
