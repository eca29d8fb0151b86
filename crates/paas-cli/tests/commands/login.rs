use std::{fs, os::unix::fs::PermissionsExt};

use insta::assert_snapshot;
use serde_json::json;

use crate::{
    answers::{account, authorization, but},
    platform::{Answer, Paas},
};

/// `login` names the machine that it runs on, which no snapshot can know.
fn without_description(told: &str) -> String {
    let (head, tail) = told.split_once("paas login from ").unwrap();
    format!(
        "{head}[machine]{}",
        tail.trim_start_matches(|character| character != '"')
    )
}

#[test]
fn a_password_becomes_a_token_in_the_netrc() {
    let paas = Paas::new()
        .unset("PAAS_API_KEY")
        .on(
            "POST /oauth/authorizations",
            Answer::json(201, &authorization("the-token")),
        )
        .on("GET /account", account());
    fs::write(
        paas.home.path().join(".netrc"),
        "machine other.example\n  login me\n  password mine\n",
    )
    .unwrap();
    let told = paas.run_with(&["login", "--email", "dev@example.com", "--password-stdin"], "secret\n");
    assert_snapshot!(without_description(&told), @r#"
    exit: 0
    --- stderr
    Logging in... done
    Logged in as dev@example.com
    --- requests
    POST /oauth/authorizations | Basic ZGV2QGV4YW1wbGUuY29tOnNlY3JldA== | {"description":"[machine]","expires_in":31536000,"scope":["global"]}
    GET /account
    "#);
    assert_snapshot!(paas.netrc(), @r"
    machine other.example
      login me
      password mine
    machine 127.0.0.1
      login dev@example.com
      password the-token
    ");
    let mode = fs::metadata(paas.home.path().join(".netrc"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_snapshot!(paas.run("auth:whoami"), @r"
    exit: 0
    --- stdout
    dev@example.com
    --- requests
    GET /account
    ");
    assert_snapshot!(paas.run("auth:token"), @r"
    exit: 0
    --- stdout
    the-token
    ");
}

#[test]
fn a_token_is_read_from_stdin() {
    let paas = Paas::new().unset("PAAS_API_KEY").on("GET /account", account());
    assert_snapshot!(paas.run_with(&["login", "--token"], "the-token\n"), @r"
    exit: 0
    --- stderr
    Logged in as dev@example.com
    --- requests
    GET /account
    ");
    assert_snapshot!(paas.run_with(&["login", "--token"], "two words\n"), @r"
    exit: 2
    --- stderr
     !    That is not a token
    ");
    assert!(paas.netrc().contains("password the-token"));
}

#[test]
fn the_netrc_may_be_elsewhere() {
    let paas = Paas::new().unset("PAAS_API_KEY").on("GET /account", account());
    let elsewhere = paas.home.path().join("elsewhere");
    let paas = paas.set("NETRC", elsewhere.to_str().unwrap());
    paas.run_with(&["login", "--token"], "the-token\n");
    assert!(fs::read_to_string(elsewhere).unwrap().contains("machine 127.0.0.1\n"));
}

#[test]
fn a_wrong_password_writes_nothing() {
    let refused = Answer::error(401, "unauthorized", "Invalid credentials provided.");
    let paas = Paas::new()
        .unset("PAAS_API_KEY")
        .on("POST /oauth/authorizations", refused);
    let told = paas.run_with(&["login", "--email", "dev@example.com", "--password-stdin"], "wrong\n");
    assert_snapshot!(without_description(&told), @r#"
    exit: 1
    --- stderr
    Logging in... !
     !    The email or password is not right

    hint: try again; `paasd user` on the server makes users and sets passwords
    --- requests
    POST /oauth/authorizations | Basic ZGV2QGV4YW1wbGUuY29tOndyb25n | {"description":"[machine]","expires_in":31536000,"scope":["global"]}
    "#);
    assert!(!paas.home.path().join(".netrc").exists());
}

#[test]
fn nothing_is_asked_without_a_terminal() {
    let paas = Paas::new().unset("PAAS_API_KEY");
    assert_snapshot!(paas.run("login"), @r"
    exit: 1
    --- stderr
     !    There is no terminal to ask on for an email

    hint: pass `--email EMAIL --password-stdin`
    ");
}

#[test]
fn logging_out_revokes_and_forgets() {
    let other = but(authorization("no"), &json!({ "access_token": null }));
    let ours = but(
        authorization("the-token"),
        &json!({ "id": "22222222-89ab-7def-8123-456789abcdef" }),
    );
    let paas = Paas::new()
        .unset("PAAS_API_KEY")
        .on("GET /account", account())
        .on("GET /oauth/authorizations", json!([other, ours]))
        .on(
            "DELETE /oauth/authorizations/22222222-89ab-7def-8123-456789abcdef",
            json!({}),
        );
    paas.run_with(&["login", "--token"], "the-token\n");
    assert_snapshot!(paas.run("logout"), @r"
    exit: 0
    --- stderr
    Logging out... done
    --- requests
    GET /oauth/authorizations | range=id ..; max=1000
    DELETE /oauth/authorizations/22222222-89ab-7def-8123-456789abcdef
    ");
    assert_eq!(paas.netrc(), "");
    assert_snapshot!(paas.run("logout"), @r"
    exit: 0
    --- stderr
    Not logged in
    ");
    assert_snapshot!(paas.run("apps"), @r"
    exit: 1
    --- stderr
     !    Not logged in

    hint: run `paas login`
    ");
}

#[test]
fn logging_out_of_a_platform_that_is_away_forgets_all_the_same() {
    let paas = Paas::new().unset("PAAS_API_KEY").on("GET /account", account());
    paas.run_with(&["login", "--token"], "the-token\n");
    let paas = paas.set("PAAS_URL", "http://127.0.0.1:1");
    assert_snapshot!(paas.run("logout"), @r"
    exit: 0
    --- stderr
     !    Warning: the token could not be revoked: Couldn't reach http://127.0.0.1:1: connection refused
    Logging out... done
    ");
    assert_eq!(paas.netrc(), "");
}

/// `paas login` and a browser that keeps the address it was given.
fn browser(paas: &Paas) -> String {
    let path = paas.home.path().join("browser");
    let seen = paas.home.path().join("seen");
    fs::write(&path, format!("#!/bin/sh\necho \"$1\" > {}\n", seen.display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_browser_finishes_a_login() {
    let pending = json!({ "browser_url": "/login/page-secret", "cli_url": "/auth/1", "token": "poll-token" });
    let paas = Paas::new()
        .unset("PAAS_API_KEY")
        .on("POST /auth", pending)
        // As it comes: blanks first, for as long as nobody has typed anything.
        .on(
            "GET /auth/1",
            Answer::text(
                200,
                "application/json; charset=utf-8",
                "  \n {\"access_token\":\"the-token\"}",
            ),
        )
        .on("GET /account", account());
    let told = paas.run_with(&["login", "--browser", &browser(&paas)], "");
    assert_snapshot!(without_description(&told), @r#"
    exit: 0
    --- stderr
    Opening browser to http://127.0.0.1:5050
    If the browser does not open, visit:
    http://127.0.0.1:5050/login/page-secret
    Waiting for login... done
    Logged in as dev@example.com
    --- requests
    POST /auth | no authorization | {"description":"[machine]"}
    GET /auth/1 | Bearer poll-token
    GET /account
    "#);
    assert!(paas.netrc().contains("password the-token"));
}

#[test]
fn a_login_that_nobody_finishes_says_so() {
    let pending = json!({ "browser_url": "/login/page-secret", "cli_url": "/auth/1", "token": "poll-token" });
    let paas = Paas::new().unset("PAAS_API_KEY").on("POST /auth", pending).on(
        "GET /auth/1",
        json!({ "error": "This login took too long. Please log in again." }),
    );
    let told = paas.run_with(&["login", "--browser", "/does/not/exist"], "");
    assert_snapshot!(without_description(&told), @r#"
    exit: 1
    --- stderr
    Opening browser to http://127.0.0.1:5050
    If the browser does not open, visit:
    http://127.0.0.1:5050/login/page-secret
    Waiting for login... !
     !    This login took too long. Please log in again.
    --- requests
    POST /auth | no authorization | {"description":"[machine]"}
    GET /auth/1 | Bearer poll-token
    "#);
    assert!(!paas.home.path().join(".netrc").exists());
}

#[test]
fn a_session_is_ended_by_itself() {
    let paas = Paas::new()
        .unset("PAAS_API_KEY")
        .on("GET /account", account())
        .on("GET /oauth/authorizations", json!([]))
        .on("DELETE /oauth/sessions/~", json!({}));
    paas.run_with(&["login", "--token"], "the-token\n");
    assert_snapshot!(paas.run("logout"), @r"
    exit: 0
    --- stderr
    Logging out... done
    --- requests
    GET /oauth/authorizations | range=id ..; max=1000
    DELETE /oauth/sessions/~
    ");
}

#[test]
fn a_code_is_asked_for_where_one_is_wanted() {
    let wanted = Answer::error(403, "two_factor", "A second authentication factor is required.");
    let paas = Paas::new()
        .unset("PAAS_API_KEY")
        .on("POST /oauth/authorizations", wanted);
    let told = paas.run_with(&["login", "--email", "dev@example.com", "--password-stdin"], "secret\n");
    assert_snapshot!(without_description(&told), @r#"
    exit: 1
    --- stderr
    Logging in... !
     !    There is no terminal to ask on for a two-factor code

    hint: pass `--token`
    --- requests
    POST /oauth/authorizations | Basic ZGV2QGV4YW1wbGUuY29tOnNlY3JldA== | {"description":"[machine]","expires_in":31536000,"scope":["global"]}
    "#);
}
