//! Backups of add-ons on an engine in memory: taken at their time, put back, proven, alarmed about, and kept after the end.

mod bucket;

use std::path::PathBuf;

use chrono::TimeDelta;
use paas_core::{AddonBackup, BackupKind, BackupState};
use paas_engine::{Behaviour, Role};
use paas_store::{
    addon::{self, AddonRow},
    addon_backup::{self, NewBackup},
};

use super::{
    super::{BackupsController, abandon_backups, capture_backup, prove_backup, restore_backup, vault_of},
    server::Server,
};
use crate::testing::DUMP;

const PG_DUMP: &str = "pg_dump -h";

impl Server {
    async fn database(&self) -> AddonRow {
        let app = self.app("hello").await;
        let made = self.addon(&app, "heroku-postgresql").await;
        assert!(self.is_provisioned(made.addon.id).await);
        self.row(made.addon.id).await.unwrap()
    }

    async fn backups(&self, row: &AddonRow) -> Vec<AddonBackup> {
        let mut connection = self.platform.store.connection().await.unwrap();
        addon_backup::list_of_app(&mut connection, row.addon.app).await.unwrap()
    }

    /// All that were begun have ended; what they are.
    async fn settled(&self, row: &AddonRow) -> Vec<AddonBackup> {
        let has_settled = async || {
            let backups = self.backups(row).await;
            !backups.iter().any(|backup| backup.state == BackupState::Running)
        };
        assert!(self.becomes(has_settled).await, "{:?}", self.backups(row).await);
        self.backups(row).await
    }

    async fn captured(&self, row: &AddonRow) -> AddonBackup {
        capture_backup(&self.platform, row, BackupKind::Manual, None)
            .await
            .unwrap();
        self.settled(row).await.pop().unwrap()
    }

    /// Why a proof of it said nothing about it.
    async fn gives_up_proof(&self, row: &AddonRow, backup: &AddonBackup) -> String {
        assert!(prove_backup(&self.platform, row, backup));
        let failed = || self.platform.transfers.failed_proof(backup.id);
        assert!(self.becomes(async || failed().is_some()).await);
        failed().unwrap().1
    }

    fn file(&self, backup: &AddonBackup) -> PathBuf {
        self.platform.settings.backups().join(backup.id.to_string())
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.platform.settings.backups()).unwrap().count()
    }

    /// A pass that looks after everything, and what came of it.
    async fn look_after(&self, row: &AddonRow) -> Vec<AddonBackup> {
        let controller = BackupsController::new(std::sync::Arc::clone(&self.platform));
        controller.pass().await.unwrap();
        self.settled(row).await
    }

    /// Scratch servers run, and count this.
    fn teach_proofs(&self, counted: &str) {
        let is_server = |spec: &paas_engine::ContainerSpec| {
            matches!(&spec.role, Role::Task { purpose } if purpose == "proof")
                && spec.command.iter().any(|word| word.contains("until ["))
        };
        self.engine.teach(is_server, Behaviour::runs());
        let counting = Behaviour::exits(0).saying(counted);
        self.engine.teach_command("query_to_xml", counting);
    }

    async fn alarm(&self, row: &AddonRow) -> Option<String> {
        self.row(row.addon.id).await.unwrap().backup_alarm
    }
}

#[tokio::test]
async fn an_addon_is_copied_each_day_without_anybody_asking_and_old_copies_go() {
    let server = Server::new().await;
    server.run().await;
    let row = server.database().await;
    assert!(server.look_after(&row).await.is_empty(), "its hour has not come");
    for day in 1..=10 {
        server.platform.clock.advance(TimeDelta::days(1));
        server.look_after(&row).await;
        let backups = server.look_after(&row).await;
        let today = backups.last().unwrap();
        assert_eq!(
            (today.kind, &today.state, today.bytes),
            (BackupKind::Scheduled, &BackupState::Succeeded, DUMP.len() as u64 + 1)
        );
        assert_eq!(today.number, day, "once a day");
    }
    let kept = server.look_after(&row).await.len();
    assert!((8..=9).contains(&kept), "{kept}");
    assert_eq!(server.files(), kept);
    assert_eq!(server.alarm(&row).await, None);
}

#[tokio::test]
async fn what_is_kept_is_sealed_and_whole() {
    let server = Server::new().await;
    server.run().await;
    let row = server.database().await;
    let backup = server.captured(&row).await;
    let kept = std::fs::read(server.file(&backup)).unwrap();
    let dump = DUMP.as_bytes();
    assert!(
        !kept.windows(dump.len()).any(|window| window == dump),
        "it is not sealed"
    );
    let bytes = vault_of(&server.platform).check(backup.id).await.unwrap();
    assert_eq!((backup.name(), bytes), ("b001".to_owned(), DUMP.len() as u64 + 1));
}

