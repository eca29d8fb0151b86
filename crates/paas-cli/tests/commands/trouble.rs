use insta::assert_snapshot;
use serde_json::json;

use crate::{
    answers::{account, app},
    platform::{Answer, Paas},
};

#[test]
fn an_unknown_app_is_told_with_where_to_look() {
    let body = json!({ "id": "not_found", "message": "Couldn't find that app.", "resource": "app" });
    let paas = Paas::new().on("GET /apps/nope", Answer::json(404, &body));
    assert_snapshot!(paas.run("apps:info -a nope"), @r"
    exit: 1
    --- stderr
     !    Couldn't find that app.

    hint: run `paas apps` to see your apps
    --- requests
    GET /apps/nope
    ");
}

#[test]
fn without_an_app_nothing_is_asked() {
    assert_snapshot!(Paas::new().run("ps"), @r"
    exit: 2
    --- stderr
     !    No app named

    hint: name it with `-a APP`, or run this in a checkout whose git remote `paas` leads to the app
    ");
}

#[test]
fn a_refused_token_says_where_it_came_from() {
    let refused = Answer::error(401, "unauthorized", "Invalid credentials provided.");
    let paas = Paas::new().on("GET /account", refused);
    assert_snapshot!(paas.run("auth:whoami"), @r"
    exit: 1
    --- stderr
     !    The token was refused: Invalid credentials provided.

    hint: the token came from PAAS_API_KEY: unset or correct it, or run `paas login`
    --- requests
    GET /account
    ");
}

#[test]
fn without_a_token_the_hint_is_to_log_in() {
    assert_snapshot!(Paas::new().unset("PAAS_API_KEY").run("apps"), @r"
    exit: 1
    --- stderr
     !    Not logged in

    hint: run `paas login`
    ");
}

#[test]
fn a_server_that_is_away_or_lost_is_told_apart_from_a_busy_one() {
    let nobody = Paas::new().set("PAAS_URL", "http://127.0.0.1:1");
    assert_snapshot!(nobody.run("apps"), @r"
    exit: 1
    --- stderr
     !    Couldn't reach http://127.0.0.1:1: connection refused

    hint: is paasd running? set PAAS_URL to the API of your platform, such as https://api.example.com
    ");
    let busy = Paas::new().on(
        "GET /users/~/apps",
        Answer::error(503, "service_unavailable", "The database is away."),
    );
    assert_snapshot!(busy.run("apps"), @r"
    exit: 1
    --- stderr
     !    The database is away.
    --- requests
    GET /users/~/apps | range=id ..; max=1000
    ");
    let other = Paas::new().on("GET /users/~/apps", Answer::text(502, "text/html", "<html>"));
    assert_snapshot!(other.run("apps"), @r"
    exit: 1
    --- stderr
     !    http://127.0.0.1:5050 answered 502 Bad Gateway

    hint: is paasd running? the log of what answers here says more
    --- requests
    GET /users/~/apps | range=id ..; max=1000
    ");
    let strange = Paas::new().on("GET /users/~/apps", Answer::text(200, "text/html", "<html>"));
    assert_snapshot!(strange.run("apps"), @r"
    exit: 1
    --- stderr
     !    http://127.0.0.1:5050 gave an answer that is not understood: expected value at line 1 column 1

    hint: is PAAS_URL the API of your platform? `paas version` says what this command is
    --- requests
    GET /users/~/apps | range=id ..; max=1000
    ");
    let wrong = Paas::new().set("PAAS_URL", "localhost:5050");
    assert_snapshot!(wrong.run("apps"), @r"
    exit: 2
    --- stderr
     !    The address of the platform's API is not one: localhost:5050

    hint: set PAAS_URL to the API of your platform, such as http://127.0.0.1:5050
    ");
}

#[test]
fn the_token_does_not_follow_a_redirect() {
    let moved = Answer::text(307, "text/plain", "").header("location", "http://127.0.0.1:1/account");
    let paas = Paas::new().on("GET /account", moved);
    assert_snapshot!(paas.run("auth:whoami"), @r"
    exit: 1
    --- stderr
     !    http://127.0.0.1:5050 answered with a redirect to http://127.0.0.1:1/account, which is not followed because a token was sent

    hint: set PAAS_URL to the address that answers without a redirect
    --- requests
    GET /account
    ");
}

#[test]
fn names_cannot_leave_their_place_in_a_path() {
    let paas = Paas::new();
    assert_snapshot!(paas.run("apps:info -a ../account"), @r"
    exit: 1
    --- stderr
     !    The requested API endpoint was not found.
    --- requests
    GET /apps/..%2Faccount
    ");
    assert_snapshot!(paas.run("apps:info -a .."), @r"
    exit: 1
    --- stderr
     !    The requested API endpoint was not found.
    --- requests
    GET /apps/%252E%252E
    ");
}

#[test]
fn misuse_ends_with_two() {
    let paas = Paas::new().on("GET /apps/hello", app("hello"));
    assert_snapshot!(paas.run("ps:scal web=1"), @r"
    exit: 2
    --- stderr
     !    unrecognized subcommand 'ps:scal'

    hint: did you mean `ps:scale`?
    ");
    assert_snapshot!(paas.run("xyzzy"), @r"
    exit: 2
    --- stderr
     !    unrecognized subcommand 'xyzzy'

    hint: run `paas help` to see the commands
    ");
    assert_snapshot!(paas.run("config:set"), @r"
    exit: 2
    --- stderr
     !    the following required arguments were not provided: <KEY=VALUE>...

    hint: write `paas config:set <KEY=VALUE>...`
    ");
    assert_snapshot!(paas.run("apps --jsn"), @r"
    exit: 2
    --- stderr
     !    unexpected argument '--jsn' found

    hint: did you mean `--json`?
    ");
    assert_snapshot!(paas.run("logs -n many -a hello"), @r"
    exit: 2
    --- stderr
     !    invalid value 'many' for '--num <N>': invalid digit found in string
    ");
    assert_snapshot!(paas.run("apps:info hello -a other"), @r"
    exit: 2
    --- stderr
     !    Two apps are named, hello and other: name one
    ");
}

#[test]
fn a_platform_on_this_machine_is_asked_without_the_proxy() {
    let paas = Paas::new()
        .set("HTTP_PROXY", "http://127.0.0.1:1")
        .on("GET /account", account());
    assert!(paas.run("auth:whoami").starts_with("exit: 0\n"));
}

#[test]
fn a_failure_of_the_server_names_the_request() {
    let failed = Answer::error(500, "internal_server_error", "Something went wrong.").header("request-id", "abc-1");
    let paas = Paas::new().on("GET /account", failed);
    assert_snapshot!(paas.run("auth:whoami"), @r"
    exit: 1
    --- stderr
     !    Something went wrong.

    hint: the server's log says more about request abc-1
    --- requests
    GET /account
    ");
}
