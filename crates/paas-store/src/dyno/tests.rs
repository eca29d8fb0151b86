use paas_core::{Crash, DynoState, Endpoint, StopReason};

use super::*;
use crate::{
    fixture::{World, seconds},
    new_id, release,
};

async fn start(world: &World, app: Id<App>, release: Id<Release>, name: &str, at: i64) -> Id<Dyno> {
    let id = new_id(seconds(at));
    let new = NewDyno {
        id,
        app,
        name: name.parse().unwrap(),
        release,
        size: DynoSize::Standard2X,
    };
    insert(&mut *world.conn().await, new, seconds(at)).await.unwrap();
    id
}

#[tokio::test]
async fn a_dyno_is_read_back_as_it_was_written_in_every_state() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let release = world.deploy(app, &["web"]).await.release;
    let id = start(&world, app, release.id, "web.1", 0).await;
    let mut conn = world.conn().await;
    let mut dyno = Dyno {
        id,
        app,
        name: "web.1".parse().unwrap(),
        release: release.id,
        version: release.version,
        release_served: false,
        size: DynoSize::Standard2X,
        attempt: 1,
        failures: 0,
        state: DynoState::Starting { since: seconds(0) },
        is_condemned: false,
        container: None,
        created_at: seconds(0),
    };
    assert_eq!(of(&mut conn, app).await.unwrap(), [dyno.clone()]);

    let endpoint = Endpoint {
        container: "c1".to_owned(),
        address: "10.1.2.3:5000".parse().unwrap(),
    };
    let crash = Crash {
        at: seconds(3),
        exit_code: Some(137),
        out_of_memory: true,
        boot_timeout: false,
        retry_at: seconds(13),
    };
    let vanished = Crash {
        exit_code: None,
        out_of_memory: false,
        boot_timeout: true,
        ..crash.clone()
    };
    let states = [
        DynoState::Up {
            since: seconds(1),
            endpoint: Some(endpoint),
        },
        DynoState::Up {
            since: seconds(2),
            endpoint: None,
        },
        DynoState::Crashed(crash),
        DynoState::Crashed(vanished),
        DynoState::Starting { since: seconds(4) },
        DynoState::Stopping {
            since: seconds(5),
            why: StopReason::ScaledDown,
        },
        DynoState::Stopping {
            since: seconds(5),
            why: StopReason::Replaced,
        },
        DynoState::Stopping {
            since: seconds(5),
            why: StopReason::Abandoned,
        },
        DynoState::Stopping {
            since: seconds(5),
            why: StopReason::Unwanted,
        },
    ];
    for (attempt, state) in (2..).zip(states) {
        dyno.attempt = attempt;
        dyno.failures = attempt - 2;
        dyno.container = Some(format!("c{attempt}"));
        dyno.state = state;
        assert!(update(&mut conn, &dyno, seconds(6)).await.unwrap());
        assert_eq!(all(&mut conn).await.unwrap(), [dyno.clone()]);
    }

    release::mark_served(&mut conn, release.id, seconds(7)).await.unwrap();
    assert!(all(&mut conn).await.unwrap()[0].release_served);
    delete(&mut conn, &[id], seconds(9)).await.unwrap();
    assert_eq!(all(&mut conn).await.unwrap(), []);
    assert!(!update(&mut conn, &dyno, seconds(8)).await.unwrap());
}

#[tokio::test]
async fn of_two_dynos_with_one_name_the_one_that_stays_is_found() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let release = world.deploy(app, &["web"]).await.release.id;
    let old = start(&world, app, release, "web.1", 0).await;
    let new = start(&world, app, release, "web.1", 1).await;
    let mut conn = world.conn().await;
    assert_eq!(find(&mut conn, app, "web.1").await.unwrap().unwrap().id, new);
    let mut dyno = find(&mut conn, app, &new.to_string()).await.unwrap().unwrap();
    dyno.state = DynoState::Stopping {
        since: seconds(2),
        why: StopReason::Abandoned,
    };
    update(&mut conn, &dyno, seconds(2)).await.unwrap();
    assert_eq!(find(&mut conn, app, "web.1").await.unwrap().unwrap().id, old);
    for unknown in ["web.2", "worker.1", "nonsense"] {
        assert_eq!(find(&mut conn, app, unknown).await.unwrap(), None);
    }
    let other = world.app("other").await;
    assert_eq!(find(&mut conn, other, "web.1").await.unwrap(), None);
}

#[tokio::test]
async fn a_restart_condemns_the_dynos_asked_for_and_goes_with_them() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let release = world.deploy(app, &["web", "worker"]).await.release.id;
    for name in ["web.1", "web.2", "worker.1"] {
        start(&world, app, release, name, 0).await;
    }
    let mut conn = world.conn().await;
    let mut condemn = async |filter| {
        let names = condemn(&mut conn, app, filter, world.stamp()).await.unwrap();
        names.iter().map(DynoName::to_string).collect::<Vec<_>>()
    };
    assert_eq!(condemn(DynoFilter::Name("web.2".parse().unwrap())).await, ["web.2"]);
    assert_eq!(condemn(DynoFilter::Name("web.9".parse().unwrap())).await, [""; 0]);
    let dynos = of(&mut *world.conn().await, app).await.unwrap();
    assert_eq!(
        dynos.iter().map(|dyno| dyno.is_condemned).collect::<Vec<_>>(),
        [false, true, false]
    );
    assert_eq!(
        condemn(DynoFilter::ProcessType("worker".parse().unwrap())).await,
        ["worker.1"]
    );
    assert_eq!(condemn(DynoFilter::All).await, ["web.1", "web.2", "worker.1"]);

    let mut conn = world.conn().await;
    let mut stopping = of(&mut conn, app).await.unwrap().remove(0);
    assert!(stopping.is_condemned);
    stopping.state = DynoState::Stopping {
        since: seconds(1),
        why: StopReason::Replaced,
    };
    update(&mut conn, &stopping, seconds(1)).await.unwrap();
    let again = super::condemn(&mut conn, app, DynoFilter::Name(stopping.name), world.stamp())
        .await
        .unwrap();
    assert_eq!(again, [], "it is being stopped already");
    let ids: Vec<_> = all(&mut conn).await.unwrap().iter().map(|dyno| dyno.id).collect();
    delete(&mut conn, &ids, seconds(9)).await.unwrap();
    let restarts = sqlx::query_scalar::<_, i64>("select count(*) from restarts")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    assert_eq!(restarts, 0);
}
