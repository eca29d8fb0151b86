//! Webhooks: made by Heroku's client, verified by a receiver as the documentation shows it, delivered across a crash.

use std::{fs, path::Path, process::Command, time::Duration};

use paas_integration::{App, Background, Heroku, Options, Platform, eventually};

const LIMIT: Duration = Duration::from_mins(1);
/// A retry waits up to twenty seconds, and the machine may be busy.
const RETRY_LIMIT: Duration = Duration::from_mins(2);
const SECRET: &str = "09928c40bf1b191b645174a19f7053d16a180da37332e719ef0998f4c0a2";

#[test]
#[ignore = "needs docker, npm's heroku"]
fn webhooks_are_told_what_changes() {
    let platform = Platform::with(Options {
        arguments: vec!["--local-drains".to_owned()],
        ..Options::default()
    });
    let heroku = Heroku::user(&platform);
    let app = platform.app("hello");
    let closed = platform.home().join("receiver-is-closed");
    let (receiver, url) = receiver(&closed);

    refuses(&heroku, &app);
    let id = adds(&platform, &heroku, &app, &url);
    app.push().expect_success();
    for told in [
        "204 api:build create",
        "204 api:build update",
        "204 api:release create Deploy",
        "204 dyno create web.1 starting",
        "204 dyno update web.1 up",
    ] {
        receiver.hears(told, LIMIT);
    }
    changes(&heroku, &app, &id, &url);
    outlives_a_crash(&platform, &app, &receiver, &closed);
    asks(&heroku, &app);

    heroku
        .run_for(&app, &["webhooks:remove", &id])
        .expect_success()
        .expect(&format!("Removing webhook {id} from"));
    assert_eq!(platform.sql("select count(*) from webhooks"), ["0"]);
    assert_eq!(platform.sql("select count(*) from webhook_deliveries"), ["0"]);
    let is_refused = receiver.text().lines().any(|line| line.starts_with("403 "));
    assert!(!is_refused, "{}", receiver.text());
    receiver.kill();
    heroku.covers(&[
        "webhooks",
        "webhooks:add",
        "webhooks:info",
        "webhooks:remove",
        "webhooks:update",
    ]);
    heroku.covers(&[
        "webhooks:deliveries",
        "webhooks:deliveries:info",
        "webhooks:events",
        "webhooks:events:info",
    ]);
}

/// The program of the documentation, which answers 503 while the file is there.
fn receiver(closed: &Path) -> (Background, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/webhook_receiver.py");
    let mut command = Command::new("/usr/bin/python3");
    let receiver = Background::start(command.arg(script).arg(SECRET).arg(closed));
    receiver.hears("listening on ", LIMIT);
    let text = receiver.text();
    let port = text.trim().rsplit(' ').next().expect("it says its port").to_owned();
    (receiver, format!("http://127.0.0.1:{port}/hooks"))
}

fn refuses(heroku: &Heroku<'_>, app: &App<'_>) {
    let none = heroku.beside_for([app, app], &["webhooks"]);
    none.expect_success()
        .expect("hello has no webhooks")
        .expect("webhooks:add");
    for (include, url, words) in [
        (
            "api:nothing",
            "https://example.com",
            "Include must name what to be told of",
        ),
        (
            "api:release",
            "http://169.254.169.254/latest",
            "169.254.169.254 is not an address",
        ),
    ] {
        let arguments = ["webhooks:add", "-i", include, "-l", "notify", "-u", url];
        let refused = heroku.run_for(app, &arguments);
        assert_ne!(refused.code, 0, "{refused:?}");
        refused.expect(words.split(' ').next().unwrap_or_default());
    }
}

