use paas_core::ReleaseStatus;

use super::*;
use crate::{
    SealError, Sealer,
    fixture::{World, seconds, version},
};

fn numbers(rows: &[ReleaseRow]) -> Vec<u32> {
    rows.iter().map(|row| row.release.version.number()).collect()
}

#[tokio::test]
async fn setting_config_makes_a_release_of_the_same_slug() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let deployed = world.deploy(app, &["web"]).await;
    let set = world.set(app, &[("A", Some("1")), ("B", Some("2"))]).await.unwrap();
    assert_eq!(set.release.version, version(4));
    assert_eq!(set.release.slug, deployed.release.slug);
    assert_eq!(set.release.description, "Set A, B config vars");
    assert_eq!(set.release.status, ReleaseStatus::Succeeded);
    assert_eq!(world.config(set.release.id).await, "A=1 B=2");
    assert_eq!(world.config(deployed.release.id).await, "");

    let unset = world
        .set(app, &[("A", None), ("B", Some("2")), ("GONE", None)])
        .await
        .unwrap();
    assert_eq!(unset.release.description, "Remove A config vars");
    assert_eq!(world.config(unset.release.id).await, "B=2");
    assert_eq!(world.set(app, &[("B", Some("2")), ("GONE", None)]).await, None);
    assert_eq!(world.current(app).await, 5);
}

#[tokio::test]
async fn config_that_is_too_large_makes_no_release() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let changes = vec![("A".parse().unwrap(), Some("x".repeat(65_536)))];
    let refused = set_config(
        &mut *world.conn().await,
        &world.store().sealer,
        app,
        changes,
        world.stamp(),
    )
    .await;
    assert!(matches!(refused, Err(StoreError::Config(_))));
    assert_eq!(world.current(app).await, 2);
}

#[tokio::test]
async fn a_rollback_brings_back_code_and_config_as_a_new_release() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let old = world.deploy(app, &["web"]).await;
    let old_config = world.set(app, &[("A", Some("old"))]).await.unwrap();
    world.deploy(app, &["web", "worker"]).await;
    world.set(app, &[("A", Some("new"))]).await.unwrap();

    let mut conn = world.conn().await;
    let sealer = &world.store().sealer;
    let back = rollback(&mut conn, sealer, app, version(4), world.stamp())
        .await
        .unwrap();
    assert_eq!(back.release.version, version(7));
    assert_eq!(back.release.description, "Rollback to v4");
    assert_eq!(back.release.slug, old.release.slug);
    assert_eq!(
        world.config(back.release.id).await,
        world.config(old_config.release.id).await
    );
    assert!(back.is_current);

    let blank = rollback(&mut conn, sealer, app, version(2), world.stamp()).await;
    assert!(matches!(blank, Err(StoreError::NotEligible { .. })));
    let unknown = rollback(&mut conn, sealer, app, version(99), world.stamp()).await;
    assert!(matches!(unknown, Err(StoreError::UnknownRelease { .. })));
    assert_eq!(world.current(app).await, 7);
}

#[tokio::test]
async fn a_release_phase_runs_for_code_config_and_rollbacks() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    let deployed = world.deploy(app, &["web", "release"]).await;
    assert_eq!(deployed.release.status, ReleaseStatus::Pending);
    assert!(deployed.has_release_phase && !deployed.is_current);
    assert_eq!(world.current(app).await, 2);
    assert!(succeed(&mut conn, deployed.release.id, seconds(1)).await.unwrap());
    assert!(!succeed(&mut conn, deployed.release.id, seconds(2)).await.unwrap());
    assert_eq!(world.current(app).await, 3);

    let set = world.set(app, &[("A", Some("1"))]).await.unwrap();
    assert_eq!(set.release.status, ReleaseStatus::Pending);
    let back = rollback(&mut conn, &world.store().sealer, app, version(3), world.stamp())
        .await
        .unwrap();
    assert_eq!(back.release.status, ReleaseStatus::Pending);
    assert_eq!(numbers(&pending(&mut conn).await.unwrap()), [4, 5]);
}

