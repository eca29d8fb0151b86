//! Webhooks: made, told, tried again, asked about.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::TimeDelta;
use hmac::{Hmac, KeyInit, Mac};
use http::StatusCode;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::time::{sleep, timeout};

use super::server::{Server, server, server_with};
use crate::{
    control::WebhooksController,
    testing::receiver::{HttpReceiver, HttpRequest},
};

/// However busy the machine is.
const LIMIT: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A platform that may tell this machine, with an app.
struct World {
    server: Server,
    controller: WebhooksController,
}

impl World {
    async fn new() -> Self {
        let server = server_with(&["--local-drains"]).await;
        server.app("hello").await;
        let controller = WebhooksController::new(Arc::clone(&server.platform)).unwrap();
        Self { server, controller }
    }

    async fn hook(&self, receiver: &HttpReceiver, level: &str, include: &[&str]) -> Value {
        let url = format!("http://{}/in?key=s3cret", receiver.address());
        let new = json!({ "include": include, "level": level, "url": url, "secret": "signing-key", "authorization": "Bearer me" });
        self.server.post("/apps/hello/webhooks", new).await.ok()
    }

    async fn pass(&mut self) {
        self.controller.pass().await.unwrap();
    }

    /// Lets the controller look again and again until something has happened: a pass leaves a webhook alone whose task has not
    /// ended.
    async fn until<T>(&mut self, happens: impl Future<Output = T>) -> T {
        let passes = async {
            loop {
                self.pass().await;
                sleep(LOOK_AGAIN).await;
            }
        };
        tokio::select! {
            outcome = happens => outcome,
            () = passes => unreachable!("passes do not end"),
        }
    }

    /// Waits until the newest delivery has this status after so many attempts.
    async fn delivery(&self, status: &str, attempts: usize) -> Value {
        let path = "/apps/hello/webhook-deliveries";
        let found = timeout(LIMIT, async {
            loop {
                let newest = self.server.get_range(path, "seq ..; order=desc, max=1").await.ok()[0].clone();
                if newest["status"] == status && newest["num_attempts"] == attempts {
                    return newest;
                }
                sleep(LOOK_AGAIN).await;
            }
        });
        found.await.expect("a delivery of this status")
    }

    async fn set(&self, value: &str) {
        let path = "/apps/hello/config-vars";
        self.server.patch(path, json!({ "COLOUR": value })).await.ok();
    }
}

