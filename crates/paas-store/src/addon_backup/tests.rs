use paas_core::{BackupSchedule, BackupState, Role};

use super::*;
use crate::{
    addon, app,
    fixture::{World, seconds},
    team, team_member,
};

const SERVER: Uuid = Uuid::from_u128(1);

impl World {
    async fn database(&self, app: Id<App>, name: &str) -> AddonRow {
        self.addon(app, name, &name.to_ascii_uppercase()).await
    }

    async fn backup(&self, addon: &AddonRow, kind: BackupKind) -> Result<AddonBackup, StoreError> {
        let new = NewBackup {
            kind,
            source: None,
            by: None,
            server: SERVER,
        };
        begin(&mut *self.conn().await, addon, new, seconds(1)).await
    }
}

#[tokio::test]
async fn what_is_put_into_an_addon_comes_from_a_backup_or_from_another_addon() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let (one, two) = (world.database(app, "one").await, world.database(app, "two").await);
    let backup = world.backup(&one, BackupKind::Manual).await.unwrap();
    let new = |kind, source| NewBackup {
        kind,
        source: Some(source),
        by: None,
        server: SERVER,
    };
    let mut conn = world.conn().await;
    let copy = new(BackupKind::Copy, Source::Addon(one.addon.id));
    let copy = begin(&mut conn, &two, copy, seconds(1)).await.unwrap();
    assert_eq!(copy.copied_from, Some(one.addon.id));
    assert_eq!(copy.copied_from_name.as_deref(), Some("one"));
    end(&mut conn, copy.id, Ending::Canceled, 0, seconds(2)).await.unwrap();
    let restore = new(BackupKind::Restore, Source::Backup(backup.id));
    let restore = begin(&mut conn, &two, restore, seconds(3)).await.unwrap();
    assert_eq!((restore.copied_from, restore.copied_from_name), (None, None));
}

#[tokio::test]
async fn backups_of_an_app_are_counted_and_one_is_taken_at_a_time() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let (one, two) = (world.database(app, "one").await, world.database(app, "two").await);
    let first = world.backup(&one, BackupKind::Manual).await.unwrap();
    let again = world.backup(&one, BackupKind::Scheduled).await;
    assert!(matches!(again, Err(StoreError::BackupRunning)), "{again:?}");
    let second = world.backup(&two, BackupKind::Scheduled).await.unwrap();
    assert_eq!((first.name(), second.name()), ("b001".to_owned(), "a002".to_owned()));
    let mut conn = world.conn().await;
    progress(&mut conn, first.id, 7).await.unwrap();
    assert!(
        end(&mut conn, first.id, Ending::Succeeded, 9, seconds(2))
            .await
            .unwrap()
    );
    let late = Ending::Failed { reason: "late" };
    assert!(!end(&mut conn, first.id, late, 0, seconds(3)).await.unwrap());
    let kept = get(&mut conn, first.id).await.unwrap().unwrap();
    assert_eq!(
        (kept.state.clone(), kept.bytes, kept.finished_at),
        (BackupState::Succeeded, 9, Some(seconds(2)))
    );
    let restore = world.backup(&one, BackupKind::Restore).await.unwrap();
    let before = world.backup(&one, BackupKind::Before).await.unwrap();
    assert_eq!((restore.name(), before.name()), ("r003".to_owned(), "b004".to_owned()));
    let running: Vec<_> = running_of(&mut conn, SERVER, seconds(1)).await.unwrap();
    assert_eq!(running.len(), 3);
    let other = Uuid::from_u128(2);
    assert!(running_of(&mut conn, other, seconds(1)).await.unwrap().is_empty());

    // What another server was at, and what is older than any can be, is in nobody's way.
    let new = |server| NewBackup {
        kind: BackupKind::Manual,
        source: None,
        by: None,
        server,
    };
    begin(&mut conn, &two, new(other), seconds(1)).await.unwrap();
    let late = seconds(1) + LONGEST;
    let early = late - TimeDelta::seconds(1);
    let refused = begin(&mut conn, &one, new(SERVER), early).await;
    assert!(matches!(refused, Err(StoreError::BackupRunning)), "{refused:?}");
    begin(&mut conn, &one, new(SERVER), late).await.unwrap();
    assert_eq!(running_of(&mut conn, other, late).await.unwrap().len(), 4);
    assert!(is_stale(&first, late) && !is_stale(&first, early));
}

