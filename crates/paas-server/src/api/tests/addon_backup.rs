//! Backups as clients see them: who gets them, for how long, and what is left when an app is gone.

use chrono::TimeDelta;
use http::{HeaderValue, Method, StatusCode, header};
use paas_core::{AddonBackup, BackupKind, Id};
use paas_store::{
    addon::{self, AddonRow, Values},
    addon_backup::{self, Ending, NewBackup},
    app,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::server::{Answer, Server, server};
use crate::{addon::host, control, testing::DUMP};

impl Server {
    /// An add-on that is there, and a backup of it.
    async fn backed_up(&self, app: &str, plan: &str) -> (AddonRow, AddonBackup) {
        let made = self
            .post(&format!("/apps/{app}/addons"), json!({ "plan": { "name": plan } }))
            .await;
        let id: Id<paas_core::Addon> = made.json()["id"].as_str().unwrap().parse().unwrap();
        let (store, now) = (&self.platform.store, self.platform.clock.now());
        let mut connection = store.connection().await.unwrap();
        let secret = addon::secret(&mut connection, &store.sealer, id).await.unwrap();
        let config = Values::from([("URL".to_owned(), "postgres://somewhere".to_owned())]);
        addon::set_config(&mut connection, &store.sealer, id, (&secret, &config), now)
            .await
            .unwrap();
        let row = addon::by_id(&mut connection, id).await.unwrap().unwrap();
        drop(connection);
        let backup = self.kept_backup(&row).await;
        (row, backup)
    }

    async fn kept_backup(&self, row: &AddonRow) -> AddonBackup {
        let now = self.platform.clock.now();
        let mut connection = self.platform.store.connection().await.unwrap();
        let new = NewBackup {
            kind: BackupKind::Manual,
            source: None,
            by: None,
            server: Uuid::from_u128(1),
        };
        let backup = addon_backup::begin(&mut connection, row, new, now).await.unwrap();
        let mut writer = control::vault_of(&self.platform).create(backup.id).await.unwrap();
        writer.write(DUMP.as_bytes()).await.unwrap();
        let bytes = writer.finish().await.unwrap();
        addon_backup::end(&mut connection, backup.id, Ending::Succeeded, bytes, now)
            .await
            .unwrap();
        backup
    }

    async fn public_url(&self, app: &str, name: &str) -> Value {
        let path = format!("/client/v11/apps/{app}/transfers/{name}/actions/public-url");
        self.post(&path, json!({})).await.ok()
    }

    async fn without_token(&self, path: &str) -> Answer {
        let mut request = self.request(Method::GET, path);
        request.headers_mut().remove(header::AUTHORIZATION);
        self.send(request).await
    }

    async fn status_for(&self, token: &str, method: Method, path: &str) -> StatusCode {
        let mut request = self.request(method, path);
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        self.send(request).await.status
    }
}

#[tokio::test]
async fn an_address_of_a_backup_needs_no_token_and_is_good_for_an_hour() {
    let server = server().await;
    server.app("hello").await;
    server.backed_up("hello", "heroku-postgresql").await;
    let public = server.public_url("hello", "1").await;
    let path = Server::path_of(&public["url"]);
    let fetched = server.without_token(&path).await;
    assert_eq!((fetched.status, &*fetched.text), (StatusCode::OK, DUMP));
    let damaged = format!("{}x", &path[..path.len() - 1]);
    assert_eq!(server.without_token(&damaged).await.status, StatusCode::NOT_FOUND);
    server.platform.clock.advance(TimeDelta::minutes(61));
    let late = server.without_token(&path).await;
    assert!(late.text.contains("not good any more"), "{}", late.text);
}

#[tokio::test]
async fn an_address_is_good_no_longer_than_the_right_of_whoever_asked_for_it() {
    let server = server().await;
    server.app("hello").await;
    let (row, _) = server.backed_up("hello", "heroku-postgresql").await;
    let collaborator = server.stranger("eve@example.com").await;
    let body = json!({ "user": "eve@example.com" });
    server.post("/apps/hello/collaborators", body).await.ok();
    let ask = async || {
        let path = "/client/v11/apps/hello/transfers/b001/actions/public-url";
        let mut request = server.request(Method::POST, path);
        let bearer = HeaderValue::from_str(&format!("Bearer {collaborator}")).unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        server.send(request).await
    };
    let public = ask().await.ok();
    let path = Server::path_of(&public["url"]);
    assert_eq!(server.without_token(&path).await.text, DUMP);
    server.delete("/apps/hello/collaborators/eve@example.com").await.ok();
    assert_eq!(server.without_token(&path).await.status, StatusCode::NOT_FOUND);
    let restores = format!("/client/v11/databases/{}/restores", row.addon.id);
    let refused = server.post(&restores, json!({ "backup_url": public["url"] })).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND, "{}", refused.text);
}