#[tokio::test]
async fn a_capture_that_does_not_come_off_leaves_nothing_is_repeated_and_alarmed_about() {
    let server = Server::new().await;
    server.run().await;
    let row = server.database().await;
    let broken = Behaviour::exits(1).saying("half").complaining("out of memory");
    server.engine.teach_command(PG_DUMP, broken);
    server.platform.clock.advance(TimeDelta::hours(27));
    let failed = server.look_after(&row).await;
    let BackupState::Failed { reason } = &failed.last().unwrap().state else {
        panic!("{failed:?}");
    };
    assert!(reason.contains("out of memory"), "{reason}");
    assert_eq!(server.files(), 0);
    server.look_after(&row).await;
    let alarm = server.alarm(&row).await.unwrap();
    assert!(
        alarm.contains("none at all") && alarm.contains("a001 failed"),
        "{alarm}"
    );
    assert_eq!(server.backups(&row).await.len(), 1, "not before an hour has passed");

    server.engine.teach_command(PG_DUMP, Behaviour::exits(0).saying(DUMP));
    server.platform.clock.advance(TimeDelta::hours(1));
    server.look_after(&row).await;
    server.look_after(&row).await;
    assert_eq!(server.alarm(&row).await, None, "there is a good one again");
}

#[tokio::test]
async fn what_runs_for_ever_mutes_no_alarm_and_keeps_nothing_from_beginning() {
    let server = Server::new().await;
    server.run().await;
    let row = server.database().await;
    let mut connection = server.platform.store.connection().await.unwrap();
    let new = NewBackup {
        kind: BackupKind::Manual,
        source: None,
        by: None,
        server: server.platform.server,
    };
    let now = server.platform.clock.now();
    addon_backup::begin(&mut connection, &row, new, now).await.unwrap();
    let controller = BackupsController::new(std::sync::Arc::clone(&server.platform));
    server.platform.clock.advance(TimeDelta::hours(27));
    let is_taken = async || {
        controller.pass().await.unwrap();
        let backups = server.backups(&row).await;
        backups.iter().any(|backup| backup.state == BackupState::Succeeded)
    };
    assert!(server.becomes(is_taken).await);
    abandon_backups(&server.platform).await.unwrap();
    assert!(matches!(
        server.backups(&row).await[0].state,
        BackupState::Failed { .. }
    ));
}

#[tokio::test]
async fn a_server_that_gives_nothing_gives_no_backup() {
    let server = Server::new().await;
    server.run().await;
    let row = server.database().await;
    server.engine.teach_command(PG_DUMP, Behaviour::exits(0));
    let backup = server.captured(&row).await;
    assert!(matches!(backup.state, BackupState::Failed { .. }), "{backup:?}");
    assert_eq!(server.files(), 0);
}

#[tokio::test]
async fn whoever_stops_a_capture_has_nothing_left_of_it() {
    let server = Server::new().await;
    server.run().await;
    let row = server.database().await;
    server
        .engine
        .teach_command(PG_DUMP, Behaviour::runs().saying("the first half"));
    let begun = capture_backup(&server.platform, &row, BackupKind::Manual, None)
        .await
        .unwrap();
    assert!(
        server
            .becomes(async || server.platform.transfers.cancel(begun.id))
            .await
    );
    let backups = server.settled(&row).await;
    assert_eq!(backups[0].state, BackupState::Canceled);
    assert_eq!(server.files(), 0);
}

#[tokio::test]
async fn what_is_there_is_copied_before_something_is_put_back() {
    let server = Server::new().await;
    server.run().await;
    let row = server.database().await;
    let source = server.captured(&row).await;
    restore_backup(&server.platform, &row, source.clone(), server.account.id)
        .await
        .unwrap();
    let told: Vec<_> = server
        .settled(&row)
        .await
        .iter()
        .map(|backup| (backup.name(), backup.kind, backup.state.clone()))
        .collect();
    let succeeded = |name: &str, kind| (name.to_owned(), kind, BackupState::Succeeded);
    assert_eq!(
        told,
        [
            succeeded("b001", BackupKind::Manual),
            succeeded("r002", BackupKind::Restore),
            succeeded("b003", BackupKind::Before),
        ]
    );

    std::fs::write(server.file(&source), "rubbish").unwrap();
    let never = Behaviour::exits(9).complaining("it was begun all the same");
    server.engine.teach_command("pg_restore", never);
    restore_backup(&server.platform, &row, source, server.account.id)
        .await
        .unwrap();
    let backups = server.settled(&row).await;
    let restore = backups.iter().rfind(|backup| backup.kind == BackupKind::Restore);
    let BackupState::Failed { reason } = &restore.unwrap().state else {
        panic!("{backups:?}");
    };
    assert!(reason.contains("the file is"), "{reason}");
}

