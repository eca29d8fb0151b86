use insta::assert_snapshot;
use serde_json::json;

use crate::{
    answers::{dyno, formation},
    platform::{Answer, Paas},
};

#[test]
fn dynos_are_grouped_by_command_and_sorted_by_number() {
    let dynos = json!([
        dyno("web.10", "bin/web", "starting"),
        dyno("web.9", "bin/web", "up"),
        dyno("worker.1", "bin/work", "crashed"),
        dyno("run.1234", "bash", "up"),
    ]);
    let paas = Paas::new().on("GET /apps/hello/dynos", dynos);
    assert_snapshot!(paas.run("ps -a hello"), @r"
    exit: 0
    --- stdout
    === run: one-off processes (1)

    run.1234 (Standard-1X): up 2026/01/02 03:04:05 +0000: bash

    === web (Standard-1X): bin/web (2)

    web.9: up 2026/01/02 03:04:05 +0000
    web.10: starting 2026/01/02 03:04:05 +0000

    === worker (Standard-1X): bin/work (1)

    worker.1: crashed 2026/01/02 03:04:05 +0000

    --- requests
    GET /apps/hello/dynos | range=id ..; max=1000
    ");
}

#[test]
fn an_app_without_dynos_says_so() {
    let paas = Paas::new().on("GET /apps/hello/dynos", json!([]));
    assert_snapshot!(paas.run("ps -a hello"), @r"
    exit: 0
    --- stdout
    No dynos on hello
    --- requests
    GET /apps/hello/dynos | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("ps -a hello --json"), @r"
    exit: 0
    --- stdout
    []
    --- requests
    GET /apps/hello/dynos | range=id ..; max=1000
    ");
}

#[test]
fn the_formation_is_one_line() {
    let entries = json!([formation("web", 1, "Basic"), formation("worker", 0, "Standard-1X")]);
    let paas = Paas::new()
        .on("GET /apps/hello/formation", entries)
        .on("GET /apps/empty/formation", json!([]));
    assert_snapshot!(paas.run("ps:scale -a hello"), @r"
    exit: 0
    --- stdout
    web=1:Basic worker=0:Standard-1X
    --- requests
    GET /apps/hello/formation | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("ps:scale -a empty"), @r"
    exit: 1
    --- stderr
     !    empty has no process types yet; its first push brings them
    --- requests
    GET /apps/empty/formation | range=id ..; max=1000
    ");
}

#[test]
fn scaling_tells_what_runs_now() {
    let entries = json!([formation("web", 2, "Basic"), formation("worker", 1, "Standard-1X")]);
    let paas = Paas::new().on("PATCH /apps/hello/formation", entries);
    assert_snapshot!(paas.run("ps:scale web=2 worker+1:Standard-1X -a hello"), @r#"
    exit: 0
    --- stderr
    Scaling dynos... done, now running web at 2:Basic, worker at 1:Standard-1X
    --- requests
    PATCH /apps/hello/formation | {"updates":[{"type":"web","quantity":"2"},{"type":"worker","quantity":"+1","size":"Standard-1X"}]}
    "#);
    assert_snapshot!(paas.run("scale worker-1 -a hello"), @r#"
    exit: 0
    --- stderr
    Scaling dynos... done, now running worker at 1:Standard-1X
    --- requests
    PATCH /apps/hello/formation | {"updates":[{"type":"worker","quantity":"-1"}]}
    "#);
}

#[test]
fn an_unknown_process_type_is_told_with_where_to_look() {
    let body =
        json!({ "id": "not_found", "message": "Couldn't find that process type (nope).", "resource": "formation" });
    let paas = Paas::new().on("PATCH /apps/hello/formation", Answer::json(404, &body));
    assert_snapshot!(paas.run("ps:scale nope=1 -a hello"), @r#"
    exit: 1
    --- stderr
    Scaling dynos... !
     !    Couldn't find that process type (nope).

    hint: run `paas ps:scale` to see the app's process types
    --- requests
    PATCH /apps/hello/formation | {"updates":[{"type":"nope","quantity":"1"}]}
    "#);
    assert_snapshot!(paas.run("ps:scale web=many -a hello"), @r"
    exit: 2
    --- stderr
     !    web=many is not a change of scale: write web=2, worker+1 or web=1:Standard-2X
    ");
}

#[test]
fn dynos_are_restarted_all_by_type_or_one() {
    let accepted = Answer::json(202, &json!({}));
    let paas = Paas::new()
        .on("DELETE /apps/hello/dynos", accepted.clone())
        .on("DELETE /apps/hello/dynos/web.1", accepted.clone())
        .on("DELETE /apps/hello/formations/web", accepted);
    assert_snapshot!(paas.run("ps:restart -a hello"), @r"
    exit: 0
    --- stderr
    Restarting all dynos on hello... done
    --- requests
    DELETE /apps/hello/dynos
    ");
    assert_snapshot!(paas.run("ps:restart -d web.1 -a hello"), @r"
    exit: 0
    --- stderr
    Restarting dyno web.1 on hello... done
    --- requests
    DELETE /apps/hello/dynos/web.1
    ");
    assert_snapshot!(paas.run("ps:restart -p web -a hello"), @r"
    exit: 0
    --- stderr
    Restarting all web dynos on hello... done
    --- requests
    DELETE /apps/hello/formations/web
    ");
    assert_eq!(
        paas.run("restart web.1 -a hello"),
        paas.run("ps:restart --dyno-name web.1 -a hello")
    );
}

#[test]
fn dynos_are_stopped_by_type_or_one_but_not_all() {
    let accepted = Answer::json(202, &json!({}));
    let paas = Paas::new()
        .on("POST /apps/hello/dynos/web.1/actions/stop", accepted.clone())
        .on("POST /apps/hello/formations/worker/actions/stop", accepted);
    assert_snapshot!(paas.run("ps:stop web.1 -a hello"), @r"
    exit: 0
    --- stderr
    Stopping dyno web.1 on hello... done
    --- requests
    POST /apps/hello/dynos/web.1/actions/stop | {}
    ");
    assert_snapshot!(paas.run("ps:stop -p worker -a hello"), @r"
    exit: 0
    --- stderr
    Stopping all worker dynos on hello... done
    --- requests
    POST /apps/hello/formations/worker/actions/stop | {}
    ");
    assert_snapshot!(paas.run("ps:stop -a hello"), @r"
    exit: 2
    --- stderr
     !    Which dynos? Name one (web.1) or a process type (web)
    ");
}
