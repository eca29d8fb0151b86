//! Backups of add-ons: when one is due, which are kept, which is to be proven, and when somebody has to be told.
//!
//! A backup is *good* while its bytes are there and no proof has found otherwise: only a restore of it into a scratch server is
//! a proof.

mod schedule;

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, TimeDelta, Utc};

use crate::{Addon, App, Id};

pub use schedule::{BackupSchedule, BackupTurn};

/// A copy of what is in an add-on, a copy put back, or one that went from one add-on into another. It outlives its add-on, and its app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddonBackup {
    pub id: Id<AddonBackup>,
    pub addon: Id<Addon>,
    pub addon_name: String,
    /// The add-on that was copied into this one, and its name while there is one.
    pub copied_from: Option<Id<Addon>>,
    pub copied_from_name: Option<String>,
    /// What can read it.
    pub service: String,
    pub app: Id<App>,
    pub app_name: String,
    /// Counted for each app, what was put back among the others.
    pub number: u32,
    pub kind: BackupKind,
    pub state: BackupState,
    /// How many have passed so far.
    pub bytes: u64,
    pub proof: Option<BackupProof>,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupKind {
    Manual,
    Scheduled,
    /// What was there before another one was put back.
    Before,
    /// Of an add-on that was destroyed.
    Last,
    /// One that is put back.
    Restore,
    /// What is in another add-on, on its way into this one.
    Copy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupState {
    Running,
    Succeeded,
    Failed { reason: String },
    Canceled,
}

/// What came of a restore into a scratch server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupProof {
    pub at: DateTime<Utc>,
    pub is_good: bool,
    /// What was counted, or what was wrong.
    pub words: String,
}

/// As on Heroku: scheduled ones for a week, then one of each week, for four weeks.
const DAYS_KEPT: TimeDelta = TimeDelta::days(7);
const WEEKS_KEPT: TimeDelta = TimeDelta::weeks(4);
/// Of an add-on, as Heroku's Standard plans; the oldest goes.
const MANUAL_KEPT: usize = 25;
/// What was put back, for whoever looks at it.
const RESTORES_KEPT: TimeDelta = TimeDelta::days(30);
/// A day, and time for a capture that is large, late or repeated.
const OLDEST_GOOD: TimeDelta = TimeDelta::hours(26);
const BETWEEN_PROOFS: TimeDelta = TimeDelta::days(7);

impl AddonBackup {
    /// `b001`; `a002` of a schedule, `r003` when it was put back, `c004` from another add-on: as Heroku's command calls them.
    pub fn name(&self) -> String {
        let letter = match self.kind {
            BackupKind::Scheduled => 'a',
            BackupKind::Manual | BackupKind::Before | BackupKind::Last => 'b',
            BackupKind::Restore => 'r',
            BackupKind::Copy => 'c',
        };
        format!("{letter}{:03}", self.number)
    }

    /// Whether there are bytes of it.
    pub fn is_kept(&self) -> bool {
        self.kind.has_bytes() && self.state == BackupState::Succeeded
    }

    /// Whether it can be counted on.
    pub fn is_good(&self) -> bool {
        self.is_kept() && self.proof.as_ref().is_none_or(|proof| proof.is_good)
    }
}

impl BackupKind {
    pub const ALL: [Self; 6] = [
        Self::Manual,
        Self::Scheduled,
        Self::Before,
        Self::Last,
        Self::Restore,
        Self::Copy,
    ];

    /// Whether it makes a file; all others put something into an add-on.
    pub const fn has_bytes(self) -> bool {
        !matches!(self, Self::Restore | Self::Copy)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Scheduled => "scheduled",
            Self::Before => "before restore",
            Self::Last => "last",
            Self::Restore => "restore",
            Self::Copy => "copy",
        }
    }
}

/// The newest that can be counted on.
pub fn newest_good(backups: &[AddonBackup]) -> Option<&AddonBackup> {
    let good = backups.iter().filter(|backup| backup.is_good());
    good.max_by_key(|backup| (backup.created_at, backup.number))
}

/// Those of one add-on whose time is over. The newest good one of a living add-on stays, however old; where none is good, the
/// newest there is: who has nothing else may want it all the same.
pub fn surplus_backups(backups: &[AddonBackup], is_living: bool, now: DateTime<Utc>) -> Vec<&AddonBackup> {
    if !is_living {
        // The last of it is as old as its end.
        let end = backups.iter().map(|backup| backup.created_at).max();
        let is_over = end.is_some_and(|end| end + DAYS_KEPT <= now);
        return backups.iter().filter(|_| is_over).collect();
    }
    let kept = backups.iter().filter(|backup| backup.is_kept());
    let newest_kept = kept.max_by_key(|backup| (backup.created_at, backup.number));
    let spared = newest_good(backups).or(newest_kept).map(|backup| backup.id);
    let mut newest_first: Vec<&AddonBackup> = backups.iter().collect();
    newest_first.sort_by_key(|backup| std::cmp::Reverse((backup.created_at, backup.number)));
    let (mut weeks, mut manual) = (BTreeSet::new(), 0);
    newest_first.retain(|backup| {
        let age = now - backup.created_at;
        let is_wanted = match (&backup.state, backup.kind) {
            (BackupState::Running, _) => true,
            (_, BackupKind::Restore | BackupKind::Copy) => age < RESTORES_KEPT,
            // One that is no good takes nobody's place, and stays for whoever looks at what is wrong with it.
            (BackupState::Succeeded, _) if !backup.is_good() => {
                backup.proof.as_ref().is_some_and(|proof| now - proof.at < DAYS_KEPT)
            }
            (BackupState::Succeeded, BackupKind::Manual) => {
                manual += 1;
                manual <= MANUAL_KEPT
            }
            (BackupState::Succeeded, BackupKind::Scheduled) => {
                let week = backup.created_at.iso_week();
                let is_first = age < DAYS_KEPT || weeks.insert((week.year(), week.week()));
                is_first && age < WEEKS_KEPT
            }
            (BackupState::Succeeded | BackupState::Failed { .. } | BackupState::Canceled, _) => age < DAYS_KEPT,
        };
        !is_wanted && Some(backup.id) != spared
    });
    newest_first
}

/// Whether an add-on that is backed up has had no good backup for too long, for whatever reason.
pub fn is_backup_overdue(backups: &[AddonBackup], created_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let newest = newest_good(backups).map_or(created_at, |backup| backup.created_at);
    now - newest > OLDEST_GOOD
}

/// The backup of one add-on that is to be restored into a scratch server: the newest, once a week, and sooner after one that was
/// no good.
pub fn backup_to_prove(backups: &[AddonBackup], now: DateTime<Utc>) -> Option<&AddonBackup> {
    let newest = newest_good(backups).filter(|backup| backup.proof.is_none())?;
    let proofs = backups.iter().filter_map(|backup| backup.proof.as_ref());
    let last = proofs.max_by_key(|proof| proof.at);
    last.is_none_or(|last| !last.is_good || last.at + BETWEEN_PROOFS <= now)
        .then_some(newest)
}

#[cfg(test)]
mod tests;
