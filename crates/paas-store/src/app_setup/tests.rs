use super::*;
use crate::{
    fixture::{World, seconds},
    new_id,
};

async fn begun(world: &World, app: Id<App>) -> Id<AppSetup> {
    let stamp = world.stamp();
    let id = new_id(stamp.at);
    create(&mut *world.conn().await, id, app, stamp).await.unwrap();
    id
}

#[tokio::test]
async fn a_setup_ends_once_with_all_that_came_of_it() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let id = begun(&world, app).await;
    let mut conn = world.conn().await;
    let pending = get(&mut conn, id).await.unwrap().unwrap();
    assert_eq!(
        (pending.status, pending.app_name.as_str()),
        (SetupStatus::Pending, "hello")
    );

    let build = world.build(app).await;
    set_build(&mut conn, id, build, seconds(1)).await.unwrap();
    let end = SetupEnd {
        postdeploy: Some(Postdeploy {
            output: "seeded".to_owned(),
            exit_code: 0,
        }),
        resolved_success_url: Some("http://hello.localhost/welcome".to_owned()),
        ..SetupEnd::default()
    };
    assert!(finish(&mut conn, id, &end, seconds(2)).await.unwrap());
    assert!(!finish(&mut conn, id, &SetupEnd::default(), seconds(3)).await.unwrap());
    let ended = get(&mut conn, id).await.unwrap().unwrap();
    assert_eq!(ended.status, SetupStatus::Succeeded);
    assert_eq!(ended.build, Some((build, BuildStatus::Pending)));
    assert_eq!(ended.postdeploy, end.postdeploy);
    assert_eq!(ended.updated_at, seconds(2));
    let events = event::list(&mut conn, app, 1).await.unwrap();
    assert_eq!(
        (events[0].action.as_str(), events[0].resource.as_str()),
        ("update", "app-setup")
    );
}

#[tokio::test]
async fn what_a_dead_server_worked_on_has_failed() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let (one, other) = (begun(&world, app).await, begun(&world, app).await);
    let mut conn = world.conn().await;
    finish(&mut conn, one, &SetupEnd::default(), seconds(1)).await.unwrap();
    abandon(&mut conn, "the server ended", seconds(2)).await.unwrap();
    let status = async |conn: &mut PgConnection, id| get(conn, id).await.unwrap().unwrap().status;
    assert_eq!(status(&mut conn, one).await, SetupStatus::Succeeded);
    let message = "the server ended".to_owned();
    assert_eq!(status(&mut conn, other).await, SetupStatus::Failed { message });
}
