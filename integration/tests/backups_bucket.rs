//! Backups are in a bucket, too, and come back from there when the disk has lost them: after `kill -9` of `paasd` in the midst of an
//! upload, and after the bucket was away.

use std::{collections::BTreeSet, fs, os::unix::process::ExitStatusExt, path::PathBuf, time::Duration};

use paas_integration::{App, Bucket, Options, Platform, eventually};
use serde_json::Value;

/// The first platform of a machine makes the image.
const IMAGE_LIMIT: Duration = Duration::from_mins(5);
/// A bucket that does not answer is asked ever less often.
const SOON: Duration = Duration::from_mins(2);
const ABORTED: Option<i32> = Some(6);
const FAIL_POINTS: [&str; 2] = ["upload.before", "upload.after"];
const SECRET: &str = "nobody else may read this";

#[test]
#[ignore = "needs docker"]
fn backups_are_in_the_bucket_too_and_come_back_from_there() {
    let mut bucket = Bucket::start();
    let [id, key] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(str::to_owned);
    let arguments = [
        "--backup-bucket",
        bucket.name(),
        "--backup-bucket-endpoint",
        &bucket.url(),
        "--backup-bucket-prefix",
        "paas/one",
    ];
    let platform = Platform::with(Options {
        arguments: arguments.map(str::to_owned).to_vec(),
        environment: vec![(id, "someone".to_owned()), (key, "a-secret-key".to_owned())],
        ..Options::default()
    });
    let app = platform.app("hello");
    app.paas(&["addons:create", "heroku-postgresql"]).expect_success();
    is_there(&app);
    app.paas(&["pg:backups:unschedule", "DATABASE"]).expect_success();
    let secrets = format!("create table people as select id, '{SECRET}' as word from generate_series(1, 1000) as id");
    sql(&app, &secrets);

    is_told_and_recovers(&app, &bucket);
    comes_back(&platform, &app, &bucket);
    is_carried_on(&platform, &app, &bucket);
    goes_with_its_backup(&app, &bucket);
    outlasts_a_bucket_that_is_down(&platform, &app, &mut bucket);
    is_looked_for(&platform, &app, &bucket);
    assert!(!platform.log().contains("a-secret-key"), "a key is in the log");
}

/// The server is there, but not the bucket: somebody has to do something, and hears of it at once.
fn is_told_and_recovers(app: &App<'_>, bucket: &Bucket) {
    app.paas(&["pg:backups:capture"]).expect_success().expect("b001");
    app.logs("Backups have not reached the bucket", SOON);
    app.paas(&["pg:backups"])
        .expect_success()
        .expect("Completed")
        .expect("NOT THERE")
        .expect("NoSuchBucket");
    app.paas(&["addons:info", "DATABASE"])
        .expect_success()
        .expect("have not reached the bucket");
    bucket.make();
    is_stored(app, "b001");
    app.logs("All of its backups are in the bucket again", SOON);
    let info = app.paas(&["addons:info", "DATABASE"]);
    assert!(!info.expect_success().stdout.contains("bucket"), "{}", info.stdout);
}

/// What is in the bucket is the sealed file, and stands in for it.
fn comes_back(platform: &Platform, app: &App<'_>, bucket: &Bucket) {
    let file = file_of(platform, app, "b001");
    let kept = fs::read(&file).expect("it is on the disk");
    let objects: Vec<_> = bucket.objects().into_keys().collect();
    let [key] = objects.as_slice() else {
        panic!("one backup is one object: {objects:?}");
    };
    assert!(key.starts_with("paas/one/") && key.contains("/b001-"), "{key}");
    let there = bucket.read(key);
    assert_eq!(there, kept);
    for plain in [SECRET.as_bytes(), b"PGDMP"] {
        assert!(
            !there.windows(plain.len()).any(|window| window == plain),
            "it is not sealed"
        );
    }

    fs::remove_file(&file).expect("it is our file");
    sql(app, "drop table people");
    app.paas(&["pg:backups:restore", "b001", "DATABASE", "--confirm", app.name()])
        .expect_success();
    assert_eq!(sql(app, "select count(*) from people"), "1000");
    assert_eq!(fs::read(&file).expect("it is there again"), kept);

    // One that is damaged is no better than none.
    let mut damaged = kept.clone();
    damaged[kept.len() / 2] ^= 1;
    fs::write(&file, damaged).expect("it is our file");
    app.paas(&["pg:backups:prove", "b001"])
        .expect_success()
        .expect("1000 rows");
    assert_eq!(fs::read(&file).expect("it is there"), kept);
}

