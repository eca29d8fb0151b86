//! `access`, `teams`, `members`, and apps that change hands.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use paas_integration::{Heroku, Platform};

const LIMIT: Duration = Duration::from_mins(1);

/// Somebody with an account, logged in.
fn person<'platform>(platform: &'platform Platform, email: &str) -> (Heroku<'platform>, String) {
    let password = "correct horse battery";
    platform
        .paasd(&["user", "create", email], &format!("{password}\n"))
        .expect_success();
    let basic = BASE64_STANDARD.encode(format!("{email}:{password}"));
    let answer = platform.call_as(&format!("Basic {basic}"), "POST", "/oauth/authorizations", "{}");
    let token = answer.json()["access_token"]["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let heroku = Heroku::stranger(platform);
    heroku.log_in(email, &token);
    (heroku, token)
}

#[test]
#[ignore = "needs docker, npm's heroku"]
fn people_share_apps_alone_and_in_teams() {
    let platform = Platform::start();
    let you = Heroku::user(&platform);
    let (ann, token) = person(&platform, "ann@example.com");
    a_collaborator_comes_and_goes(&platform, &you, &ann, &token);
    a_team_has_members_and_apps(&platform, &you, &ann);
    apps_change_hands(&platform, &you, &ann, &token);
    you.covers(&[
        "access",
        "access:add",
        "access:remove",
        "access:update",
        "apps:lock",
        "apps:transfer",
        "apps:unlock",
        "members",
        "members:add",
        "members:remove",
        "members:set",
        "orgs",
        "teams",
    ]);
    ann.covers(&["apps:join", "apps:leave"]);
}

fn forbidden(heroku: &Heroku<'_>, arguments: &[&str]) {
    let output = heroku.run(arguments);
    output.expect("Error ID: forbidden");
    assert_ne!(output.code, 0);
}

fn a_collaborator_comes_and_goes(platform: &Platform, you: &Heroku<'_>, ann: &Heroku<'_>, token: &str) {
    you.run(&["create", "mine"]).expect_success();
    forbidden(ann, &["config", "-a", "mine"]);
    you.run(&["access:add", "ann@example.com", "-a", "mine"])
        .expect_success()
        .expect("Adding ann@example.com access to the app mine... done");
    you.beside(&["access", "-a", "mine"])
        .expect_alike()
        .expect("ann@example.com   collaborator   deploy, operate, view");
    ann.run(&["config:set", "GREETING=hello", "-a", "mine"])
        .expect_success();
    ann.run(&["apps"])
        .expect_success()
        .expect("Collaborated Apps")
        .expect("mine");
    let folder = ann.home().join("clone");
    let folder = folder.to_str().expect("a path in UTF-8");
    let url = format!("https://{}/mine.git", ann.git_host());
    ann.git(&["clone", &url, folder]).expect_success();
    // One removal: no API, no git, no log from this moment.
    let follow = ann.start(&["logs", "--tail", "-a", "mine"]);
    platform
        .call("PATCH", "/apps/mine/config-vars", "{\"SEEN\":\"1\"}")
        .expect_status(200);
    follow.hears("SEEN", LIMIT);
    you.run(&["access:remove", "ann@example.com", "-a", "mine"])
        .expect_success()
        .expect("Removing ann@example.com access from the app mine... done");
    follow.finish(LIMIT);
    assert!(ann.strays().is_empty());
    forbidden(ann, &["config", "-a", "mine"]);
    assert_ne!(ann.git(&["-C", folder, "fetch"]).code, 0);
    platform
        .call_as(&format!("Bearer {token}"), "GET", "/apps/mine", "")
        .expect_status(403);
}

fn a_team_has_members_and_apps(platform: &Platform, you: &Heroku<'_>, ann: &Heroku<'_>) {
    you.paas(&["teams:create", "acme"]).expect_success();
    you.beside(&["teams"]).expect_alike().expect("acme   admin");
    you.run(&["orgs"]).expect_success().expect("acme");
    you.run(&["members:add", "ann@example.com", "--role", "member", "--team", "acme"])
        .expect_success()
        .expect("Adding ann@example.com to acme as member... done");
    you.beside(&["members", "--team", "acme"])
        .expect_alike()
        .expect("ann@example.com   member");
    you.run(&["create", "ours", "--team", "acme"]).expect_success();
    assert_eq!(
        platform.sql("select teams.name from apps join teams on teams.id = apps.team where apps.name = 'ours'"),
        ["acme"]
    );
    ann.run(&["apps:info", "-a", "ours"]).expect_success().expect("acme");
    forbidden(ann, &["config", "-a", "ours"]);
    ann.run(&["apps:join", "-a", "ours"]).expect_success();
    ann.run(&["config", "-a", "ours"]).expect_success();
    forbidden(ann, &["apps:rename", "theirs", "-a", "ours"]);
    you.run(&[
        "access:update",
        "ann@example.com",
        "-a",
        "ours",
        "--permissions",
        "manage",
    ])
    .expect_success();
    you.beside(&["access", "-a", "ours"])
        .expect_alike()
        .expect("ann@example.com   member   manage, view");
    forbidden(ann, &["config", "-a", "ours"]);
    ann.run(&["apps:leave", "-a", "ours"]).expect_success();

    you.run(&["apps:lock", "-a", "ours"])
        .expect_success()
        .expect("Locking ours... done");
    you.beside(&["apps", "--team", "acme"])
        .expect_alike()
        .expect("=== Apps in team acme\n\nours [locked]\n");
    let again = you.beside(&["apps:lock", "-a", "ours"]);
    again.expect("This app is already locked.");
    forbidden(ann, &["apps:info", "-a", "ours"]);
    forbidden(ann, &["apps:join", "-a", "ours"]);
    you.run(&["access:add", "ann@example.com", "-a", "ours", "--permissions", "deploy"])
        .expect_success()
        .expect("with deploy, view permissions");
    ann.run(&["config", "-a", "ours"]).expect_success();
    you.run(&["apps:unlock", "-a", "ours"]).expect_success();
    you.run(&["members:set", "ann@example.com", "--role", "viewer", "--team", "acme"])
        .expect_success();
    you.run(&["members:remove", "ann@example.com", "--team", "acme"])
        .expect_success()
        .expect("Removing ann@example.com from acme... done");
    forbidden(ann, &["apps:info", "-a", "ours"]);
    let last = you.run(&["members:remove", "you@example.com", "--team", "acme"]);
    last.expect("always has an admin");
}

fn apps_change_hands(platform: &Platform, you: &Heroku<'_>, ann: &Heroku<'_>, token: &str) {
    you.run(&["apps:transfer", "acme", "-a", "mine"])
        .expect_success()
        .expect("Transferring mine to acme... done");
    you.run(&["apps:transfer", "you@example.com", "-a", "mine", "--confirm", "mine"])
        .expect_success();
    you.run(&["apps:transfer", "ann@example.com", "-a", "mine"])
        .expect_success()
        .expect("Initiating transfer of mine to ann@example.com... email sent");
    let accept = platform.call_as(
        &format!("Bearer {token}"),
        "PATCH",
        "/account/app-transfers/mine",
        "{\"state\":\"accepted\"}",
    );
    accept.expect_status(200);
    ann.run(&["apps:info", "-a", "mine"])
        .expect_success()
        .expect("ann@example.com");
    forbidden(you, &["apps:destroy", "-a", "mine", "--confirm", "mine"]);
    you.paas(&["create", "yours", "--team", "acme", "--locked", "--no-remote"])
        .expect_success();
    you.beside(&["apps"])
        .expect_alike()
        .expect("Collaborated Apps")
        .expect("mine    ann@example.com")
        .expect("yours   acme@herokumanager.com");
}
