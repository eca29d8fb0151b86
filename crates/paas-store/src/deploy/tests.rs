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
async fn what_a_buildpack_wants_is_set_once_and_takes_no_choice_away() {
    let world = World::new().await;
    let app = world.app("hello").await;
    world.set(app, &[("LANG", Some("de_DE"))]).await.unwrap();
    let wanted = || Vec::from(["LANG", "RACK_ENV"].map(|key| (key.parse().unwrap(), "default".to_owned())));
    let deployed = async || {
        let with_defaults = Deploy {
            detected_buildpack: Some("heroku/ruby".to_owned()),
            default_config: wanted(),
            ..Deploy::new(world.build(app).await, slug(app, &["web"]), "Deploy")
        };
        let mut conn = world.conn().await;
        let sealer = &world.store().sealer;
        let row = deploy(&mut conn, sealer, with_defaults, world.stamp()).await.unwrap();
        (
            world.config(row.release.id).await,
            build::latest(&mut conn, app).await.unwrap().unwrap(),
        )
    };
    let (config, build) = deployed().await;
    assert_eq!(config, "LANG=de_DE RACK_ENV=default");
    assert_eq!(
        (build.buildpacks, build.buildpack_versions),
        (vec!["heroku/ruby".to_owned()], vec![String::new()])
    );
    world.set(app, &[("RACK_ENV", None)]).await.unwrap();
    assert_eq!(deployed().await.0, "LANG=de_DE");
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
    let late = Deploy::new(build, made.clone(), "Deploy");
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
    let late = Deploy::new(build, slug(app, &["web"]), "Deploy");
    let refused = deploy(&mut conn, &world.store().sealer, late, world.stamp()).await;
    assert!(matches!(refused, Err(StoreError::AppGone)));
}