/// In many parts, some of them sent by a server that died since.
fn is_carried_on(platform: &Platform, app: &App<'_>, bucket: &Bucket) {
    sql(
        app,
        "create table noise as select md5(random()::text) as word from generate_series(1, 1200000)",
    );
    for point in FAIL_POINTS {
        eventually("nothing waits", SOON, || waiting(platform).is_empty());
        platform.kill();
        platform.serve(&["--failpoint", point]);
        let begun = app.start_paas(&["pg:backups:capture", "--no-wait"]);
        let status = platform.ends(SOON);
        assert_eq!(status.signal(), ABORTED, "{point}: {status}");
        let _ = begun.finish(SOON);
        let uploads = platform.sql("select upload from addon_backup_objects where upload is not null");
        assert_eq!(uploads.len(), 1, "{point}");
        if point == "upload.before" {
            assert_eq!(bucket.uploads(), uploads, "{point}");
        }
        platform.serve(&[]);
        let name = text(&newest(app), "name");
        is_stored(app, &name);
        assert!(
            bucket.uploads().is_empty(),
            "{point}: it was not the same upload that came to its end"
        );
        let file = file_of(platform, app, &name);
        let kept = fs::metadata(&file).expect("it is on the disk").len();
        assert!(kept > 2 * 8 * 1024 * 1024, "it is sent in parts: {kept}");
        assert!(bucket.objects().values().any(|bytes| *bytes == kept), "{point}");
    }
    let name = text(&newest(app), "name");
    let file = file_of(platform, app, &name);
    fs::remove_file(&file).expect("it is our file");
    app.paas(&["pg:backups:prove", &name])
        .expect_success()
        .expect("2 tables, 1201000 rows");
    fs::remove_file(&file).expect("it is there again");
    let dump = app.tree().join("latest.dump");
    app.paas(&["pg:backups:download", &name, "--output", &dump.display().to_string()])
        .expect_success();
    assert!(fs::read(dump).expect("it is there").starts_with(b"PGDMP"));
}

fn goes_with_its_backup(app: &App<'_>, bucket: &Bucket) {
    app.paas(&["pg:backups:delete", "b001", "--confirm", app.name()])
        .expect_success();
    eventually("its object is gone", SOON, || {
        !bucket.objects().keys().any(|key| key.contains("/b001-"))
    });
}

/// Once a week: what is gone is sent again, and what is spoilt on the disk takes nothing away. The bucket that was down lost all.
fn is_looked_for(platform: &Platform, app: &App<'_>, bucket: &Bucket) {
    let look = || {
        platform.sql("update addon_backup_objects set seen_at = seen_at - interval '8 days'");
        eventually("all were looked for", SOON, || {
            let unseen =
                "select key from addon_backup_objects where seen_at < now() - interval '1 day' or seen_at is null";
            platform.sql(unseen).is_empty()
        });
    };
    look();
    let there = bucket.objects();
    let wanted: BTreeSet<_> = platform
        .sql("select key from addon_backup_objects")
        .into_iter()
        .collect();
    assert_eq!(there.keys().cloned().collect::<BTreeSet<_>>(), wanted);

    let file = file_of(platform, app, &text(&newest(app), "name"));
    let kept = fs::read(&file).expect("it is on the disk");
    fs::write(&file, &kept[..kept.len() / 2]).expect("it is our file");
    look();
    assert_eq!(bucket.objects(), there);
    fs::write(&file, kept).expect("it is our file");
}

/// The backup is good on the disk, and gets to the bucket by itself.
fn outlasts_a_bucket_that_is_down(platform: &Platform, app: &App<'_>, bucket: &mut Bucket) {
    bucket.stop();
    sql(app, "drop table noise");
    app.paas(&["pg:backups:capture"]).expect_success();
    let name = text(&newest(app), "name");
    eventually("it says why it is not in the bucket", SOON, || {
        let shown = app.paas(&["pg:backups:info", &name]);
        shown.expect_success().stdout.contains("NOT THERE: no connection to")
    });
    app.paas(&["pg:backups:restore", &name, "DATABASE", "--confirm", app.name()])
        .expect_success();
    assert_eq!(sql(app, "select count(*) from people"), "1000");
    bucket.start_again();
    bucket.make();
    is_stored(app, &name);
    eventually("all of them are", SOON, || waiting(platform).is_empty());
    assert!(bucket.objects().keys().any(|key| key.contains(&format!("/{name}-"))));
}

#[track_caller]
fn is_stored(app: &App<'_>, name: &str) {
    eventually(&format!("{name} is in the bucket"), SOON, || {
        let shown = app.paas(&["pg:backups:info", name]);
        let shown = &shown.expect_success().stdout;
        shown
            .lines()
            .any(|line| line.contains("Bucket:") && line.contains("stored"))
    });
}

/// Backups on their way to the bucket, or out of it.
fn waiting(platform: &Platform) -> Vec<String> {
    platform.sql(
        "select key from addon_backup_objects
        where stored_at is null or backup not in (select id from addon_backups)",
    )
}

fn is_there(app: &App<'_>) {
    eventually("the database is there", IMAGE_LIMIT, || {
        let addons = app.paas(&["addons", "--json"]).expect_success().json();
        let addons = addons.as_array().cloned().unwrap_or_default();
        !addons.is_empty() && addons.iter().all(|addon| addon["state"] == "provisioned")
    });
}

/// The one value that a database answers with.
fn sql(app: &App<'_>, statement: &str) -> String {
    let said = app.paas(&["pg:psql", "-c", statement]);
    // Below the name of the column and a line.
    said.expect_success()
        .stdout
        .lines()
        .nth(2)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn transfers(app: &App<'_>) -> Vec<Value> {
    let listed = app.paas(&["pg:backups", "--json"]).expect_success().json();
    listed.as_array().cloned().expect("a list")
}

/// The last one that was captured.
fn newest(app: &App<'_>) -> Value {
    let mut transfers = transfers(app);
    transfers.retain(|one| one["kind"] == "manual");
    transfers.into_iter().next().expect("there are some")
}

fn text(transfer: &Value, field: &str) -> String {
    transfer[field].as_str().expect("it is text").to_owned()
}

fn file_of(platform: &Platform, app: &App<'_>, name: &str) -> PathBuf {
    let transfers = transfers(app);
    let meant = transfers.iter().find(|one| one["name"] == name).expect("it is there");
    platform.data_dir().join("backups").join(text(meant, "uuid"))
}
