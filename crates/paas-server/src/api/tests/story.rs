//! What people do, one step after the other.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{Method, StatusCode, header};
use paas_store::event;
use serde_json::json;

use super::server::{EMAIL, PASSWORD, server};

#[tokio::test]
async fn a_login_gives_a_token_that_works_until_it_is_revoked() {
    let server = server().await;
    server.set_password().await;
    server.tick();
    let mut request = server.request(Method::POST, "/oauth/authorizations");
    let login = BASE64_STANDARD.encode(format!("{EMAIL}:{PASSWORD}"));
    request
        .headers_mut()
        .insert(header::AUTHORIZATION, format!("Basic {login}").parse().unwrap());
    let body = json!({ "description": "laptop", "expires_in": 2_592_000, "scope": ["global"] });
    let made = server.send(request.map(|_| body.to_string().into())).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let made = made.json();
    assert_eq!(made["user"]["email"], EMAIL);
    assert_eq!(made["access_token"]["expires_in"], 2_592_000);
    let token = made["access_token"]["token"].as_str().unwrap().to_owned();

    let with_token = |method: Method, path: &str| {
        let mut request = server.request(method, path);
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        request
    };
    // The caller's own token is shown whole, others masked: the server does not know them.
    let list = server.send(with_token(Method::GET, "/oauth/authorizations")).await;
    let shown: Vec<bool> = list
        .column("access_token")
        .iter()
        .map(|access| !access["token"].as_str().unwrap().contains("**********"))
        .collect();
    assert_eq!(shown, [false, true]);
    assert_eq!(list.json()[1]["access_token"]["token"], token.as_str());

    let default = server.send(with_token(Method::GET, "/oauth/authorizations/~")).await;
    assert_eq!(
        (default.status, &default.json()["resource"]),
        (StatusCode::NOT_FOUND, &json!("authorization"))
    );
    let session = server.send(with_token(Method::DELETE, "/oauth/sessions/~")).await;
    assert_eq!(
        (session.status, &session.json()["resource"]),
        (StatusCode::NOT_FOUND, &json!("session"))
    );
    let path = format!("/oauth/authorizations/{}", made["id"].as_str().unwrap());
    server.send(with_token(Method::DELETE, &path)).await.ok();
    let after = server.send(with_token(Method::GET, "/account")).await;
    assert_eq!(after.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_expired_token_is_no_token() {
    let server = server().await;
    let made = server
        .post("/oauth/authorizations", json!({ "expires_in": 60 }))
        .await
        .ok();
    let token = made["access_token"]["token"].as_str().unwrap();
    let request = || {
        let mut request = server.request(Method::GET, "/account");
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        request
    };
    server.send(request()).await.ok();
    server.platform.clock.advance(chrono::TimeDelta::seconds(61));
    assert_eq!(server.send(request()).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_app_without_a_name_gets_one() {
    let server = server().await;
    let made = server.post("/apps", json!({})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let name = made.json()["name"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("/apps/{name}")).await.ok()["name"], name);
}

/// `heroku3` sends this stack when its user names none.
#[tokio::test]
async fn the_oldest_stack_means_the_usual_one() {
    let server = server().await;
    let made = server
        .post("/apps", json!({ "name": "hello", "stack": "cedar" }))
        .await
        .ok();
    assert_eq!(made["stack"]["name"], "paas-12");
}

#[tokio::test]
async fn setting_config_makes_a_release_that_can_be_read_at_once() {
    let server = server().await;
    let app = server.app("hello").await;
    let set = server
        .patch("/apps/hello/config-vars", json!({ "B": "two", "A": "" }))
        .await
        .ok();
    assert_eq!(set, json!({ "A": "", "B": "two" }));
    let latest = server
        .get_range("/apps/hello/releases", "version ..; order=desc,max=1")
        .await;
    assert_eq!(latest.json()[0]["version"], 3);
    assert_eq!(latest.json()[0]["description"], "Set A, B config vars");
    assert_eq!(latest.json()[0]["user"]["email"], EMAIL);

    // The same again changes nothing, and makes no release.
    server
        .patch("/apps/hello/config-vars", json!({ "B": "two" }))
        .await
        .ok();
    let unset = server.patch("/apps/hello/config-vars", json!({ "B": null })).await.ok();
    assert_eq!(unset, json!({ "A": "" }));
    let releases = server.get("/apps/hello/releases").await;
    assert_eq!(releases.column("version"), [1, 2, 3, 4]);
    let old = server.get("/apps/hello/releases/3/config-vars").await.ok();
    assert_eq!(old, json!({ "A": "", "B": "two" }));
    let log = server.log(&app).await;
    assert!(
        log.contains("app[api]: Set A, B config vars by user ada@example.com"),
        "{log}"
    );
    assert!(
        log.contains("app[api]: Release v4 created by user ada@example.com"),
        "{log}"
    );
    assert!(!log.contains("two"), "{log}");
}

#[tokio::test]
async fn a_rollback_brings_code_and_config_back_as_a_new_release() {
    let server = server().await;
    let app = server.app("hello").await;
    server.deploy(&app, &[("web", "./one")]).await;
    server.tick();
    server
        .patch("/apps/hello/config-vars", json!({ "KEY": "new" }))
        .await
        .ok();
    server.deploy(&app, &[("web", "./two")]).await;
    let releases = server
        .get_range("/apps/hello/releases", "version ..; max=10, order=desc")
        .await
        .json();
    let target = releases
        .as_array()
        .unwrap()
        .iter()
        .find(|release| release["version"] == 3)
        .unwrap();
    assert_eq!(target["eligible_for_rollback"], true);
    server.tick();
    let made = server
        .post("/apps/hello/releases", json!({ "release": target["id"] }))
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    let made = made.json();
    assert_eq!(
        (&made["version"], &made["description"]),
        (&json!(6), &json!("Rollback to v3"))
    );
    assert_eq!((&made["current"], &made["slug"]), (&json!(true), &target["slug"]));
    assert_eq!(server.get("/apps/hello/config-vars").await.ok(), json!({}));
    assert_eq!(server.get("/apps/hello/formation/web").await.ok()["command"], "./one");
    let current = server.get("/apps/hello/releases").await.column("current");
    assert_eq!(current.iter().filter(|current| **current == json!(true)).count(), 1);

    let slug = json!({ "slug": releases[0]["slug"]["id"], "description": "Retry of v5: Deploy 01234567" });
    server.tick();
    let retried = server.post("/apps/hello/releases", slug).await.ok();
    assert_eq!(retried["description"], "Retry of v5: Deploy 01234567");
    assert_eq!(server.get("/apps/hello/formation/web").await.ok()["command"], "./two");
}

#[tokio::test]
async fn scaling_takes_texts_numbers_and_differences() {
    let server = server().await;
    let app = server.app("hello").await;
    server.deploy(&app, &[("web", "./web"), ("worker", "./work")]).await;
    let quantities = server.get("/apps/hello/formation").await;
    assert_eq!(quantities.column("type"), ["web", "worker"]);
    assert_eq!(quantities.column("quantity"), [1, 0]);
    let updates = json!({ "updates": [
        { "type": "web", "quantity": "+2", "size": "standard-2x" },
        { "type": "worker", "quantity": 1, "dyno_size": { "name": "Basic" } },
    ] });
    let scaled = server.patch("/apps/hello/formation", updates).await;
    assert_eq!(scaled.column("quantity"), [3, 1]);
    assert_eq!(scaled.column("size"), ["Standard-2X", "Basic"]);
    let one = server
        .patch("/apps/hello/formation/web", json!({ "quantity": "-9" }))
        .await
        .ok();
    assert_eq!(one["quantity"], 0);
    let log = server.log(&app).await;
    assert!(
        log.contains("Scaled to web@3:Standard-2X worker@1:Basic by user ada@example.com"),
        "{log}"
    );
}

#[tokio::test]
async fn an_app_that_sleeps_shows_idle_dynos_and_a_restart_wakes_it() {
    let server = server().await;
    let app = server.app("hello").await;
    server.deploy(&app, &[("web", "./serve"), ("worker", "./work")]).await;
    let mut connection = server.platform.store.connection().await.unwrap();
    let now = server.tick();
    paas_store::app::sleep(&mut connection, app.app.id, now).await.unwrap();
    let list = server.get("/apps/hello/dynos").await;
    assert_eq!(list.column("name"), ["web.1"]);
    assert_eq!(list.column("state"), ["idle"]);
    assert_eq!(list.column("command"), ["./serve"]);
    let id = list.column("id").remove(0);
    let info = server.get(&format!("/apps/hello/dynos/{}", id.as_str().unwrap())).await;
    assert_eq!(info.json()["state"], "idle");
    server.delete("/apps/hello/dynos/web.1").await.ok();
    let asleep_at = paas_store::app::asleep_at(&mut connection, app.app.id).await.unwrap();
    assert_eq!(asleep_at, None);
}

#[tokio::test]
async fn dynos_are_shown_once_per_slot_and_restarted_by_name_type_or_all() {
    let server = server().await;
    let app = server.app("hello").await;
    let old = server.deploy(&app, &[("web", "./one"), ("worker", "./work")]).await;
    server.dyno(&old, "web.1").await;
    server.dyno(&old, "worker.1").await;
    let new = server.deploy(&app, &[("web", "./two"), ("worker", "./work")]).await;
    server.dyno(&new, "web.1").await;
    let list = server.get_range("/apps/hello/dynos", "name ..").await;
    assert_eq!(list.column("name"), ["web.1", "worker.1"]);
    assert_eq!(list.column("command"), ["./two", "./work"]);
    assert_eq!(list.column("state"), ["up", "up"]);

    for (method, path) in [
        (Method::DELETE, "/apps/hello/dynos/worker.1"),
        (Method::DELETE, "/apps/hello/formations/web"),
        (Method::POST, "/apps/hello/formations/worker/actions/stop"),
        (Method::POST, "/apps/hello/dynos/web.1/actions/stop"),
        (Method::DELETE, "/apps/hello/dynos"),
    ] {
        let answer = server.send(server.request(method, path)).await;
        assert_eq!(
            (answer.status, answer.json()),
            (StatusCode::ACCEPTED, json!({})),
            "{path}"
        );
    }
    let mut connection = server.platform.store.connection().await.unwrap();
    let dynos = paas_store::dyno::of(&mut connection, app.app.id).await.unwrap();
    assert!(dynos.iter().all(|dyno| dyno.is_condemned), "{dynos:#?}");
    let log = server.log(&app).await;
    assert!(log.contains("Restart dyno worker.1 by user ada@example.com"), "{log}");
}

#[tokio::test]
async fn every_change_is_an_event_without_a_secret() {
    let server = server().await;
    let app = server.app("hello").await;
    server.deploy(&app, &[("web", "./web")]).await;
    server
        .patch("/apps/hello/config-vars", json!({ "KEY": "canary" }))
        .await
        .ok();
    server
        .patch("/apps/hello", json!({ "maintenance": true, "name": "hello2" }))
        .await
        .ok();
    server
        .patch("/apps/hello2/formation/web", json!({ "quantity": 2 }))
        .await
        .ok();
    let mut connection = server.platform.store.connection().await.unwrap();
    let events = event::list(&mut connection, app.app.id, 100).await.unwrap();
    let of = |resource: &str| events.iter().filter(|event| event.resource == resource).count();
    assert!(
        of("app") >= 2 && of("release") >= 2 && of("formation") >= 1,
        "{events:#?}"
    );
    assert!(!format!("{events:?}").contains("canary"));
}