#[tokio::test]
async fn a_failed_release_keeps_its_number_and_is_never_current() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    world.deploy(app, &["web"]).await;
    let failed = world.deploy(app, &["web", "release"]).await.release.id;
    assert!(
        fail(&mut conn, failed, ReleaseFailure::ReleasePhase, seconds(1))
            .await
            .unwrap()
    );
    assert!(
        !fail(&mut conn, failed, ReleaseFailure::ReleasePhase, seconds(2))
            .await
            .unwrap()
    );
    assert!(!succeed(&mut conn, failed, seconds(2)).await.unwrap());
    assert_eq!(world.current(app).await, 3);

    let row = by_version(&mut conn, app, version(4)).await.unwrap().unwrap();
    assert_eq!(
        row.release.status,
        ReleaseStatus::Failed {
            why: ReleaseFailure::ReleasePhase
        }
    );
    assert!(!row.is_eligible_for_rollback);
    let next = world.set(app, &[("A", Some("1"))]).await.unwrap();
    assert_eq!(next.release.version, version(5));
    let current_slug = by_version(&mut conn, app, version(3))
        .await
        .unwrap()
        .unwrap()
        .release
        .slug;
    assert_eq!(next.release.slug, current_slug, "a failed slug is not built upon");
}

#[tokio::test]
async fn a_release_that_did_not_boot_gives_way_but_one_that_served_does_not() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    let served = world.deploy(app, &["web"]).await.release.id;
    mark_served(&mut conn, served, seconds(1)).await.unwrap();
    let broken = world.deploy(app, &["web"]).await.release.id;
    assert_eq!(world.current(app).await, 4);
    assert!(fail(&mut conn, broken, ReleaseFailure::Boot, seconds(2)).await.unwrap());
    assert_eq!(world.current(app).await, 3);
    assert!(!fail(&mut conn, served, ReleaseFailure::Boot, seconds(3)).await.unwrap());
    let row = by_id(&mut conn, served).await.unwrap().unwrap();
    assert_eq!((row.served_at, row.is_current), (Some(seconds(1)), true));
    assert_eq!(numbers(&[latest(&mut conn, app).await.unwrap().unwrap()]), [4]);
}

#[tokio::test]
async fn of_two_changes_close_together_neither_undoes_the_other() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    let old = world.deploy(app, &["web", "release"]).await.release;
    succeed(&mut conn, old.id, seconds(1)).await.unwrap();
    let deployed = world.deploy(app, &["web", "worker", "release"]).await.release;
    let set = world.set(app, &[("A", Some("1"))]).await.unwrap().release;
    assert_eq!(set.slug, deployed.slug, "the deploy whose release phase still runs");
    succeed(&mut conn, set.id, seconds(2)).await.unwrap();
    succeed(&mut conn, deployed.id, seconds(3)).await.unwrap();
    assert_eq!(world.current(app).await, set.version.number());
}

#[tokio::test]
async fn releases_made_at_the_same_time_get_different_numbers() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let set = async |key: &str| world.set(app, &[(key, Some("1"))]).await.unwrap().release;
    let (a, b, c, d) = tokio::join!(set("A"), set("B"), set("C"), set("D"));
    let mut versions: Vec<_> = [&a, &b, &c, &d]
        .iter()
        .map(|release| release.version.number())
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, [3, 4, 5, 6]);
    let current = current(&mut *world.conn().await, app).await.unwrap().unwrap();
    assert_eq!(world.config(current.release.id).await, "A=1 B=1 C=1 D=1");
}

#[tokio::test]
async fn releases_are_listed_by_version_in_both_directions() {
    let world = World::new().await;
    let app = world.app("hello").await;
    for value in ["1", "2", "3"] {
        world.set(app, &[("A", Some(value))]).await.unwrap();
    }
    let mut conn = world.conn().await;
    let mut page = async |versions, is_descending, max| {
        numbers(
            &list(
                &mut conn,
                app,
                Page {
                    versions,
                    is_descending,
                    max,
                },
            )
            .await
            .unwrap(),
        )
    };
    assert_eq!(page(1..=u32::MAX, false, 10).await, [1, 2, 3, 4, 5]);
    assert_eq!(page(1..=u32::MAX, true, 2).await, [5, 4]);
    assert_eq!(page(2..=3, true, 10).await, [3, 2]);
    assert_eq!(page(9..=20, false, 10).await, [0_u32; 0]);
}