#[tokio::test]
async fn a_proof_and_an_end_are_remembered_with_what_came_of_them() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let database = world.database(app, "one").await;
    let made = world.backup(&database, BackupKind::Manual).await.unwrap();
    let mut conn = world.conn().await;
    let reason = Ending::Failed {
        reason: "the disk is full",
    };
    end(&mut conn, made.id, reason, 0, seconds(2)).await.unwrap();
    let failed = get(&mut conn, made.id).await.unwrap().unwrap();
    let reason = "the disk is full".to_owned();
    assert_eq!(failed.state, BackupState::Failed { reason });
    let proof = BackupProof {
        at: seconds(3),
        is_good: true,
        words: "3 tables, 120 rows".to_owned(),
    };
    set_proof(&mut conn, made.id, &proof).await.unwrap();
    assert_eq!(get(&mut conn, made.id).await.unwrap().unwrap().proof, Some(proof));
    delete(&mut conn, &failed, Some(world.ann), seconds(4)).await.unwrap();
    assert!(all_of(&mut conn, SERVER).await.unwrap().is_empty());
    let events = event::list(&mut conn, app, 10).await.unwrap();
    let told: Vec<_> = events
        .iter()
        .filter(|event| event.resource == "addon-backup")
        .map(|event| event.action.as_str())
        .collect();
    assert_eq!(told, ["destroy", "update", "update", "create"]);
}

#[tokio::test]
async fn a_schedule_belongs_to_the_addon_and_begins_by_itself() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let database = world.database(app, "one").await;
    let id = database.addon.id;
    let mut conn = world.conn().await;
    let quiet = BackupSchedule::quiet(id);
    assert_eq!(upkeep_of(&mut conn, id).await.unwrap().schedule, Some(quiet));
    let wanted = BackupSchedule::new(2, "America/Los_Angeles").unwrap();
    set_schedule(&mut conn, &database, Some(wanted), world.stamp())
        .await
        .unwrap();
    assert_eq!(upkeep_of(&mut conn, id).await.unwrap().schedule, Some(wanted));
    set_alarm(&mut conn, &database, Some("none since Monday"), seconds(5))
        .await
        .unwrap();
    let alarmed = addon::by_id(&mut conn, id).await.unwrap().unwrap();
    assert_eq!(alarmed.backup_alarm.as_deref(), Some("none since Monday"));
    set_schedule(&mut conn, &database, None, world.stamp()).await.unwrap();
    assert_eq!(upkeep_of(&mut conn, id).await.unwrap().schedule, None);
    let calmed = addon::by_id(&mut conn, id).await.unwrap().unwrap();
    assert_eq!(calmed.backup_alarm, None);
}

#[tokio::test]
async fn what_is_left_of_an_app_is_its_owners_alone() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let database = world.database(app, "one").await;
    let made = world.backup(&database, BackupKind::Last).await.unwrap();
    let bob = world.database.account("bob").await;
    let mut conn = world.conn().await;
    let left = async |conn: &mut PgConnection, owner| list_of_gone(conn, "hello", owner).await.unwrap().len();
    assert_eq!(left(&mut conn, world.ann).await, 0, "the app is there");
    let sealer = &world.store().sealer;
    addon::begin_destroy(&mut conn, sealer, database.addon.id, world.stamp())
        .await
        .unwrap();
    addon::delete(&mut conn, database.addon.id).await.unwrap();
    app::begin_destroy(&mut conn, app, world.stamp()).await.unwrap();
    app::delete(&mut conn, app).await.unwrap();
    assert_eq!(left(&mut conn, world.ann).await, 1);
    assert_eq!(left(&mut conn, bob).await, 0);
    assert!(get(&mut conn, made.id).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_left_of_a_teams_app_is_its_admins() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let database = world.database(app, "one").await;
    world.backup(&database, BackupKind::Last).await.unwrap();
    let (bob, eve) = (world.database.account("bob").await, world.database.account("eve").await);
    let mut conn = world.conn().await;
    let (sealer, stamp) = (&world.store().sealer, world.stamp());
    let team = team::create(&mut conn, &"acme".parse().unwrap(), stamp).await.unwrap();
    for (account, role) in [(bob, Role::Admin), (eve, Role::Member)] {
        team_member::put(&mut conn, team.id, account, role, stamp)
            .await
            .unwrap();
    }
    // They follow the app from hand to hand.
    app::give_to_team(&mut conn, app, &team, stamp).await.unwrap();
    app::give_to_account(&mut conn, app, eve, stamp).await.unwrap();
    app::give_to_team(&mut conn, app, &team, Stamp { by: bob, ..stamp })
        .await
        .unwrap();
    addon::begin_destroy(&mut conn, sealer, database.addon.id, stamp)
        .await
        .unwrap();
    addon::delete(&mut conn, database.addon.id).await.unwrap();
    app::begin_destroy(&mut conn, app, stamp).await.unwrap();
    app::delete(&mut conn, app).await.unwrap();
    let left = async |conn: &mut PgConnection, account| list_of_gone(conn, "hello", account).await.unwrap().len();
    assert_eq!(left(&mut conn, bob).await, 1);
    assert_eq!(left(&mut conn, eve).await, 0, "she owns it no more");
}
