//! Backups in a bucket besides the disk: what is to be there, what is to go, and when somebody has to be told.
//!
//! The object of a backup is the sealed file, as it is. It is wanted while the backup is there.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{Addon, AddonBackup, Id};

/// A backup in a bucket, or on its way there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupObject {
    pub backup: Id<AddonBackup>,
    pub addon: Id<Addon>,
    /// Under which name.
    pub key: String,
    /// Whether its backup is there still.
    pub is_wanted: bool,
    /// What the bucket calls the upload that its parts go to.
    pub upload: Option<String>,
    /// When all of it was there.
    pub stored_at: Option<DateTime<Utc>>,
    /// When it was last seen there.
    pub seen_at: Option<DateTime<Utc>>,
    /// How often it has not worked, in a row.
    pub failures: u32,
    pub trouble: Option<ObjectTrouble>,
}

/// Why a backup is not in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectTrouble {
    pub since: DateTime<Utc>,
    /// For people.
    pub words: String,
    /// Whether somebody has to change something before it can work.
    pub is_refused: bool,
}

/// One step towards what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectStep<'a> {
    Store(&'a BackupObject),
    Remove(&'a BackupObject),
    /// Others may remove things from a bucket, too.
    Look(&'a BackupObject),
}

/// What somebody has to be told about the backups of one add-on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectAlarm {
    /// They do not get to the bucket.
    Waits(ObjectTrouble),
    /// They were deleted, and the bucket has them still.
    Stays(ObjectTrouble),
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectPart {
    /// From 1.
    pub number: u32,
    pub offset: u64,
    pub length: u64,
}

/// What does not work for so long is told; what is refused, at once.
const PATIENCE: TimeDelta = TimeDelta::hours(1);
/// How long it is believed that what was there is there.
const LOOK_AGAIN: TimeDelta = TimeDelta::days(7);
/// What is longer is sent in parts of at least so many bytes.
pub const OBJECT_PART: u64 = 8 * 1024 * 1024;
/// More parts no bucket takes.
const MOST_PARTS: u64 = 10_000;

impl AddonBackup {
    /// Below the prefix: the add-on, and a name that no other backup has, also when the platform's database is an older copy of
    /// itself, and numbers come again.
    pub fn object_key(&self, prefix: &str) -> String {
        format!("{prefix}{}/{}-{}", self.addon, self.name(), self.id)
    }
}

/// Backups that have to be in the bucket, and of which nothing is known there.
pub fn missing_objects<'a>(backups: &'a [AddonBackup], objects: &[BackupObject]) -> Vec<&'a AddonBackup> {
    let known: BTreeSet<_> = objects.iter().map(|object| object.backup).collect();
    let missing = |backup: &&AddonBackup| backup.is_kept() && !known.contains(&backup.id);
    backups.iter().filter(missing).collect()
}

/// What is to be done next: what should go first, then what failed least often, and of that the newest; then a look at what was not
/// seen for long.
pub fn next_object_step(objects: &[BackupObject], now: DateTime<Utc>) -> Option<ObjectStep<'_>> {
    let gone = objects.iter().filter(|object| !object.is_wanted);
    let waiting = objects
        .iter()
        .filter(|object| object.is_wanted && object.stored_at.is_none());
    let first = |object: &&BackupObject| (object.failures, std::cmp::Reverse(object.backup));
    // What cannot be removed keeps nothing from being stored.
    let removal = gone.min_by_key(first);
    let storage = waiting.min_by_key(first);
    match (removal, storage) {
        (Some(removal), Some(storage)) if removal.failures > storage.failures => Some(ObjectStep::Store(storage)),
        (Some(removal), _) => Some(ObjectStep::Remove(removal)),
        (None, Some(storage)) => Some(ObjectStep::Store(storage)),
        (None, None) => {
            let stored = objects.iter().filter(|object| object.is_wanted);
            let unseen = stored.filter(|object| object.seen_at.is_some_and(|seen_at| seen_at + LOOK_AGAIN <= now));
            let oldest = unseen.min_by_key(|object| (object.failures, object.seen_at));
            oldest.map(ObjectStep::Look)
        }
    }
}

