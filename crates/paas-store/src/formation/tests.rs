use paas_core::ReleaseFailure;

use super::*;
use crate::{
    fixture::{World, seconds},
    release,
};

async fn told(world: &World, app: Id<App>) -> String {
    let rows = list(&mut *world.conn().await, app).await.unwrap();
    rows.iter()
        .map(|row| format!("{}={}", row.process_type, row.scale.quantity))
        .collect::<Vec<_>>()
        .join(" ")
}

async fn scale(world: &World, app: Id<App>, change: &str) -> Result<FormationRow, StoreError> {
    let (process_type, quantity) = change.split_once('=').unwrap();
    let change = FormationChange {
        process_type: process_type.parse().unwrap(),
        quantity: Some(quantity.parse().unwrap()),
        size: None,
    };
    update(&mut *world.conn().await, app, change, world.stamp()).await
}

#[tokio::test]
async fn the_first_deploy_starts_one_web_dyno_and_nothing_else() {
    let world = World::new().await;
    let app = world.app("hello").await;
    assert_eq!(told(&world, app).await, "");
    world.deploy(app, &["web", "worker", "clock"]).await;
    assert_eq!(told(&world, app).await, "clock=0 web=1 worker=0");
    let rows = list(&mut *world.conn().await, app).await.unwrap();
    assert_eq!(
        (rows[1].command.as_str(), rows[1].scale.size),
        ("run-web", DynoSize::Standard1X)
    );
}

#[tokio::test]
async fn the_release_process_is_not_in_the_formation() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let release = world.deploy(app, &["release", "web"]).await.release;
    assert_eq!(told(&world, app).await, "", "its release phase has not ended");
    release::succeed(&mut *world.conn().await, release.id, seconds(1))
        .await
        .unwrap();
    assert_eq!(told(&world, app).await, "web=1");
    assert!(matches!(
        scale(&world, app, "release=1").await,
        Err(StoreError::UnknownProcessType { .. })
    ));
}

#[tokio::test]
async fn scaling_outlives_deploys() {
    let world = World::new().await;
    let app = world.app("hello").await;
    world.deploy(app, &["web", "worker"]).await;
    let row = scale(&world, app, "web=3").await.unwrap();
    assert_eq!(
        (row.scale.quantity, row.command.as_str(), row.updated_at),
        (3, "run-web", seconds(0))
    );
    scale(&world, app, "worker=+2").await.unwrap();
    scale(&world, app, "worker=-1").await.unwrap();
    world.deploy(app, &["web", "worker", "clock"]).await;
    assert_eq!(told(&world, app).await, "clock=0 web=3 worker=1");
}

#[tokio::test]
async fn size_and_quantity_change_apart_or_together() {
    let world = World::new().await;
    let app = world.app("hello").await;
    world.deploy(app, &["web"]).await;
    let mut conn = world.conn().await;
    let resize = FormationChange {
        process_type: ProcessType::web(),
        quantity: None,
        size: Some(DynoSize::Standard2X),
    };
    let row = update(&mut conn, app, resize, world.stamp()).await.unwrap();
    assert_eq!(
        row.scale,
        Scale {
            quantity: 1,
            size: DynoSize::Standard2X
        }
    );
    assert_eq!(list(&mut conn, app).await.unwrap(), [row]);
    let events = event::list(&mut conn, app, 1).await.unwrap();
    assert_eq!(
        events[0].payload,
        json!({ "type": "web", "quantity": 1, "size": "Standard-2X" })
    );
}

#[tokio::test]
async fn what_cannot_be_scaled_is_refused() {
    let world = World::new().await;
    let app = world.app("hello").await;
    assert!(matches!(
        scale(&world, app, "web=1").await,
        Err(StoreError::UnknownProcessType { .. })
    ));
    world.deploy(app, &["web"]).await;
    assert!(matches!(
        scale(&world, app, "worker=1").await,
        Err(StoreError::UnknownProcessType { .. })
    ));
    assert!(matches!(
        scale(&world, app, "web=101").await,
        Err(StoreError::Quantity(_))
    ));
    assert_eq!(told(&world, app).await, "web=1");
}

#[tokio::test]
async fn a_type_that_left_the_procfile_is_forgotten_once_that_serves() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    let first = world.deploy(app, &["web", "worker"]).await.release.id;
    release::mark_served(&mut conn, first, seconds(1)).await.unwrap();
    scale(&world, app, "worker=2").await.unwrap();

    let broken = world.deploy(app, &["web"]).await.release.id;
    assert_eq!(told(&world, app).await, "web=1");
    release::fail(&mut conn, broken, ReleaseFailure::Boot, seconds(2))
        .await
        .unwrap();
    assert_eq!(
        told(&world, app).await,
        "web=1 worker=2",
        "the old release runs on as it did"
    );

    let good = world.deploy(app, &["web"]).await.release.id;
    let waiting = world.deploy(app, &["web", "clock", "release"]).await.release.id;
    release::mark_served(&mut conn, good, seconds(3)).await.unwrap();
    release::succeed(&mut conn, waiting, seconds(4)).await.unwrap();
    assert_eq!(told(&world, app).await, "clock=0 web=1");
    world.deploy(app, &["web", "worker"]).await;
    assert_eq!(
        told(&world, app).await,
        "web=1 worker=0",
        "a type that comes back starts at none"
    );
}
