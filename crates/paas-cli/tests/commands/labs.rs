use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    answers::{account, but, feature},
    platform::{Answer, Paas},
};

fn lab(name: &str, enabled: bool) -> Value {
    but(feature(name, enabled), &json!({ "state": "beta" }))
}

/// A platform without features of accounts, as they all are.
fn platform() -> Paas {
    let missing = json!({ "id": "not_found", "message": "Couldn't find that feature.", "resource": "feature" });
    Paas::new()
        .on("GET /account", account())
        .on("GET /account/features", json!([]))
        .on("GET /account/features/warp", Answer::json(404, &missing))
}

#[test]
fn labs_are_what_features_do_not_list() {
    let paas = platform().on(
        "GET /apps/hello/features",
        json!([lab("warp", false), feature("hsts", true), lab("tea", true)]),
    );
    assert_snapshot!(paas.run("labs -a hello"), @r"
    exit: 0
    --- stdout
    === User Features dev@example.com


    === App Features hello

    [+] tea   About tea
    [ ] warp  About warp
    --- requests
    GET /account
    GET /account/features | range=id ..; max=1000
    GET /apps/hello/features | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("features -a hello"), @r"
    exit: 0
    --- stdout
    === App Features hello

    [+] hsts  About hsts
    --- requests
    GET /apps/hello/features | range=id ..; max=1000
    ");
}

#[test]
fn a_lab_is_looked_for_in_the_account_and_then_in_the_app() {
    let paas = platform()
        .on("GET /apps/hello/features/warp", lab("warp", false))
        .on("PATCH /apps/hello/features/warp", lab("warp", true));
    assert_snapshot!(paas.run("labs:enable warp -a hello"), @r#"
    exit: 0
    --- stderr
    Enabling warp for hello... done
    --- requests
    GET /account/features/warp
    GET /apps/hello/features/warp
    PATCH /apps/hello/features/warp | {"enabled":true}
    "#);
    assert_snapshot!(paas.run("labs:disable warp -a hello"), @r#"
    exit: 0
    --- stderr
    Disabling warp for hello... done
    --- requests
    GET /account/features/warp
    GET /apps/hello/features/warp
    PATCH /apps/hello/features/warp | {"enabled":false}
    "#);
    assert_snapshot!(paas.run("labs:info warp -a hello"), @r"
    exit: 0
    --- stdout
    === warp

    Description: About warp
    Enabled:     false
    Docs:        https://example.com/docs
    --- requests
    GET /account/features/warp
    GET /apps/hello/features/warp
    ");
}