#[tokio::test]
async fn old_slugs_expire_but_none_that_a_kept_release_runs() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    let first = world.deploy(app, &["web"]).await;
    let second = world.deploy(app, &["web"]).await;
    world.deploy(app, &["web"]).await;
    rollback(
        &mut conn,
        &world.store().sealer,
        app,
        first.release.version,
        world.stamp(),
    )
    .await
    .unwrap();
    assert_eq!(crate::slug::images_in_use(&mut conn).await.unwrap().len(), 3);

    assert_eq!(crate::slug::expire(&mut conn, 2, seconds(9)).await.unwrap().len(), 1);
    let status = async |conn: &mut PgConnection, row: &ReleaseRow| {
        by_id(conn, row.release.id).await.unwrap().unwrap().release.status
    };
    assert_eq!(status(&mut conn, &second).await, ReleaseStatus::Expired);
    assert_eq!(
        status(&mut conn, &first).await,
        ReleaseStatus::Succeeded,
        "the rollback runs its slug"
    );
    let gone = crate::slug::get(&mut conn, second.release.slug.unwrap())
        .await
        .unwrap()
        .unwrap();
    let images = crate::slug::images_in_use(&mut conn).await.unwrap();
    assert!(images.len() == 2 && !images.contains(&gone.image));
    assert_eq!(crate::slug::expire(&mut conn, 2, seconds(9)).await.unwrap().len(), 0);
}

#[tokio::test]
async fn the_image_of_a_slug_that_waits_for_its_first_release_is_in_use() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    let slug = crate::fixture::slug(app, &["web"]);
    crate::slug::adopt(&mut conn, &slug).await.unwrap();
    let names = [slug.image.to_string()];
    assert_eq!(crate::slug::images_in_use(&mut conn).await.unwrap(), [slug.image]);
    assert!(crate::slug::is_in_use(&mut conn, &names).await.unwrap());
    assert!(
        !crate::slug::is_in_use(&mut conn, &["paas/other".to_owned()])
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_rollback_waits_for_what_expires_its_release_and_then_is_refused() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let old = world.deploy(app, &["web"]).await;
    world.deploy(app, &["web"]).await;
    let mut expiring = world.store().begin().await.unwrap();
    let expired = crate::slug::expire(&mut expiring, 1, seconds(9)).await.unwrap();
    assert_eq!(expired.len(), 1);
    let mut conn = world.conn().await;
    let back = rollback(
        &mut conn,
        &world.store().sealer,
        app,
        old.release.version,
        world.stamp(),
    );
    let commit = async {
        // Whoever waits for a row is seen to wait.
        let mut watching = world.conn().await;
        loop {
            let waiting = sqlx::query(
                "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
            );
            if waiting.fetch_optional(&mut *watching).await.unwrap().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        expiring.commit().await.unwrap();
    };
    let both = async { tokio::join!(back, commit) };
    let (back, ()) = tokio::time::timeout(std::time::Duration::from_mins(1), both)
        .await
        .expect("the rollback waits for the row");
    assert!(matches!(back, Err(StoreError::ReleaseExpired { .. })), "{back:?}");
}

#[tokio::test]
async fn releases_whose_image_is_lost_expire_but_the_current_one_stays() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    let old = world.deploy(app, &["web"]).await;
    let current = world.deploy(app, &["web"]).await;
    let kept = crate::slug::kept_images(&mut conn).await.unwrap();
    assert_eq!(kept.len(), 2);
    for kept in kept {
        let lost = crate::slug::lose(&mut conn, &kept.image, seconds(9)).await.unwrap();
        let is_old = lost.iter().all(|lost| lost.version == old.release.version);
        assert!(is_old, "{lost:?}");
    }
    let back = rollback(
        &mut conn,
        &world.store().sealer,
        app,
        old.release.version,
        world.stamp(),
    )
    .await;
    assert!(matches!(back, Err(StoreError::ReleaseExpired { .. })), "{back:?}");
    let current = by_id(&mut conn, current.release.id).await.unwrap().unwrap();
    assert!(current.is_current);
}

