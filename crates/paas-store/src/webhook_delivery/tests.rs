use chrono::TimeDelta;
use paas_core::DynoSize;
use serde_json::json;

use super::*;
use crate::{
    app, dyno,
    fixture::{World, seconds},
    webhook::{self, tests::target},
};

const EVERYTHING: LogPage = LogPage {
    sequences: 0..=i64::MAX,
    is_descending: false,
    max: 100,
};

async fn hook(world: &World, app: Id<App>, include: &[WebhookEntity], level: WebhookLevel) -> Id<Webhook> {
    let mut conn = world.conn().await;
    let target = target(include, level);
    let made = webhook::create(&mut conn, &world.store().sealer, app, target, world.stamp()).await;
    made.unwrap().id
}

/// Tells everybody of everything.
async fn tell_all(conn: &mut PgConnection) -> usize {
    let events = untold(conn, 100).await.unwrap();
    for event in &events {
        match WebhookEntity::of(&event.action, &event.resource) {
            Some(entity) => tell(conn, event, entity, &event.payload, seconds(0)).await.unwrap(),
            None => pass_over(conn, event).await.unwrap(),
        }
    }
    events.len()
}

#[tokio::test]
async fn only_events_of_apps_with_webhooks_are_told_and_each_once() {
    let world = World::new().await;
    let (hello, other) = (world.app("hello").await, world.app("other").await);
    let mut conn = world.conn().await;
    world.set(hello, &[("A", Some("1"))]).await;
    assert_eq!(untold(&mut conn, 9).await.unwrap(), []);
    let both = hook(
        &world,
        hello,
        &[WebhookEntity::Release, WebhookEntity::App],
        WebhookLevel::Sync,
    )
    .await;
    let one = hook(&world, hello, &[WebhookEntity::App], WebhookLevel::Notify).await;
    world.set(hello, &[("A", Some("2"))]).await;
    world.set(other, &[("A", Some("2"))]).await;
    app::set_maintenance(&mut conn, hello, true, world.stamp())
        .await
        .unwrap();

    let events = untold(&mut conn, 9).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|event| (&*event.action, &*event.resource)).collect();
    assert_eq!(
        kinds,
        [
            ("create", "webhook"),
            ("create", "webhook"),
            ("create", "release"),
            ("update", "app")
        ]
    );
    assert_eq!(events[2].actor.as_ref().map(|actor| actor.id), Some(world.ann));
    assert_eq!(tell_all(&mut conn).await, 4);
    assert_eq!(tell_all(&mut conn).await, 0);

    let told = deliveries(&mut conn, hello, None, EVERYTHING).await.unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|delivery| (delivery.webhook, &*delivery.include))
        .collect();
    // Of one event, the webhooks are told in the order of their ids, which were made in one moment here.
    assert_eq!(told[0], (both, "api:release"));
    let of_app = [(both.min(one), "api:app"), (both.max(one), "api:app")];
    assert_eq!(told[1..], of_app);
    assert_eq!(deliveries(&mut conn, other, None, EVERYTHING).await.unwrap(), []);
    assert_eq!(events_of(&mut conn, hello).await, ["api:release", "api:app"]);
}

async fn events_of(conn: &mut PgConnection, app: Id<App>) -> Vec<String> {
    let events = events(conn, app, EVERYTHING).await.unwrap();
    events.into_iter().map(|event| event.include).collect()
}

#[tokio::test]
async fn what_a_resource_was_is_the_newest_word_on_each_field() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    app::set_maintenance(&mut conn, app, true, world.stamp()).await.unwrap();
    hook(&world, app, &[WebhookEntity::App], WebhookLevel::Sync).await;
    app::set_maintenance(&mut conn, app, false, world.stamp())
        .await
        .unwrap();
    let event = untold(&mut conn, 9).await.unwrap().pop().unwrap();
    assert_eq!(event.payload, json!({ "maintenance": false }));
    let before = said_before(&mut conn, &event).await.unwrap();
    assert_eq!(before["maintenance"], true);
    assert_eq!(before["name"], "hello");
}

