use super::*;
use crate::{event, fixture::World};

fn url(text: &str) -> DrainUrl {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_drain_is_found_by_id_token_and_url_until_it_is_deleted() {
    let world = World::new().await;
    let (app, other) = (world.app("hello").await, world.app("other").await);
    let sealer = &world.store().sealer;
    let mut conn = world.conn().await;
    let secret = url("https://ann:hunter2@logs.example.com/in?key=s3cret");
    let drain = create(&mut conn, sealer, app, &secret, 17, world.stamp())
        .await
        .unwrap();
    for name in [&drain.id.to_string(), &drain.token, secret.as_str()] {
        assert_eq!(find(&mut conn, sealer, app, name).await.unwrap().as_ref(), Some(&drain));
        assert_eq!(find(&mut conn, sealer, other, name).await.unwrap(), None);
    }
    assert_eq!(all(&mut conn, sealer).await.unwrap(), std::slice::from_ref(&drain));
    delete(&mut conn, &drain, world.stamp()).await.unwrap();
    assert!(matches!(
        delete(&mut conn, &drain, world.stamp()).await,
        Err(StoreError::DrainGone)
    ));
    let events = event::list(&mut conn, app, 2).await.unwrap();
    assert_eq!(
        events.iter().map(|event| event.action.as_str()).collect::<Vec<_>>(),
        ["destroy", "create"]
    );
    assert!(events.iter().all(|event| event.resource == "log-drain"));
    let told = format!("{events:?}{drain:?}");
    assert!(!told.contains("hunter2") && !told.contains("s3cret"), "{told}");
}

#[tokio::test]
async fn the_url_is_sealed_in_its_row() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    let secret = url("https://ann:hunter2@logs.example.com");
    create(&mut conn, &world.store().sealer, app, &secret, 0, world.stamp())
        .await
        .unwrap();
    let stored = sqlx::query_scalar::<_, Vec<u8>>("select url from log_drains").fetch_one(&mut *conn);
    let stored = stored.await.unwrap();
    assert!(!String::from_utf8_lossy(&stored).contains("example"));
    assert!(matches!(
        all(&mut conn, &Sealer::ephemeral()).await,
        Err(StoreError::Seal(_))
    ));
}

#[tokio::test]
async fn an_app_has_a_drain_once_and_a_few_of_them() {
    let world = World::new().await;
    let (app, other) = (world.app("hello").await, world.app("other").await);
    let sealer = &world.store().sealer;
    let mut conn = world.conn().await;
    for number in 0..MAXIMUM_PER_APP {
        let url = url(&format!("syslog://logs.example.com:{}", 1000 + number));
        create(&mut conn, sealer, app, &url, 0, world.stamp()).await.unwrap();
        let again = create(&mut conn, sealer, app, &url, 0, world.stamp()).await;
        assert!(matches!(again, Err(StoreError::DrainTaken)));
        create(&mut conn, sealer, other, &url, 0, world.stamp()).await.unwrap();
    }
    let more = create(
        &mut conn,
        sealer,
        app,
        &url("syslog://more.example.com"),
        0,
        world.stamp(),
    )
    .await;
    assert!(matches!(more, Err(StoreError::TooManyDrains)));
    // The log of an app that is being destroyed goes nowhere any more.
    app::begin_destroy(&mut conn, other, world.stamp()).await.unwrap();
    let all = all(&mut conn, sealer).await.unwrap();
    assert_eq!(all.len(), MAXIMUM_PER_APP);
    assert!(all.iter().all(|drain| drain.app == app));
}
