//! What providers say of their add-ons, in an order that nobody wished for.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use http::{Method, StatusCode};
use paas_core::Id;
use paas_store::{Stamp, addon, addon_provider, event};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    addon_provider::{LIMIT, World},
    server::Answer,
};
use crate::{
    api::{access::Need, needs::NEEDS},
    control::AddonsController,
};

impl World {
    /// An add-on that its provider is at work on: its path, and the provider's token.
    pub(super) async fn is_being_made(&self, secret: &str) -> (String, String) {
        self.provider.will_answer(202, json!({}));
        let made = self.creates("errorbucket", json!({})).await;
        let asked = self.provider.asked("POST /heroku/resources").await;
        let code = asked.body["oauth_grant"]["code"].as_str().unwrap().to_owned();
        let token = self.exchange(&code, secret).await.ok();
        let token = token["access_token"].as_str().unwrap().to_owned();
        (format!("/addons/{}", made["id"].as_str().unwrap()), token)
    }

    async fn exchange(&self, code: &str, secret: &str) -> Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_secret", secret),
        ];
        self.token(&form).await
    }

    async fn sets(&self, (path, token): (&str, &str), name: &str, value: &str) -> Answer {
        let body = json!({ "config": [{ "name": name, "value": value }] });
        self.says(token, Method::PATCH, &format!("{path}/config"), body).await
    }

    async fn acts(&self, (path, token): (&str, &str), action: &str) -> Value {
        let path = format!("{path}/actions/{action}");
        self.says(token, Method::POST, &path, json!({})).await.ok()
    }

    /// It has failed twice, and that is written down: the first time it is tried again at once, now after a while.
    async fn rests(&self, made: &Value) {
        let id = Id::from_uuid(made["id"].as_str().unwrap().parse().unwrap());
        let look = async {
            loop {
                let mut connection = self.server.platform.store.connection().await.unwrap();
                let row = addon::by_id(&mut connection, id).await.unwrap().unwrap();
                if row.failures == 2 {
                    return;
                }
                drop(connection);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(timeout(LIMIT, look).await.is_ok(), "it fails twice");
    }

    /// How often the app's config was told to change, by anybody.
    async fn releases(&self) -> usize {
        let releases = self.server.get("/apps/hello/releases").await.ok();
        releases.as_array().unwrap().len()
    }

    async fn events(&self) -> Vec<event::Event> {
        let app = self.server.get("/apps/hello").await.ok();
        let app = app["id"].as_str().unwrap().parse().unwrap();
        let mut connection = self.server.platform.store.connection().await.unwrap();
        event::list(&mut connection, Id::from_uuid(app), 100).await.unwrap()
    }
}

#[tokio::test]
async fn what_comes_before_an_add_on_is_there_is_kept_and_in_nobodys_way() {
    let world = World::new().await;
    let server = &world.server;
    let secret = world.registers().await;
    let (path, token) = world.is_being_made(&secret).await;
    let of = (path.as_str(), token.as_str());
    for (value, words) in [("a\0b", "NUL"), (&*"x".repeat(70_000), "too large")] {
        let refused = world.sets(of, "ERRORBUCKET_URL", value).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
        assert!(refused.text.contains(words), "{}", refused.text);
    }
    // Neither of two at once loses the other's.
    let (one, other) = tokio::join!(
        world.sets(of, "ERRORBUCKET_URL", "https://bucket.example.com/9"),
        world.sets(of, "ERRORBUCKET_TOKEN", "t"),
    );
    assert_eq!((one.status, other.status), (StatusCode::OK, StatusCode::OK));
    let releases = world.releases().await;
    server
        .patch("/apps/hello/config-vars", json!({ "OWN": "1" }))
        .await
        .ok();
    assert_eq!(world.config_var("ERRORBUCKET_URL").await, None);
    assert_eq!(world.acts(of, "provision").await["state"], "provisioned");
    assert_eq!(
        world.config_var("ERRORBUCKET_URL").await.as_deref(),
        Some("https://bucket.example.com/9")
    );
    assert_eq!(world.config_var("ERRORBUCKET_TOKEN").await.as_deref(), Some("t"));
    world.sets(of, "ERRORBUCKET_TOKEN", "t").await.ok();
    assert_eq!(world.releases().await, releases + 2, "no release without a change");

    // A manifest that is newer than the add-on takes nothing from people.
    let mut manifest = world.manifest();
    manifest["api"]["config_vars"] = json!(["ERRORBUCKET_URL", "ERRORBUCKET_REGION"]);
    let again = server.post("/addon-providers", json!({ "manifest": manifest })).await;
    assert_eq!(again.status, StatusCode::CREATED, "{}", again.text);
    let own = json!({ "ERRORBUCKET_REGION": "mine" });
    server.patch("/apps/hello/config-vars", own).await.ok();
    let refused = world.sets(of, "ERRORBUCKET_REGION", "theirs").await;
    assert!(
        refused.text.contains("created before that config var"),
        "{}",
        refused.text
    );
    world.sets(of, "ERRORBUCKET_TOKEN", "another").await.ok();
    assert_eq!(world.config_var("ERRORBUCKET_REGION").await.as_deref(), Some("mine"));

    // Nobody here has taken it away.
    assert_eq!(world.acts(of, "deprovision").await["state"], "deprovisioned");
    let events = world.events().await;
    for resource in ["addon", "addon-attachment"] {
        let mut ends = events
            .iter()
            .filter(|event| event.action == "destroy" && event.resource == resource);
        assert_eq!(ends.next().map(|end| end.actor), Some(None), "{resource}");
    }
}

#[tokio::test]
async fn a_provider_may_keep_the_first_of_two_codes() {
    let world = World::new().await;
    let (server, provider) = (&world.server, &world.provider);
    let secret = world.registers().await;
    // It has taken the first request all the same.
    provider.will_answer(500, json!({}));
    provider.will_answer(500, json!({}));
    provider.will_answer(202, json!({}));
    let made = world.creates("errorbucket", json!({})).await;
    let first = provider.asked("POST /heroku/resources").await;
    world.rests(&made).await;
    server.platform.clock.advance(TimeDelta::minutes(90));
    server.platform.wake_addons.notify_one();
    let last = provider.asked_times("POST /heroku/resources", 3).await;
    let grants = [first, last].map(|asked| asked.body["oauth_grant"].clone());
    assert_eq!(grants[0]["code"], grants[1]["code"]);
    assert_ne!(grants[0]["expires_at"], grants[1]["expires_at"]);
    let code = grants[0]["code"].as_str().unwrap();
    world.exchange(code, &secret).await.ok();
    assert_eq!(
        world.exchange(code, &secret).await.status,
        StatusCode::BAD_REQUEST,
        "a code is good once"
    );
}

#[tokio::test]
async fn an_add_on_stays_its_providers_while_the_manifest_cannot_be_read() {
    let world = World::new().await;
    let (server, provider) = (&world.server, &world.provider);
    let secret = world.registers().await;
    let (path, token) = world.is_being_made(&secret).await;
    let of = (path.as_str(), token.as_str());
    let platform = &server.platform;
    let sealer = &platform.store.sealer;
    let mut connection = platform.store.connection().await.unwrap();
    let row = addon_provider::all(&mut connection).await.unwrap().remove(0);
    let secrets = addon_provider::secret(&mut connection, sealer, row.id).await.unwrap();
    let stamp = Stamp {
        by: server.account.id,
        at: platform.clock.now(),
    };
    let unreadable = (row.name.as_str(), &json!({}));
    addon_provider::set(&mut connection, sealer, unreadable, &secrets, stamp)
        .await
        .unwrap();
    drop(connection);
    let controller = Arc::new(AddonsController::new(Arc::clone(platform)));
    controller.pass().await.unwrap();
    let later = world.sets(of, "ERRORBUCKET_URL", "https://bucket.example.com/9").await;
    assert_eq!(later.status, StatusCode::SERVICE_UNAVAILABLE, "{}", later.text);
    server.delete(&format!("/apps/hello{path}")).await.ok();
    controller.pass().await.unwrap();

    // It hears of the end when it can be asked again.
    world.registers().await;
    platform.wake_addons.notify_one();
    let id = path.trim_start_matches("/addons/");
    provider.asked(&format!("DELETE /heroku/resources/{id}")).await;
}

#[tokio::test]
async fn a_change_of_plan_that_is_refused_is_put_back() {
    let world = World::new().await;
    let (server, provider) = (&world.server, &world.provider);
    world.registers().await;
    let url = json!({ "config": { "ERRORBUCKET_URL": "https://bucket.example.com/9" } });
    provider.will_answer(201, url);
    let made = world.creates("errorbucket:basic", json!({})).await;
    let path = format!("/addons/{}", made["id"].as_str().unwrap());
    let is_provisioned = |answer: &Answer| answer.json()["state"] == "provisioned";
    world.becomes("it is provisioned", &path, is_provisioned).await;

    provider.will_answer(503, json!({}));
    provider.will_answer(503, json!({}));
    provider.will_answer(422, json!({ "message": "No large buckets today." }));
    let plan = json!({ "plan": { "name": "errorbucket:large" } });
    server.patch(&format!("/apps/hello{path}"), plan).await.ok();
    world.rests(&made).await;
    let later = "Errorbucket has not taken the change of plan: Errorbucket answered 503";
    let shown = server.get(&path).await.text;
    assert!(shown.contains(later) && shown.contains("errorbucket:large"), "{shown}");
    assert!(!shown.contains("does not run"), "{shown}");
    server.platform.clock.advance(TimeDelta::minutes(10));
    server.platform.wake_addons.notify_one();
    let refused = "Errorbucket has not taken the change of plan: Errorbucket says: No large buckets today.";
    world
        .becomes("it is put back", &path, |answer| answer.text.contains(refused))
        .await;
    let shown = server.get(&path).await.ok();
    assert_eq!(shown["plan"]["name"], "errorbucket:basic");
}

#[tokio::test]
async fn what_may_be_a_secret_is_in_no_event_and_what_is_no_manifest_is_refused() {
    let world = World::new().await;
    world.provider.will_answer(200, json!(["errorbucket"]));
    let new = json!({ "url": format!("http://{}/manifest", world.address), "plans": ["basic"] });
    let refused = world.server.post("/addon-providers", new).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("no JSON object"), "{}", refused.text);

    world.registers().await;
    world.provider.will_answer(202, json!({}));
    let options = json!({ "license": "canary" });
    world.creates("errorbucket", options.clone()).await;
    let asked = world.provider.asked("POST /heroku/resources").await;
    assert_eq!(asked.body["options"], options);
    let events = format!("{:?}", world.events().await);
    assert!(events.contains("license") && !events.contains("canary"), "{events}");
}

