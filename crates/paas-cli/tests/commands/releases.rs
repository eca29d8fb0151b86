use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    answers::{build, but, current, release},
    platform::{Answer, Paas},
};

const RELEASES: &str = "GET /apps/hello/releases";

fn history() -> Value {
    json!([
        but(
            release(6, "Deploy 7654321"),
            &json!({ "status": "failed", "eligible_for_rollback": false })
        ),
        current(release(5, "Set A config vars")),
        but(
            release(4, "Deploy 7777777"),
            &json!({ "status": "expired", "eligible_for_rollback": false })
        ),
        release(3, "Deploy 1234567"),
        but(
            release(1, "Initial release"),
            &json!({ "eligible_for_rollback": false })
        ),
    ])
}

#[test]
fn releases_are_a_table() {
    let paas = Paas::new().on(RELEASES, history());
    assert_snapshot!(paas.run("releases -n 20 -a hello"), @r"
    exit: 0
    --- stdout
    === hello Releases - Current: v5

      v    description                user              created_at
     ─────────────────────────────────────────────────────────────────────────────
      v6   Deploy 7654321 (failed)    dev@example.com   2026/01/02 03:04:05 +0000
      v5   Set A config vars          dev@example.com   2026/01/02 03:04:05 +0000
      v4   Deploy 7777777 (expired)   dev@example.com   2026/01/02 03:04:05 +0000
      v3   Deploy 1234567             dev@example.com   2026/01/02 03:04:05 +0000
      v1   Initial release            dev@example.com   2026/01/02 03:04:05 +0000

    --- requests
    GET /apps/hello/releases | range=version ..; max=20, order=desc
    ");
}

#[test]
fn a_release_is_shown_with_its_config() {
    let paas = Paas::new()
        .on("GET /apps/hello/releases/3", release(3, "Deploy 1234567"))
        .on(
            "GET /apps/hello/releases/3/config-vars",
            json!({ "B": "two", "FOO": "bar" }),
        );
    assert_snapshot!(paas.run("releases:info v3 -a hello"), @r"
    exit: 0
    --- stdout
    === Release v3

    By:                     dev@example.com
    Change:                 Deploy 1234567
    Eligible for Rollback?: Yes
    Status:                 succeeded
    When:                   2026-01-02T03:04:05Z

    === v3 Config vars

    B:   two
    FOO: bar
    --- requests
    GET /apps/hello/releases/3
    GET /apps/hello/releases/3/config-vars
    ");
}

#[test]
fn release_output_is_streamed_without_the_token() {
    let with_output = but(
        release(3, "Deploy 1234567"),
        &json!({ "output_stream_url": "http://127.0.0.1:5050/streams/release" }),
    );
    let paas = Paas::new()
        .on("GET /apps/hello/releases/3", with_output)
        .on("GET /apps/hello/releases/4", release(4, "Set A config vars"))
        .on(
            "GET /streams/release",
            Answer::text(200, "text/plain", "migrating\0\ndone\n"),
        );
    assert_snapshot!(paas.run("releases:output v3 -a hello"), @r"
    exit: 0
    --- stdout
    migrating
    done
    --- requests
    GET /apps/hello/releases/3
    GET /streams/release | no authorization
    ");
    assert_snapshot!(paas.run("releases:output 4 -a hello"), @r"
    exit: 0
    --- stderr
     !    Warning: Release v4 has no release output available.
    --- requests
    GET /apps/hello/releases/4
    ");
}

#[test]
fn a_rollback_goes_to_the_last_good_release_before_the_current_one() {
    let paas = Paas::new().on(RELEASES, history()).on(
        "POST /apps/hello/releases",
        Answer::json(201, &release(7, "Rollback to v3")),
    );
    assert_snapshot!(paas.run("rollback -a hello"), @r#"
    exit: 0
    --- stderr
    Rolling back hello to v3... done, v7
     !    Warning: Rollback affects code and config vars; it doesn't add or remove addons.
     !    Warning: To undo, run: paas rollback v5
    --- requests
    GET /apps/hello/releases | range=version ..; max=10, order=desc
    POST /apps/hello/releases | {"release":"00000000-0000-0000-0000-000000000003"}
    "#);
}

#[test]
fn a_rollback_whose_release_command_fails_fails() {
    let url = json!({ "output_stream_url": "http://127.0.0.1:5050/streams/release" });
    let paas = Paas::new()
        .on(RELEASES, history())
        .on("GET /apps/hello/releases/3", release(3, "Deploy 1234567"))
        .on(
            "POST /apps/hello/releases",
            Answer::json(201, &but(release(7, "Rollback to v3"), &url)),
        )
        .on(
            "GET /streams/release",
            Answer::error(404, "not_found", "Couldn't find that stream."),
        )
        .on(
            "GET /streams/release",
            Answer::text(200, "text/plain", "no such table\n"),
        )
        .on(
            "GET /apps/hello/releases/7",
            but(release(7, "Rollback to v3"), &json!({ "status": "pending" })),
        )
        .on(
            "GET /apps/hello/releases/7",
            but(release(7, "Rollback to v3"), &json!({ "status": "failed" })),
        );
    assert_snapshot!(paas.run("rollback v3 -a hello"), @r#"
    exit: 1
    --- stdout
    no such table
    --- stderr
    Rolling back hello to v3... done, v7
     !    Warning: Rollback affects code and config vars; it doesn't add or remove addons.
     !    Warning: To undo, run: paas rollback v5
    Running release command...
     !    Release v7 failed

    hint: the release before it goes on serving; run `paas releases:output v7 -a hello` or `paas logs -a hello`
    --- requests
    GET /apps/hello/releases | range=version ..; max=10, order=desc
    GET /apps/hello/releases/3
    POST /apps/hello/releases | {"release":"00000000-0000-0000-0000-000000000003"}
    GET /streams/release | no authorization
    GET /apps/hello/releases/7
    GET /streams/release | no authorization
    GET /apps/hello/releases/7
    "#);
}

#[test]
fn there_may_be_nothing_to_roll_back_to() {
    let first = but(
        release(1, "Initial release"),
        &json!({ "current": true, "eligible_for_rollback": false }),
    );
    let paas = Paas::new().on(RELEASES, json!([first]));
    assert_snapshot!(paas.run("rollback -a hello"), @r"
    exit: 1
    --- stderr
     !    hello has no release to roll back to

    hint: run `paas releases -a hello` to see the releases
    --- requests
    GET /apps/hello/releases | range=version ..; max=10, order=desc
    ");
}

#[test]
fn an_unknown_release_is_told_with_where_to_look() {
    let body = json!({ "id": "not_found", "message": "Couldn't find that release.", "resource": "release" });
    let paas = Paas::new()
        .on(RELEASES, history())
        .on("GET /apps/hello/releases/99", Answer::json(404, &body));
    assert_snapshot!(paas.run("rollback v99 -a hello"), @r"
    exit: 1
    --- stderr
     !    Couldn't find that release.

    hint: run `paas releases` to see the app's releases
    --- requests
    GET /apps/hello/releases | range=version ..; max=10, order=desc
    GET /apps/hello/releases/99
    ");
}

#[test]
fn builds_are_listed_shown_and_read() {
    let paas = Paas::new().on("GET /apps/hello/builds", json!([build("failed")])).on(
        "GET /streams/build",
        Answer::text(200, "text/plain", "-----> Building\n !     No Procfile\n"),
    );
    assert_snapshot!(paas.run("builds -a hello"), @r"
    exit: 0
    --- stdout
    === hello Builds

      id                                     status   commit     user              created_at
     ────────────────────────────────────────────────────────────────────────────────────────────────────────
      01234567-89ab-7def-8123-456789abcdef   failed   4f1e2d3c   dev@example.com   2026/01/02 03:04:05 +0000

    --- requests
    GET /apps/hello/builds | range=id ..; max=15, order=desc
    ");
    assert_snapshot!(paas.run("builds:info -a hello"), @r"
    exit: 0
    --- stdout
    === Build 01234567-89ab-7def-8123-456789abcdef

    By:     dev@example.com
    Commit: 4f1e2d3c4b5a69788796a5b4c3d2e1f001234567
    Stack:  paas-12
    Status: failed
    When:   2026-01-02T03:04:05Z
    --- requests
    GET /apps/hello/builds | range=id ..; max=1, order=desc
    ");
    assert_snapshot!(paas.run("builds:output -a hello"), @r"
    exit: 0
    --- stdout
    -----> Building
     !     No Procfile
    --- requests
    GET /apps/hello/builds | range=id ..; max=1, order=desc
    GET /streams/build | no authorization
    ");
}
