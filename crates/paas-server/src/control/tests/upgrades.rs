//! Upgrades of add-ons on an engine in memory: tried, moved, counted, and given up without a trace.

use std::sync::Arc;

use chrono::TimeDelta;
use paas_core::{AddonState, AddonUpgrade, BackupKind, UpgradeState};
use paas_engine::{Behaviour, ContainerId, ContainerSpec, Engine, Role};
use paas_store::{
    StoreError,
    addon::{self, AddonRow},
    addon_backup::{self, Ending, NewBackup},
    addon_fork::{self, Fork},
    addon_upgrade::{self, NewUpgrade},
    addon_volume,
};
use uuid::Uuid;

use super::{super::BackupsController, server::Server};

impl Server {
    /// One that runs, and scratch servers that count this.
    async fn upgradable(&self, counted: &str) -> AddonRow {
        let is_server = |spec: &ContainerSpec| {
            matches!(&spec.role, Role::Task { purpose } if purpose == "upgrade")
                && spec.command.iter().any(|word| word.contains("until ["))
        };
        self.engine.teach(is_server, Behaviour::ends_well());
        self.engine
            .teach_command("query_to_xml", Behaviour::exits(0).saying(counted));
        let app = self.app("hello").await;
        let made = self.addon(&app, "heroku-postgresql").await;
        assert!(self.is_provisioned(made.addon.id).await);
        self.row(made.addon.id).await.unwrap()
    }

    /// From now on, loading never ends in the scratch server whose name ends so.
    fn stall(&self, side: &'static str) {
        let is_loading = move |spec: &ContainerSpec| {
            spec.name.ends_with(side) && spec.command.iter().any(|word| word.contains("pg_restore --list"))
        };
        self.engine.teach(is_loading, Behaviour::runs());
    }

    async fn upgraded(&self, row: &AddonRow, is_dry_run: bool) -> AddonUpgrade {
        self.begin_upgrade(row, is_dry_run).await;
        self.ended(row).await
    }

    async fn begin_upgrade(&self, row: &AddonRow, is_dry_run: bool) {
        let new = NewUpgrade {
            version: "17".to_owned(),
            is_dry_run,
        };
        let mut connection = self.platform.store.connection().await.unwrap();
        let begun = addon_upgrade::begin(&mut connection, row.addon.id, &new, self.stamp()).await;
        assert!(begun.unwrap(), "none is under way");
        drop(connection);
        self.platform.wake_addons.notify_one();
    }

    async fn cancel_upgrade(&self, row: &AddonRow) {
        let mut connection = self.platform.store.connection().await.unwrap();
        assert!(addon_upgrade::cancel(&mut connection, row.addon.id).await.unwrap());
        self.platform.wake_addons.notify_one();
    }

    /// One that has come to an end.
    async fn ended(&self, row: &AddonRow) -> AddonUpgrade {
        let is_over = async || self.upgrade(row).await.is_over();
        assert!(self.becomes(is_over).await, "{:?}", self.upgrade(row).await);
        self.upgrade(row).await
    }

    /// Waits until an upgrade says this, and goes no farther.
    async fn stops_at(&self, row: &AddonRow, words: &str) {
        let is_there = async || self.upgrade(row).await.words.contains(words);
        assert!(self.becomes(is_there).await, "{:?}", self.upgrade(row).await);
    }

    /// Waits until its own server runs.
    async fn serves(&self, row: &AddonRow) {
        let is_serving = async || {
            let containers = self.containers_of(row.addon.id).await;
            matches!(&containers[..], [container] if container.is_running())
        };
        assert!(self.becomes(is_serving).await);
    }

    async fn upgrade(&self, row: &AddonRow) -> AddonUpgrade {
        let mut connection = self.platform.store.connection().await.unwrap();
        let upgrade = addon_upgrade::of_addon(&mut connection, row.addon.id).await;
        upgrade.unwrap().unwrap()
    }

    /// Somebody who uses a volume.
    async fn uses(&self, volume: &str) -> ContainerId {
        let [own] = &self.engine.list().await.unwrap()[..] else {
            panic!("one server");
        };
        let mut spec = self.engine.spec(&own.id).unwrap();
        spec.name = "somebody".to_owned();
        spec.role = Role::Task {
            purpose: "other".to_owned(),
        };
        spec.volumes[0].volume = volume.to_owned();
        self.engine.start(&spec).await.unwrap().id
    }

