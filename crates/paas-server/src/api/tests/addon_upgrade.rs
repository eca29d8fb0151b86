//! Forks, versions and upgrades as clients ask for them.

use http::StatusCode;
use paas_core::AddonFill;
use paas_store::addon;
use serde_json::json;

use super::{addon::refuses, server::server};

#[tokio::test]
async fn a_version_is_chosen_and_a_fork_is_of_that_of_its_original() {
    let server = server().await;
    server.app("hello").await;
    let with = |plan: &str, config: serde_json::Value| json!({ "plan": plan, "config": config });
    let addons = "/apps/hello/addons";
    let wrong = with("heroku-postgresql", json!({ "version": "12" }));
    refuses(&server.post(addons, wrong).await, "There are: 15, 17");
    let newer = with("heroku-postgresql", json!({ "version": "17" }));
    let made = server.post(addons, newer).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let made = made.json();
    let fork = |plan: &str, version: Option<&str>| {
        let mut config = json!({ "fork": "DATABASE_URL" });
        if let Some(version) = version {
            config["version"] = version.into();
        }
        with(plan, config)
    };
    refuses(
        &server.post(addons, fork("heroku-postgresql", None)).await,
        "before it is there",
    );
    server.provision(&made).await;
    refuses(
        &server.post(addons, fork("heroku-postgresql", Some("15"))).await,
        "too old to read",
    );
    refuses(
        &server.post(addons, fork("heroku-redis", None)).await,
        "cannot be put into a redis",
    );
    let both = with(
        "heroku-postgresql",
        json!({ "fork": "DATABASE", "rollback": "DATABASE", "to": "1 hour ago" }),
    );
    assert!(server.post(addons, both).await.status.is_client_error());
    let forked = server.post(addons, fork("heroku-postgresql", None)).await;
    assert_eq!(forked.status, StatusCode::CREATED, "{}", forked.text);
    let path = format!("/client/v11/databases/{}", forked.json()["id"].as_str().unwrap());
    let info = server.get(&path).await.ok();
    let version = json!({ "name": "Version", "values": ["17"] });
    assert!(info["info"].as_array().unwrap().contains(&version), "{info}");
}

#[tokio::test]
async fn an_upgrade_goes_forward_one_at_a_time_and_can_be_cancelled() {
    let server = server().await;
    server.app("hello").await;
    let cache = server.new_addon("hello", "heroku-redis").await;
    server.provision(&cache).await;
    let made = server.new_addon("hello", "heroku-postgresql").await;
    let path = |addon: &serde_json::Value, verb: &str| {
        format!("/client/v11/databases/{}/upgrade/{verb}", addon["id"].as_str().unwrap())
    };
    let run = path(&made, "run");
    refuses(&server.post(&run, json!({})).await, "before it is there");
    server.provision(&made).await;
    refuses(&server.post(&path(&cache, "run"), json!({})).await, "one version only");
    for (version, words) in [("15", "is of version 15 already"), ("99", "There are: 15, 17")] {
        refuses(&server.post(&run, json!({ "version": version })).await, words);
    }
    let wait = server.get(&path(&made, "wait_status")).await.ok();
    assert_eq!((&wait["waiting?"], &wait["error?"]), (&json!(false), &json!(false)));
    refuses(&server.post(&path(&made, "cancel"), json!({})).await, "No upgrade of");

    let begun = server.post(&path(&made, "dry_run"), json!({})).await.ok();
    assert!(begun["message"].as_str().unwrap().contains("version 17"), "{begun}");
    let wait = server.get(&path(&made, "wait_status")).await.ok();
    assert_eq!(wait["waiting?"], true);
    refuses(&server.post(&run, json!({})).await, "under way already");
    server.post(&path(&made, "cancel"), json!({})).await.ok();
}

#[tokio::test]
async fn what_is_on_its_way_to_another_version_is_not_forked_and_a_plan_holds_its_fork() {
    let server = server().await;
    server.app("hello").await;
    let made = server.new_addon("hello", "heroku-postgresql:standard-0").await;
    server.provision(&made).await;
    let id = made["id"].as_str().unwrap();
    let fork = json!({ "plan": "heroku-postgresql:mini", "config": { "fork": "DATABASE" } });
    let fill = AddonFill {
        used_bytes: 2 << 30,
        plan_bytes: 64 << 30,
    };
    let mut connection = server.platform.store.connection().await.unwrap();
    let now = server.platform.clock.now();
    addon::set_disk_bytes(&mut connection, id.parse().unwrap(), fill, now)
        .await
        .unwrap();
    drop(connection);
    refuses(
        &server.post("/apps/hello/addons", fork).await,
        "takes 2048 MB of its disk",
    );
    let run = format!("/client/v11/databases/{id}/upgrade/run");
    server.post(&run, json!({})).await.ok();
    let fork = json!({ "plan": "heroku-postgresql:standard-0", "config": { "fork": "DATABASE" } });
    refuses(
        &server.post("/apps/hello/addons", fork).await,
        "is on its way to version 17",
    );
}