/// Why somebody has to be told about the backups of one add-on: the trouble that lasts longest, of what waits before what stays.
pub fn object_alarm(objects: &[&BackupObject], now: DateTime<Utc>) -> Option<ObjectAlarm> {
    let longest = |is_meant: fn(&BackupObject) -> bool| {
        let meant = objects.iter().filter(|object| is_meant(object));
        let troubles = meant.filter_map(|object| object.trouble.as_ref());
        let told = troubles.filter(|trouble| trouble.is_refused || trouble.since + PATIENCE <= now);
        told.min_by_key(|trouble| trouble.since).cloned()
    };
    let waits = longest(|object| object.is_wanted && object.stored_at.is_none()).map(ObjectAlarm::Waits);
    waits.or_else(|| longest(|object| !object.is_wanted && object.stored_at.is_some()).map(ObjectAlarm::Stays))
}

/// The parts that a file of this length is sent in; the same each time, so that whoever carries on knows what is there.
pub fn object_parts(length: u64) -> Vec<ObjectPart> {
    let mebibyte = 1024 * 1024;
    let size = OBJECT_PART.max(length.div_ceil(MOST_PARTS).next_multiple_of(mebibyte));
    let offsets = (0..length.div_ceil(size)).map(|index| index * size);
    (1..)
        .zip(offsets)
        .map(|(number, offset)| ObjectPart {
            number,
            offset,
            length: size.min(length - offset),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{BackupKind, BackupState};

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_323_045 + minute * 60, 0).unwrap()
    }

    fn object(number: u128) -> BackupObject {
        BackupObject {
            backup: Id::from_uuid(Uuid::from_u128(number)),
            addon: Id::from_uuid(Uuid::from_u128(1)),
            key: "key".to_owned(),
            is_wanted: true,
            upload: None,
            stored_at: None,
            seen_at: None,
            failures: 0,
            trouble: None,
        }
    }

    fn backup(number: u32, kind: BackupKind, state: BackupState) -> AddonBackup {
        AddonBackup {
            id: Id::from_uuid(Uuid::from_u128(number.into())),
            addon: Id::from_uuid(Uuid::from_u128(1)),
            addon_name: "postgresql-curved-1".to_owned(),
            copied_from: None,
            copied_from_name: None,
            service: "heroku-postgresql".to_owned(),
            app: Id::from_uuid(Uuid::from_u128(2)),
            app_name: "hello".to_owned(),
            number,
            kind,
            state,
            bytes: 1,
            proof: None,
            created_at: at(0),
            finished_at: None,
        }
    }

    #[test]
    fn what_is_kept_and_nothing_else_goes_to_the_bucket() {
        let succeeded = BackupState::Succeeded;
        let backups = [
            backup(1, BackupKind::Manual, succeeded.clone()),
            backup(2, BackupKind::Scheduled, succeeded.clone()),
            backup(3, BackupKind::Scheduled, BackupState::Running),
            backup(4, BackupKind::Restore, succeeded.clone()),
            backup(5, BackupKind::Last, BackupState::Canceled),
            backup(6, BackupKind::Before, succeeded),
        ];
        let missing = missing_objects(&backups, &[object(1)]);
        let numbers: Vec<_> = missing.iter().map(|backup| backup.number).collect();
        assert_eq!(numbers, [2, 6]);
    }

    #[test]
    fn a_key_says_whose_it_is_and_comes_once() {
        let (one, mut other) = (
            backup(7, BackupKind::Scheduled, BackupState::Succeeded),
            backup(7, BackupKind::Scheduled, BackupState::Succeeded),
        );
        let key = one.object_key("paas/");
        assert!(
            key.starts_with("paas/00000000-0000-0000-0000-000000000001/a007-"),
            "{key}"
        );
        other.id = Id::from_uuid(Uuid::from_u128(8));
        assert_ne!(key, other.object_key("paas/"));
    }

    #[test]
    fn the_newest_goes_first_and_what_fails_waits_behind_the_others() {
        let stored = BackupObject {
            stored_at: Some(at(0)),
            seen_at: Some(at(0)),
            ..object(9)
        };
        assert_eq!(next_object_step(std::slice::from_ref(&stored), at(0)), None);
        let failed = BackupObject {
            failures: 1,
            ..object(8)
        };
        let objects = [object(3), stored.clone(), object(4), failed.clone()];
        assert_eq!(next_object_step(&objects, at(0)), Some(ObjectStep::Store(&objects[2])));
        assert_eq!(
            next_object_step(std::slice::from_ref(&failed), at(0)),
            Some(ObjectStep::Store(&failed))
        );
        let gone = BackupObject {
            is_wanted: false,
            ..stored
        };
        let objects = [object(3), gone.clone()];
        assert_eq!(next_object_step(&objects, at(0)), Some(ObjectStep::Remove(&gone)));
        let stuck = BackupObject { failures: 2, ..gone };
        let objects = [failed, stuck];
        assert_eq!(next_object_step(&objects, at(0)), Some(ObjectStep::Store(&objects[0])));
    }

    #[test]
    fn what_was_not_seen_for_a_week_is_looked_for_when_nothing_else_is_to_be_done() {
        let seen = |number, day: i64| BackupObject {
            stored_at: Some(at(0)),
            seen_at: Some(at(day * 24 * 60)),
            ..object(number)
        };
        let objects = [seen(1, 2), seen(2, 1), seen(3, 3)];
        assert_eq!(next_object_step(&objects, at(8 * 24 * 60 - 1)), None);
        let due = at(10 * 24 * 60);
        assert_eq!(next_object_step(&objects, due), Some(ObjectStep::Look(&objects[1])));
        let objects = [seen(1, 0), object(2)];
        assert_eq!(next_object_step(&objects, due), Some(ObjectStep::Store(&objects[1])));
    }

    #[test]
    fn a_bucket_that_is_down_is_told_after_an_hour_and_one_that_refuses_at_once() {
        let trouble = |since, is_refused| BackupObject {
            trouble: Some(ObjectTrouble {
                since: at(since),
                words: "it is down".to_owned(),
                is_refused,
            }),
            ..object(3)
        };
        let down = trouble(0, false);
        assert_eq!(object_alarm(&[&down, &object(4)], at(59)), None);
        let waits = down.trouble.clone().map(ObjectAlarm::Waits);
        assert_eq!(object_alarm(&[&down, &object(4)], at(60)), waits);
        assert!(object_alarm(&[&trouble(0, true)], at(0)).is_some());
        // What cannot be removed is told, too, and after what matters more.
        let stays = BackupObject {
            is_wanted: false,
            stored_at: Some(at(-99)),
            ..trouble(-9, true)
        };
        assert_eq!(object_alarm(&[&stays, &down], at(60)), waits);
        let stays_alone = stays.trouble.clone().map(ObjectAlarm::Stays);
        assert_eq!(object_alarm(&[&stays, &down], at(0)), stays_alone);
        let stored = BackupObject {
            stored_at: Some(at(61)),
            ..down
        };
        assert_eq!(object_alarm(&[&stored], at(99)), None);
    }

    #[test]
    fn parts_cover_a_file_and_are_never_too_many() {
        assert!(object_parts(0).is_empty());
        for length in [1, OBJECT_PART, OBJECT_PART + 1, 100 << 30, 5 << 40] {
            let parts = object_parts(length);
            assert!(parts.len() as u64 <= MOST_PARTS, "{length}: {}", parts.len());
            let mut end = 0;
            for (part, number) in parts.iter().zip(1..) {
                assert_eq!((part.number, part.offset), (number, end));
                assert!(part.length > 0);
                end += part.length;
            }
            assert_eq!(end, length);
        }
        assert_eq!(object_parts(OBJECT_PART + 1).len(), 2);
    }
}