#[tokio::test]
async fn a_providers_token_reads_its_add_on_and_reaches_nothing_else() {
    let world = World::new().await;
    let secret = world.registers().await;
    let (path, token) = world.is_being_made(&secret).await;
    let id = path.trim_start_matches("/addons/");
    let own = world.says(&token, Method::GET, &path, json!({})).await.ok();
    assert_eq!(
        (&own["id"], &own["state"], &own["app"]["name"]),
        (&json!(id), &json!("provisioning"), &json!("hello"))
    );
    assert!(!own.to_string().contains(&token));
    world.provider.will_answer(202, json!({}));
    let other = world.creates("errorbucket", json!({})).await;
    let other = other["id"].as_str().unwrap();
    let not_its = [
        format!("/addons/{other}"),
        format!("/addons/{other}/config"),
        format!("/addons/{other}/log-drains"),
        "/addons/hello::ERRORBUCKET".to_owned(),
    ];
    for path in not_its {
        let refused = world.says(&token, Method::GET, &path, json!({})).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{path}: {}", refused.text);
    }
    let mut tried = 0;
    for (route, need) in NEEDS {
        let (method, pattern) = route.split_once(' ').unwrap();
        if matches!(need, Need::Public | Need::Addon(_)) {
            continue;
        }
        let filled = pattern.replace("{app}", "hello").replace("{addon}", id);
        let filled = filled.replace(['{', '}'], "");
        let method: Method = method.parse().unwrap();
        let refused = world.says(&token, method, &filled, json!({})).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{route}: {}", refused.text);
        tried += 1;
    }
    assert!(tried > 150, "{tried}");
    // It ends with the add-on.
    world.acts((&path, &token), "deprovision").await;
    world.provider.asked(&format!("DELETE /heroku/resources/{id}")).await;
    let is_refused = async {
        while world.says(&token, Method::GET, &path, json!({})).await.status != StatusCode::UNAUTHORIZED {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(LIMIT, is_refused).await.is_ok());
}
