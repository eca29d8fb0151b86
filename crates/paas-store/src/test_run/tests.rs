use super::*;
use crate::{
    fixture::{World, seconds},
    new_id,
};

async fn begun(world: &World, app: Id<App>) -> TestRun {
    let commit = Commit {
        branch: "main".to_owned(),
        sha: "0123abc".to_owned(),
        message: "Count from one".to_owned(),
    };
    let stamp = world.stamp();
    create(&mut *world.conn().await, new_id(stamp.at), app, &commit, stamp)
        .await
        .unwrap()
}

fn failed() -> TestEnd {
    TestEnd {
        status: TestStatus::Failed,
        message: None,
        exit_code: Some(3),
    }
}

#[tokio::test]
async fn runs_are_counted_in_each_app_and_end_once() {
    let world = World::new().await;
    let (app, other) = (world.app("hello").await, world.app("other").await);
    let (first, second) = (begun(&world, app).await, begun(&world, app).await);
    assert_eq!(
        (first.number, second.number, begun(&world, other).await.number),
        (1, 2, 1)
    );
    assert_eq!(second.status, TestStatus::Pending);

    let mut conn = world.conn().await;
    begin(&mut conn, second.id, seconds(1)).await.unwrap();
    assert!(finish(&mut conn, second.id, &failed(), seconds(2)).await.unwrap());
    assert!(!finish(&mut conn, second.id, &failed(), seconds(3)).await.unwrap());
    let runs = list(&mut conn, app, 10).await.unwrap();
    let shown: Vec<_> = runs.iter().map(|run| (run.number, run.status, run.exit_code)).collect();
    assert_eq!(
        shown,
        [(2, TestStatus::Failed, Some(3)), (1, TestStatus::Pending, None)]
    );
    assert_eq!(runs[0].updated_at, seconds(2));
    for name in [Name::Number(2), Name::Id(second.id)] {
        assert_eq!(get(&mut conn, app, name).await.unwrap().as_ref(), runs.first());
    }
    // It is another app's.
    assert_eq!(get(&mut conn, app, Name::Number(3)).await.unwrap(), None);
    assert_eq!(
        get(&mut conn, world.app("third").await, Name::Id(second.id))
            .await
            .unwrap(),
        None
    );
    let events = event::list(&mut conn, app, 1).await.unwrap();
    assert_eq!(events[0].resource, "test-run");
}

#[tokio::test]
async fn what_a_dead_server_tested_has_not_ended_well() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let (ended, lost) = (begun(&world, app).await, begun(&world, app).await);
    let mut conn = world.conn().await;
    finish(&mut conn, ended.id, &failed(), seconds(1)).await.unwrap();
    begin(&mut conn, lost.id, seconds(1)).await.unwrap();
    abandon(&mut conn, "the server ended", seconds(2)).await.unwrap();
    let runs = list(&mut conn, app, 10).await.unwrap();
    assert_eq!(
        (runs[0].status, runs[0].message.as_deref()),
        (TestStatus::Errored, Some("the server ended"))
    );
    assert_eq!(runs[1].status, TestStatus::Failed);
}
