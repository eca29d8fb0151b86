use super::*;
use crate::{event, fixture::World};

pub(crate) fn target(include: &[WebhookEntity], level: WebhookLevel) -> WebhookTarget {
    WebhookTarget {
        include: include.to_vec(),
        level,
        url: "https://ann:hunter2@example.com/in?key=s3cret".parse().unwrap(),
        secret: "signing-key".to_owned(),
        credentials: Some("Bearer receiver-token".to_owned()),
    }
}

#[tokio::test]
async fn a_webhook_keeps_what_it_was_given_and_shows_no_secret() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let sealer = &world.store().sealer;
    let mut conn = world.conn().await;
    let wanted = target(&[WebhookEntity::Release], WebhookLevel::Notify);
    let made = create(&mut conn, sealer, app, wanted.clone(), world.stamp())
        .await
        .unwrap();
    assert_eq!(made.target, wanted);
    assert_eq!(get(&mut conn, sealer, made.id).await.unwrap().as_ref(), Some(&made));
    assert_eq!(list(&mut conn, sealer, app).await.unwrap(), std::slice::from_ref(&made));

    let other = WebhookTarget {
        credentials: None,
        ..target(&[WebhookEntity::App, WebhookEntity::Dyno], WebhookLevel::Sync)
    };
    let changed = update(&mut conn, sealer, made, other, world.stamp()).await.unwrap();
    assert_eq!(
        get(&mut conn, sealer, changed.id).await.unwrap().as_ref(),
        Some(&changed)
    );
    delete(&mut conn, &changed, world.stamp()).await.unwrap();
    assert_eq!(list(&mut conn, sealer, app).await.unwrap(), []);
    assert!(matches!(
        delete(&mut conn, &changed, world.stamp()).await,
        Err(StoreError::WebhookGone)
    ));

    let told = format!("{:?}{changed:?}", event::list(&mut conn, app, 10).await.unwrap());
    for secret in ["hunter2", "s3cret", "signing-key", "receiver-token"] {
        assert!(!told.contains(secret), "{told}");
    }
}

#[tokio::test]
async fn an_app_has_ten_webhooks_at_most() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let sealer = &world.store().sealer;
    let mut conn = world.conn().await;
    for _ in 0..MAXIMUM_PER_APP {
        let target = target(&[WebhookEntity::App], WebhookLevel::Notify);
        create(&mut conn, sealer, app, target, world.stamp()).await.unwrap();
    }
    let target = target(&[WebhookEntity::App], WebhookLevel::Notify);
    let refused = create(&mut conn, sealer, app, target, world.stamp()).await;
    assert!(matches!(refused, Err(StoreError::TooManyWebhooks)), "{refused:?}");
}
