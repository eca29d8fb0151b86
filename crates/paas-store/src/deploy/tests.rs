use paas_core::{BuildFailure, BuildStatus, ReleaseStatus};

use super::*;
use crate::{
    event,
    fixture::{World, seconds, slug},
};

#[tokio::test]
async fn a_deploy_ends_the_build_and_makes_a_release_with_the_apps_config() {
    let world = World::new().await;
    let app = world.app("hello").await;
    world.set(app, &[("A", Some("1"))]).await.unwrap();
    let row = world.deploy(app, &["web", "worker"]).await;
    assert_eq!(row.release.version.number(), 4);
    assert_eq!(row.release.status, ReleaseStatus::Succeeded);
    assert_eq!(
        (row.is_current, row.has_release_phase, row.commit.as_deref()),
        (true, false, Some("1a2b3c4d"))
    );
    assert_eq!(world.config(row.release.id).await, "A=1");

    let mut conn = world.conn().await;
    let build = build::latest(&mut conn, app).await.unwrap().unwrap();
    let made = row.release.slug.unwrap();
    assert_eq!(build.build.status, BuildStatus::Succeeded { slug: made });
    assert_eq!(build.release, Some(row.release.id));
    let stored = slug::get(&mut conn, made).await.unwrap().unwrap();
    assert_eq!((stored.size_bytes, stored.process_types.len()), (94_000_000, 2));
    let events = event::list(&mut conn, app, 2).await.unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.action.as_str(), event.resource.as_str()))
        .collect();
    assert_eq!(told, [("update", "build"), ("create", "release")]);
}

#[tokio::test]
async fn a_build_that_lost_its_lease_leaves_nothing_behind() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let build = world.build(app).await;
    let mut conn = world.conn().await;
    build::fail(&mut conn, build, BuildFailure::LeaseExpired, seconds(1))
        .await
        .unwrap();
    let made = slug(app, &["web"]);
    let late = Deploy {
        build,
        slug: made.clone(),
        description: "Deploy".to_owned(),
    };
    let refused = deploy(&mut conn, &world.store().sealer, late, world.stamp()).await;
    assert!(matches!(refused, Err(StoreError::BuildEnded)));
    assert_eq!(slug::get(&mut conn, made.id).await.unwrap(), None);
    assert_eq!(world.current(app).await, 2);
    assert_eq!(formation::list(&mut conn, app).await.unwrap(), []);
}

#[tokio::test]
async fn an_app_destroyed_during_its_build_gets_no_release() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let build = world.build(app).await;
    let mut conn = world.conn().await;
    app::begin_destroy(&mut conn, app, world.stamp()).await.unwrap();
    let late = Deploy {
        build,
        slug: slug(app, &["web"]),
        description: "Deploy".to_owned(),
    };
    let refused = deploy(&mut conn, &world.store().sealer, late, world.stamp()).await;
    assert!(matches!(refused, Err(StoreError::AppGone)));
}
