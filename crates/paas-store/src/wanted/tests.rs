use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::*;
use crate::{
    Wakeups, app, domain as domain_rows, dyno,
    fixture::{World, domain, seconds},
    formation::{self, FormationChange},
    release,
};

fn formation(wanted: &AppWanted) -> String {
    let scale = |(process_type, scale): (&ProcessType, &Scale)| format!("{process_type}={}", scale.quantity);
    wanted.formation.iter().map(scale).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_deploy_that_ends_between_two_queries_is_seen_whole_or_not_at_all() {
    let world = World::new().await;
    let app = world.app("hello").await;
    // The reader gets as far as the domains: behind the formation, before the releases.
    let mut holding = world.store().begin().await.unwrap();
    sqlx::query("lock table domains in access exclusive mode")
        .execute(&mut *holding)
        .await
        .unwrap();
    let mut reader = world.conn().await;
    let mut conn = world.conn().await;
    let deploying = async {
        let is_waiting = "select exists (select from pg_locks where relation = 'domains'::regclass and not granted
            and database = (select oid from pg_database where datname = current_database()))";
        let deadline = Instant::now() + Duration::from_secs(20);
        while !sqlx::query_scalar::<_, bool>(is_waiting)
            .fetch_one(&mut *conn)
            .await
            .unwrap()
        {
            assert!(Instant::now() < deadline, "the reader never came to the domains");
        }
        let release = world.deploy(app, &["web"]).await.release;
        holding.commit().await.unwrap();
        release
    };
    let here = domain();
    let (wanted, release) = tokio::join!(all(&mut reader, &here), deploying);
    let wanted = wanted.unwrap().remove(0);
    assert_eq!((wanted.target, wanted.formation.len()), (None, 0));
    let wanted = all(&mut conn, &domain()).await.unwrap().remove(0);
    assert_eq!(formation(&wanted), "web=1");
    assert_eq!(wanted.target.unwrap().release, release.id);
}

#[tokio::test]
async fn the_newest_release_that_succeeded_with_code_is_the_target() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    let blank = all(&mut conn, &domain()).await.unwrap().remove(0);
    assert_eq!((blank.target, blank.formation.len()), (None, 0));
    assert_eq!(blank.hostnames, ["hello.example.com".parse().unwrap()]);

    let first = world.deploy(app, &["web", "worker"]).await.release;
    release::mark_served(&mut conn, first.id, seconds(1)).await.unwrap();
    let waiting = world.deploy(app, &["web", "clock", "release"]).await.release;
    app::set_maintenance(&mut conn, app, true, world.stamp()).await.unwrap();
    let wanted = all(&mut conn, &domain()).await.unwrap().remove(0);
    assert!(wanted.maintenance);
    assert_eq!(
        wanted.target,
        Some(Target {
            release: first.id,
            version: first.version,
            is_served: true
        })
    );
    assert_eq!(formation(&wanted), "web=1 worker=0");

    release::succeed(&mut conn, waiting.id, seconds(2)).await.unwrap();
    let wanted = all(&mut conn, &domain()).await.unwrap().remove(0);
    assert_eq!(
        wanted.target,
        Some(Target {
            release: waiting.id,
            version: waiting.version,
            is_served: false
        })
    );
    assert_eq!(
        formation(&wanted),
        "clock=0 web=1",
        "no worker, and never a release process"
    );
}

