//! What is about an app as a whole, and needs more than one look at it.

use std::{fs, os::unix::fs::PermissionsExt};

use insta::assert_snapshot;
use serde_json::json;

use crate::{
    answers::{app, current, dyno, feature, formation, release},
    platform::{Answer, Paas},
};

#[test]
fn what_two_apps_differ_in_is_a_table() {
    let slug = |checksum: &str| {
        json!({
            "blob": { "method": "get", "url": "http://127.0.0.1:5050/slugs/x" }, "buildpack_provided_description": null,
            "checksum": checksum, "commit": null, "commit_description": null, "created_at": "2026-01-02T03:04:05Z",
            "deleted_at": null, "id": "01234567-89ab-7def-8123-456789abcdef", "process_types": {}, "size": 1,
            "stack": { "id": "01234567-89ab-7def-8123-456789abcdef", "name": "paas-12" }, "updated_at": "2026-01-02T03:04:05Z"
        })
    };
    let mut paas = Paas::new();
    for (name, checksum, value) in [("one", "SHA256:1", "x"), ("two", "SHA256:2", "y")] {
        let path = |rest: &str| format!("GET /apps/{name}{rest}");
        paas = paas
            .on(&path("/releases"), json!([release(3, "Deploy 1234567")]))
            .on(&path("/slugs/01234567-89ab-7def-8123-456789abcdef"), slug(checksum))
            .on(&path("/config-vars"), json!({ "SAME": "1", "OTHER": value }))
            .on(&path(""), app(name))
            .on(&path("/buildpack-installations"), json!([]))
            .on(&path("/features"), json!([feature("hsts", name == "one")]));
    }
    paas.requests();
    let told = paas.run("apps:diff one two");
    assert_snapshot!(told.split("--- requests").next().unwrap(), @r"
    exit: 0
    --- stdout
      one        property          two
     ───────────────────────────────────────
      SHA256:1   slug (checksum)   SHA256:2
      x          config (OTHER)    y
      enabled    feature (hsts)
    ");
    assert_snapshot!(paas.run("apps:diff one one").split("--- requests").next().unwrap(), @r"
    exit: 0
    --- stderr
    one and one do not differ.
    ");
}

#[test]
fn an_app_can_be_shown_to_a_shell() {
    let paas = Paas::new().on("GET /apps/hello", app("hello")).on(
        "GET /apps/hello/dynos",
        json!([dyno("web.1", "./web", "up"), dyno("web.2", "./web", "up")]),
    );
    assert_snapshot!(paas.run("apps:info -s -a hello"), @r"
    exit: 0
    --- stdout
    auto_cert_mgmt=false
    addons=
    collaborators=
    git_url=http://git.localhost:8080/hello.git
    web_url=http://hello.localhost:8080/
    repo_size='2 KB'
    slug_size='31 MB'
    owner=dev@example.com
    region=local
    dynos='{ web: 2 }'
    stack=paas-12
    --- requests
    GET /apps/hello
    GET /apps/hello/dynos | range=id ..; max=1000
    ");
}

#[test]
fn an_app_is_created_with_a_buildpack_and_a_stack() {
    let installations =
        json!([{ "buildpack": { "name": "heroku/python", "url": "urn:buildpack:heroku/python" }, "ordinal": 0 }]);
    let paas = Paas::new()
        .on("POST /apps", Answer::json(201, &app("hello")))
        .on("PUT /apps/hello/buildpack-installations", installations);
    assert_snapshot!(paas.run("create -a hello -b heroku/python -s paas-12 --region us"), @r#"
    exit: 0
    --- stdout
    http://hello.localhost:8080/ | http://127.0.0.1:5050/hello.git
    --- stderr
    Creating hello... done, region is local, stack is paas-12
    Setting buildpack to heroku/python... done
    --- requests
    POST /apps | {"name":"hello","region":"us","stack":"paas-12"}
    PUT /apps/hello/buildpack-installations | {"updates":[{"buildpack":"heroku/python"}]}
    "#);
}

#[test]
fn sizes_are_shown_and_changed() {
    let entries = json!([formation("web", 2, "Basic"), formation("worker", 0, "Standard-1X")]);
    let paas = Paas::new()
        .on("GET /apps/hello/formation", entries.clone())
        .on("PATCH /apps/hello/formation", entries);
    assert_snapshot!(paas.run("ps:type -a hello"), @r"
    exit: 0
    --- stdout
    === Process Types

      type     size          qty
     ────────────────────────────
      web      Basic         2
      worker   Standard-1X   0


    === Dyno Totals

      type    total
     ───────────────
      Basic   2

    --- requests
    GET /apps/hello/formation | range=id ..; max=1000
    GET /apps/hello/formation | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("ps:resize web=Standard-2X -a hello").split("--- stdout").next().unwrap(), @"exit: 0");
    assert_snapshot!(paas.requests(), @"");
    assert_snapshot!(paas.run("ps:resize clock=Basic -a hello"), @r"
    exit: 1
    --- stderr
     !    Type clock not found in process formation.
     !    Types: web, worker
    --- requests
    GET /apps/hello/formation | range=id ..; max=1000
    ");
}

#[test]
fn dynos_are_waited_for_until_all_run_the_newest_release() {
    let starting = json!([
        dyno("web.1", "./web", "up"),
        dyno("web.2", "./web", "starting"),
        dyno("run.1", "bash", "up")
    ]);
    let up = json!([dyno("web.1", "./web", "up"), dyno("web.2", "./web", "up")]);
    let paas = Paas::new()
        .on("GET /apps/hello/releases", json!([release(3, "Deploy 1234567")]))
        .on("GET /apps/hello/dynos", starting)
        .on("GET /apps/hello/dynos", up);
    assert_snapshot!(paas.run("ps:wait -w 1 -a hello"), @r"
    exit: 0
    --- stderr
    Waiting for every dyno to be running v3... done, 2 / 2
    --- requests
    GET /apps/hello/releases | range=version ..; max=1, order=desc
    GET /apps/hello/dynos | range=id ..; max=1000
    GET /apps/hello/dynos | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("ps:wait -a hello"), @r"
    exit: 0
    --- requests
    GET /apps/hello/releases | range=version ..; max=1, order=desc
    GET /apps/hello/dynos | range=id ..; max=1000
    ");
}

#[test]
fn a_release_command_is_run_again() {
    let paas = Paas::new()
        .on(
            "GET /apps/hello/releases",
            json!([current(release(5, "Deploy 1234567"))]),
        )
        .on("GET /apps/hello/formation", json!([formation("web", 1, "Basic")]))
        .on("GET /apps/hello/formation", json!([formation("release", 0, "Basic")]))
        .on(
            "POST /apps/hello/releases",
            Answer::json(201, &release(6, "Retry of v5")),
        );
    assert_snapshot!(paas.run("releases:retry -a hello"), @r"
    exit: 1
    --- stderr
     !    App must have a release-phase command to use this command
    --- requests
    GET /apps/hello/releases | range=version ..; max=1, order=desc
    GET /apps/hello/formation
    ");
    assert_snapshot!(paas.run("releases:retry -a hello"), @r#"
    exit: 0
    --- stderr
    Retrying v5 on hello... done, v6
    --- requests
    GET /apps/hello/releases | range=version ..; max=1, order=desc
    GET /apps/hello/formation
    POST /apps/hello/releases | {"description":"Retry of v5: Deploy 1234567","slug":"01234567-89ab-7def-8123-456789abcdef"}
    "#);
}

/// An editor that runs this `sed` command.
fn editor(paas: &Paas, command: &str) -> String {
    let path = paas.home.path().join("editor");
    fs::write(&path, format!("#!/bin/sh\nsed -i '{command}' \"$1\"\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn config_vars_are_changed_in_an_editor() {
    let paas = Paas::new()
        .on(
            "GET /apps/hello/config-vars",
            json!({ "A": "1", "B": "two words", "C": "3" }),
        )
        .on("PATCH /apps/hello/config-vars", json!({}))
        .on("GET /apps/hello/releases", json!([release(4, "Set A, C config vars")]));
    let change = editor(&paas, "s/A=1/A=one/; /^C/d");
    let paas = paas.set("EDITOR", &change);
    assert_snapshot!(paas.run("config:edit -y -a hello"), @r#"
    exit: 0
    --- stdout

    Config Diff:
    - A=1
    + A=one
    - C=3

    --- stderr
    Fetching config... done
    Verifying new config... done
    Updating config and restarting hello... done, v4
    --- requests
    GET /apps/hello/config-vars
    GET /apps/hello/config-vars
    PATCH /apps/hello/config-vars | {"A":"one","C":null}
    GET /apps/hello/releases | range=version ..; max=1, order=desc
    "#);
    let nothing = editor(&paas, "");
    let paas = paas.set("VISUAL", &nothing);
    assert_snapshot!(paas.run("config:edit -a hello"), @r"
    exit: 0
    --- stderr
    Fetching config... done
     !    Warning: no changes to config
    --- requests
    GET /apps/hello/config-vars
    ");
}

#[test]
fn config_vars_that_somebody_else_changed_meanwhile_stay() {
    let paas = Paas::new()
        .on("GET /apps/hello/config-vars", json!({ "A": "1" }))
        .on("GET /apps/hello/config-vars", json!({ "A": "2" }));
    let change = editor(&paas, "s/1/one/");
    let paas = paas.set("EDITOR", &change);
    assert_snapshot!(paas.run("config:edit A -y -a hello"), @r"
    exit: 1
    --- stdout

    Config Diff:
    - A=1
    + A=one

    --- stderr
    Fetching config... done
    Verifying new config... !
     !    Config changed on server. Refusing to update
    --- requests
    GET /apps/hello/config-vars
    GET /apps/hello/config-vars
    ");
}

#[test]
fn git_gets_the_token_for_this_platform_only() {
    let paas = Paas::new();
    let host = "protocol=http\nhost=127.0.0.1:PORT\n\n".replace("127.0.0.1:PORT", &paas.authority());
    assert_snapshot!(paas.run_with(&["git:credentials", "get"], &host), @r"
    exit: 0
    --- stdout
    protocol=http
    host=127.0.0.1:5050
    username=paas
    password=the-token
    ");
    for foreign in ["protocol=https\nhost=github.com\n\n", "host=127.0.0.1\n\n", ""] {
        assert_eq!(
            paas.run_with(&["git:credentials", "get"], foreign),
            "exit: 0\n",
            "{foreign:?}"
        );
    }
    assert_eq!(paas.run("git:credentials store"), "exit: 0\n");
}

#[test]
fn errors_are_somewhere_else() {
    assert_snapshot!(Paas::new().run("apps:errors -a hello"), @r"
    exit: 1
    --- stderr
     !    This platform keeps no counts of errors. They are in the log: paas logs --source heroku
    ");
}
