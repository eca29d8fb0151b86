//! Add-ons as clients see them: asked for, found by every name, shared, changed, destroyed, and refused in words.

use http::{HeaderValue, Method, StatusCode, header};
use paas_core::Id;
use paas_store::addon;
use serde_json::{Value, json};

use super::server::{Answer, Server, server};

impl Server {
    pub(super) async fn new_addon(&self, app: &str, plan: &str) -> Value {
        let made = self
            .post(&format!("/apps/{app}/addons"), json!({ "plan": { "name": plan } }))
            .await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        made.json()
    }

    /// Its server answers.
    pub(super) async fn provision(&self, made: &Value) {
        let id: Id<paas_core::Addon> = made["id"].as_str().unwrap().parse().unwrap();
        let store = &self.platform.store;
        let mut connection = store.connection().await.unwrap();
        let secret = addon::secret(&mut connection, &store.sealer, id).await.unwrap();
        let config = [("URL".to_owned(), "redis://one".to_owned())].into();
        let now = self.platform.clock.now();
        addon::set_config(&mut connection, &store.sealer, id, (&secret, &config), now)
            .await
            .unwrap();
    }

    async fn resolved(&self, addon: &str, app: Option<&str>) -> Vec<Value> {
        let question = json!({ "addon": addon, "app": app, "addon_service": null });
        let answer = self.post("/actions/addons/resolve", question).await;
        if answer.status == StatusCode::NOT_FOUND {
            assert_eq!(answer.json()["resource"], "add_on");
            return Vec::new();
        }
        answer.ok().as_array().unwrap().clone()
    }

    async fn newest_release(&self, app: &str) -> String {
        let releases = self
            .get_range(&format!("/apps/{app}/releases"), "version ..; order=desc,max=1")
            .await;
        releases.json()[0]["description"].as_str().unwrap().to_owned()
    }

    async fn as_stranger(&self, token: &str, method: Method, path: &str) -> Answer {
        let mut request = self.request(method, path);
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        self.send(request).await
    }
}

pub(super) fn refuses(answer: &Answer, words: &str) {
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(answer.status.is_client_error() && message.contains(words), "{message}");
}