#[tokio::test]
async fn an_address_of_the_list_is_for_whoever_may_read_the_backup_and_opens_nothing() {
    let server = server().await;
    server.app("hello").await;
    server.app("shared").await;
    let (own, _) = server.backed_up("hello", "heroku-postgresql").await;
    let (shared, _) = server.backed_up("shared", "heroku-postgresql").await;
    let listed = server.get("/client/v11/apps/hello/transfers").await.ok();
    let address = listed[0]["to_url"].as_str().unwrap().to_owned();
    let path = Server::path_of(&json!(address));
    assert_eq!(server.get(&path).await.status, StatusCode::NOT_FOUND);

    let collaborator = server.stranger("eve@example.com").await;
    let body = json!({ "user": "eve@example.com" });
    server.post("/apps/shared/collaborators", body).await.ok();
    let restore = async |row: &AddonRow, token: Option<&str>| {
        let path = format!("/client/v11/databases/{}/restores", row.addon.id);
        let mut request = server.request(Method::POST, &path);
        if let Some(token) = token {
            let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            request.headers_mut().insert(header::AUTHORIZATION, bearer);
        }
        let body = json!({ "backup_url": address }).to_string();
        server.send(request.map(|_| body.into())).await
    };
    let refused = restore(&shared, Some(&collaborator)).await;
    assert!(
        matches!(refused.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND),
        "{}",
        refused.text
    );
    let begun = restore(&own, None).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text);
    assert_eq!(
        begun.json()["to_url"],
        json!(null),
        "a restore is nothing to be restored"
    );
}

#[tokio::test]
async fn strangers_learn_nothing_of_backups_and_take_none() {
    let server = server().await;
    server.app("hello").await;
    let (row, _) = server.backed_up("hello", "heroku-postgresql").await;
    let stranger = server.stranger("eve@example.com").await;
    let (app, database) = ("/client/v11/apps/hello/transfers", row.addon.id);
    for (method, path) in [
        (Method::GET, app.to_owned()),
        (Method::GET, format!("{app}/b001")),
        (Method::DELETE, format!("{app}/b001")),
        (Method::POST, format!("{app}/b001/actions/public-url")),
        (Method::POST, format!("{app}/b001/actions/prove")),
        (Method::POST, format!("/client/v11/databases/{database}/backups")),
        (Method::GET, format!("/client/v11/databases/{database}")),
        (
            Method::GET,
            format!("/client/v11/databases/{database}/transfer-schedules"),
        ),
    ] {
        let status = server.status_for(&stranger, method.clone(), &path).await;
        assert!(
            matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND),
            "{method} {path}: {status}"
        );
    }
}

#[tokio::test]
async fn what_is_left_of_an_app_goes_into_another_one_of_its_owner() {
    let server = server().await;
    let old = server.app("old").await;
    server.app("new").await;
    let (row, backup) = server.backed_up("old", "heroku-postgresql").await;
    let (target, _) = server.backed_up("new", "heroku-postgresql").await;
    let store = &server.platform.store;
    let mut connection = store.connection().await.unwrap();
    let stamp = paas_store::Stamp {
        by: row.created_by,
        at: server.platform.clock.now(),
    };
    addon::begin_destroy(&mut connection, &store.sealer, row.addon.id, stamp)
        .await
        .unwrap();
    addon::delete(&mut connection, row.addon.id).await.unwrap();
    app::begin_destroy(&mut connection, old.app.id, stamp).await.unwrap();
    app::delete(&mut connection, old.app.id).await.unwrap();

    let path = "/client/v11/apps/old/transfers";
    assert_eq!(server.get(path).await.ok()[0]["uuid"], backup.id.to_string());
    let stranger = server.stranger("eve@example.com").await;
    assert_eq!(
        server.status_for(&stranger, Method::GET, path).await,
        StatusCode::NOT_FOUND
    );
    let public = server.public_url("old", "b001").await;
    assert_eq!(server.without_token(&Server::path_of(&public["url"])).await.text, DUMP);
    let restores = format!("/client/v11/databases/{}/restores", target.addon.id);
    let begun = server.post(&restores, json!({ "backup_url": public["url"] })).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text);
    assert_eq!(
        (&begun.json()["name"], &begun.json()["to_type"]),
        (&json!("r002"), &json!("pg_restore"))
    );
    // Whoever makes the app anew finds them there, also beside those that it has by then.
    server.app("old").await;
    assert_eq!(server.get(path).await.ok()[0]["uuid"], backup.id.to_string());
    server.backed_up("old", "heroku-postgresql").await;
    assert_ne!(server.get(path).await.ok()[0]["uuid"], backup.id.to_string());
    let found = server.get(&format!("{path}/{}", backup.id)).await.ok();
    assert_eq!(found["uuid"], backup.id.to_string());

    let elsewhere = json!({ "backup_url": "https://example.com/latest.dump" });
    let refused = server.post(&restores, elsewhere).await;
    assert!(
        refused.text.contains("Only backups of this platform"),
        "{}",
        refused.text
    );
}