#[tokio::test]
async fn deliveries_are_due_in_order_and_one_that_fails_waits_by_itself() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    let hook = hook(&world, app, &[WebhookEntity::App], WebhookLevel::Sync).await;
    for on in [true, false] {
        app::set_maintenance(&mut conn, app, on, world.stamp()).await.unwrap();
    }
    tell_all(&mut conn).await;
    assert_eq!(waiting(&mut conn).await.unwrap(), [(hook, seconds(0))]);
    let first = next_due(&mut conn, hook, seconds(1)).await.unwrap().unwrap();
    assert_eq!(first.event.payload["maintenance"], true);
    let attempt = Attempt {
        id: Uuid::new_v4(),
        code: Some(500),
        error: Some("RefusedError"),
        at: seconds(1),
        ended_at: seconds(2),
    };
    let retry = WebhookOutcome::Retry { at: seconds(60) };
    attempted(&mut conn, first.id, &attempt, retry).await.unwrap();
    let second = next_due(&mut conn, hook, seconds(2)).await.unwrap().unwrap();
    assert_eq!(second.event.payload["maintenance"], false);
    attempted(&mut conn, second.id, &attempt, WebhookOutcome::Succeeded)
        .await
        .unwrap();
    assert_eq!(next_due(&mut conn, hook, seconds(3)).await.unwrap(), None);
    let again = next_due(&mut conn, hook, seconds(60)).await.unwrap().unwrap();
    assert_eq!((again.id, again.attempts), (first.id, 1));
    attempted(&mut conn, first.id, &attempt, WebhookOutcome::Failed)
        .await
        .unwrap();
    assert_eq!(waiting(&mut conn).await.unwrap(), []);

    let failed = deliveries(&mut conn, app, Some("failed"), EVERYTHING).await.unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].attempts, 2);
    assert_eq!(failed[0].last_attempt.as_ref().unwrap().code, Some(500));
    let found = find_delivery(&mut conn, app, first.id).await.unwrap();
    assert_eq!(found.as_ref(), failed.first());
}

#[tokio::test]
async fn states_of_dynos_are_recorded_where_a_webhook_asks_for_them() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let release = world.deploy(app, &["web"]).await.release;
    let mut conn = world.conn().await;
    let mut run = async |index| {
        let new = dyno::NewDyno {
            id: new_id(seconds(0)),
            app,
            name: format!("web.{index}").parse().unwrap(),
            release: release.id,
            size: DynoSize::default(),
        };
        dyno::insert(&mut conn, new, seconds(0)).await.unwrap();
        let dyno = dyno::of(&mut conn, app).await.unwrap().pop().unwrap();
        assert!(dyno::update(&mut conn, &dyno, seconds(1)).await.unwrap());
        dyno::delete(&mut conn, &[dyno.id], seconds(2)).await.unwrap();
        assert!(!dyno::update(&mut conn, &dyno, seconds(3)).await.unwrap());
        untold(&mut conn, 100).await.unwrap()
    };
    assert_eq!(run(1).await, []);
    hook(&world, app, &[WebhookEntity::Dyno], WebhookLevel::Notify).await;
    let told = run(2).await;
    let told: Vec<_> = told
        .iter()
        .filter(|event| event.resource == "dyno-state")
        .map(|event| (&*event.action, event.payload["state"].as_str().unwrap()))
        .collect();
    // One that stays as it is, is none.
    assert_eq!(told, [("create", "starting"), ("destroy", "down")]);
}

#[tokio::test]
async fn old_events_are_forgotten_and_the_webhooks_of_apps_that_are_gone() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    let hook = hook(&world, app, &[WebhookEntity::App], WebhookLevel::Sync).await;
    app::begin_destroy(&mut conn, app, world.stamp()).await.unwrap();
    app::delete(&mut conn, app).await.unwrap();
    prune(&mut conn, seconds(-1)).await.unwrap();
    assert_eq!(tell_all(&mut conn).await, 2);
    prune(&mut conn, seconds(-1)).await.unwrap();
    let due = next_due(&mut conn, hook, seconds(1)).await.unwrap().unwrap();
    let attempt = Attempt {
        id: Uuid::new_v4(),
        code: Some(204),
        error: None,
        at: seconds(1),
        ended_at: seconds(2),
    };
    attempted(&mut conn, due.id, &attempt, WebhookOutcome::Succeeded)
        .await
        .unwrap();
    let sealer = &world.store().sealer;
    assert!(webhook::get(&mut conn, sealer, hook).await.unwrap().is_some());
    prune(&mut conn, seconds(-1)).await.unwrap();
    assert!(webhook::get(&mut conn, sealer, hook).await.unwrap().is_none());

    prune(&mut conn, seconds(0) + TimeDelta::days(30)).await.unwrap();
    assert_eq!(events_of(&mut conn, app).await, [""; 0]);
}

#[tokio::test]
async fn a_webhook_that_is_far_behind_gets_no_more() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    hook(&world, app, &[WebhookEntity::App], WebhookLevel::Sync).await;
    app::set_maintenance(&mut conn, app, true, world.stamp()).await.unwrap();
    let event = untold(&mut conn, 9).await.unwrap().pop().unwrap();
    for number in 0..=MOST_WAITING {
        let event = Untold {
            sequence: -number,
            ..event.clone()
        };
        tell(&mut conn, &event, WebhookEntity::App, &event.payload, seconds(0))
            .await
            .unwrap();
    }
    let page = LogPage {
        sequences: i64::MIN..=i64::MAX,
        ..EVERYTHING
    };
    let dropped = deliveries(&mut conn, app, Some("failed"), page).await.unwrap();
    assert_eq!(dropped.len(), 1);
}
