use std::fs;

use insta::assert_snapshot;
use serde_json::json;

use crate::{
    answers::{account, authorization, but, key, oauth_client, session},
    platform::{Answer, Paas},
};

const ID: &str = "01234567-89ab-7def-8123-456789abcdef";

#[test]
fn authorizations_are_listed_by_description() {
    let paas = Paas::new().on("GET /oauth/authorizations", json!([])).on(
        "GET /oauth/authorizations",
        json!([
            authorization("a"),
            but(
                authorization("b"),
                &json!({ "description": "ci", "scope": ["read", "write"] })
            )
        ]),
    );
    assert_snapshot!(paas.run("authorizations"), @r"
    exit: 0
    --- stdout
    No OAuth authorizations.
    --- requests
    GET /oauth/authorizations | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("authorizations"), @r"
    exit: 0
    --- stdout
      Description   ID                                     Scope
     ─────────────────────────────────────────────────────────────────
      ci            01234567-89ab-7def-8123-456789abcdef   read,write
      test          01234567-89ab-7def-8123-456789abcdef   global

    --- requests
    GET /oauth/authorizations | range=id ..; max=1000
    ");
}

/// Without the time since, which grows.
fn without_age(told: &str) -> String {
    let lines = told.lines().map(|line| line.split(" (~ ").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn an_authorization_is_made_shown_changed_and_revoked() {
    let made = but(
        authorization("paas-new"),
        &json!({ "description": "ci", "scope": ["read"] }),
    );
    let path = format!("/oauth/authorizations/{ID}");
    let paas = Paas::new()
        .on("POST /oauth/authorizations", Answer::json(201, &made))
        .on(&format!("GET {path}"), made.clone())
        .on(&format!("PATCH {path}"), made.clone())
        .on(&format!("POST {path}/actions/regenerate-tokens"), made.clone())
        .on(&format!("DELETE {path}"), made);
    assert_snapshot!(without_age(&paas.run("authorizations:create -d ci -e 60 -s read,write")), @r#"
    exit: 0
    --- stdout
    Client:      <none>
    ID:          01234567-89ab-7def-8123-456789abcdef
    Description: ci
    Scope:       read
    Token:       paas-new
    Updated at:  2026/01/02 03:04:05 +0000
    --- stderr
    Creating OAuth Authorization... done
    --- requests
    POST /oauth/authorizations | {"description":"ci","expires_in":60,"scope":["read","write"]}
    "#);
    assert_snapshot!(paas.run("authorizations:create -S"), @r"
    exit: 0
    --- stdout
    paas-new
    --- stderr
    Creating OAuth Authorization... done
    --- requests
    POST /oauth/authorizations | {}
    ");
    assert!(
        paas.run(&format!("authorizations:info {ID}"))
            .contains("Token:       paas-new")
    );
    assert_snapshot!(without_age(&paas.run(&format!("authorizations:update {ID} -d ci"))), @r#"
    exit: 0
    --- stdout
    Client:      <none>
    ID:          01234567-89ab-7def-8123-456789abcdef
    Description: ci
    Scope:       read
    Token:       paas-new
    Updated at:  2026/01/02 03:04:05 +0000
    --- stderr
    Updating OAuth Authorization... done
    --- requests
    PATCH /oauth/authorizations/01234567-89ab-7def-8123-456789abcdef | {"description":"ci"}
    "#);
    assert_snapshot!(without_age(&paas.run(&format!("authorizations:rotate {ID}"))), @r"
    exit: 0
    --- stdout
    Client:      <none>
    ID:          01234567-89ab-7def-8123-456789abcdef
    Description: ci
    Scope:       read
    Token:       paas-new
    Updated at:  2026/01/02 03:04:05 +0000
    --- stderr
    Rotating OAuth Authorization... done
    --- requests
    POST /oauth/authorizations/01234567-89ab-7def-8123-456789abcdef/actions/regenerate-tokens | {}
    ");
    assert_snapshot!(paas.run(&format!("authorizations:revoke {ID}")), @r"
    exit: 0
    --- stderr
    Revoking OAuth Authorization... done, revoked authorization from ci
    --- requests
    DELETE /oauth/authorizations/01234567-89ab-7def-8123-456789abcdef
    ");
    assert_snapshot!(paas.run(&format!("authorizations:update {ID}")), @r"
    exit: 2
    --- stderr
     !    Nothing to change: pass --description or --client-id
    ");
}

#[test]
fn keys_are_listed_uploaded_and_removed_by_their_comment() {
    let paas = Paas::new()
        .on("GET /account/keys", json!([]))
        .on("GET /account/keys", json!([key("ada@laptop")]))
        .on("POST /account/keys", Answer::json(201, &key("ada@laptop")))
        .on(&format!("DELETE /account/keys/{ID}"), key("ada@laptop"));
    assert_snapshot!(paas.run("keys"), @r"
    exit: 0
    --- stderr
     !    Warning: You have no SSH keys.
    --- requests
    GET /account/keys | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("keys"), @r"
    exit: 0
    --- stdout
    === dev@example.com keys

    ssh-ed25519 AAAAC3NzaC...Ng3WHSC8QX ada@laptop
    --- requests
    GET /account/keys | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("keys -l"), @r"
    exit: 0
    --- stdout
    === dev@example.com keys

    ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII4qoFY4J3uNg3WHSC8QX ada@laptop
    --- requests
    GET /account/keys | range=id ..; max=1000
    ");
    fs::write(paas.directory().join("id.pub"), "ssh-ed25519 AAAA ada@laptop\n").unwrap();
    assert_snapshot!(paas.run("keys:add id.pub"), @r#"
    exit: 0
    --- stderr
    Uploading id.pub SSH key... done
    --- requests
    POST /account/keys | {"public_key":"ssh-ed25519 AAAA ada@laptop\n"}
    "#);
    assert_snapshot!(paas.run("keys:remove eve@laptop"), @r"
    exit: 1
    --- stderr
    Removing eve@laptop SSH key... !
     !    SSH Key eve@laptop not found.
     !    Found keys: ada@laptop.
    --- requests
    GET /account/keys | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("keys:remove ada@laptop"), @r"
    exit: 0
    --- stderr
    Removing ada@laptop SSH key... done
    --- requests
    GET /account/keys | range=id ..; max=1000
    DELETE /account/keys/01234567-89ab-7def-8123-456789abcdef
    ");
    assert_snapshot!(paas.run("keys:clear"), @r"
    exit: 0
    --- stderr
    Removing all SSH keys... done
    --- requests
    GET /account/keys | range=id ..; max=1000
    DELETE /account/keys/01234567-89ab-7def-8123-456789abcdef
    ");
}

#[test]
fn sessions_are_listed_and_ended() {
    let paas = Paas::new()
        .on("GET /oauth/sessions", json!([session("paas login from laptop")]))
        .on(&format!("DELETE /oauth/sessions/{ID}"), session("x"));
    assert_snapshot!(paas.run("sessions"), @r"
    exit: 0
    --- stdout
      Description              ID
     ───────────────────────────────────────────────────────────────
      paas login from laptop   01234567-89ab-7def-8123-456789abcdef

    --- requests
    GET /oauth/sessions | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run(&format!("sessions:destroy {ID}")), @r"
    exit: 0
    --- stderr
    Destroying 01234567-89ab-7def-8123-456789abcdef... done
    --- requests
    DELETE /oauth/sessions/01234567-89ab-7def-8123-456789abcdef
    ");
}

#[test]
fn clients_are_registered_shown_and_changed() {
    let path = format!("/oauth/clients/{ID}");
    let paas = Paas::new()
        .on("GET /oauth/clients", json!([oauth_client()]))
        .on("POST /oauth/clients", Answer::json(201, &oauth_client()))
        .on(&format!("GET {path}"), oauth_client())
        .on(&format!("PATCH {path}"), oauth_client())
        .on(&format!("POST {path}/actions/rotate-credentials"), oauth_client())
        .on(&format!("DELETE {path}"), oauth_client());
    assert_snapshot!(paas.run("clients"), @r"
    exit: 0
    --- stdout
      name      id                                     redirect_uri
     ───────────────────────────────────────────────────────────────────────────────
      Amazing   01234567-89ab-7def-8123-456789abcdef   https://example.com/callback

    --- requests
    GET /oauth/clients | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("clients:create Amazing https://example.com/callback"), @r#"
    exit: 0
    --- stdout
    HEROKU_OAUTH_ID=01234567-89ab-7def-8123-456789abcdef
    HEROKU_OAUTH_SECRET=the-secret
    --- stderr
    Creating Amazing... done
    --- requests
    POST /oauth/clients | {"name":"Amazing","redirect_uri":"https://example.com/callback"}
    "#);
    assert_snapshot!(paas.run(&format!("clients:info {ID}")), @r"
    exit: 0
    --- stdout
    === Amazing

    created_at:   2026-01-02T03:04:05Z
    id:           01234567-89ab-7def-8123-456789abcdef
    name:         Amazing
    redirect_uri: https://example.com/callback
    secret:       the-secret
    updated_at:   2026-01-02T03:04:05Z
    --- requests
    GET /oauth/clients/01234567-89ab-7def-8123-456789abcdef
    ");
    assert_snapshot!(paas.run(&format!("clients:rotate {ID} -s")), @r"
    exit: 0
    --- stdout
    HEROKU_OAUTH_ID=01234567-89ab-7def-8123-456789abcdef
    HEROKU_OAUTH_SECRET=the-secret
    --- stderr
    Updating 01234567-89ab-7def-8123-456789abcdef... done
    --- requests
    POST /oauth/clients/01234567-89ab-7def-8123-456789abcdef/actions/rotate-credentials | {}
    ");
    assert_snapshot!(paas.run(&format!("clients:update {ID} -n Better")), @r#"
    exit: 0
    --- stderr
    Updating 01234567-89ab-7def-8123-456789abcdef... done
    --- requests
    PATCH /oauth/clients/01234567-89ab-7def-8123-456789abcdef | {"name":"Better"}
    "#);
    assert_snapshot!(paas.run(&format!("clients:destroy {ID}")), @r"
    exit: 0
    --- stderr
    Destroying 01234567-89ab-7def-8123-456789abcdef... done
    --- requests
    DELETE /oauth/clients/01234567-89ab-7def-8123-456789abcdef
    ");
}

#[test]
fn the_second_factor_is_told_and_needs_a_person_to_change() {
    let on = but(account(), &json!({ "two_factor_authentication": true }));
    let paas = Paas::new().on("GET /account", account()).on("GET /account", on);
    assert_snapshot!(paas.run("auth:2fa"), @r"
    exit: 0
    --- stdout
    Two-factor authentication is not enabled
    --- requests
    GET /account
    ");
    assert_snapshot!(paas.run("2fa"), @r"
    exit: 0
    --- stdout
    Two-factor authentication is enabled
    --- requests
    GET /account
    ");
    assert_snapshot!(paas.run("auth:2fa:enable"), @r"
    exit: 1
    --- stderr
     !    There is no terminal to ask on for a password

    hint: run this in a terminal
    ");
}
