//! What a person allows to an OAuth client, by a second factor, a proof of its own and the clock.

use axum::body::Body;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::server::{Answer, EMAIL, PASSWORD, Server, server};

const CALLBACK: &str = "https://dash.example.com/callback";
const VERIFIER: &str = "what only the program knows, and nobody on the way";

impl Server {
    async fn oauth_client(&self) -> (String, String) {
        let new = json!({ "name": "Dash", "redirect_uri": CALLBACK });
        let client = self.post("/oauth/clients", new).await.ok();
        let text = |name: &str| client[name].as_str().unwrap().to_owned();
        (text("id"), text("secret"))
    }

    async fn browse(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn fill_in(&self, path: &str, form: &str) -> Answer {
        let request = Request::post(path)
            .header(header::HOST, "api.example.test")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    /// Begins, and gives the password; the page that comes next.
    async fn asks_for_more(&self, query: &str) -> String {
        let begun = self.browse(&format!("/oauth/authorize?{query}")).await;
        assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.text);
        let page = begun.header("location").unwrap().to_owned();
        let form = format!(
            "email={}&password={}",
            EMAIL.replace('@', "%40"),
            PASSWORD.replace(' ', "+")
        );
        let next = self.goes_on(&page, &form).await;
        // Whoever sent the person the first page's address does not see theirs.
        assert_eq!(self.browse(&page).await.status, StatusCode::NOT_FOUND);
        assert_eq!(self.fill_in(&page, "allow=1").await.status, StatusCode::NOT_FOUND);
        next
    }

    /// The page that comes after this one.
    async fn goes_on(&self, page: &str, form: &str) -> String {
        let answer = self.fill_in(page, form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        answer.header("location").unwrap().to_owned()
    }

    /// The code that a page leads to when it is allowed.
    async fn allows(&self, page: &str) -> String {
        let allowed = self.fill_in(page, "allow=1").await;
        let location = allowed.header("location").unwrap();
        location.strip_prefix(&format!("{CALLBACK}?code=")).unwrap().to_owned()
    }

    async fn trade(&self, form: &str) -> (StatusCode, Value) {
        let answer = self.fill_in("/oauth/token", form).await;
        (answer.status, answer.json())
    }
}

#[tokio::test]
async fn a_code_is_for_whoever_began_and_for_five_minutes() {
    let server = server().await;
    server.set_password().await;
    let (id, secret) = server.oauth_client().await;
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let query = format!(
        "client_id={id}&response_type=code&scope=identity,read&code_challenge={challenge}&code_challenge_method=S256"
    );
    let page = server.asks_for_more(&query).await;
    // Nothing is allowed by anything but the button.
    let nothing = server.fill_in(&page, "").await;
    assert_eq!(nothing.header("location"), Some(page.as_str()));
    let code = server.allows(&page).await;
    let form = format!("grant_type=authorization_code&code={code}&client_secret={secret}");
    let (status, refused) = server.trade(&form).await;
    assert_eq!(
        (status, &refused["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_grant"))
    );
    let verifier = VERIFIER.replace(' ', "+").replace(',', "%2C");
    let (status, token) = server.trade(&format!("{form}&code_verifier={verifier}")).await;
    assert_eq!(status, StatusCode::OK, "{token}");
    assert_eq!(token["scope"], json!("identity read"));

    // What it is good for ends after eight hours, and can be renewed after that.
    let refresh = token["refresh_token"].as_str().unwrap();
    server.platform.clock.advance(TimeDelta::hours(9));
    let listed = server.get("/oauth/authorizations").await.column("description");
    assert!(listed.contains(&json!("Dash")), "{listed:?}");
    let renew = format!("grant_type=refresh_token&refresh_token={refresh}&client_secret={secret}");
    assert_eq!(server.trade(&renew).await.0, StatusCode::OK);
    let (_, other) = server.oauth_client().await;
    let (status, refused) = server.trade(&renew.replace(&secret, &other)).await;
    assert_eq!(
        (status, &refused["error"]),
        (StatusCode::UNAUTHORIZED, &json!("invalid_client"))
    );

    let page = server
        .asks_for_more(&format!("client_id={id}&response_type=code"))
        .await;
    let late = server.allows(&page).await;
    server.platform.clock.advance(TimeDelta::minutes(6));
    let form = format!("grant_type=authorization_code&code={late}&client_secret={secret}");
    assert_eq!(server.trade(&form).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(
        server.trade("grant_type=password").await.1["error"],
        "unsupported_grant_type"
    );
    let fragment = json!({ "name": "Dash", "redirect_uri": "https://dash.example.com/#app" });
    let refused = server.post("/oauth/clients", fragment).await;
    assert!(refused.text.contains("must have no fragment"), "{}", refused.text);
}

#[tokio::test]
async fn who_owes_a_code_is_asked_for_it_before_anything_is_allowed() {
    let server = server().await;
    server.set_password().await;
    let codes = server.turn_two_factor_on().await;
    let (id, _) = server.oauth_client().await;
    let page = server
        .asks_for_more(&format!("client_id={id}&response_type=code"))
        .await;
    assert!(server.browse(&page).await.text.contains("Two-factor code"));
    // The answer before the question is none.
    let early = server.fill_in(&page, "allow=1").await;
    assert_eq!(early.status, StatusCode::FORBIDDEN, "{}", early.text);
    let page = server.goes_on(&page, &format!("code={}", codes[0])).await;
    assert!(
        server
            .browse(&page)
            .await
            .text
            .contains("See your name and email address")
    );

    let elsewhere = Request::post(&page)
        .header(header::HOST, "api.example.test")
        .header(header::ORIGIN, "https://evil.example");
    let refused = server.send(elsewhere.body(Body::from("allow=1")).unwrap()).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let page = server.goes_on(&page, "again=1").await;
    assert!(server.browse(&page).await.text.contains("name=\"password\""));
    server.platform.clock.advance(TimeDelta::minutes(16));
    assert_eq!(server.browse(&page).await.status, StatusCode::NOT_FOUND);
}