#[tokio::test]
async fn the_newest_backup_is_proven_each_week_and_a_damaged_one_is_found_out() {
    let server = Server::new().await;
    server.run().await;
    let row = server.database().await;
    server.teach_proofs("3 tables, 120 rows");
    server.platform.clock.advance(TimeDelta::days(1));
    server.look_after(&row).await;
    server.look_after(&row).await;
    let proven = async || server.backups(&row).await.iter().any(|backup| backup.proof.is_some());
    assert!(server.becomes(proven).await);
    let proof = server.backups(&row).await[0].proof.clone().unwrap();
    assert_eq!((proof.is_good, &*proof.words), (true, "3 tables, 120 rows"));
    let containers = paas_engine::Engine::list(&server.engine).await.unwrap();
    let is_scratch = |role: &Option<Role>| matches!(role, Some(Role::Task { .. }));
    assert!(!containers.iter().any(|container| is_scratch(&container.role)));

    let newest = server.captured(&row).await;
    // A disk that is full says nothing about what is in a backup.
    server.engine.teach_command(
        "pg_restore",
        Behaviour::exits(1).complaining("could not extend file: No space left on device"),
    );
    let words = server.gives_up_proof(&row, &newest).await;
    assert!(words.contains("No space left"), "{words}");
    assert_eq!(server.backups(&row).await.pop().unwrap().proof, None);

    let mut bytes = std::fs::read(server.file(&newest)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(server.file(&newest), bytes).unwrap();
    prove_backup(&server.platform, &row, &newest);
    let is_found_out = async || {
        let backups = server.backups(&row).await;
        backups
            .iter()
            .any(|backup| backup.id == newest.id && backup.proof.is_some())
    };
    assert!(server.becomes(is_found_out).await);
    let damaged = server.backups(&row).await.pop().unwrap();
    assert!(!damaged.is_good() && damaged.proof.unwrap().words.contains("damaged"));
}

#[tokio::test]
async fn what_a_dead_server_was_at_has_failed_and_its_files_are_gone() {
    let server = Server::new().await;
    server.run().await;
    let row = server.database().await;
    let whole = server.captured(&row).await;
    let new = NewBackup {
        kind: BackupKind::Manual,
        source: None,
        by: None,
        server: server.platform.server,
    };
    let mut connection = server.platform.store.connection().await.unwrap();
    let now = server.platform.clock.now();
    let half = addon_backup::begin(&mut connection, &row, new, now).await.unwrap();
    // It died while it wrote, or just before it said that all was there; and one died while it removed something.
    std::fs::write(server.file(&half), "whole").unwrap();
    std::fs::write(server.file(&half).with_extension("part"), "half").unwrap();
    std::fs::write(server.file(&whole).with_extension("part"), "nobody's").unwrap();
    abandon_backups(&server.platform).await.unwrap();
    let backups = server.backups(&row).await;
    assert_eq!(backups[0].state, BackupState::Succeeded);
    assert!(matches!(backups[1].state, BackupState::Failed { .. }), "{backups:?}");
    assert_eq!(server.files(), 1);
    assert!(server.file(&whole).exists());
}

#[tokio::test]
async fn a_database_that_is_older_than_its_files_takes_none_of_them_away() {
    let server = Server::new().await;
    server.run().await;
    let row = server.database().await;
    let newer = server.captured(&row).await;
    let mut connection = server.platform.store.connection().await.unwrap();
    let now = server.platform.clock.now();
    addon_backup::delete(&mut connection, &newer, None, now).await.unwrap();
    std::fs::create_dir(server.platform.settings.backups().join("lost+found")).unwrap();
    abandon_backups(&server.platform).await.unwrap();
    assert!(server.file(&newer).exists());
}

#[tokio::test]
async fn a_restore_that_is_cancelled_leaves_nothing_running() {
    let server = Server::new().await;
    server.run().await;
    let row = server.database().await;
    let source = server.captured(&row).await;
    let cancel = async |id| server.becomes(async || server.platform.transfers.cancel(id)).await;
    let stuck = Behaviour::runs().saying("the first half");
    server.engine.teach_command(PG_DUMP, stuck);
    let app = server.app("busy").await;
    let (mut others, mut dumps) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let made = server.addon(&app, "heroku-postgresql").await;
        assert!(server.is_provisioned(made.addon.id).await);
        let other = server.row(made.addon.id).await.unwrap();
        let begun = capture_backup(&server.platform, &other, BackupKind::Manual, None).await;
        dumps.push(begun.unwrap());
        others.push(other);
    }

    // In the midst of the copy before it, for which it waits for no dump of others.
    let restore = restore_backup(&server.platform, &row, source.clone(), server.account.id)
        .await
        .unwrap();
    let is_copying = async || server.backups(&row).await.len() == 3;
    assert!(server.becomes(is_copying).await);
    assert!(cancel(restore.id).await);
    let ended = server.settled(&row).await;
    assert_eq!(
        ended[1..].iter().map(|backup| &backup.state).collect::<Vec<_>>(),
        [&BackupState::Canceled; 2]
    );

    // While it waits for others.
    let mut restores = Vec::new();
    for dump in &dumps {
        assert!(cancel(dump.id).await);
    }
    server.settled(&others[0]).await;
    for other in &others {
        let begun = restore_backup(&server.platform, other, source.clone(), server.account.id).await;
        restores.push(begun.unwrap());
    }
    let are_copying = async || {
        let backups = server.backups(&others[0]).await;
        backups
            .iter()
            .filter(|backup| backup.kind == BackupKind::Before)
            .count()
            == 2
    };
    assert!(server.becomes(are_copying).await);
    let restore = restore_backup(&server.platform, &row, source, server.account.id)
        .await
        .unwrap();
    assert!(cancel(restore.id).await);
    let ended = server.settled(&row).await;
    assert_eq!(ended.last().unwrap().state, BackupState::Canceled);
    assert_eq!(ended.len(), 4, "nothing was copied before it");
    for begun in &restores {
        assert!(cancel(begun.id).await);
    }
    server.settled(&others[0]).await;
}

