use super::*;
use crate::{
    fixture::{World, domain, seconds},
    new_id, wanted,
};

#[tokio::test]
async fn a_new_app_has_two_releases_without_code_and_an_event() {
    let world = World::new().await;
    let id = world.app("hello").await;
    let mut conn = world.conn().await;
    let row = find(&mut conn, "hello").await.unwrap().unwrap();
    assert_eq!(row.app.id, id);
    assert_eq!(row.owner.email(), "ann@example.com");
    assert_eq!(
        (row.stack.as_str(), row.subnet, row.app.maintenance),
        ("paas-12", 0, false)
    );
    assert_eq!((row.released_at, row.slug_size_bytes), (None, None));
    assert_eq!(find(&mut conn, &id.to_string()).await.unwrap(), Some(row));
    assert_eq!(find(&mut conn, "nobody").await.unwrap(), None);

    let page = release::Page {
        versions: 1..=u32::MAX,
        is_descending: false,
        max: 10,
    };
    let releases = release::list(&mut conn, id, page).await.unwrap();
    let told: Vec<_> = releases
        .iter()
        .map(|row| (row.release.version.number(), row.release.description.as_str()))
        .collect();
    assert_eq!(told, [(1, "Initial release"), (2, "Enable Logplex")]);
    assert!(
        releases
            .iter()
            .all(|row| row.release.slug.is_none() && !row.is_eligible_for_rollback)
    );
    let events = event::list(&mut conn, id, 10).await.unwrap();
    assert!(
        events
            .iter()
            .any(|event| event.resource == "app" && event.action == "create" && event.actor == Some(world.ann))
    );
}

#[tokio::test]
async fn a_deployed_app_shows_its_slug() {
    let world = World::new().await;
    let id = world.app("hello").await;
    let release = world.deploy(id, &["web"]).await;
    let row = by_id(&mut *world.conn().await, id).await.unwrap().unwrap();
    assert_eq!(row.released_at, Some(release.release.created_at));
    assert_eq!(row.slug_size_bytes, Some(94_000_000));
    assert_eq!(row.buildpack_provided_description.as_deref(), Some("Python"));
}

#[tokio::test]
async fn a_name_is_taken_until_its_app_is_renamed_or_destroyed() {
    let world = World::new().await;
    let first = world.app("hello").await;
    let mut conn = world.conn().await;
    let new = |name: &str| NewApp {
        id: new_id(seconds(0)),
        name: name.parse().unwrap(),
        stack: "paas-12".to_owned(),
    };
    let sealer = &world.store().sealer;
    let taken = create(&mut conn, sealer, new("hello"), world.stamp()).await;
    assert!(matches!(taken, Err(StoreError::NameTaken)));

    rename(&mut conn, first, &"other".parse().unwrap(), world.stamp())
        .await
        .unwrap();
    let second = create(&mut conn, sealer, new("hello"), world.stamp())
        .await
        .unwrap()
        .app
        .id;
    let taken = rename(&mut conn, second, &"other".parse().unwrap(), world.stamp()).await;
    assert!(matches!(taken, Err(StoreError::NameTaken)));
    begin_destroy(&mut conn, second, world.stamp()).await.unwrap();
    create(&mut conn, sealer, new("hello"), world.stamp()).await.unwrap();
    let names: Vec<_> = list(&mut conn, world.ann)
        .await
        .unwrap()
        .into_iter()
        .map(|app| app.name.to_string())
        .collect();
    assert_eq!(names, ["hello", "other"]);
    let bob = world.database.account("bob").await;
    assert_eq!(list(&mut conn, bob).await.unwrap(), []);
}

#[tokio::test]
async fn a_name_that_is_taken_does_not_spoil_the_callers_transaction() {
    let world = World::new().await;
    let first = world.app("hello").await;
    world.app("other").await;
    let mut transaction = world.store().begin().await.unwrap();
    let taken = rename(&mut transaction, first, &"other".parse().unwrap(), world.stamp()).await;
    assert!(matches!(taken, Err(StoreError::NameTaken)));
    set_maintenance(&mut transaction, first, true, world.stamp())
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert!(
        by_id(&mut *world.conn().await, first)
            .await
            .unwrap()
            .unwrap()
            .app
            .maintenance
    );
}

#[tokio::test]
async fn the_smallest_free_subnet_is_taken_and_kept_until_the_row_goes() {
    let world = World::new().await;
    let (zero, one, two) = (
        world.app("app-0").await,
        world.app("app-1").await,
        world.app("app-2").await,
    );
    let mut conn = world.conn().await;
    let mut subnets = Vec::new();
    for id in [zero, one, two] {
        subnets.push(by_id(&mut conn, id).await.unwrap().unwrap().subnet);
    }
    assert_eq!(subnets, [0, 1, 2]);
    begin_destroy(&mut conn, one, world.stamp()).await.unwrap();
    let three = world.app("app-3").await;
    assert_eq!(by_id(&mut conn, three).await.unwrap().unwrap().subnet, 3);
    delete(&mut conn, one).await.unwrap();
    let four = world.app("app-4").await;
    assert_eq!(by_id(&mut conn, four).await.unwrap().unwrap().subnet, 1);
}

#[tokio::test]
async fn apps_made_at_the_same_time_get_different_subnets() {
    let world = World::new().await;
    let make = async |number: usize| world.app(&format!("app-{number}")).await;
    let (one, two, three, four) = tokio::join!(make(1), make(2), make(3), make(4));
    let mut conn = world.conn().await;
    let mut subnets = Vec::new();
    for id in [one, two, three, four] {
        subnets.push(by_id(&mut conn, id).await.unwrap().unwrap().subnet);
    }
    subnets.sort_unstable();
    assert_eq!(subnets, [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_destroyed_app_is_gone_at_once_and_its_rows_when_it_is_deleted() {
    let world = World::new().await;
    let id = world.app("hello").await;
    world.deploy(id, &["web", "worker"]).await;
    let mut conn = world.conn().await;
    delete(&mut conn, id).await.unwrap();
    assert!(
        find(&mut conn, "hello").await.unwrap().is_some(),
        "a living app is not deleted"
    );

    begin_destroy(&mut conn, id, world.stamp()).await.unwrap();
    assert_eq!(find(&mut conn, "hello").await.unwrap(), None);
    assert_eq!(find(&mut conn, &id.to_string()).await.unwrap(), None);
    assert!(!lock(&mut conn, id).await.unwrap());
    let again = begin_destroy(&mut conn, id, world.stamp()).await;
    assert!(matches!(again, Err(StoreError::AppGone)));
    assert_eq!(destroyed(&mut conn).await.unwrap().len(), 1);
    let wanted = wanted::all(&mut conn, &domain()).await.unwrap();
    assert_eq!(
        (wanted.len(), &wanted[0].target, wanted[0].hostnames.len()),
        (1, &None, 0)
    );

    delete(&mut conn, id).await.unwrap();
    assert_eq!(destroyed(&mut conn).await.unwrap(), []);
    let left = sqlx::query_scalar::<_, i64>(
        "select (select count(*) from releases) + (select count(*) from slugs) + (select count(*) from builds)
            + (select count(*) from formations) + (select count(*) from apps)",
    );
    assert_eq!(left.fetch_one(&mut *conn).await.unwrap(), 0);
    assert!(
        event::list(&mut conn, id, 100)
            .await
            .unwrap()
            .iter()
            .any(|event| event.action == "destroy")
    );
}
