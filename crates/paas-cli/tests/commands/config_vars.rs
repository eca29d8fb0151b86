use insta::assert_snapshot;
use serde_json::json;

use crate::{
    answers::{current, release},
    platform::{Answer, Paas},
};

const VARS: &str = "GET /apps/hello/config-vars";

#[test]
fn config_vars_line_up() {
    let paas = Paas::new().on(
        VARS,
        json!({ "A": "1", "DATABASE_URL": "postgres://x", "KEY": "line one\nline two", "E": "" }),
    );
    assert_snapshot!(paas.run("config -a hello"), @r"
    exit: 0
    --- stdout
    === hello Config Vars

    A:            1
    DATABASE_URL: postgres://x
    E:
    KEY:          line one
                  line two
    --- requests
    GET /apps/hello/config-vars
    ");
    assert_snapshot!(paas.run("config -s -a hello"), @r"
    exit: 0
    --- stdout
    A=1
    DATABASE_URL=postgres://x
    E=
    KEY='line one
    line two'
    --- requests
    GET /apps/hello/config-vars
    ");
    assert_snapshot!(paas.run("config --json -a hello"), @r#"
    exit: 0
    --- stdout
    {
      "A": "1",
      "DATABASE_URL": "postgres://x",
      "E": "",
      "KEY": "line one\nline two"
    }
    --- requests
    GET /apps/hello/config-vars
    "#);
}

#[test]
fn an_app_without_config_vars_says_so() {
    let paas = Paas::new().on(VARS, json!({}));
    assert_snapshot!(paas.run("config -a hello"), @r"
    exit: 0
    --- stderr
    hello has no config vars.
    --- requests
    GET /apps/hello/config-vars
    ");
}

#[test]
fn one_value_is_printed_as_it_is() {
    let paas = Paas::new().on(VARS, json!({ "A": "it's 1" }));
    assert_snapshot!(paas.run("config:get A -a hello"), @r"
    exit: 0
    --- stdout
    it's 1
    --- requests
    GET /apps/hello/config-vars
    ");
    assert_snapshot!(paas.run("config:get A -s -a hello"), @r"
    exit: 0
    --- stdout
    A='it'\''s 1'
    --- requests
    GET /apps/hello/config-vars
    ");
    assert_snapshot!(paas.run("config:get B -a hello"), @r"
    exit: 0
    --- stdout

    --- requests
    GET /apps/hello/config-vars
    ");
}

#[test]
fn setting_makes_a_release() {
    let newest = Answer::json(206, &json!([current(release(4, "Set A, B config vars"))]));
    let paas = Paas::new()
        .on(
            "PATCH /apps/hello/config-vars",
            json!({ "A": "x=y\nz", "B": "", "C": "old" }),
        )
        .on("GET /apps/hello/releases", newest);
    assert_snapshot!(paas.run_with(&["config:set", "B=", "A=x=y\nz", "-a", "hello"], ""), @r#"
    exit: 0
    --- stdout
    A: x=y
       z
    --- stderr
    Setting B, A and restarting hello... done, v4
    --- requests
    PATCH /apps/hello/config-vars | {"A":"x=y\nz","B":""}
    GET /apps/hello/releases | range=version ..; max=1, order=desc
    "#);
}

#[test]
fn unsetting_makes_a_release() {
    let paas = Paas::new().on("PATCH /apps/hello/config-vars", json!({})).on(
        "GET /apps/hello/releases",
        json!([current(release(5, "Unset A config vars"))]),
    );
    assert_snapshot!(paas.run("config:unset A -a hello"), @r#"
    exit: 0
    --- stderr
    Unsetting A and restarting hello... done, v5
    --- requests
    PATCH /apps/hello/config-vars | {"A":null}
    GET /apps/hello/releases | range=version ..; max=1, order=desc
    "#);
}

#[test]
fn a_pair_without_a_value_or_a_name_is_misuse() {
    let paas = Paas::new();
    assert_snapshot!(paas.run("config:set FOO -a hello"), @r"
    exit: 2
    --- stderr
     !    FOO has no value: write FOO=bar
    ");
    assert_snapshot!(paas.run("config:set =secret -a hello"), @r"
    exit: 2
    --- stderr
     !    A name is missing: write FOO=bar
    ");
}

#[test]
fn a_refused_name_leaves_the_action_unfinished() {
    let message = "Config var name 1A is not allowed: use letters, numbers and underscores";
    let paas = Paas::new().on(
        "PATCH /apps/hello/config-vars",
        Answer::error(422, "invalid_params", message),
    );
    assert_snapshot!(paas.run("config:set 1A=x -a hello"), @r#"
    exit: 1
    --- stderr
    Setting 1A and restarting hello... !
     !    Config var name 1A is not allowed: use letters, numbers and underscores
    --- requests
    PATCH /apps/hello/config-vars | {"1A":"x"}
    "#);
}