#[tokio::test]
async fn an_old_slug_is_released_again_with_the_config_of_today_until_it_expires() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    let sealer = &world.store().sealer;
    let old = world.deploy(app, &["web"]).await.release.slug.unwrap();
    world.deploy(app, &["web"]).await;
    world.set(app, &[("A", Some("today"))]).await.unwrap();
    let again = of_slug(&mut conn, sealer, app, old, "Deploy again", world.stamp())
        .await
        .unwrap();
    assert_eq!((again.release.slug, again.release.version), (Some(old), version(6)));
    assert_eq!(world.config(again.release.id).await, "A=today");

    world.deploy(app, &["web"]).await;
    crate::slug::expire(&mut conn, 1, seconds(9)).await.unwrap();
    let expired = of_slug(&mut conn, sealer, app, old, "Deploy again", world.stamp()).await;
    assert!(matches!(expired, Err(StoreError::ReleaseExpired { .. })));
}

#[tokio::test]
async fn config_moved_to_another_row_does_not_open() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let one = world.set(app, &[("A", Some("1"))]).await.unwrap().release.id;
    let two = world.set(app, &[("A", Some("2"))]).await.unwrap().release.id;
    let mut conn = world.conn().await;
    sqlx::query(
        "update releases
        set config = other.config
        from releases as other
        where (releases.id, other.id) in (($1, $2), ($2, $1))",
    )
    .bind(one.as_uuid())
    .bind(two.as_uuid())
    .execute(&mut *conn)
    .await
    .unwrap();
    for id in [one, two] {
        let swapped = config(&mut conn, &world.store().sealer, id).await;
        assert!(matches!(swapped, Err(StoreError::Seal(SealError::Open { .. }))));
    }
    let wrong_key = config(&mut conn, &Sealer::ephemeral(), one).await;
    assert!(matches!(wrong_key, Err(StoreError::Seal(SealError::UnknownKey { .. }))));
}

#[tokio::test]
async fn nothing_secret_is_in_any_row() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let token = crate::authorization::Token::generate();
    let new = crate::authorization::NewAuthorization {
        account: world.ann,
        token_hash: token.hash(),
        description: "laptop".to_owned(),
        scope: vec!["global".to_owned()],
        expires_at: None,
    };
    let mut conn = world.conn().await;
    crate::authorization::create(&mut conn, new, seconds(0)).await.unwrap();
    let set = world.set(app, &[("SECRET_KEY", Some("canary-value"))]).await.unwrap();
    world.deploy(app, &["web"]).await;
    rollback(&mut conn, &world.store().sealer, app, version(4), world.stamp())
        .await
        .unwrap();
    assert_eq!(world.config(set.release.id).await, "SECRET_KEY=canary-value");

    let tables = sqlx::query_scalar::<_, String>(
        "select tablename::text from pg_tables where schemaname = 'public' order by tablename",
    );
    let tables = tables.fetch_all(&mut *conn).await.unwrap();
    assert!(tables.len() >= 10, "{tables:?}");
    let mut dump = String::new();
    for table in tables {
        // As text and as the hexadecimal digits of `bytea`.
        let rows =
            sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(format!("select row::text from \"{table}\" as row")));
        dump.extend(rows.fetch_all(&mut *conn).await.unwrap());
    }
    assert!(dump.contains("Set SECRET_KEY config vars"), "the dump holds the rows");
    for secret in ["canary-value", token.as_str()] {
        assert!(!dump.contains(secret));
        assert!(!dump.contains(&crate::seal::to_hex(secret.as_bytes())));
    }
}
