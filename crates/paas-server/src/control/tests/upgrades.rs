//! Upgrades of add-ons on an engine in memory: tried, moved, counted, and given up without a trace.

use std::sync::Arc;

use chrono::TimeDelta;
use paas_core::{AddonUpgrade, UpgradeState};
use paas_engine::{Behaviour, Engine, Role};
use paas_store::{
    addon::{self, AddonRow},
    addon_upgrade::{self, NewUpgrade},
    addon_volume,
};

use super::{super::BackupsController, server::Server};

impl Server {
    /// One that runs, and scratch servers that count this.
    async fn upgradable(&self, counted: &str) -> AddonRow {
        let is_server = |spec: &paas_engine::ContainerSpec| {
            matches!(&spec.role, Role::Task { purpose } if purpose == "upgrade")
                && spec.command.iter().any(|word| word.contains("until ["))
        };
        self.engine.teach(is_server, Behaviour::runs());
        self.engine
            .teach_command("query_to_xml", Behaviour::exits(0).saying(counted));
        let app = self.app("hello").await;
        let made = self.addon(&app, "heroku-postgresql").await;
        assert!(self.is_provisioned(made.addon.id).await);
        self.row(made.addon.id).await.unwrap()
    }

    async fn upgraded(&self, row: &AddonRow, is_dry_run: bool) -> AddonUpgrade {
        let new = NewUpgrade {
            version: "17".to_owned(),
            is_dry_run,
        };
        let mut connection = self.platform.store.connection().await.unwrap();
        let begun = addon_upgrade::begin(&mut connection, row.addon.id, &new, self.stamp()).await;
        assert!(begun.unwrap(), "none is under way");
        drop(connection);
        self.platform.wake_addons.notify_one();
        let is_over = async || self.upgrade(row).await.is_over();
        assert!(self.becomes(is_over).await, "{:?}", self.upgrade(row).await);
        self.upgrade(row).await
    }

    async fn upgrade(&self, row: &AddonRow) -> AddonUpgrade {
        let mut connection = self.platform.store.connection().await.unwrap();
        let upgrade = addon_upgrade::of_addon(&mut connection, row.addon.id).await;
        upgrade.unwrap().unwrap()
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
    upkeep.pass().await.unwrap();
    assert_eq!(server.left().await.0, [fresh]);
    let mut connection = server.platform.store.connection().await.unwrap();
    assert!(addon_volume::all(&mut connection).await.unwrap().is_empty());
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
