//! Archives of add-ons on an engine in memory: emptied, copied, healed, told of, and kept for whoever was promised a moment.

use std::{path::PathBuf, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use paas_core::{Addon, Id};
use paas_engine::{Behaviour, ContainerSpec, Engine, Role};
use paas_store::{
    addon::{self, AddonRow, NewAddon},
    addon_alarm,
    addon_rollback::{self, Rollback},
    new_id,
};

use super::{
    super::{ArchivesController, disk::pretended},
    server::Server,
};
use crate::addon::Credentials;

const STATE: &str = "server_version_num";
const HAND_OVER: &str = "cat \"$file\"";
const LET_GO: &str = "rm -f \"./$file\"";
const BASE: &str = "pg_basebackup";
const REPLAY: &str = "recovery.signal";
const LINEAGE: &str = "15-77";
const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// A database, and who looks after its archive.
struct Archived {
    server: Server,
    controller: Arc<ArchivesController>,
    row: AddonRow,
}

impl Archived {
    /// Its log has handed on nothing yet.
    async fn new() -> Self {
        let server = Server::new().await;
        server.run().await;
        let app = server.app("hello").await;
        let made = server.addon(&app, "heroku-postgresql").await;
        assert!(server.is_provisioned(made.addon.id).await);
        let archived = Self {
            controller: Arc::new(ArchivesController::new(Arc::clone(&server.platform))),
            row: server.row(made.addon.id).await.unwrap(),
            server,
        };
        archived.says("-", "well");
        archived.copies(4);
        archived
    }

    /// What its server says of its log.
    fn says(&self, last: &str, state: &str) {
        let said = Behaviour::exits(0).saying(&format!("{LINEAGE} {last} {state}"));
        self.server.engine.teach_command(STATE, said);
    }

    /// A copy comes off that needs the log from there on.
    fn copies(&self, from: u64) {
        let copy = Behaviour::exits(0).saying(&format!("{LINEAGE} {}", segment(from)));
        self.server.engine.teach_command(BASE, copy.sending("all of it"));
    }

    /// These are in the spool, written now.
    fn spools(&self, segments: &[u64]) {
        let spool = segments.iter().fold(Behaviour::exits(0), |spool, number| {
            spool.saying(&self.head(*number, 3)).sending("log")
        });
        self.server.engine.teach_command(HAND_OVER, spool);
    }

    /// What a segment in the spool is announced by.
    fn head(&self, number: u64, bytes: u64) -> String {
        let now = self.now();
        let (seconds, milliseconds) = (now.timestamp(), now.timestamp_subsec_millis());
        format!("{LINEAGE}.{} {bytes} {seconds}.{milliseconds:03}", segment(number))
    }

    fn now(&self) -> DateTime<Utc> {
        self.server.platform.clock.now()
    }

    /// Time goes on, and somebody looks.
    async fn look(&self, after: TimeDelta) {
        self.server.platform.clock.advance(after);
        self.controller.pass().await.unwrap();
        assert!(self.server.becomes(async || self.controller.is_at_rest()).await);
    }

    fn folder(&self) -> PathBuf {
        let archive = self.server.platform.settings.archive();
        archive.join(self.row.addon.id.to_string()).join(LINEAGE)
    }

    fn files(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.folder()) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    fn has(&self, begin: &str) -> bool {
        self.files()
            .iter()
            .any(|name| name.starts_with(begin) && !name.ends_with("part"))
    }

    async fn alarm(&self) -> Option<String> {
        let mut connection = self.server.platform.store.connection().await.unwrap();
        addon_alarm::of_addon(&mut connection, self.row.addon.id).await.unwrap()
    }

    async fn alarms(&self, words: &str) {
        let alarm = self.alarm().await.unwrap_or_default();
        assert!(alarm.contains(words), "{alarm:?} and not {words:?}");
    }

    async fn is_well(&self) {
        assert_eq!(self.alarm().await, None);
    }

    /// A copy and its log are there.
    async fn begin(&self) {
        self.look(MINUTE).await;
        assert!(self.has("base."), "{:?}", self.files());
        self.server.platform.clock.advance(MINUTE);
        self.hands_on(4);
        self.look(MINUTE).await;
        assert!(self.has(&segment(4)), "{:?}", self.files());
        self.spools(&[]);
        self.is_well().await;
    }

    /// A segment is in the spool.
    fn hands_on(&self, number: u64) {
        self.spools(&[number]);
        self.says(&segment(number), "well");
    }

    /// No copy comes off.
    fn refuses_copies(&self) {
        let refused = Behaviour::exits(1).complaining("too many connections");
        self.server.engine.teach_command(BASE, refused);
    }

    /// What was archived so long ago.
    fn leave(&self, numbers: &[u64], age: TimeDelta) {
        let at = (self.now() - age).timestamp_millis();
        for number in numbers {
            let segment = segment(*number);
            for name in [format!("base.{segment}.{at}"), format!("{segment}.{at}")] {
                std::fs::write(self.folder().join(name), "old").unwrap();
            }
        }
    }
}

impl Archived {
    /// An add-on that is to begin with what this one held.
    async fn roll_back(&self, moment: DateTime<Utc>) -> Id<Addon> {
        let (server, source) = (&self.server, &self.row.addon);
        let app = server.app("after").await;
        let (store, stamp) = (&server.platform.store, server.stamp());
        let mut transaction = store.begin().await.unwrap();
        let new = NewAddon {
            id: new_id(stamp.at),
            app: app.app.id,
            name: "after".parse().unwrap(),
            service: source.service.clone(),
            plan: source.plan.clone(),
            version: self.row.version.clone(),
            suffixes: vec!["URL".to_owned()],
            secret: Credentials::invent().values().clone(),
            attachment: "DATABASE".parse().unwrap(),
        };
        let made = addon::create(&mut transaction, &store.sealer, new, stamp)
            .await
            .unwrap();
        let rollback = Rollback {
            addon: made.0.addon.id,
            source: source.id,
            source_name: source.name.to_string(),
            moment,
        };
        addon_rollback::begin(&mut transaction, &rollback).await.unwrap();
        transaction.commit().await.unwrap();
        rollback.addon
    }
}

fn segment(number: u64) -> String {
    format!("00000001{number:016X}")
}

#[tokio::test]
async fn a_log_comes_into_the_archive_and_goes_from_its_spool() {
    let archived = Archived::new().await;
    archived.begin().await;
    let refuses = Behaviour::exits(1).complaining("read-only file system");
    archived.server.engine.teach_command(LET_GO, refuses);
    for _ in 0..2 {
        archived.look(MINUTE * 16).await;
        archived.is_well().await;
    }
    archived.hands_on(5);
    archived.look(MINUTE).await;
    assert!(archived.has(&segment(5)), "{:?}", archived.files());
    archived.is_well().await;
    archived.look(MINUTE * 16).await;
    archived.alarms("read-only file system").await;
    archived.spools(&[]);
    archived.look(MINUTE).await;
    archived.is_well().await;
}

#[tokio::test]
async fn what_breaks_off_keeps_what_was_whole_and_what_is_old_goes_all_the_same() {
    let archived = Archived::new().await;
    archived.begin().await;
    archived.leave(&[1, 2], TimeDelta::days(9));
    archived.leave(&[3], TimeDelta::days(8));
    std::fs::write(archived.folder().join("base.part"), "half of one").unwrap();
    let broken = Behaviour::exits(1)
        .complaining("input/output error")
        .saying(&archived.head(5, 3))
        .sending("log")
        .saying(&archived.head(6, 1000))
        .sending("lo");
    archived.server.engine.teach_command(HAND_OVER, broken);
    archived.look(MINUTE).await;
    assert!(archived.has(&segment(5)) && !archived.has(&segment(6)));
    let has_gone = !archived.has(&segment(1)) && !archived.files().contains(&"base.part".to_owned());
    assert!(has_gone && archived.has(&segment(4)), "{:?}", archived.files());
    archived.is_well().await;
    archived.look(MINUTE * 16).await;
    archived.alarms("input/output error").await;
    archived.hands_on(6);
    archived.look(MINUTE).await;
    archived.is_well().await;
    assert!(archived.has(&segment(6)));
}

#[tokio::test]
async fn what_was_let_go_at_the_end_is_a_gap_until_there_is_another_copy() {
    let archived = Archived::new().await;
    archived.begin().await;
    archived.refuses_copies();
    archived.says(&segment(6), "well");
    archived.look(MINUTE).await;
    archived.alarms("has a gap").await;
    archived.copies(7);
    archived.look(MINUTE).await;
    archived.look(MINUTE).await;
    assert!(archived.has(&format!("base.{}", segment(7))), "{:?}", archived.files());
    archived.is_well().await;
}

#[tokio::test]
async fn a_gap_between_segments_is_told_and_closed_by_another_copy() {
    let archived = Archived::new().await;
    archived.begin().await;
    archived.refuses_copies();
    archived.hands_on(6);
    archived.look(MINUTE).await;
    archived.alarms("has a gap").await;
    archived.copies(7);
    archived.look(MINUTE).await;
    archived.look(MINUTE).await;
    archived.is_well().await;
}

#[tokio::test]
async fn a_server_that_hands_on_nothing_is_told_of() {
    let archived = Archived::new().await;
    archived.begin().await;
    archived.says(&segment(4), "failing");
    archived.look(MINUTE).await;
    archived.is_well().await;
    archived.look(MINUTE * 16).await;
    archived.alarms("fails to hand it on").await;
    archived.says(&segment(4), "well");
    archived.look(MINUTE).await;
    archived.is_well().await;
}

#[tokio::test]
async fn without_a_first_copy_and_without_one_for_a_day_there_is_an_alarm() {
    let archived = Archived::new().await;
    archived.refuses_copies();
    archived.look(MINUTE).await;
    archived.is_well().await;
    archived.look(MINUTE * 16).await;
    archived.alarms("has not been copied").await;
    archived.copies(4);
    archived.look(MINUTE * 16).await;
    archived.begin().await;

    // Its hour comes, and once more.
    archived.refuses_copies();
    archived.look(TimeDelta::hours(25)).await;
    archived.is_well().await;
    archived.look(TimeDelta::hours(27)).await;
    archived.alarms("could not be copied").await;
    archived.copies(4);
    archived.look(MINUTE * 16).await;
    archived.look(MINUTE).await;
    archived.is_well().await;
}

#[tokio::test]
async fn a_moment_that_somebody_was_promised_stays_until_it_is_on_a_volume() {
    let archived = Archived::new().await;
    archived.begin().await;
    let (server, source) = (&archived.server, &archived.row);
    let is_scratch = |spec: &ContainerSpec| {
        matches!(&spec.role, Role::Task { purpose } if purpose == "rollback") && spec.command[0] == "sleep"
    };
    server.engine.teach(is_scratch, Behaviour::runs());
    server
        .engine
        .teach_command(REPLAY, Behaviour::exits(1).complaining("no space left"));
    let after = archived.roll_back(archived.now() - MINUTE).await;
    // Whatever the plan keeps, of which there is a newer copy by now.
    server.platform.clock.advance(TimeDelta::days(9));
    archived.copies(5);
    archived.look(MINUTE).await;
    archived.look(MINUTE).await;
    assert!(archived.has(&format!("base.{}", segment(5))), "{:?}", archived.files());
    assert!(archived.has(&segment(4)), "{:?}", archived.files());

    let store = &server.platform.store;
    let mut connection = store.connection().await.unwrap();
    addon::begin_destroy(&mut connection, &store.sealer, source.addon.id, server.stamp())
        .await
        .unwrap();
    server.platform.wake_addons.notify_one();
    let name = format!("paas-addon-{}", source.addon.id);
    let is_down = async || {
        let listed = server.engine.list().await.unwrap();
        !listed.iter().any(|container| container.name.starts_with(&name))
    };
    assert!(server.becomes(is_down).await);
    // The first failure is followed by another try at once, and that one by a rest.
    let rests = async || server.row(after).await.is_some_and(|row| row.failures >= 2);
    assert!(server.becomes(rests).await);
    server.engine.teach_command(REPLAY, Behaviour::copies());
    server.platform.clock.advance(MINUTE * 20);
    server.platform.wake_addons.notify_one();
    assert!(server.is_provisioned(after).await, "it reads what it was promised");
    let is_gone = async || server.row(source.addon.id).await.is_none();
    assert!(server.becomes(is_gone).await);
    assert!(archived.files().is_empty());
}

#[tokio::test]
async fn a_rollback_that_uses_up_the_disk_ends_and_gives_it_back() {
    let archived = Archived::new().await;
    archived.begin().await;
    let server = &archived.server;
    let is_scratch = |spec: &ContainerSpec| {
        matches!(&spec.role, Role::Task { purpose } if purpose == "rollback") && spec.command[0] == "sleep"
    };
    server.engine.teach(is_scratch, Behaviour::runs());
    server.engine.teach_command(REPLAY, Behaviour::deaf());
    // A disk of the test's own.
    let disk = server.platform.settings.data_dir.join("engine");
    server.engine.set_data_dir(disk.to_str().unwrap());
    pretended::set_free(&disk, 1 << 40);
    let after = archived.roll_back(archived.now() - MINUTE).await;
    let is_filling = async || {
        let listed = server.engine.list().await.unwrap();
        listed
            .iter()
            .any(|container| container.name.starts_with("paas-rollback-"))
    };
    server.platform.wake_addons.notify_one();
    assert!(server.becomes(is_filling).await);
    pretended::set_free(&disk, 1 << 20);
    // The second try does not begin.
    let rests = async || server.row(after).await.is_some_and(|row| row.failures >= 2);
    assert!(server.becomes(rests).await);
    let trouble = server.row(after).await.unwrap().trouble.unwrap();
    assert!(trouble.contains("see what takes room with paas disk"), "{trouble}");
    assert!(!is_filling().await, "nobody writes any more");
    let volumes = server.engine.volumes().await.unwrap();
    let name = format!("paas-addon-{after}");
    assert!(!volumes.iter().any(|volume| volume.name == name), "{volumes:?}");

    pretended::set_free(&disk, 1 << 40);
    server.engine.teach_command(REPLAY, Behaviour::copies());
    server.platform.clock.advance(MINUTE * 20);
    server.platform.wake_addons.notify_one();
    assert!(server.is_provisioned(after).await, "there is room again");
}
