//! A database, a cache and more for an app: made by a command each, killed, shared, rotated, and destroyed.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use paas_integration::{App, Container, Platform, eventually, request, within};

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
    opens(&app);
    rotates(&app);
    exposes(&platform, &app);
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

/// `RabbitMQ` has pages, for its own users and at no address of its own; a cache has none.
fn opens(app: &App<'_>) {
    let addons = app.paas(&["addons", "--json"]).expect_success().json();
    let name_of = |service: &str| {
        let addons = addons.as_array().into_iter().flatten();
        let mut of_service = addons.filter(|addon| addon["addon_service"]["name"] == service);
        of_service
            .find_map(|addon| addon["name"].as_str())
            .expect("it was created")
    };
    let open = app.start_paas(&["addons:open", name_of("cloudamqp")]);
    open.hears("Use CTRL+C to close it", SOON);
    let text = open.text();
    let address = text.split("http://").nth(1).and_then(|rest| rest.split('/').next());
    let address = address.and_then(|address| address.parse().ok());
    let address = address.unwrap_or_else(|| panic!("no address in {text}"));
    let url = app
        .paas(&["config:get", "CLOUDAMQP_URL"])
        .expect_success()
        .stdout
        .clone();
    let login = url
        .trim()
        .trim_start_matches("amqp://")
        .split('@')
        .next()
        .expect("a user");
    let ask = |path: &str, login: &str| {
        let login = format!("Basic {}", BASE64_STANDARD.encode(login));
        let headers = [("Host", "127.0.0.1"), ("Authorization", &login)];
        request(address, "GET", path, &headers, "").expect("the page answers")
    };
    assert!(ask("/", login).expect_status(200).body.contains("RabbitMQ Management"));
    let user = login.split(':').next();
    assert_eq!(
        ask("/api/whoami", login).expect_status(200).json()["name"].as_str(),
        user
    );
    ask("/api/whoami", "guest:guest").expect_status(401);

    app.paas(&["addons:open", name_of("memcachier")])
        .expect_code(1)
        .expect("has no page of its own");
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

/// This machine talks to the database by its own `psql`, as long as it may.
fn exposes(platform: &Platform, app: &App<'_>) {
    for everybody in ["0.0.0.0/0", "::/0"] {
        app.paas(&["addons:expose", "DATABASE", "--allow", everybody])
            .expect_code(1)
            .expect("is too much of the internet");
    }
    app.paas(&["addons:expose", "MEMCACHIER", "--allow", "127.0.0.1"])
        .expect_code(1)
        .expect("would cross the internet unencrypted");
    let expose = |allow: &str, until: &str| {
        let made = app.paas(&[
            "addons:expose",
            "DATABASE",
            "--allow",
            allow,
            "--until",
            until,
            "--json",
        ]);
        made.expect_success().json()
    };
    let made = expose("127.0.0.1/32,198.51.100.0/24", "30 days");
    let url = made["url"].as_str().expect("it has an address").to_owned();
    assert!(url.ends_with("?sslmode=require"), "{url}");
    // The name of this machine has another address, too.
    let near = url.replace("@localhost:", "@127.0.0.1:");
    let psql = |url: &str, statement: &str| {
        let mut psql = Command::new("psql");
        psql.args(["-qXAt", "-d", url, "-c", statement]);
        let said = psql.output().expect("psql is installed");
        let error = String::from_utf8_lossy(&said.stderr).into_owned();
        let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        if said.is_empty() { Err(error) } else { Ok(said) }
    };
    let is_encrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    eventually("the database is there", SOON, || {
        psql(&near, is_encrypted) == Ok("t".to_owned())
    });
    let plain = psql(&near.replace("=require", "=disable"), is_encrypted);
    assert!(
        plain.clone().is_err_and(|error| error.contains("over TLS only")),
        "{plain:?}"
    );
    app.paas(&["addons:info", "DATABASE"])
        .expect_success()
        .expect("127.0.0.1/32, 198.51.100.0/24 until");

    // A conversation goes on without the control plane.
    let mut talking = Command::new("psql")
        .args(["-qXAt", "-d", &near])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("psql is installed");
    let (stdin, stdout) = (talking.stdin.take(), talking.stdout.take());
    let (mut asks, mut says) = (stdin.expect("piped"), BufReader::new(stdout.expect("piped")));
    let mut talk = |statement: &str| {
        let mut said = String::new();
        let written = writeln!(asks, "{statement}").and_then(|()| asks.flush());
        written
            .and_then(|()| says.read_line(&mut said))
            .is_ok_and(|read| read > 0)
            .then_some(said)
    };
    assert_eq!(talk("select 1;").as_deref(), Some("1\n"));
    platform.kill();
    assert_eq!(talk("select 2;").as_deref(), Some("2\n"));
    assert_eq!(psql(&near, "select 3"), Ok("3".to_owned()));
    platform.serve(&[]);
    assert_eq!(talk("select 4;").as_deref(), Some("4\n"));

    // Who is not allowed any more has to go, and does not come in again.
    expose("203.0.113.7", "1 hour");
    eventually("nobody comes in", SOON, || psql(&near, "select 5").is_err());
    eventually("who is in has to go", SOON, || talk("select 6;").is_none());
    talking.wait().expect("psql ends");
    eventually("the log says who was refused", SOON, || {
        // The one before may have been let in, and had to go in the middle.
        assert!(psql(&near, "select 5").is_err(), "nobody comes in any more");
        let log = app.paas(&["logs", "-n", "500"]).expect_success().stdout.clone();
        log.contains("A connection from 127.0.0.1 was refused: it is not on the allow-list")
    });
    app.paas(&["addons:unexpose", "DATABASE"]).expect_success();
    app.paas(&["addons:expose"])
        .expect_success()
        .expect("No add-ons are exposed");
    eventually("the port is closed", SOON, || {
        psql(&near, "select 7").is_err_and(|error| error.contains("Connection refused"))
    });
    shows(app, "3 3 1 3 3");
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
    let server = server_of(platform, host);
    let found = platform.engine().docker(&["inspect", "--format", format, &server]);
    let address = found.stdout.split_whitespace().next().map(str::to_owned);
    let near = url.replace(host, &address.expect("the database has an address"));
    let push = app.paas(&["pg:push", &near, "COPY"]);
    push.expect_code(2).expect("is not empty");
    app.paas(&["pg:reset", "COPY", "--confirm", app.name()])
        .expect_success();
    let push = app.paas(&["pg:push", &near, "COPY"]);
    push.expect_success().expect("Pushing complete.");
    assert_eq!(count("select count(*) from visits"), "3");
    guards(platform, app, &server);
    app.paas(&["addons:destroy", "COPY", "--confirm", app.name()])
        .expect_success();
}

/// What people make in a database is not called by its superuser, and one thing at a time is put back.
fn guards(platform: &Platform, app: &App<'_>, server: &str) {
    let trap = "create table called (by name);
        create function public.format(text, name) returns text language plpgsql as
        'begin insert into public.called values (current_user); return ''select 1''; end';";
    app.paas(&["pg:psql", "-c", trap]).expect_success();
    app.paas(&["pg:credentials:repair-default", "--confirm", app.name()])
        .expect_success();
    app.paas(&["pg:psql", "-c", "select count(*) as calls from called"])
        .expect_success()
        .expect("\n     0\n");
    app.paas(&["pg:psql", "-c", "drop function public.format; drop table called"])
        .expect_success();
    // Whoever holds the lock stands for another restore.
    let held = ["exec", "-d", server, "flock", "/run/addon/restore.lock", "sleep", "600"];
    platform.engine().docker(&held).expect_success();
    let copy = || app.paas(&["pg:copy", "COPY", "DATABASE", "--confirm", app.name()]);
    let refused = within(SOON, || {
        let copied = copy();
        let said = copied.stderr.contains("something is being put back already");
        said.then_some(())
    });
    assert!(refused.is_some(), "two are put back at once");
    let frees = ["exec", server, "sh", "-c", "kill $(pgrep -x sleep)"];
    platform.engine().docker(&frees).expect_success();
    eventually("the next one is put back", SOON, || copy().code == 0);
}

/// The container of the server that apps know by this name.
fn server_of(platform: &Platform, host: &str) -> String {
    let format = "{{.Config.Hostname}}";
    let mut servers = servers(platform).into_iter();
    let found = servers.find(|server| {
        let name = platform.engine().docker(&["inspect", "--format", format, &server.id]);
        name.stdout.trim() == host
    });
    found.expect("the database has a server").id
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