fn told(request: &HttpRequest) -> Value {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(b"signing-key").unwrap();
    mac.update(request.body.as_bytes());
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    assert_eq!(request.header("heroku-webhook-hmac-sha256"), Some(signature.as_str()));
    assert_eq!(request.header("authorization"), Some("Bearer me"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.line, "POST /in?key=s3cret HTTP/1.1");
    serde_json::from_str(&request.body).unwrap()
}

#[tokio::test]
async fn a_webhook_is_made_changed_found_and_removed() {
    let server = server().await;
    let app = server.app("hello").await;
    let new = json!({ "include": ["dyno", "api:release", "dyno"], "level": "notify", "url": "https://ann:hunter2@example.com/in" });
    let answer = server.post("/apps/hello/webhooks", new).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    let secret = answer.header("heroku-webhook-secret").unwrap();
    assert!(
        secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{secret}"
    );
    let made = answer.json();
    assert_eq!(made["include"], json!(["api:release", "dyno"]));
    assert_eq!(made["app"]["name"], "hello");
    assert!(!answer.text.contains(secret), "{}", answer.text);

    let path = format!("/apps/hello/webhooks/{}", made["id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.ok(), made);
    assert_eq!(server.get("/apps/hello/webhooks").await.ok(), json!([made]));
    let changed = server
        .patch(&path, json!({ "level": "sync", "authorization": null }))
        .await;
    assert_eq!(changed.header("heroku-webhook-secret"), None);
    assert_eq!(changed.ok()["level"], "sync");
    server.app("other").await;
    let elsewhere = path.replace("hello", "other");
    assert_eq!(server.get(&elsewhere).await.status, StatusCode::NOT_FOUND);
    server.delete(&path).await.ok();
    assert_eq!(server.get(&path).await.json()["resource"], "webhook");
    let log = server.log(&app).await;
    assert!(
        log.contains("Add webhook for https://example.com:443") && !log.contains("hunter2"),
        "{log}"
    );
}

#[tokio::test]
async fn what_no_webhook_can_be_is_refused_in_words() {
    let server = server().await;
    server.app("hello").await;
    let good = json!({ "include": ["api:app"], "level": "notify", "url": "https://example.com" });
    for (field, value, words) in [
        ("include", json!([]), "Include is empty"),
        ("include", json!(["api:nothing"]), "Include must name"),
        ("level", json!("often"), "Level must be notify or sync"),
        ("url", json!("example.com"), "Url must be a whole"),
        ("url", json!("syslog://example.com"), "Url must be a whole"),
        ("url", json!("http://127.0.0.1:5050"), "is this machine itself"),
        ("url", json!("http://localhost:5050"), "is this machine itself"),
        ("url", json!("http://[::ffff:127.0.0.1]:5050"), "is this machine itself"),
        ("url", json!("http://169.254.169.254/latest"), "is not an address"),
        (
            "url",
            json!("http://10.210.0.66:5000"),
            "inside of the apps' own networks",
        ),
        ("secret", json!("a\nb"), "Secret must be"),
        ("authorization", json!("a\r\nHost: b"), "Authorization must be"),
    ] {
        let mut new = good.clone();
        new[field] = value;
        let refused = server.post("/apps/hello/webhooks", new).await;
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{field}: {}",
            refused.text
        );
        assert!(refused.text.contains(words), "{field}: {}", refused.text);
    }
    for _ in 0..10 {
        server.post("/apps/hello/webhooks", good.clone()).await.ok();
    }
    let refused = server.post("/apps/hello/webhooks", good).await;
    assert!(refused.text.contains("maximum of 10 webhooks"), "{}", refused.text);
    let refused = server.get("/apps/hello/webhook-deliveries?eq[status]=lost").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
}

#[tokio::test]
async fn a_change_is_told_with_the_resource_as_the_api_shows_it() {
    let mut world = World::new().await;
    let mut receiver = HttpReceiver::bind().await;
    let hook = world.hook(&receiver, "notify", &["api:release"]).await;
    world.set("blue").await;
    world.set("green").await;
    world.pass().await;
    for number in [3, 4] {
        let request = receiver.serve(Some("204 No Content")).await;
        let told = told(&request);
        let release = world.server.get(&format!("/apps/hello/releases/{number}")).await.ok();
        let mut data = told["data"].clone();
        // When it was told, it was not the current one any more.
        data["current"] = release["current"].clone();
        assert_eq!(data, release);
        assert_eq!(
            (&told["resource"], &told["action"]),
            (&json!("release"), &json!("create"))
        );
        assert_eq!(told["actor"]["email"], "ada@example.com");
        assert_eq!(told["previous_data"], json!({}));
        assert_eq!(told["webhook_metadata"]["webhook"]["id"], hook["id"]);
        assert_eq!(told["webhook_metadata"]["event"]["include"], "api:release");
        assert!(
            !request.body.contains("green") && !request.body.contains("blue"),
            "{}",
            request.body
        );
    }
    let delivery = world.delivery("succeeded", 1).await;
    assert_eq!(delivery["last_attempt"]["code"], 204);
    assert_eq!(
        (&delivery["num_attempts"], &delivery["next_attempt_at"]),
        (&json!(1), &Value::Null)
    );
    let id = delivery["id"].as_str().unwrap();
    assert_eq!(
        world
            .server
            .get(&format!("/apps/hello/webhook-deliveries/{id}"))
            .await
            .ok(),
        delivery
    );
    let event = delivery["event"]["id"].as_str().unwrap();
    let event = world
        .server
        .get(&format!("/apps/hello/webhook-events/{event}"))
        .await
        .ok();
    assert_eq!(event["payload"]["data"]["description"], "Set COLOUR config vars");
    let events = world.server.get("/apps/hello/webhook-events").await.ok();
    assert_eq!(events[1], event);
}

#[tokio::test]
async fn updates_and_ends_are_told_with_what_was_before() {
    let mut world = World::new().await;
    let server = &world.server;
    let app = paas_store::app::find(&mut server.platform.store.connection().await.unwrap(), "hello").await;
    server.deploy(&app.unwrap().unwrap(), &[("web", "run")]).await;
    let mut receiver = HttpReceiver::bind().await;
    let include = ["api:app", "api:domain", "api:formation"];
    world.hook(&receiver, "notify", &include).await;

    let scale = async |quantity: u32| {
        let path = "/apps/hello/formation/web";
        world.server.patch(path, json!({ "quantity": quantity })).await.ok();
    };
    scale(2).await;
    scale(3).await;
    let domain = json!({ "hostname": "www.example.com", "sni_endpoint": null });
    world.server.post("/apps/hello/domains", domain).await.ok();
    let gone = world.server.delete("/apps/hello/domains/www.example.com").await.ok();
    world
        .server
        .patch("/apps/hello", json!({ "maintenance": true }))
        .await
        .ok();
    world.server.patch("/apps/hello", json!({ "name": "hallo" })).await.ok();
    world.pass().await;
    let mut all = Vec::new();
    for _ in 0..6 {
        all.push(told(&receiver.serve(Some("200 OK")).await));
    }
    let kinds: Vec<_> = all.iter().map(|told| (&told["action"], &told["resource"])).collect();
    let kind = |action, resource| (json!(action), json!(resource));
    let expected = [
        kind("update", "formation"),
        kind("update", "formation"),
        kind("create", "domain"),
        kind("destroy", "domain"),
        kind("update", "app"),
        kind("update", "app"),
    ];
    assert_eq!(
        kinds,
        expected
            .iter()
            .map(|(action, resource)| (action, resource))
            .collect::<Vec<_>>()
    );
    assert_eq!(all[1]["data"]["quantity"], 3);
    assert_eq!(all[1]["previous_data"], json!({ "quantity": 2 }));
    assert_eq!(all[0]["data"]["quantity"], 2);
    assert_eq!(all[3]["data"], gone);
    assert_eq!(all[4]["data"]["maintenance"], true);
    assert_eq!(all[5]["previous_data"], json!({ "name": "hello" }));
    let sequences: Vec<_> = all.iter().map(|told| told["sequence"].as_i64().unwrap()).collect();
    assert!(sequences.is_sorted(), "{sequences:?}");
}

#[tokio::test]
async fn the_end_of_an_app_is_told() {
    let mut world = World::new().await;
    let mut receiver = HttpReceiver::bind().await;
    world.hook(&receiver, "sync", &["api:app"]).await;
    let app = world.server.get("/apps/hello").await.ok();
    let platform = &world.server.platform;
    let mut connection = platform.store.connection().await.unwrap();
    let id = app["id"].as_str().unwrap().parse().unwrap();
    let gone = timeout(LIMIT, async {
        while paas_store::app::find(&mut connection, "hello").await.unwrap().is_some() {
            sleep(LOOK_AGAIN).await;
        }
    });
    tokio::select! {
        // Waits for dynos that no controller takes away here.
        _ = world.server.delete("/apps/hello") => {}
        gone = gone => gone.expect("the app is destroyed"),
    }
    paas_store::app::delete(&mut connection, id).await.unwrap();
    world.pass().await;
    let told = told(&receiver.serve(Some("200 OK")).await);
    assert_eq!(
        (&told["action"], &told["data"]["name"]),
        (&json!("destroy"), &json!("hello"))
    );
    assert_eq!(told["actor"]["email"], "ada@example.com");
}

#[tokio::test]
async fn what_must_arrive_is_tried_again_and_the_rest_is_not() {
    let mut world = World::new().await;
    let mut receiver = HttpReceiver::bind().await;
    world.hook(&receiver, "sync", &["api:release"]).await;
    world.set("blue").await;
    let mut attempts = Vec::new();
    for (answer, code) in [
        (Some("500 Internal Server Error"), json!(500)),
        (None, Value::Null),
        (Some("302 Found"), json!(302)),
    ] {
        let request = world.until(receiver.serve(answer)).await;
        attempts.push(told(&request)["webhook_metadata"].clone());
        let delivery = world.delivery("retrying", attempts.len()).await;
        assert_eq!(delivery["last_attempt"]["code"], code);
        assert!(delivery["last_attempt"]["error_class"].is_string(), "{delivery}");
        assert!(delivery["next_attempt_at"].is_string(), "{delivery}");
        world.server.platform.clock.advance(TimeDelta::hours(1));
    }
    let request = world.until(receiver.serve(Some("202 Accepted"))).await;
    attempts.push(told(&request)["webhook_metadata"].clone());
    let delivery = world.delivery("succeeded", 4).await;
    for attempt in &attempts {
        assert_eq!(attempt["delivery"]["id"], delivery["id"]);
    }
    assert_ne!(attempts[0]["attempt"], attempts[1]["attempt"]);

    world.set("green").await;
    world.until(receiver.serve(Some("410 Gone"))).await;
    world.delivery("failed", 1).await;
    let failed = world
        .server
        .get("/apps/hello/webhook-deliveries?eq[status]=failed")
        .await
        .ok();
    assert_eq!(failed.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_holds_up_no_other() {
    let mut world = World::new().await;
    let (slow, mut quick) = (HttpReceiver::bind().await, HttpReceiver::bind().await);
    world.hook(&slow, "sync", &["api:release"]).await;
    world.hook(&quick, "notify", &["api:release"]).await;
    for colour in ["red", "green", "blue"] {
        world.set(colour).await;
        world.until(quick.serve(Some("503 Service Unavailable"))).await;
    }
    // A quick delivery ends a moment after its receiver's answer.
    let path = "/apps/hello/webhook-deliveries?eq[status]=pending";
    let only_the_slow_wait = timeout(LIMIT, async {
        while world.server.get(path).await.ok().as_array().unwrap().len() != 3 {
            sleep(LOOK_AGAIN).await;
        }
    });
    only_the_slow_wait.await.expect("three deliveries wait");
}

#[tokio::test]
async fn states_of_dynos_are_told() {
    let mut world = World::new().await;
    let mut receiver = HttpReceiver::bind().await;
    world.hook(&receiver, "notify", &["dyno"]).await;
    let server = &world.server;
    let mut connection = server.platform.store.connection().await.unwrap();
    let app = paas_store::app::find(&mut connection, "hello").await.unwrap().unwrap();
    let release = server.deploy(&app, &[("web", "run")]).await;
    let dyno = server.dyno(&release, "web.1").await;
    let shown = server.get("/apps/hello/dynos/web.1").await.ok();
    world.controller.pass().await.unwrap();
    paas_store::dyno::delete(&mut connection, &[dyno], world.server.tick())
        .await
        .unwrap();
    world.controller.pass().await.unwrap();
    let mut states = Vec::new();
    for _ in 0..3 {
        let told = told(&receiver.serve(Some("200 OK")).await);
        assert_eq!(told["resource"], "dyno");
        for field in ["id", "name", "type", "size", "release", "app", "created_at"] {
            assert_eq!(told["data"][field], shown[field], "{field}");
        }
        states.push(format!("{} {}", told["action"], told["data"]["state"]).replace('"', ""));
    }
    assert_eq!(states, ["create starting", "update up", "destroy down"]);
}
