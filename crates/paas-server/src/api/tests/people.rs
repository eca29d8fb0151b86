//! Who somebody is: tokens, sessions, keys, passwords, the second factor.

use axum::body::Body;
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::TimeDelta;
use http::{HeaderValue, Method, Request, StatusCode, header};
use insta::assert_json_snapshot;
use paas_store::{account, authorization, two_factor};
use serde_json::{Value, json};

use super::server::{Answer, EMAIL, PASSWORD, Server, server};
use crate::api::totp;

pub(super) const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII4qoFY4J3uNg3WHSC8QX+kLAXWX/KPo0pGKeCrQ/SI8 ada@laptop";

impl Server {
    /// `login -i`
    pub(super) async fn log_in(&self, password: &str, code: Option<&str>) -> Answer {
        let basic = BASE64_STANDARD.encode(format!("{EMAIL}:{password}"));
        let mut request = Request::post("/oauth/authorizations")
            .header(header::AUTHORIZATION, format!("Basic {basic}"))
            .body(Body::from(r#"{"expires_in":60,"scope":["global"]}"#))
            .unwrap();
        if let Some(code) = code {
            let code = HeaderValue::from_str(code).unwrap();
            request.headers_mut().insert("heroku-two-factor-code", code);
        }
        self.send(request).await
    }

    /// A change of the account, with a code.
    async fn patch_account(&self, body: Value, code: Option<&str>) -> Answer {
        let mut request = self
            .request(Method::PATCH, "/account")
            .map(|_| Body::from(body.to_string()));
        if let Some(code) = code {
            let code = HeaderValue::from_str(code).unwrap();
            request.headers_mut().insert("heroku-two-factor-code", code);
        }
        self.send(request).await
    }

    async fn with_token(&self, method: Method, path: &str, token: &str) -> Answer {
        let mut request = self.request(method, path);
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        self.send(request).await
    }

    /// What an authenticator app with the person's secret shows now.
    async fn code(&self) -> String {
        let mut connection = self.platform.store.connection().await.unwrap();
        let sealer = &self.platform.store.sealer;
        let factor = two_factor::get(&mut connection, sealer, self.account.id).await.unwrap();
        totp::code_of(self.platform.clock.now().timestamp() / 30, &factor.unwrap().secret)
    }

    /// The next code comes.
    fn next_step(&self) {
        self.platform.clock.advance(TimeDelta::seconds(30));
    }

    /// Turns the second factor on; gives the recovery codes.
    pub(super) async fn turn_two_factor_on(&self) -> Vec<String> {
        let begun = self.post("/account/two-factor", json!({ "password": PASSWORD })).await;
        assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text);
        let body = json!({ "code": self.code().await });
        let codes = self.post("/account/two-factor/actions/confirm", body).await.ok();
        self.next_step();
        serde_json::from_value(codes).unwrap()
    }
}

fn refusal(answer: &Answer) -> String {
    let body = answer.json();
    format!(
        "{} {}: {}",
        answer.status.as_u16(),
        body["id"].as_str().unwrap(),
        body["message"].as_str().unwrap()
    )
}

#[tokio::test]
async fn an_authorization_keeps_its_scope_and_its_life_and_shows_its_token_once() {
    let server = server().await;
    server.tick();
    let wanted = json!({ "description": "ci", "expires_in": "3600", "scope": ["write", "read", "read"] });
    let made = server.post("/oauth/authorizations", wanted).await.ok();
    assert_eq!(made["scope"], json!(["read", "write"]));
    assert_eq!(made["access_token"]["expires_in"], 3600);
    let token = made["access_token"]["token"].as_str().unwrap();
    server.tick();
    let listed = server.get("/oauth/authorizations").await.ok();
    let tokens: Vec<_> = [0, 1]
        .map(|index| listed[index]["access_token"]["token"].as_str().unwrap())
        .into();
    assert_eq!(tokens[0], server.token, "the token that asks is shown to itself");
    let (first, last) = tokens[1].split_once("**********").unwrap();
    assert!(
        token.starts_with(first) && token.ends_with(last) && first.len() + last.len() < 20,
        "{}",
        tokens[1]
    );
    assert!(!server.token.starts_with(first));
    let path = format!("/oauth/authorizations/{}", made["id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.ok()["access_token"]["expires_in"], 3599);

    server.platform.clock.advance(TimeDelta::hours(1));
    assert_eq!(
        server.with_token(Method::GET, "/account", token).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(server.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        server.get("/oauth/authorizations").await.column("description"),
        ["test"]
    );
    for bad in [json!([]), json!(["all"]), json!(["read", ""])] {
        let refused = server.post("/oauth/authorizations", json!({ "scope": bad })).await;
        assert_eq!(
            refusal(&refused),
            "422 invalid_params: Scope must be one or more of global, identity, read, write, read-protected, write-protected."
        );
    }
    let key = server.get("/oauth/authorizations/~").await;
    assert_eq!(
        (key.status, &key.json()["resource"]),
        (StatusCode::NOT_FOUND, &json!("authorization"))
    );
}

#[tokio::test]
async fn an_authorization_is_described_anew_rotated_and_revoked() {
    let server = server().await;
    let made = server
        .post("/oauth/authorizations", json!({ "description": "ci" }))
        .await
        .ok();
    let path = format!("/oauth/authorizations/{}", made["id"].as_str().unwrap());
    let old = made["access_token"]["token"].as_str().unwrap().to_owned();
    server.tick();
    let described = server.patch(&path, json!({ "description": "deploys" })).await.ok();
    assert_eq!(
        (&described["description"], &described["updated_at"]),
        (&json!("deploys"), &json!("2026-01-02T03:04:06Z"))
    );
    assert_eq!(
        server.with_token(Method::GET, "/account", &old).await.status,
        StatusCode::OK
    );

    let rotated = server
        .post(&format!("{path}/actions/regenerate-tokens"), json!({}))
        .await
        .ok();
    let new = rotated["access_token"]["token"].as_str().unwrap().to_owned();
    assert_eq!(
        (&rotated["id"], &rotated["description"]),
        (&made["id"], &json!("deploys"))
    );
    assert_eq!(
        server.with_token(Method::GET, "/account", &old).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        server.with_token(Method::GET, "/account", &new).await.status,
        StatusCode::OK
    );

    let eve = server.stranger("eve@example.com").await;
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::PATCH, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::POST, format!("{path}/actions/regenerate-tokens")),
    ] {
        assert_eq!(
            server.with_token(method, &path, &eve).await.status,
            StatusCode::NOT_FOUND
        );
    }
    assert_eq!(server.delete(&path).await.ok()["description"], "deploys");
    assert_eq!(
        server.with_token(Method::GET, "/account", &new).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(server.delete(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_client_is_registered_shown_to_its_owner_and_named_by_a_token() {
    let server = server().await;
    let new = json!({ "name": "Amazing", "redirect_uri": "https://example.com/callback" });
    let made = server.post("/oauth/clients", new).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let made = made.json();
    assert_json_snapshot!(made, { ".id" => "[id]", ".secret" => "[secret]" }, @r#"
    {
      "created_at": "2026-01-02T03:04:05Z",
      "id": "[id]",
      "ignores_delinquent": null,
      "name": "Amazing",
      "redirect_uri": "https://example.com/callback",
      "secret": "[secret]",
      "updated_at": "2026-01-02T03:04:05Z"
    }
    "#);
    let id = made["id"].as_str().unwrap();
    let path = format!("/oauth/clients/{id}");
    assert_eq!(server.get(&path).await.ok(), made);
    assert_eq!(server.get("/oauth/clients").await.ok(), json!([made]));
    let eve = server.stranger("eve@example.com").await;
    assert_eq!(
        server.with_token(Method::GET, &path, &eve).await.status,
        StatusCode::NOT_FOUND
    );

    let authorization = server
        .post("/oauth/authorizations", json!({ "description": "x" }))
        .await
        .ok();
    let authorization = format!("/oauth/authorizations/{}", authorization["id"].as_str().unwrap());
    let wrong = json!({ "client": { "id": id, "secret": "wrong" } });
    assert_eq!(
        server.patch(&authorization, wrong).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let right = json!({ "client": { "id": id, "secret": made["secret"] } });
    assert_eq!(
        server.patch(&authorization, right).await.ok()["client"]["name"],
        "Amazing"
    );

    let renamed = server.patch(&path, json!({ "name": "Better" })).await.ok();
    assert_eq!(
        (&renamed["name"], &renamed["secret"]),
        (&json!("Better"), &made["secret"])
    );
    let rotated = server
        .post(&format!("{path}/actions/rotate-credentials"), json!({}))
        .await
        .ok();
    assert_ne!(rotated["secret"], made["secret"]);
    for url in ["http://example.com/", "nonsense", "ftp://example.com", "/callback"] {
        let refused = server
            .post("/oauth/clients", json!({ "name": "x", "redirect_uri": url }))
            .await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{url}");
    }
    let local = json!({ "name": "x", "redirect_uri": "http://127.0.0.1:3000/cb" });
    assert_eq!(server.post("/oauth/clients", local).await.status, StatusCode::CREATED);
    server.delete(&path).await.ok();
    assert_eq!(server.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get(&authorization).await.ok()["client"], Value::Null);
}

#[tokio::test]
async fn keys_are_shown_as_heroku_shows_them_and_belong_to_one_person() {
    let server = server().await;
    let made = server
        .post("/account/keys", json!({ "public_key": format!("{KEY}\n") }))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_json_snapshot!(made.json(), { ".id" => "[id]" }, @r#"
    {
      "comment": "ada@laptop",
      "created_at": "2026-01-02T03:04:05Z",
      "email": "ada@example.com",
      "fingerprint": "85:75:d6:f4:32:ef:f0:fc:a3:3f:7a:c9:9b:9a:02:04",
      "id": "[id]",
      "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII4qoFY4J3uNg3WHSC8QX+kLAXWX/KPo0pGKeCrQ/SI8 ada@laptop",
      "updated_at": "2026-01-02T03:04:05Z"
    }
    "#);
    assert_eq!(server.get("/account/keys").await.ok(), json!([made.json()]));
    let again = server.post("/account/keys", json!({ "public_key": KEY })).await;
    assert_eq!(
        refusal(&again),
        "422 invalid_params: This SSH key is on your account already."
    );
    let eve = server.stranger("eve@example.com").await;
    let mut request = server.request(Method::POST, "/account/keys");
    let bearer = HeaderValue::from_str(&format!("Bearer {eve}")).unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    let taken = server
        .send(request.map(|_| Body::from(json!({ "public_key": KEY }).to_string())))
        .await;
    assert!(refusal(&taken).contains("on another account already"), "{}", taken.text);
    let private = server
        .post(
            "/account/keys",
            json!({ "public_key": "-----BEGIN RSA PRIVATE KEY-----" }),
        )
        .await;
    assert!(refusal(&private).contains("keep it to yourself"), "{}", private.text);

    let fingerprint = "85:75:d6:f4:32:ef:f0:fc:a3:3f:7a:c9:9b:9a:02:04";
    assert_eq!(
        server
            .with_token(Method::DELETE, &format!("/account/keys/{fingerprint}"), &eve)
            .await
            .status,
        StatusCode::NOT_FOUND
    );
    let sha256 = "SHA256%3A3JhfXqNga2%2B%2Bt6NYwmLgr5X0DdpuBt5k7%2FXkd%2F2sLKY";
    assert_eq!(server.get(&format!("/account/keys/{sha256}")).await.ok(), made.json());
    server.delete(&format!("/account/keys/{fingerprint}")).await.ok();
    assert_eq!(server.get("/account/keys").await.ok(), json!([]));
}

#[tokio::test]
async fn a_profile_changes_by_itself_and_a_password_with_the_old_one() {
    let server = server().await;
    server.set_password().await;
    let named = server
        .patch("/account", json!({ "name": "Ada", "beta": true }))
        .await
        .ok();
    assert_eq!(
        (&named["name"], &named["beta"], &named["allow_tracking"]),
        (&json!("Ada"), &json!(true), &json!(false))
    );
    assert_eq!(
        server.patch("/users/~", json!({ "name": "" })).await.ok()["name"],
        Value::Null
    );

    let other = server.log_in(PASSWORD, None).await.ok();
    let other = other["access_token"]["token"].as_str().unwrap().to_owned();
    let new = "another horse";
    for (body, message) in [
        (json!({ "new_password": new }), "This needs the password"),
        (
            json!({ "new_password": new, "password": "wrong" }),
            "The password is not right",
        ),
        (
            json!({ "new_password": "short", "password": PASSWORD }),
            "the password is too short",
        ),
        (
            json!({ "email": "nonsense", "password": PASSWORD }),
            "must be an email address",
        ),
        (json!({ "email": "eve@example.com" }), "This needs the password"),
    ] {
        let refused = server.patch("/account", body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.text.contains(message), "{}", refused.text);
    }
    assert_eq!(
        server.with_token(Method::GET, "/account", &other).await.status,
        StatusCode::OK
    );
    server
        .patch("/account", json!({ "new_password": new, "password": PASSWORD }))
        .await
        .ok();
    assert_eq!(
        server.with_token(Method::GET, "/account", &other).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        server.get("/account").await.status,
        StatusCode::OK,
        "the token that asked stays"
    );
    assert_eq!(server.log_in(PASSWORD, None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.log_in(new, None).await.status, StatusCode::CREATED);

    server.stranger("eve@example.com").await;
    let taken = server
        .patch("/account", json!({ "email": "EVE@example.com", "password": new }))
        .await;
    assert_eq!(refusal(&taken), "422 invalid_params: Email is already taken.");
    let moved = server
        .patch("/account", json!({ "email": "ada@example.org", "password": new }))
        .await
        .ok();
    assert_eq!(moved["email"], "ada@example.org");
}

#[tokio::test]
async fn a_disabled_account_can_do_nothing() {
    let server = server().await;
    server.set_password().await;
    let mut connection = server.platform.store.connection().await.unwrap();
    let now = server.platform.clock.now();
    account::set_disabled(&mut connection, server.account.id, true, now)
        .await
        .unwrap();
    assert_eq!(server.get("/account").await.status, StatusCode::UNAUTHORIZED);
    let refused = server.log_in(PASSWORD, None).await;
    assert_eq!(
        refusal(&refused),
        "403 suspended: This account is disabled. Please talk to the operator of this platform."
    );
    assert_eq!(server.log_in("wrong", None).await.status, StatusCode::UNAUTHORIZED);
    account::set_disabled(&mut connection, server.account.id, false, now)
        .await
        .unwrap();
    assert_eq!(server.get("/account").await.status, StatusCode::OK);
}

#[tokio::test]
async fn with_two_factors_a_login_needs_a_code_that_is_good_once() {
    let server = server().await;
    server.set_password().await;
    let refused = server.post("/account/two-factor", json!({ "password": "wrong" })).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let begun = server
        .post("/account/two-factor", json!({ "password": PASSWORD }))
        .await
        .ok();
    let url = begun["otpauth_url"].as_str().unwrap();
    assert!(
        url.starts_with("otpauth://totp/example%2Etest:ada%40example%2Ecom?secret="),
        "{url}"
    );
    assert_eq!(
        server.log_in(PASSWORD, None).await.status,
        StatusCode::CREATED,
        "not asked for before it is proved"
    );

    let codes = server.turn_two_factor_on().await;
    assert_eq!((codes.len(), codes[0].len()), (10, 19));
    assert_eq!(server.get("/account").await.ok()["two_factor_authentication"], true);
    let missing = server.log_in(PASSWORD, None).await;
    assert!(
        refusal(&missing).starts_with("403 two_factor: A second authentication factor is required"),
        "{}",
        missing.text
    );
    assert_eq!(
        server.log_in("wrong", Some(&server.code().await)).await.status,
        StatusCode::UNAUTHORIZED
    );
    let code = server.code().await;
    assert_eq!(server.log_in(PASSWORD, Some(&code)).await.status, StatusCode::CREATED);
    let replayed = server.log_in(PASSWORD, Some(&code)).await;
    assert!(refusal(&replayed).starts_with("403 two_factor: That code is not right, or was used before"));

    let spaced = codes[0].replace('-', " ").to_uppercase();
    assert_eq!(server.log_in(PASSWORD, Some(&spaced)).await.status, StatusCode::CREATED);
    assert_eq!(
        server.log_in(PASSWORD, Some(&codes[0])).await.status,
        StatusCode::FORBIDDEN
    );
    let again = server
        .post("/account/two-factor", json!({ "password": PASSWORD }))
        .await;
    assert!(again.text.contains("is on already"), "{}", again.text);
}

#[tokio::test]
async fn codes_cannot_be_guessed() {
    let server = server().await;
    server.set_password().await;
    server.turn_two_factor_on().await;
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(server.log_in(PASSWORD, Some("000000")).await.status.as_u16());
    }
    assert_eq!(statuses, [403, 403, 403, 403, 403, 429, 429, 429]);
    let right = server.code().await;
    let waiting = server.log_in(PASSWORD, Some(&right)).await;
    assert_eq!(waiting.header("retry-after"), Some("1"));
    server.next_step();
    let right = server.code().await;
    assert_eq!(server.log_in(PASSWORD, Some(&right)).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn the_second_factor_ends_with_a_password_and_a_code() {
    let server = server().await;
    server.set_password().await;
    let old = server.turn_two_factor_on().await;
    let off = json!({ "two_factor_authentication": "false", "password": PASSWORD });
    let missing = server.patch_account(off.clone(), None).await;
    assert_eq!(
        (missing.status, &missing.json()["id"]),
        (StatusCode::FORBIDDEN, &json!("two_factor"))
    );
    let change = json!({ "new_password": "another horse", "password": PASSWORD });
    assert_eq!(server.patch_account(change, None).await.status, StatusCode::FORBIDDEN);

    let mut request = server.request(Method::POST, "/account/recovery-codes");
    request
        .headers_mut()
        .insert("heroku-password", HeaderValue::from_static(PASSWORD));
    let code = HeaderValue::from_str(&server.code().await).unwrap();
    request.headers_mut().insert("heroku-two-factor-code", code);
    let new: Vec<String> = serde_json::from_value(server.send(request).await.ok()).unwrap();
    assert_eq!(
        server.log_in(PASSWORD, Some(&old[1])).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(server.log_in(PASSWORD, Some(&new[1])).await.status, StatusCode::CREATED);

    server.next_step();
    let code = server.code().await;
    let account = server.patch_account(off, Some(&code)).await.ok();
    assert_eq!(account["two_factor_authentication"], false);
    assert_eq!(server.log_in(PASSWORD, None).await.status, StatusCode::CREATED);
    assert_eq!(
        server.log_in(PASSWORD, Some(&new[2])).await.status,
        StatusCode::CREATED,
        "codes are not looked at"
    );
}

#[tokio::test]
async fn a_session_is_listed_by_itself_and_ends_itself() {
    let server = server().await;
    let missing = server.delete("/oauth/sessions/~").await;
    assert_eq!(
        (missing.status, &missing.json()["resource"]),
        (StatusCode::NOT_FOUND, &json!("session"))
    );
    let token = authorization::Token::generate();
    let now = server.platform.clock.now();
    let new = authorization::NewAuthorization {
        account: server.account.id,
        token_hash: token.hash(),
        description: "laptop".to_owned(),
        scope: vec!["global".to_owned()],
        expires_at: Some(now + TimeDelta::hours(1)),
    };
    let mut connection = server.platform.store.connection().await.unwrap();
    authorization::create_session(&mut connection, new, now).await.unwrap();
    let sessions = server.get("/oauth/sessions").await.ok();
    assert_json_snapshot!(sessions, { "[].id" => "[id]" }, @r#"
    [
      {
        "created_at": "2026-01-02T03:04:05Z",
        "description": "laptop",
        "expires_in": 3600,
        "id": "[id]",
        "updated_at": "2026-01-02T03:04:05Z"
      }
    ]
    "#);
    assert_eq!(
        server.get("/oauth/authorizations").await.column("description"),
        ["test"]
    );
    let ended = server
        .with_token(Method::DELETE, "/oauth/sessions/~", token.as_str())
        .await
        .ok();
    assert_eq!(ended["id"], sessions[0]["id"]);
    assert_eq!(
        server.with_token(Method::GET, "/account", token.as_str()).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(server.get("/oauth/sessions").await.ok(), json!([]));
}