    /// The names of the volumes of add-ons, and whether anybody but add-ons is at work.
    async fn left(&self) -> (Vec<String>, bool) {
        let volumes = self.engine.volumes().await.unwrap();
        let mut names: Vec<_> = volumes.into_iter().map(|volume| volume.name).collect();
        names.sort();
        let listed = self.engine.list().await.unwrap();
        let is_anybody = listed
            .iter()
            .any(|container| !matches!(container.role, Some(Role::Addon { .. })));
        (names, is_anybody)
    }
}

#[tokio::test]
async fn an_upgrade_leads_to_another_volume_and_keeps_the_old_one_for_some_days() {
    let server = Server::new().await;
    server.run().await;
    let before = server.upgradable("public.people 12").await;
    let id = before.addon.id;
    let tried = server.upgraded(&before, true).await;
    assert_eq!(tried.state, UpgradeState::Succeeded);
    assert!(tried.words.contains("1 tables, 12 rows"), "{}", tried.words);
    let old = format!("paas-addon-{id}");
    assert_eq!(
        server.left().await,
        (vec![old.clone()], false),
        "a dry run changes nothing"
    );
    assert_eq!(server.row(id).await.unwrap().version, "15");

    let upgraded = server.upgraded(&before, false).await;
    assert_eq!(upgraded.state, UpgradeState::Succeeded, "{}", upgraded.words);
    let after = server.row(id).await.unwrap();
    assert_eq!(after.version, "17");
    assert_ne!(after.image, before.image);
    let fresh = after.volume.clone().unwrap();
    let (volumes, is_anybody) = server.left().await;
    assert_eq!((volumes, is_anybody), (vec![old.clone(), fresh.clone()], false));
    let listed = server.engine.list().await.unwrap();
    let spec = server.engine.spec(&listed[0].id).unwrap();
    assert_eq!(spec.volumes[0].volume, fresh);
    let version = spec.environment.iter().find(|(key, _)| *key == "ADDON_VERSION");
    assert_eq!(version.map(|(_, value)| value), Some("17"));

    server.platform.clock.advance(TimeDelta::days(8));
    let upkeep = BackupsController::new(Arc::clone(&server.platform));
    let user = server.uses(&old).await;
    upkeep.pass().await.unwrap();
    assert_eq!(server.left().await.0.len(), 2, "somebody uses it, and nobody minds");
    server.engine.vanish(&user);
    upkeep.pass().await.unwrap();
    assert_eq!(server.left().await.0, [fresh]);
    let mut connection = server.platform.store.connection().await.unwrap();
    assert!(addon_volume::all(&mut connection).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_all_there_is_told_and_the_old_server_comes_back() {
    let server = Server::new().await;
    server.run().await;
    let before = server.upgradable("public.people 12").await;
    let is_counting_there = |spec: &ContainerSpec| {
        spec.name.ends_with("-to") && spec.command.iter().any(|word| word.contains("query_to_xml"))
    };
    server
        .engine
        .teach(is_counting_there, Behaviour::exits(0).saying("public.people 11"));
    let failed = server.upgraded(&before, false).await;
    assert_eq!(failed.state, UpgradeState::Failed);
    for words in [
        "public.people 12 before, and public.people 11 after",
        "It is as it was, of version 15",
        "pg:upgrade:dryrun",
    ] {
        assert!(failed.words.contains(words), "{}", failed.words);
    }
    server.serves(&before).await;
    assert_eq!(server.row(before.addon.id).await.unwrap(), before);
    let old = format!("paas-addon-{}", before.addon.id);
    assert_eq!(server.left().await, (vec![old], false));
}

#[tokio::test]
async fn what_is_cancelled_ends_wherever_it_is_and_its_old_server_serves() {
    let server = Server::new().await;
    server.run().await;
    let before = server.upgradable("public.people 12").await;
    // The later one first: what is taught is added.
    for (side, words) in [("-to", "moving"), ("-trial", "trying it out")] {
        server.stall(side);
        server.begin_upgrade(&before, false).await;
        server.stops_at(&before, words).await;
        server.cancel_upgrade(&before).await;
        let ended = server.ended(&before).await;
        assert_eq!(ended.state, UpgradeState::Cancelled, "{}", ended.words);
        server.serves(&before).await;
        assert_eq!(server.row(before.addon.id).await.unwrap(), before);
        let old = format!("paas-addon-{}", before.addon.id);
        assert_eq!(server.left().await, (vec![old], false));
    }
}

#[tokio::test]
async fn a_dry_run_keeps_nothing_else_from_being_done_and_ends_with_its_server() {
    let server = Server::new().await;
    server.run().await;
    let before = server.upgradable("public.people 12").await;
    let id = before.addon.id;
    server.stall("-trial");
    server.begin_upgrade(&before, true).await;
    server.stops_at(&before, "trying it out").await;
    let mut connection = server.platform.store.connection().await.unwrap();
    addon::set_plan(&mut connection, id, "standard-0", server.stamp())
        .await
        .unwrap();
    drop(connection);
    server.platform.wake_addons.notify_one();
    let is_replaced = async || {
        let containers = server.containers_of(id).await;
        let generation = server.row(id).await.unwrap().generation;
        matches!(&containers[..], [container] if container.is_running()
            && container.role == Some(Role::Addon { addon: id, generation }))
    };
    assert!(server.becomes(is_replaced).await, "{:?}", server.upgrade(&before).await);
    server.stops_at(&before, "trying it out").await;
    let [own] = &server.containers_of(id).await[..] else {
        panic!("one server");
    };
    server.engine.crash(&own.id, 137);
    let failed = server.ended(&before).await;
    assert_eq!(failed.state, UpgradeState::Failed, "{}", failed.words);
    server.serves(&before).await;
}

#[tokio::test]
async fn an_add_on_does_not_move_under_a_backup_and_takes_no_restore_on_its_way() {
    let server = Server::new().await;
    server.run().await;
    let before = server.upgradable("public.people 12").await;
    let now = server.platform.clock.now();
    let new = |kind, server| NewBackup {
        kind,
        source: None,
        by: None,
        server,
    };
    let mut connection = server.platform.store.connection().await.unwrap();
    let manual = new(BackupKind::Manual, Uuid::from_u128(1));
    let backup = addon_backup::begin(&mut connection, &before, manual, now)
        .await
        .unwrap();
    server.begin_upgrade(&before, false).await;
    server.stops_at(&before, "waiting for b001").await;
    let restore = new(BackupKind::Restore, Uuid::from_u128(2));
    let refused = addon_backup::begin(&mut connection, &before, restore, now).await;
    assert!(matches!(refused, Err(StoreError::UpgradeRunning)), "{refused:?}");
    addon_backup::end(&mut connection, backup.id, Ending::Succeeded, 1, now)
        .await
        .unwrap();
    let upgraded = server.ended(&before).await;
    assert_eq!(upgraded.state, UpgradeState::Succeeded, "{}", upgraded.words);
    let version = addon_backup::version(&mut connection, backup.id).await.unwrap();
    assert_eq!(version.as_deref(), Some("15"));
}

#[tokio::test]
async fn a_fork_that_is_too_old_by_now_says_what_to_do() {
    let server = Server::new().await;
    server.run().await;
    let source = server.upgradable("").await;
    let upgraded = server.upgraded(&source, false).await;
    assert_eq!(upgraded.state, UpgradeState::Succeeded, "{}", upgraded.words);
    let app = server.app("other").await;
    // Nobody begins with the fork before it is one.
    server.engine.go_down();
    let made = server.addon(&app, "heroku-postgresql").await;
    let fork = Fork {
        addon: made.addon.id,
        source: source.addon.id,
        source_name: source.addon.name.to_string(),
    };
    let mut connection = server.platform.store.connection().await.unwrap();
    addon_fork::begin(&mut connection, &fork).await.unwrap();
    drop(connection);
    server.engine.come_back();
    let is_told = async || {
        let row = server.row(made.addon.id).await.unwrap();
        row.trouble
            .is_some_and(|trouble| trouble.contains("Destroy this add-on, and fork again"))
    };
    assert!(server.becomes(is_told).await, "{:?}", server.row(made.addon.id).await);
}

#[tokio::test]
async fn what_cannot_be_loaded_is_told_and_leaves_the_old_server() {
    let server = Server::new().await;
    server.run().await;
    let before = server.upgradable("public.people 12").await;
    server
        .engine
        .teach_command("pg_restore --list", Behaviour::exits(1).complaining("no such type"));
    let failed = server.upgraded(&before, false).await;
    assert_eq!(failed.state, UpgradeState::Failed);
    assert!(failed.words.contains("no such type"), "{}", failed.words);
    assert_eq!(server.row(before.addon.id).await.unwrap(), before);
    let old = format!("paas-addon-{}", before.addon.id);
    assert_eq!(server.left().await, (vec![old], false));
}

#[tokio::test]
async fn what_an_upgrade_has_left_goes_with_the_add_on() {
    let server = Server::new().await;
    server.run().await;
    let before = server.upgradable("").await;
    server.upgraded(&before, false).await;
    let mut connection = server.platform.store.connection().await.unwrap();
    let sealer = &server.platform.store.sealer;
    addon::begin_destroy(&mut connection, sealer, before.addon.id, server.stamp())
        .await
        .unwrap();
    drop(connection);
    server.platform.wake_addons.notify_one();
    let is_gone = async || server.row(before.addon.id).await.is_none();
    assert!(server.becomes(is_gone).await);
    assert_eq!(server.left().await, (Vec::new(), false));
}

#[tokio::test]
async fn a_dry_run_is_given_up_after_12_hours_and_its_server_has_not_noticed() {
    let server = Server::new().await;
    server.run().await;
    let before = server.upgradable("public.people 12").await;
    let own = server.containers_of(before.addon.id).await;
    server.stall("-trial");
    server.begin_upgrade(&before, false).await;
    server.stops_at(&before, "trying it out").await;
    server
        .platform
        .clock
        .advance(TimeDelta::hours(12) - TimeDelta::minutes(1));
    server.stops_at(&before, "trying it out").await;
    server.platform.clock.advance(TimeDelta::minutes(2));
    let ended = server.ended(&before).await;
    assert_eq!(ended.state, UpgradeState::Failed);
    for words in ["it took longer than 12 hours", "pg:upgrade:dryrun"] {
        assert!(ended.words.contains(words), "{}", ended.words);
    }
    assert_eq!(server.row(before.addon.id).await.unwrap(), before);
    assert_eq!(server.containers_of(before.addon.id).await, own);
    let old = format!("paas-addon-{}", before.addon.id);
    assert_eq!(server.left().await, (vec![old], false));
}

#[tokio::test]
async fn a_fork_that_the_disk_has_no_room_for_says_so_before_it_reads_anything() {
    let server = Server::new().await;
    server.run().await;
    let source = server.upgradable("").await;
    let huge = Behaviour::exits(0).saying("999999999999 /data");
    server.engine.teach_command("du -skx", huge);
    let begun = Behaviour::exits(9).complaining("it was begun all the same");
    server.engine.teach_command("pg_dump", begun);
    let app = server.app("other").await;
    server.engine.go_down();
    let made = server.addon(&app, "heroku-postgresql").await;
    let fork = Fork {
        addon: made.addon.id,
        source: source.addon.id,
        source_name: source.addon.name.to_string(),
    };
    let mut connection = server.platform.store.connection().await.unwrap();
    addon_fork::begin(&mut connection, &fork).await.unwrap();
    server.engine.come_back();
    // The second try comes at once, and says the same.
    let rests = async || server.row(made.addon.id).await.is_some_and(|row| row.failures >= 2);
    assert!(server.becomes(rests).await);
    let row = server.row(made.addon.id).await.unwrap();
    let trouble = row.trouble.unwrap();
    for words in [
        "the disk at / has",
        "MB are needed",
        "see what takes room with paas disk",
    ] {
        assert!(trouble.contains(words), "{trouble}");
    }
    assert_eq!(row.addon.state, AddonState::Provisioning, "no app has its address");
    let unfilled = addon_fork::unfilled(&mut connection, made.addon.id).await.unwrap();
    assert!(unfilled.is_some());
}