#[tokio::test]
async fn custom_domains_are_hostnames_after_the_platforms_own() {
    let world = World::new().await;
    let (app, other) = (world.app("hello").await, world.app("other").await);
    let mut conn = world.conn().await;
    for hostname in ["www.hello.org", "*.hello.org"] {
        let hostname = DomainName::custom(hostname).unwrap();
        let new = domain_rows::NewDomain {
            app,
            hostname: &hostname,
            certificate: None,
        };
        domain_rows::create(&mut conn, new, world.stamp()).await.unwrap();
    }
    let hostnames = async |conn: &mut crate::PgConnection, app| {
        let wanted = all(conn, &domain()).await.unwrap();
        let app = wanted.into_iter().find(|wanted| wanted.app == app).unwrap();
        app.hostnames.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let own = hostnames(&mut conn, app).await;
    assert_eq!(own, ["hello.example.com", "*.hello.org", "www.hello.org"]);
    assert_eq!(hostnames(&mut conn, other).await, ["other.example.com"]);
    app::begin_destroy(&mut conn, app, world.stamp()).await.unwrap();
    assert!(hostnames(&mut conn, app).await.is_empty());
}

#[tokio::test]
async fn a_thousand_apps_are_read_in_well_under_a_second() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    // Ten releases and three process types each, as a platform has them after a while.
    let statements = [
        "insert into apps (id, name, owner, stack, subnet, created_at, updated_at)
        select gen_random_uuid(), 'app-' || n, accounts.id, 'paas-12', n, now(), now()
        from generate_series(0, 999) n, accounts",
        "insert into slugs (id, app, image, process_types, size_bytes, created_at)
        select gen_random_uuid(), id, 'image', '{\"web\": \"a\", \"worker\": \"b\", \"clock\": \"c\"}', 1, now() from apps",
        "insert into releases (id, app, version, slug, config, description, actor, status, created_at, updated_at)
        select gen_random_uuid(), slugs.app, n, slugs.id, '', '', accounts.id, 'succeeded', now(), now()
        from slugs, accounts, generate_series(1, 10) n",
        "insert into formations (id, app, process_type, quantity, size, created_at, updated_at)
        select gen_random_uuid(), id, t, 1, 'Standard-1X', now(), now() from apps, unnest('{web,worker,clock}'::text[]) t",
        "insert into dynos (id, app, release, process_type, index, size, attempt, failures, state, state_since, created_at,
            updated_at)
        select gen_random_uuid(), app, id, 'web', 1, 'Standard-1X', 1, 0, 'up', now(), now(), now()
        from releases where version = 10",
        "analyze",
    ];
    for statement in statements {
        sqlx::raw_sql(statement).execute(&mut *conn).await.unwrap();
    }
    let mut quickest = Duration::MAX;
    let (mut wanted, mut dynos) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let began = Instant::now();
        wanted = all(&mut conn, &domain()).await.unwrap();
        dynos = dyno::all(&mut conn).await.unwrap();
        quickest = quickest.min(began.elapsed());
    }
    // Milliseconds on an idle machine; a query per app would take seconds, every time.
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
    assert_eq!((wanted.len(), dynos.len()), (1000, 1000));
    assert!(
        wanted
            .iter()
            .all(|app| app.formation.len() == 3 && app.target.as_ref().unwrap().version.number() == 10)
    );
}

/// Whether a wake-up comes, and no second one after it.
async fn wakes(wakeups: &mut Wakeups) -> bool {
    timeout(Duration::from_secs(10), wakeups.next()).await.is_ok()
}

async fn sleeps(wakeups: &mut Wakeups) -> bool {
    timeout(Duration::from_millis(300), wakeups.next()).await.is_err()
}

#[tokio::test]
async fn every_change_of_what_is_wanted_wakes_and_nothing_else_does() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let release = world.deploy(app, &["web"]).await.release.id;
    let mut conn = world.conn().await;
    let mut wakeups = Wakeups::new(world.store());
    assert!(wakes(&mut wakeups).await, "a connect is a reason to look");

    world.set(app, &[("A", Some("1"))]).await.unwrap();
    assert!(wakes(&mut wakeups).await, "a release");
    app::set_maintenance(&mut conn, app, true, world.stamp()).await.unwrap();
    assert!(wakes(&mut wakeups).await, "an app");
    let change = FormationChange {
        process_type: ProcessType::web(),
        quantity: Some("2".parse().unwrap()),
        size: None,
    };
    formation::update(&mut conn, app, change, world.stamp()).await.unwrap();
    assert!(wakes(&mut wakeups).await, "a formation");
    let new = dyno::NewDyno {
        id: crate::new_id(seconds(0)),
        app,
        name: "web.1".parse().unwrap(),
        release,
        size: paas_core::DynoSize::Basic,
    };
    dyno::insert(&mut conn, new, seconds(0)).await.unwrap();
    world.build(app).await;
    assert!(sleeps(&mut wakeups).await, "dynos are seen, not wanted");
    dyno::condemn(&mut conn, app, dyno::DynoFilter::All, world.stamp())
        .await
        .unwrap();
    assert!(wakes(&mut wakeups).await, "a restart");
    app::begin_destroy(&mut conn, app, world.stamp()).await.unwrap();
    assert!(wakes(&mut wakeups).await, "a destroyed app");
}

#[tokio::test]
async fn a_listener_whose_connection_died_connects_again_and_says_look() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut wakeups = Wakeups::new(world.store());
    assert!(wakes(&mut wakeups).await);
    let mut conn = world.conn().await;
    let ended = sqlx::query_scalar::<_, i64>(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()",
    );
    assert!(ended.fetch_one(&mut *conn).await.unwrap() >= 1);
    assert!(wakes(&mut wakeups).await, "changes may have been missed");
    app::set_maintenance(&mut conn, app, true, world.stamp()).await.unwrap();
    assert!(wakes(&mut wakeups).await);
}
