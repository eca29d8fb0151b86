//! `pg:backups`: taken, looked at, planned.

use std::time::Duration;

use paas_integration::{App, Heroku, Platform, eventually};

/// The first platform of a machine makes the image.
const IMAGE_LIMIT: Duration = Duration::from_mins(5);

#[test]
#[ignore = "needs docker, npm's heroku"]
fn databases_are_backed_up() {
    let platform = Platform::start();
    let heroku = Heroku::user(&platform);
    let app = platform.app("hello");
    app.paas(&["addons:create", "heroku-postgresql"]).expect_success();
    eventually("the database is there", IMAGE_LIMIT, || {
        let addons = app.paas(&["addons", "--json"]).expect_success().json();
        addons[0]["state"] == "provisioned"
    });

    heroku
        .run_for(&app, &["pg:backups"])
        .expect_success()
        .expect("No backups. Capture one with heroku pg:backups:capture");
    let schedule = ["pg:backups:schedule", "DATABASE", "--at", "02:00 America/Los_Angeles"];
    heroku
        .run_for(&app, &schedule)
        .expect_success()
        .expect("Scheduling automatic daily backups of");
    heroku
        .run_for(&app, &["pg:backups:schedules"])
        .expect_success()
        .expect("daily at 2:00 America/Los_Angeles");
    heroku
        .run_for(&app, &["pg:backups:unschedule", "DATABASE"])
        .expect_success()
        .expect("daily backups... done");

    heroku
        .run_for(&app, &["pg:backups:capture"])
        .expect_success()
        .expect("to b001... done");
    heroku
        .run_for(&app, &["pg:backups:info", "b001"])
        .expect_success()
        .expect("Completed");
    heroku
        .run_for(&app, &["pg:backups:url", "b001"])
        .expect_success()
        .expect("/backups/");
    let listed = heroku.run_for(&app, &["pg:backups"]);
    listed.expect_success().expect("b001");
    downloads(&heroku, &platform, &app);
    puts_back(&heroku, &app);
    heroku
        .run_for(&app, &["pg:backups:delete", "b001", "--confirm", "hello"])
        .expect_success()
        .expect("Deleting backup b001");
    heroku.covers(&[
        "pg:backups",
        "pg:backups:capture",
        "pg:backups:delete",
        "pg:backups:info",
        "pg:backups:restore",
        "pg:backups:schedule",
        "pg:backups:schedules",
        "pg:backups:unschedule",
        "pg:backups:url",
    ]);
}

/// It fetches over HTTPS alone.
fn downloads(heroku: &Heroku<'_>, platform: &Platform, app: &App<'_>) {
    let over_tls = Heroku::user(platform).over_tls();
    let file = over_tls.home().join("latest.dump");
    let path = file.to_str().expect("the path is text");
    over_tls
        .run_for(app, &["pg:backups:download", "b001", "--output", path])
        .expect_success()
        .expect("done, #1");
    let dump = std::fs::read(&file).expect("there is a dump");
    assert!(dump.starts_with(b"PGDMP"), "{:?}", dump.get(..16));
    let ours = heroku.home().join("ours.dump");
    let path = ours.to_str().expect("the path is text");
    app.paas(&["pg:backups:download", "b001", "--output", path])
        .expect_success();
    assert!(dump == std::fs::read(&ours).expect("there is a dump"));
    over_tls.covers(&["pg:backups:download"]);
}

/// By name, and the newest without one.
fn puts_back(heroku: &Heroku<'_>, app: &App<'_>) {
    let sql = |command: &str| {
        let said = app.paas(&["pg:psql", "-c", command]);
        // Below the name of the column and a line.
        let said = said.expect_success().stdout.lines().nth(2);
        said.unwrap_or_default().trim().to_owned()
    };
    sql("create table made_later (id integer)");
    for arguments in [&["b001", "DATABASE"][..], &[]] {
        let restore = [&["pg:backups:restore"], arguments, &["--confirm", "hello"]].concat();
        heroku
            .run_for(app, &restore)
            .expect_success()
            .expect("Restoring... done");
        // Without a name it is the copy that was made before the first restore, which has the table.
        let there = sql("select to_regclass('made_later') is not null");
        assert_eq!(there == "t", arguments.is_empty(), "{there}");
    }
}
