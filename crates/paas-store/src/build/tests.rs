use paas_core::BuildStatus;

use super::*;
use crate::fixture::{World, seconds};

#[tokio::test]
async fn an_app_has_one_pending_build() {
    let world = World::new().await;
    let (hello, other) = (world.app("hello").await, world.app("other").await);
    let mut conn = world.conn().await;
    let first = world.build(hello).await;
    let second = create(&mut conn, World::new_build(hello), world.stamp()).await;
    assert!(matches!(second, Err(StoreError::BuildPending)));
    world.build(other).await;
    let row = pending(&mut conn, hello).await.unwrap().unwrap();
    assert_eq!((row.build.id, row.build.status.clone()), (first, BuildStatus::Pending));
    assert_eq!(
        (row.actor.email.as_str(), row.description.as_deref()),
        ("ann@example.com", Some("Say hello"))
    );
    assert_eq!(
        get(&mut conn, other, first).await.unwrap(),
        None,
        "a build of another app"
    );

    assert!(
        fail(&mut conn, first, BuildFailure::Rejected, seconds(1))
            .await
            .unwrap()
    );
    assert!(
        !fail(&mut conn, first, BuildFailure::Cancelled, seconds(2))
            .await
            .unwrap()
    );
    assert_eq!(pending(&mut conn, hello).await.unwrap(), None);
    let row = get(&mut conn, hello, first).await.unwrap().unwrap();
    assert_eq!(
        row.build.status,
        BuildStatus::Failed {
            why: BuildFailure::Rejected
        }
    );
    assert_eq!((row.lease_expires_at, row.build.updated_at), (None, seconds(1)));
    create(&mut conn, World::new_build(hello), world.stamp()).await.unwrap();
}

#[tokio::test]
async fn a_build_whose_lease_ran_out_has_failed_and_its_worker_is_told() {
    let world = World::new().await;
    let (hello, other) = (world.app("hello").await, world.app("other").await);
    let (lost, kept) = (world.build(hello).await, world.build(other).await);
    let mut conn = world.conn().await;
    assert_eq!(expire_leases(&mut conn, seconds(29), seconds(29)).await.unwrap(), []);
    assert!(heartbeat(&mut conn, kept, seconds(60)).await.unwrap());
    let expired = expire_leases(&mut conn, seconds(31), seconds(31)).await.unwrap();
    assert_eq!(expired.iter().map(|row| row.build.id).collect::<Vec<_>>(), [lost]);
    assert_eq!(
        expired[0].build.status,
        BuildStatus::Failed {
            why: BuildFailure::LeaseExpired
        }
    );
    assert!(!heartbeat(&mut conn, lost, seconds(60)).await.unwrap());
    assert!(heartbeat(&mut conn, kept, seconds(90)).await.unwrap());
}

#[tokio::test]
async fn builds_are_listed_newest_first() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    let mut builds = Vec::new();
    for second in 0..3 {
        let stamp = Stamp {
            at: seconds(second),
            ..world.stamp()
        };
        let build = create(&mut conn, World::new_build(app), stamp).await.unwrap().build.id;
        fail(&mut conn, build, BuildFailure::Rejected, seconds(second))
            .await
            .unwrap();
        builds.insert(0, build);
    }
    let listed: Vec<_> = list(&mut conn, app, 10)
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.build.id)
        .collect();
    assert_eq!(listed, builds);
    assert_eq!(latest(&mut conn, app).await.unwrap().unwrap().build.id, builds[0]);
    assert_eq!(list(&mut conn, app, 2).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_app_that_is_being_destroyed_gets_no_build() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    app::begin_destroy(&mut conn, app, world.stamp()).await.unwrap();
    let refused = create(&mut conn, World::new_build(app), world.stamp()).await;
    assert!(matches!(refused, Err(StoreError::AppGone)));
}