/// Adds one webhook of the whole story, and says its id.
fn adds(platform: &Platform, heroku: &Heroku<'_>, app: &App<'_>, url: &str) -> String {
    // A key is invented, and told once.
    let arguments = [
        "webhooks:add",
        "-i",
        "api:app",
        "-l",
        "notify",
        "-u",
        "https://example.com/hooks",
    ];
    let both = heroku.beside_for([app, app], &arguments);
    both.expect_success().expect("Webhooks Signing Secret");
    for output in [&both.heroku, &both.paas] {
        let secret = output.stdout.lines().last().unwrap_or_default();
        assert_eq!(secret.len(), 64, "{output:?}");
    }
    for id in platform.sql("select id from webhooks") {
        app.paas(&["webhooks:remove", &id]).expect_success();
    }
    let include = "api:release,api:build,dyno";
    let add = [
        "webhooks:add",
        "-i",
        include,
        "-l",
        "sync",
        "-s",
        SECRET,
        "-t",
        "Bearer me",
        "-u",
        url,
    ];
    heroku.run_for(app, &add).expect_success().expect(SECRET);
    let listed = heroku.beside_for([app, app], &["webhooks"]);
    listed.expect_alike().expect_success().expect(url);
    let ids = platform.sql("select id from webhooks");
    assert_eq!(ids.len(), 1);
    ids.into_iter().next().unwrap_or_default()
}

fn changes(heroku: &Heroku<'_>, app: &App<'_>, id: &str, url: &str) {
    let update = ["webhooks:update", id, "-i", "api:release", "-l", "sync", "-u", url];
    let updated = heroku.beside_for([app, app], &update);
    updated.expect_alike().expect_success();
    let info = heroku.beside_for([app, app], &["webhooks:info", id]);
    info.expect_alike().expect_success().expect("api:release");
    info.heroku.expect_no("dyno");
}

/// What was not delivered before a crash is delivered after it.
fn outlives_a_crash(platform: &Platform, app: &App<'_>, receiver: &Background, closed: &Path) {
    fs::write(closed, "").expect("a file can be written");
    app.paas(&["config:set", "COLOUR=blue"]).expect_success();
    receiver.hears("503 api:release create Set COLOUR config vars", LIMIT);
    // Written down after the answer: a server that dies in between knows of no attempt.
    eventually("the attempt is written down", LIMIT, || {
        platform.sql(
            "select count(*) from webhook_deliveries join webhook_events on webhook_events.id = webhook_deliveries.event
             where num_attempts > 0 and payload::text like '%COLOUR%'",
        ) == ["1"]
    });
    platform.kill();
    fs::remove_file(closed).expect("the file is there");
    platform.serve(&[]);
    receiver.hears("204 api:release create Set COLOUR config vars", RETRY_LIMIT);
}

fn asks(heroku: &Heroku<'_>, app: &App<'_>) {
    eventually("all is delivered", LIMIT, || {
        let waiting = app.paas(&["webhooks:deliveries", "--json"]).json();
        let mut deliveries = waiting.as_array().into_iter().flatten();
        deliveries.all(|delivery| delivery["status"] == "succeeded")
    });
    for arguments in [&["webhooks:deliveries"][..], &["webhooks:deliveries", "-s", "failed"]] {
        heroku.beside_for([app, app], arguments).expect_alike().expect_success();
    }
    let deliveries = app.paas(&["webhooks:deliveries", "--json"]).json();
    let last = deliveries
        .as_array()
        .and_then(|all| all.last())
        .expect("there are deliveries");
    assert!(last["num_attempts"].as_u64() >= Some(2), "{last}");
    let id = last["id"].as_str().expect("a delivery has an id");
    let info = heroku.beside_for([app, app], &["webhooks:deliveries:info", id]);
    info.expect_alike()
        .expect_success()
        .expect("\"description\": \"Set COLOUR config vars\"");
    for output in [&info.heroku, &info.paas] {
        output.expect_no("blue");
    }
    let event = last["event"]["id"].as_str().expect("a delivery has an event");
    for arguments in [&["webhooks:events"][..], &["webhooks:events:info", event]] {
        // Each names itself in a warning.
        let both = heroku.beside_for([app, app], arguments);
        both.expect_success().expect(event);
    }
}
