use insta::assert_snapshot;
use serde_json::json;

use crate::{
    answers::{account, app, dyno, in_maintenance, region, stack},
    platform::{Answer, Paas},
};

#[test]
fn apps_are_listed_by_name_over_all_pages() {
    let first = Answer::json(206, &json!([app("hello"), app("zebra")])).header("next-range", "id ]b..; max=2");
    let paas = Paas::new()
        .on("GET /users/~/apps", first)
        .on("GET /users/~/apps", json!([app("api-two")]))
        .on("GET /account", account());
    assert_snapshot!(paas.run("apps"), @r"
    exit: 0
    --- stdout
    === dev@example.com Apps

    api-two
    hello
    zebra
    --- requests
    GET /users/~/apps | range=id ..; max=1000
    GET /users/~/apps | range=id ]b..; max=2
    GET /account
    ");
}

#[test]
fn without_apps_the_list_is_a_sentence_and_its_json_is_empty() {
    let paas = Paas::new().on("GET /users/~/apps", json!([]));
    assert_snapshot!(paas.run("apps"), @r"
    exit: 0
    --- stderr
    You have no apps.
    --- requests
    GET /users/~/apps | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("apps --json"), @r"
    exit: 0
    --- stdout
    []
    --- requests
    GET /users/~/apps | range=id ..; max=1000
    ");
}

#[test]
fn an_app_is_created_with_a_name_or_without() {
    let paas = Paas::new()
        .on("POST /apps", Answer::json(201, &app("hello")))
        .on("POST /apps", Answer::json(201, &app("quiet-river-12345")));
    assert_snapshot!(paas.run("create hello"), @r#"
    exit: 0
    --- stdout
    http://hello.localhost:8080/ | http://127.0.0.1:5050/hello.git
    --- stderr
    Creating hello... done
    --- requests
    POST /apps | {"name":"hello"}
    "#);
    assert_snapshot!(paas.run("apps:create"), @r"
    exit: 0
    --- stdout
    http://quiet-river-12345.localhost:8080/ | http://127.0.0.1:5050/quiet-river-12345.git
    --- stderr
    Creating app... done, quiet-river-12345
    --- requests
    POST /apps | {}
    ");
}

#[test]
fn a_name_that_is_taken_is_told_in_the_platforms_words() {
    let taken = Answer::error(422, "invalid_params", "Name hello is already taken");
    let paas = Paas::new().on("POST /apps", taken);
    assert_snapshot!(paas.run("create hello"), @r#"
    exit: 1
    --- stderr
    Creating hello... !
     !    Name hello is already taken
    --- requests
    POST /apps | {"name":"hello"}
    "#);
}

#[test]
fn an_app_is_shown() {
    let paas = Paas::new().on("GET /apps/hello", app("hello")).on(
        "GET /apps/hello/dynos",
        json!([
            dyno("web.1", "./run", "up"),
            dyno("web.2", "./run", "up"),
            dyno("worker.1", "./work", "up")
        ]),
    );
    assert_snapshot!(paas.run("apps:info -a hello"), @r"
    exit: 0
    --- stdout
    === hello

    Dynos:     web: 2, worker: 1
    Git URL:   http://git.localhost:8080/hello.git
    Owner:     dev@example.com
    Region:    local
    Repo Size: 2 KB
    Slug Size: 31 MB
    Stack:     paas-12
    Web URL:   http://hello.localhost:8080/
    --- requests
    GET /apps/hello
    GET /apps/hello/dynos | range=id ..; max=1000
    ");
    assert_eq!(paas.run("info hello"), paas.run("apps:info -a hello"));
}

#[test]
fn an_app_is_shown_as_json() {
    let paas = Paas::new().on("GET /apps/hello", app("hello"));
    let told = paas.run("apps:info -a hello --json");
    let json = told
        .split("--- stdout\n")
        .nth(1)
        .unwrap()
        .split("--- requests")
        .next()
        .unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(json).unwrap(), app("hello"));
}

#[test]
fn destroying_needs_the_name_once_more() {
    let paas = Paas::new()
        .on("GET /apps/hello", app("hello"))
        .on("DELETE /apps/01234567-89ab-7def-8123-456789abcdef", app("hello"));
    assert_snapshot!(paas.run("apps:destroy -a hello"), @r"
    exit: 1
    --- stderr
     !    Warning: this destroys hello with its releases, config and logs
          To proceed, type hello, or run again with --confirm hello
     !    There is no terminal to ask on for a confirmation

    hint: pass `--confirm APP`
    --- requests
    GET /apps/hello
    ");
    assert_snapshot!(paas.run("apps:destroy -a hello --confirm other"), @r"
    exit: 1
    --- stderr
     !    Confirmation did not match hello. Aborted
    --- requests
    GET /apps/hello
    ");
    assert_snapshot!(paas.run("apps:destroy hello --confirm hello"), @r"
    exit: 0
    --- stderr
    Destroying hello... done
    --- requests
    GET /apps/hello
    DELETE /apps/01234567-89ab-7def-8123-456789abcdef
    ");
}

#[test]
fn an_app_is_renamed() {
    let paas = Paas::new().on("PATCH /apps/hello", app("goodbye"));
    assert_snapshot!(paas.run("apps:rename goodbye -a hello"), @r#"
    exit: 0
    --- stdout
    http://goodbye.localhost:8080/ | http://127.0.0.1:5050/goodbye.git
    --- stderr
    Renaming hello to goodbye... done
     !    Warning: Don't forget to update git remotes for all other local checkouts of the app.
    --- requests
    PATCH /apps/hello | {"name":"goodbye"}
    "#);
}

#[test]
fn without_a_browser_the_address_is_printed() {
    let paas = Paas::new()
        .on("GET /apps/hello", app("hello"))
        .set("PATH", "/nonexistent");
    assert_snapshot!(paas.run("open /about -a hello"), @r"
    exit: 0
    --- stdout
    http://hello.localhost:8080/about
    --- stderr
    No browser could be started; the app is at
    --- requests
    GET /apps/hello
    ");
}

#[test]
fn maintenance_is_switched_and_shown() {
    let paas = Paas::new()
        .on("GET /apps/hello", app("hello"))
        .on("GET /apps/hello", in_maintenance("hello"))
        .on("PATCH /apps/hello", in_maintenance("hello"));
    assert_snapshot!(paas.run("maintenance -a hello"), @r"
    exit: 0
    --- stdout
    off
    --- requests
    GET /apps/hello
    ");
    assert_snapshot!(paas.run("maintenance:on -a hello"), @r#"
    exit: 0
    --- stderr
    Enabling maintenance mode for hello... done
    --- requests
    PATCH /apps/hello | {"maintenance":true}
    "#);
    assert_snapshot!(paas.run("maintenance -a hello --json"), @r#"
    exit: 0
    --- stdout
    {
      "maintenance": true
    }
    --- requests
    GET /apps/hello
    "#);
    assert_snapshot!(paas.run("maintenance:off -a hello"), @r#"
    exit: 0
    --- stderr
    Disabling maintenance mode for hello... done
    --- requests
    PATCH /apps/hello | {"maintenance":false}
    "#);
}

#[test]
fn regions_and_stacks_are_listed() {
    let paas = Paas::new()
        .on("GET /regions", json!([region()]))
        .on("GET /stacks", json!([stack("paas-11", false), stack("paas-12", true)]));
    assert_snapshot!(paas.run("regions"), @r"
    exit: 0
    --- stdout
      ID      Location
     ──────────────────────
      local   This machine

    --- requests
    GET /regions | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("stacks"), @r"
    exit: 0
    --- stdout
    === Available Stacks

      paas-11
    * paas-12
    --- requests
    GET /stacks | range=id ..; max=1000
    ");
}
