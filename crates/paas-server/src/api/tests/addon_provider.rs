//! Add-ons of a provider that this test runs itself. It follows the published reference (Dev Center, *Add-on Partner API
//! Reference*, *Asynchronous Provisioning of Add-ons*): what it is asked, how it answers, and what it says by itself.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, body::Bytes, extract::State, response::IntoResponse};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::TimeDelta;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use paas_store::app::AppRow;
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::server::{Answer, Server, server_with};
use crate::control::AddonsController;

/// However busy the machine is.
pub(super) const LIMIT: Duration = Duration::from_mins(1);

#[derive(Clone, Default)]
pub(super) struct Provider {
    /// The next answers; 200 without a word after the last.
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Clone, Debug)]
pub(super) struct Asked {
    line: String,
    headers: HeaderMap,
    pub(super) body: Value,
}

pub(super) struct World {
    pub(super) server: Server,
    pub(super) provider: Provider,
    pub(super) address: SocketAddr,
    /// `hello`
    pub(super) app: AppRow,
    _stop: DropGuard,
}

async fn answer(
    State(provider): State<Provider>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let asked = Asked {
        line: format!("{method} {uri}"),
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    provider.asked.lock().unwrap().push(asked);
    let next = provider.answers.lock().unwrap().pop_front();
    let (status, said) = next.unwrap_or((200, json!({})));
    (StatusCode::from_u16(status).unwrap(), Json(said)).into_response()
}

impl Provider {
    pub(super) fn will_answer(&self, status: u16, said: Value) {
        self.answers.lock().unwrap().push_back((status, said));
    }

    /// What it was asked so, most recently, once it was.
    pub(super) async fn asked(&self, start: &str) -> Asked {
        self.asked_times(start, 1).await
    }

    pub(super) async fn asked_times(&self, start: &str, times: usize) -> Asked {
        let find = async {
            loop {
                let mut found = self.asked.lock().unwrap().clone();
                found.retain(|asked| asked.line.starts_with(start));
                if found.len() >= times {
                    return found.pop().unwrap();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LIMIT, find)
            .await
            .unwrap_or_else(|_| panic!("it is asked {start} {times} times"))
    }
}

impl World {
    pub(super) async fn new() -> Self {
        let server = server_with(&["--local-drains"]).await;
        let provider = Provider::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let app = Router::new().fallback(answer).with_state(provider.clone());
        let serving = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
        server.platform.tracker.spawn(async move { serving.await.unwrap() });
        let addons = Arc::new(AddonsController::new(Arc::clone(&server.platform)));
        let platform = Arc::clone(&server.platform);
        platform.tracker.spawn(async move { addons.run().await.unwrap() });
        let app = server.app("hello").await;
        Self {
            app,
            server,
            provider,
            address,
            _stop: stop.drop_guard(),
        }
    }

    pub(super) fn manifest(&self) -> Value {
        json!({
            "id": "errorbucket",
            "name": "Errorbucket",
            "api": {
                "config_vars_prefix": "ERRORBUCKET",
                "config_vars": ["ERRORBUCKET_URL", "ERRORBUCKET_TOKEN"],
                "password": "the-password",
                "sso_salt": "the-salt",
                "regions": ["us"],
                "production": {
                    "base_url": format!("http://{}/heroku/resources", self.address),
                    "sso_url": format!("http://{}/sso/login", self.address)
                },
                "version": "3"
            }
        })
    }

    /// Its client secret.
    pub(super) async fn registers(&self) -> String {
        self.registers_as(self.manifest()).await
    }

    pub(super) async fn registers_as(&self, manifest: Value) -> String {
        let new = json!({ "manifest": manifest, "plans": ["basic", "large"] });
        let made = self.server.post("/addon-providers", new).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        made.json()["client_secret"].as_str().unwrap().to_owned()
    }

    pub(super) async fn creates(&self, plan: &str, options: Value) -> Value {
        let new = json!({ "plan": { "name": plan }, "config": options });
        let made = self.server.post("/apps/hello/addons", new).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        made.json()
    }

    pub(super) async fn becomes(&self, what: &str, path: &str, is_it: impl Fn(&Answer) -> bool) {
        let look = async {
            loop {
                let answer = self.server.get(path).await;
                if is_it(&answer) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(timeout(LIMIT, look).await.is_ok(), "{what}");
    }

    pub(super) async fn config_var(&self, key: &str) -> Option<String> {
        let config = self.server.get("/apps/hello/config-vars").await.ok();
        config[key].as_str().map(str::to_owned)
    }

    /// What a provider says by itself.
    pub(super) async fn says(&self, token: &str, method: Method, path: &str, body: Value) -> Answer {
        let mut request = self.server.request(method, path);
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        self.server.send(request.map(|_| body.to_string().into())).await
    }

    pub(super) async fn token(&self, form: &[(&str, &str)]) -> Answer {
        let form: Vec<_> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.server.request(Method::POST, "/oauth/token");
        request.headers_mut().remove(header::AUTHORIZATION);
        self.server.send(request.map(|_| form.join("&").into())).await
    }
}

#[tokio::test]
async fn a_provider_is_asked_for_its_add_ons_until_it_has_them() {
    let world = World::new().await;
    let (server, provider) = (&world.server, &world.provider);
    world.registers().await;
    let shown = server.get("/addon-providers").await;
    assert!(
        !shown.text.contains("the-password") && !shown.text.contains("the-salt"),
        "{}",
        shown.text
    );
    assert_eq!(
        server.get("/addon-services/errorbucket").await.ok()["human_name"],
        "Errorbucket"
    );
    let plans = server.get("/addon-services/errorbucket/plans").await;
    assert_eq!(
        plans.column("name"),
        [json!("errorbucket:basic"), json!("errorbucket:large")]
    );
    let unknown = server
        .post("/apps/hello/addons", json!({ "plan": { "name": "errorbucket:huge" } }))
        .await;
    assert!(
        unknown.text.contains("errorbucket:huge") && unknown.text.contains("basic, large"),
        "{}",
        unknown.text
    );

    // Away, then with words for people, then with what is not in its manifest, then well.
    provider.will_answer(503, json!({}));
    provider.will_answer(422, json!({ "message": "No more buckets today." }));
    provider.will_answer(
        200,
        json!({ "id": "9", "config": { "DATABASE_URL": "postgres://evil" } }),
    );
    provider.will_answer(
        201,
        json!({ "id": "9", "message": "Welcome!", "config": { "ERRORBUCKET_URL": "https://bucket.example.com/9" } }),
    );
    let made = world.creates("errorbucket", json!({ "color": "green" })).await;
    let (id, name) = (made["id"].as_str().unwrap(), made["name"].as_str().unwrap());
    assert_eq!(made["config_vars"], json!(["ERRORBUCKET_URL", "ERRORBUCKET_TOKEN"]));
    let path = format!("/addons/{id}");
    let first = provider.asked("POST /heroku/resources").await;
    world
        .becomes("what it says is shown", &path, |answer| {
            answer.text.contains("Errorbucket says: No more buckets today.")
        })
        .await;
    for (times, words) in [(3, "DATABASE_URL is no config var of the manifest"), (4, "Welcome!")] {
        server.platform.clock.advance(TimeDelta::minutes(10));
        server.platform.wake_addons.notify_one();
        let again = provider.asked_times("POST /heroku/resources", times).await;
        // The same add-on: whoever has it already gives the same answer.
        assert_eq!(
            (&again.body["uuid"], &again.body["plan"]),
            (&json!(id), &json!("basic"))
        );
        world.becomes(words, &path, |answer| answer.text.contains(words)).await;
    }
    world
        .becomes("it is provisioned", &path, |answer| {
            answer.json()["state"] == "provisioned"
        })
        .await;
    let basic = format!("Basic {}", BASE64_STANDARD.encode("errorbucket:the-password"));
    assert_eq!(first.headers[header::AUTHORIZATION], basic.as_str());
    assert_eq!(
        first.headers[header::ACCEPT],
        "application/vnd.heroku-addons+json; version=3"
    );
    assert_eq!(
        (
            &first.body["name"],
            &first.body["options"],
            &first.body["oauth_grant"]["type"]
        ),
        (&json!(name), &json!({ "color": "green" }), &json!("authorization_code"))
    );
    assert_eq!(first.body["region"], "amazon-web-services::us-east-1");
    assert!(
        first.body["callback_url"]
            .as_str()
            .unwrap()
            .ends_with(&format!("/addons/{id}"))
    );
    assert_eq!(
        world.config_var("ERRORBUCKET_URL").await.as_deref(),
        Some("https://bucket.example.com/9")
    );
    assert_eq!(world.config_var("DATABASE_URL").await, None);

    changes_and_ends(&world, id).await;
}

/// Another plan, with another address; its page; and its end.
async fn changes_and_ends(world: &World, id: &str) {
    let (server, provider, path) = (&world.server, &world.provider, format!("/addons/{id}"));
    provider.will_answer(
        200,
        json!({ "config": { "ERRORBUCKET_URL": "https://large.example.com/9" } }),
    );
    let plan = json!({ "plan": { "name": "errorbucket:large" } });
    server.patch(&format!("/apps/hello{path}"), plan).await.ok();
    let changed = provider.asked(&format!("PUT /heroku/resources/{id}")).await;
    assert_eq!(changed.body, json!({ "plan": "large" }));
    world
        .becomes("the app has the new address", "/apps/hello/config-vars", |answer| {
            answer.json()["ERRORBUCKET_URL"] == "https://large.example.com/9"
        })
        .await;

    // Its page, and its end: which it has heard of before.
    let sso = server.get(&format!("{path}/sso")).await.ok();
    assert_eq!(
        (&sso["method"], &sso["params"]["resource_id"]),
        (&json!("post"), &json!(id))
    );
    let in_use = server.delete("/addon-providers/errorbucket").await;
    assert!(
        in_use.text.contains("Apps have add-ons of this provider"),
        "{}",
        in_use.text
    );
    provider.will_answer(500, json!({}));
    provider.will_answer(410, json!({}));
    server.delete(&format!("/apps/hello{path}")).await.ok();
    provider.asked_times(&format!("DELETE /heroku/resources/{id}"), 2).await;
    let is_gone = async || server.delete("/addon-providers/errorbucket").await.status == StatusCode::OK;
    let gone = async {
        while !is_gone().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(LIMIT, gone).await.is_ok(), "its row goes");
    assert_eq!(world.config_var("ERRORBUCKET_URL").await, None);
}

#[tokio::test]
async fn a_provider_that_takes_its_time_says_when_it_is_done() {
    let world = World::new().await;
    let (server, provider) = (&world.server, &world.provider);
    let secret = world.registers().await;
    for _ in 0..2 {
        provider.will_answer(202, json!({ "id": "10", "message": "Buckets are being made." }));
    }
    let made = world.creates("errorbucket:large", json!({})).await;
    let other = world.creates("errorbucket:basic", json!({})).await;
    let (id, other) = (made["id"].as_str().unwrap(), other["id"].as_str().unwrap());
    provider.asked_times("POST /heroku/resources", 2).await;
    let code_of = |id: &str| {
        let asked = provider.asked.lock().unwrap();
        let asked = asked.iter().find(|asked| asked.body["uuid"] == id).unwrap();
        asked.body["oauth_grant"]["code"].as_str().unwrap().to_owned()
    };
    let (path, code) = (format!("/addons/{id}"), code_of(id));
    world
        .becomes("what it says is shown", &path, |answer| {
            answer.json()["state"] == "provisioning" && answer.text.contains("Buckets are being made.")
        })
        .await;

    let grant = |code: &str, secret: &str| {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_secret", secret),
        ];
        form.map(|(name, value)| (name, value.to_owned()))
    };
    let ask = async |form: &[(&str, String)]| {
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        world.token(&form).await
    };
    assert_eq!(ask(&grant(&code, "wrong")).await.status, StatusCode::UNAUTHORIZED);
    let tokens = ask(&grant(&code, &secret)).await.ok();
    assert_eq!(
        ask(&grant(&code, &secret)).await.status,
        StatusCode::BAD_REQUEST,
        "a code is good once"
    );
    let refresh = tokens["refresh_token"].as_str().unwrap().to_owned();
    let form = [
        ("grant_type", "refresh_token".to_owned()),
        ("refresh_token", refresh),
        ("client_secret", secret.clone()),
    ];
    let before = tokens["access_token"].as_str().unwrap().to_owned();
    let token = ask(&form).await.ok()["access_token"].as_str().unwrap().to_owned();

    let config = format!("{path}/config");
    let set = json!({ "config": [{ "name": "ERRORBUCKET_URL", "value": "https://bucket.example.com/10" }] });
    // Tokens are for one add-on, and end.
    for (token, path) in [
        (&before, &config),
        (&token, &format!("/addons/{other}/config")),
        (&server.token, &config),
    ] {
        let refused = world.says(token, Method::PATCH, path, set.clone()).await;
        assert!(refused.status.is_client_error(), "{path}: {}", refused.text);
    }
    let early = world
        .says(&token, Method::POST, &format!("{path}/actions/provision"), json!({}))
        .await;
    assert!(early.text.contains("no config vars yet"), "{}", early.text);
    let foreign = json!({ "config": [{ "name": "DATABASE_URL", "value": "postgres://evil" }] });
    let foreign = world.says(&token, Method::PATCH, &config, foreign).await;
    assert!(
        foreign.text.contains("DATABASE_URL is no config var"),
        "{}",
        foreign.text
    );
    let set = world.says(&token, Method::PATCH, &config, set).await.ok();
    assert_eq!(set[0]["name"], "ERRORBUCKET_URL");
    for _ in 0..2 {
        let done = world
            .says(&token, Method::POST, &format!("{path}/actions/provision"), json!({}))
            .await;
        assert_eq!(done.ok()["state"], "provisioned");
    }
    assert_eq!(
        world.config_var("ERRORBUCKET_URL").await.as_deref(),
        Some("https://bucket.example.com/10")
    );
    let releases = server.get("/apps/hello/releases").await;
    let told = "completed provisioning, setting ERRORBUCKET_URL";
    assert_eq!(releases.text.matches(told).count(), 1, "{}", releases.text);

    // A change later is a release, too; and it may take the add-on back.
    let set = json!({ "config": [{ "name": "ERRORBUCKET_TOKEN", "value": "t" }] });
    world.says(&token, Method::PATCH, &config, set).await.ok();
    assert_eq!(world.config_var("ERRORBUCKET_TOKEN").await.as_deref(), Some("t"));
    let gone = world
        .says(&token, Method::POST, &format!("{path}/actions/deprovision"), json!({}))
        .await;
    assert_eq!(gone.ok()["state"], "deprovisioned");
    provider.asked(&format!("DELETE /heroku/resources/{id}")).await;
    assert_eq!(world.config_var("ERRORBUCKET_URL").await, None);
}

#[tokio::test]
async fn providers_are_the_operators_to_choose() {
    let server = server_with(&[]).await;
    // The first person is the operator, this one is not.
    let eve = server.stranger("eve@example.com").await;
    for (method, path) in [
        (Method::GET, "/addon-providers"),
        (Method::DELETE, "/addon-providers/errorbucket"),
    ] {
        let mut request = server.request(method, path);
        request
            .headers_mut()
            .insert(header::AUTHORIZATION, format!("Bearer {eve}").parse().unwrap());
        let refused = server.send(request).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert!(refused.text.contains("paasd user operator"), "{}", refused.text);
    }
    for (new, words) in [
        (json!({}), "either a manifest or the url"),
        (json!({ "url": "http://errorbucket.example.com/" }), "https:// alone"),
        (
            json!({ "url": "https://169.254.169.254/latest" }),
            "could not be fetched",
        ),
        (json!({ "manifest": { "id": "x" } }), "cannot be used"),
    ] {
        let refused = server.post("/addon-providers", new).await;
        assert!(
            refused.status.is_client_error() && refused.text.contains(words),
            "{}",
            refused.text
        );
    }
}