#[tokio::test]
async fn a_destroyed_addon_leaves_a_last_backup_for_a_week() {
    let server = Server::new().await;
    server.run().await;
    let row = server.database().await;
    let store = &server.platform.store;
    let mut connection = store.connection().await.unwrap();
    addon::begin_destroy(&mut connection, &store.sealer, row.addon.id, server.stamp())
        .await
        .unwrap();
    assert!(server.becomes(async || server.row(row.addon.id).await.is_none()).await);
    let left = server.look_after(&row).await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(
        (left[0].kind, &left[0].state),
        (BackupKind::Last, &BackupState::Succeeded)
    );
    assert!(vault_of(&server.platform).check(left[0].id).await.is_ok());
    server.platform.clock.advance(TimeDelta::days(7));
    assert!(server.look_after(&row).await.is_empty());
    assert_eq!(server.files(), 0);
}

#[tokio::test]
async fn a_dump_that_is_hung_up_on_amid_it_is_no_backup() {
    let server = Server::new().await;
    server.run().await;
    let row = server.database().await;
    server
        .engine
        .teach_command(PG_DUMP, Behaviour::runs().saying(&"the first half".repeat(100_000)));
    capture_backup(&server.platform, &row, BackupKind::Manual, None)
        .await
        .unwrap();
    let folder = server.platform.settings.backups();
    // Its file is there before its program runs: what counts is that some of it has come.
    let is_amid = async || {
        let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut sizes = files.filter_map(|file| file.metadata().ok());
        sizes.any(|file| file.len() > 100_000)
    };
    assert!(server.becomes(is_amid).await);
    let own = server.containers_of(row.addon.id).await.remove(0);
    server.engine.crash(&own.id, 137);
    let backups = server.settled(&row).await;
    let BackupState::Failed { reason } = &backups[0].state else {
        panic!("{backups:?}");
    };
    assert!(reason.contains("its program ended with 137"), "{reason}");
    assert_eq!(server.files(), 0);

    // The next one is whole.
    server.engine.teach_command(PG_DUMP, Behaviour::exits(0).saying(DUMP));
    let serves = async || {
        let containers = server.containers_of(row.addon.id).await;
        containers.iter().any(paas_engine::Container::is_running)
    };
    assert!(server.becomes(serves).await);
    assert_eq!(server.captured(&row).await.state, BackupState::Succeeded);
    assert_eq!(server.files(), 1);
}