#[tokio::test]
async fn what_a_newer_server_has_written_is_not_given_to_an_older_one() {
    let server = server().await;
    server.app("hello").await;
    let newer = json!({ "plan": "heroku-postgresql", "config": { "version": "17" } });
    let newer = server.post("/apps/hello/addons", newer).await.json();
    server.provision(&newer).await;
    let mut connection = server.platform.store.connection().await.unwrap();
    let row = addon::find(&mut connection, newer["id"].as_str().unwrap())
        .await
        .unwrap();
    drop(connection);
    server.kept_backup(&row.unwrap()).await;
    let (older, _) = server.backed_up("hello", "heroku-postgresql").await;
    let restores = format!("/client/v11/databases/{}/restores", older.addon.id);
    let public = server.public_url("hello", "b001").await;
    let restored = server.post(&restores, json!({ "backup_url": public["url"] })).await;
    let copied = format!("/addons/{}/actions/copy", older.addon.id);
    let copied = server.post(&copied, json!({ "source": newer["name"] })).await;
    for refused in [restored, copied] {
        assert!(refused.text.contains("too old to read"), "{}", refused.text);
        assert!(refused.text.contains("-- --version 17"), "{}", refused.text);
    }
}

#[tokio::test]
async fn a_database_is_copied_by_addresses_of_the_platform_and_by_no_others() {
    let server = server().await;
    server.app("hello").await;
    let (from, _) = server.backed_up("hello", "heroku-postgresql").await;
    let (to, _) = server.backed_up("hello", "heroku-postgresql").await;
    let (cache, _) = server.backed_up("hello", "heroku-redis").await;
    let address = |row: &AddonRow| format!("postgres://user:secret@{}:5432/name", host(row.addon.id));
    let path = format!("/client/v11/databases/{}/transfers", to.addon.id);
    let body = |from: &str, to: &str| json!({ "from_name": "A", "from_url": from, "to_name": "B", "to_url": to });
    for (odd, words) in [
        (
            body("postgres://user:secret@example.com/name", &address(&to)),
            "pg:push",
        ),
        (body(&address(&to), &address(&to)), "onto itself"),
        (body(&address(&cache), &address(&to)), "different kinds"),
    ] {
        let refused = server.post(&path, odd).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.text.contains(words), "{}", refused.text);
        assert!(!refused.text.contains("secret"), "{}", refused.text);
    }
    let eve = server.stranger("eve@example.com").await;
    let status = server.status_for(&eve, Method::POST, &path).await;
    assert!(status.is_client_error(), "{status}");

    let begun = server.post(&path, body(&address(&from), &address(&to))).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text);
    let begun = begun.json();
    assert_eq!(begun["name"], "c004");
    assert_eq!(begun["from_name"], from.addon.name.as_str());
    assert_eq!(begun["to_name"], to.addon.name.as_str());
    assert_eq!(
        (&begun["from_type"], &begun["to_type"]),
        (&json!("pg_dump"), &json!("pg_restore"))
    );
    let polled = format!("/client/v11/apps/hello/transfers/{}", begun["uuid"].as_str().unwrap());
    assert_eq!(server.get(&polled).await.ok()["kind"], "copy");
}

#[tokio::test]
async fn a_schedule_is_an_hour_of_a_place_and_only_what_can_be_backed_up_has_one() {
    let server = server().await;
    server.app("hello").await;
    let (row, _) = server.backed_up("hello", "heroku-postgresql").await;
    let path = format!("/client/v11/databases/{}/transfer-schedules", row.addon.id);
    assert_eq!(
        server.get(&path).await.ok()[0]["timezone"],
        "UTC",
        "from the first second"
    );
    let wanted = json!({ "hour": "02", "timezone": "America/Los_Angeles", "schedule_name": "DATABASE_URL" });
    let made = server.post(&path, wanted).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!((&made.json()["hour"], &made.json()["minute"]), (&json!(2), &json!(0)));
    for odd in [
        json!({ "hour": 24, "timezone": "UTC" }),
        json!({ "hour": 2, "timezone": "Mars/Olympus" }),
        json!({ "hour": "two", "timezone": "UTC" }),
    ] {
        assert!(server.post(&path, odd.clone()).await.status.is_client_error(), "{odd}");
    }
    let stop = format!("{path}/{}", row.addon.id);
    assert_eq!(server.delete(&stop).await.status, StatusCode::OK);
    assert_eq!(server.get(&path).await.ok(), json!([]));
    assert_eq!(server.delete(&stop).await.status, StatusCode::NOT_FOUND);

    let (cache, _) = server.backed_up("hello", "memcachier").await;
    let refused = server
        .post(&format!("/client/v11/databases/{}/backups", cache.addon.id), json!({}))
        .await;
    assert!(refused.text.contains("has no backups"), "{}", refused.text);
    let info = server
        .get(&format!("/client/v11/databases/{}", row.addon.id))
        .await
        .ok();
    assert_eq!(info["plan"], "heroku-postgresql:essential-0");
}