#[tokio::test]
async fn an_addon_is_found_by_every_name_that_people_have_for_it() {
    let server = server().await;
    server.app("hello").await;
    let made = server.new_addon("hello", "heroku-postgresql:mini").await;
    assert_eq!(made["state"], "provisioning");
    assert_eq!(made["plan"]["name"], "heroku-postgresql:mini");
    assert_eq!(made["config_vars"], json!(["DATABASE_URL"]));
    let (name, id) = (made["name"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert!(name.starts_with("postgresql-"), "{name}");
    let attach = format!("Attach DATABASE (@ref:{name})");
    assert_eq!(server.newest_release("hello").await, attach);
    for path in [
        format!("/addons/{name}"),
        format!("/addons/{id}"),
        format!("/apps/hello/addons/{name}"),
        "/apps/hello/addons/DATABASE".to_owned(),
    ] {
        assert_eq!(server.get(&path).await.ok()["id"], made["id"], "{path}");
    }
    for path in ["/addons", "/users/~/addons", "/apps/hello/addons"] {
        assert_eq!(server.get(path).await.ok()[0]["id"], made["id"], "{path}");
    }
    for (word, app) in [
        (name, None),
        (id, None),
        (name, Some("hello")),
        ("DATABASE", Some("hello")),
        ("DATABASE_URL", Some("hello")),
        ("heroku-postgresql", Some("hello")),
        ("hello::DATABASE", None),
    ] {
        let found = server.resolved(word, app).await;
        assert_eq!(found.len(), 1, "{word}");
        assert_eq!(found[0]["id"], made["id"], "{word}");
    }
    assert!(server.resolved("DATABASE", None).await.is_empty());
    assert!(server.resolved("REDIS", Some("hello")).await.is_empty());

    let attachments = server.get("/apps/hello/addon-attachments").await.ok();
    assert_eq!(attachments, server.get("/addon-attachments").await.ok());
    assert_eq!(
        attachments,
        server.get(&format!("/addons/{name}/addon-attachments")).await.ok()
    );
    let attachment = &attachments[0];
    assert_eq!(
        (&attachment["name"], &attachment["addon"]["name"]),
        (&json!("DATABASE"), &json!(name))
    );
    let path = format!("/addon-attachments/{}", attachment["id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.ok(), *attachment);
    assert_eq!(
        server.get("/apps/hello/addon-attachments/DATABASE").await.ok(),
        *attachment
    );
    let question = json!({ "addon_attachment": "DATABASE_URL", "app": "hello" });
    let resolved = server.post("/actions/addon-attachments/resolve", question).await.ok();
    assert_eq!(resolved, attachments);
    let second = server.new_addon("hello", "heroku-postgresql").await;
    assert_eq!(second["config_vars"], json!(["HEROKU_POSTGRESQL_RED_URL"]));
    assert_eq!(server.resolved("heroku-postgresql", Some("hello")).await.len(), 2);
}

#[tokio::test]
async fn an_addon_is_shared_promoted_and_taken_away() {
    let server = server().await;
    server.app("hello").await;
    server.app("other").await;
    let (one, two) = (
        server.new_addon("hello", "heroku-postgresql").await,
        server.new_addon("hello", "heroku-postgresql").await,
    );
    let attach = async |addon: &Value, app: &str, more: Value| {
        let mut body = json!({ "addon": { "name": addon["name"] }, "app": { "name": app } });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.post("/addon-attachments", body).await
    };
    let shared = attach(&one, "other", json!({ "name": "main" })).await;
    assert_eq!(shared.status, StatusCode::CREATED, "{}", shared.text);
    assert_eq!(shared.json()["config_vars"], json!(["MAIN_URL"]));
    let promotion = attach(&two, "hello", json!({ "name": "DATABASE" })).await;
    assert_eq!(promotion.json()["id"], "confirmation_required");
    let confirmed = json!({ "name": "DATABASE", "confirm": "hello" });
    refuses(
        &attach(&two, "hello", confirmed.clone()).await,
        "Cannot destroy last attachment",
    );
    let alias = attach(&one, "hello", json!({})).await;
    assert_eq!(alias.json()["name"], "HEROKU_POSTGRESQL_BLUE");
    let promoted = attach(&two, "hello", confirmed).await;
    assert_eq!(promoted.json()["addon"]["name"], two["name"]);

    let name = one["name"].as_str().unwrap();
    refuses(
        &server.delete(&format!("/apps/hello/addons/{name}")).await,
        "attached to other apps, too: other",
    );
    let path = format!("/addon-attachments/{}", shared.json()["id"].as_str().unwrap());
    server.delete(&path).await.ok();
    let detached = server.newest_release("other").await;
    assert_eq!(detached, format!("Detach MAIN (@ref:{name})"));
    let gone = server.delete(&format!("/apps/hello/addons/{name}")).await.ok();
    assert_eq!(gone["state"], "deprovisioned");
    assert_eq!(
        server.get(&format!("/addons/{name}")).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn an_addon_gets_another_name_and_another_plan() {
    let server = server().await;
    server.app("hello").await;
    let made = server.new_addon("hello", "heroku-redis").await;
    let path = format!("/apps/hello/addons/{}", made["id"].as_str().unwrap());
    let renamed = server.patch(&path, json!({ "name": "my-cache" })).await.ok();
    assert_eq!(renamed["name"], "my-cache");
    let larger = server
        .patch(&path, json!({ "plan": { "name": "heroku-redis:premium-0" } }))
        .await
        .ok();
    assert_eq!(larger["plan"]["name"], "heroku-redis:premium-0");
    refuses(
        &server.patch(&path, json!({ "plan": "memcachier:dev" })).await,
        "cannot become a memcachier",
    );
    refuses(
        &server.patch(&path, json!({ "name": "1 bad name" })).await,
        "must start with a letter",
    );
    let other = json!({ "plan": "heroku-redis", "name": "my-cache" });
    refuses(&server.post("/apps/hello/addons", other).await, "already taken");
}

#[tokio::test]
async fn what_cannot_be_had_is_refused_with_what_can() {
    let server = server().await;
    server.app("hello").await;
    for (body, words) in [
        (json!({}), "missing field `plan`"),
        (json!({ "plan": "cobol" }), "heroku-postgresql"),
        (json!({ "plan": "heroku-redis:colossal" }), "premium-0"),
        (
            json!({ "plan": "heroku-redis", "config": { "colour": "x" } }),
            "option colour",
        ),
        (
            json!({ "plan": "heroku-redis", "attachment": { "name": "1x" } }),
            "Attachment name",
        ),
    ] {
        refuses(&server.post("/apps/hello/addons", body).await, words);
    }
    server
        .patch("/apps/hello/config-vars", json!({ "CACHE_URL": "mine" }))
        .await
        .ok();
    let taken = json!({ "plan": "heroku-redis", "attachment": { "name": "CACHE" } });
    refuses(
        &server.post("/apps/hello/addons", taken).await,
        "config:unset CACHE_URL",
    );
    server.new_addon("hello", "heroku-redis").await;
    let unset = server
        .patch("/apps/hello/config-vars", json!({ "REDIS_URL": null }))
        .await;
    refuses(&unset, "Cannot overwrite attachment values REDIS_URL");
}

#[tokio::test]
async fn the_catalogue_is_everybodys() {
    let server = server().await;
    let services = server.get("/addon-services").await.ok();
    let names: Vec<_> = services
        .as_array()
        .unwrap()
        .iter()
        .map(|service| &service["name"])
        .collect();
    assert!(names.contains(&&json!("heroku-postgresql")), "{names:?}");
    assert_eq!(
        server.get("/addon-services/heroku-redis").await.ok()["human_name"],
        "Heroku Key-Value Store"
    );
    let plans = server.get("/addon-services/heroku-redis/plans").await.ok();
    assert_eq!(plans[0]["name"], "heroku-redis:hobby-dev");
    let plan = server.get("/plans/heroku-redis:mini").await.ok();
    assert_eq!((&plan["default"], &plan["price"]["cents"]), (&json!(true), &json!(0)));
    assert_eq!(server.get("/addon-services/heroku-redis/plans/mini").await.ok(), plan);
}

#[tokio::test]
async fn addons_of_apps_that_somebody_does_not_see_are_not_there() {
    let server = server().await;
    server.app("hello").await;
    let made = server.new_addon("hello", "heroku-redis").await;
    let stranger = server.stranger("eve@example.com").await;
    let name = made["name"].as_str().unwrap();
    for path in [format!("/addons/{name}"), format!("/addons/{name}/addon-attachments")] {
        let answer = server.as_stranger(&stranger, Method::GET, &path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    let listed = server.as_stranger(&stranger, Method::GET, "/addons").await;
    assert_eq!(listed.ok(), json!([]));
    let attachments = server.get("/addon-attachments").await.ok();
    let path = format!("/addon-attachments/{}", attachments[0]["id"].as_str().unwrap());
    for method in [Method::GET, Method::DELETE] {
        let answer = server.as_stranger(&stranger, method, &path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
    let path = format!("/apps/hello/addons/{name}");
    let answer = server.as_stranger(&stranger, Method::DELETE, &path).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_database_has_credentials_that_are_made_shown_and_attached() {
    let server = server().await;
    server.app("hello").await;
    server.app("other").await;
    let made = server.new_addon("hello", "heroku-postgresql").await;
    let path = format!("/postgres/v0/databases/{}/credentials", made["name"].as_str().unwrap());
    refuses(
        &server.post(&path, json!({ "name": "reader" })).await,
        "still being created",
    );
    server.provision(&made).await;
    let reader = server.post(&path, json!({ "name": "reader" })).await;
    assert_eq!(reader.status, StatusCode::CREATED, "{}", reader.text);
    assert_eq!(reader.json()["state"], "provisioning");
    refuses(&server.post(&path, json!({ "name": "reader" })).await, "already");
    refuses(
        &server.post(&path, json!({ "name": "pg_monitor" })).await,
        "keeps for itself",
    );
    let listed = server.get(&path).await.ok();
    let shown = |index: usize| (listed[index]["name"].clone(), listed[index]["state"].clone());
    assert_eq!(shown(0), (json!("default"), json!("active")));
    assert_eq!(shown(1), (json!("reader"), json!("provisioning")));
    assert_eq!(listed[1]["credentials"][0]["user"], "reader");
    assert_eq!(listed[0]["database"], listed[1]["database"]);

    let name = made["name"].as_str().unwrap();
    let config = server
        .get(&format!("/addons/{name}/config/credential:reader"))
        .await
        .ok();
    assert_eq!(config, json!([{ "name": "url", "value": null }]));
    let none = server
        .get(&format!("/addons/{name}/config/credential:writer"))
        .await
        .ok();
    assert_eq!(none, json!([]));
    let attachment = |namespace: &str| json!({ "addon": name, "app": "other", "namespace": namespace });
    refuses(
        &server.post("/addon-attachments", attachment("credential:writer")).await,
        "has no credential:writer",
    );
    let attached = server
        .post("/addon-attachments", attachment("credential:reader"))
        .await
        .ok();
    assert_eq!(attached["namespace"], "credential:reader");
    refuses(
        &server.delete(&format!("{path}/reader")).await,
        "must be detached from other",
    );
    let detached = format!("/addon-attachments/{}", attached["id"].as_str().unwrap());
    server.delete(&detached).await.ok();
    server.delete(&format!("{path}/reader")).await.ok();
    assert_eq!(server.get(&path).await.ok()[1]["state"], "revoking");
    refuses(&server.delete(&format!("{path}/default")).await, "cannot be destroyed");

    let redis = server.new_addon("hello", "heroku-redis").await;
    server.provision(&redis).await;
    let path = format!("/postgres/v0/databases/{}/credentials", redis["name"].as_str().unwrap());
    refuses(&server.post(&path, json!({ "name": "reader" })).await, "one credential");
}

#[tokio::test]
async fn settings_of_a_cache_are_chosen_in_words_that_fit() {
    let server = server().await;
    server.app("hello").await;
    let made = server.new_addon("hello", "heroku-redis").await;
    server.provision(&made).await;
    let path = format!("/redis/v0/databases/{}", made["name"].as_str().unwrap());
    let config = format!("{path}/config");
    let before = server.get(&config).await.ok();
    assert_eq!(before["timeout"]["value"], 300);
    let after = server
        .patch(&config, json!({ "timeout": 60, "maxmemory_policy": "allkeys-lru" }))
        .await
        .ok();
    assert_eq!(after["timeout"]["value"], 60);
    let policy = &after["maxmemory_policy"];
    assert_eq!(policy["value"], "allkeys-lru");
    assert_eq!(policy["values"]["allkeys-lru"], "removes less recently used keys first");
    refuses(
        &server.patch(&config, json!({ "timeout": "soon" })).await,
        "whole number",
    );
    refuses(
        &server.patch(&config, json!({ "maxmemory_policy": "never" })).await,
        "must be one of",
    );
    refuses(
        &server.patch(&config, json!({ "colour": "red" })).await,
        "There are: maxmemory_policy",
    );
    let info = server.get(&path).await.ok();
    assert!(info["resource_url"].as_str().unwrap().starts_with("redis://"), "{info}");
    let facts = info["info"].as_array().unwrap();
    assert!(
        facts.contains(&json!({ "name": "Timeout", "values": ["60"] })),
        "{info}"
    );
    let wait = server.get(&format!("{path}/wait")).await.ok();
    assert_eq!(wait["waiting?"], false);
}
