//! What is due by itself: backups at their time of day, proofs, the end of what is too old, and alarms.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use paas_core::{
    Addon, AddonBackup, AddonState, BackupKind, BackupSchedule, BackupState, BackupTurn, Id, backup_to_prove,
    is_backup_overdue, newest_good, surplus_backups,
};
use paas_store::{self as store, StoreError, addon::AddonRow, addon_backup::is_stale};
use tokio::time::sleep;

use super::{
    super::{tell, upgrade},
    can_back_up, capture, prove, throw_away,
};
use crate::platform::Platform;

const PERIOD: Duration = Duration::from_secs(15);
/// After a proof that the platform itself could not bring to an end.
const PROVE_AGAIN: TimeDelta = TimeDelta::hours(1);

pub(crate) struct BackupsController {
    platform: Arc<Platform>,
    /// When a proof of an add-on was begun last.
    proofs: Mutex<HashMap<Id<Addon>, DateTime<Utc>>>,
}

impl BackupsController {
    pub(crate) fn new(platform: Arc<Platform>) -> Self {
        Self {
            platform,
            proofs: Mutex::default(),
        }
    }

    /// Runs until the platform stops.
    pub(crate) async fn run(self) -> Result<()> {
        loop {
            let stop = &self.platform.stop;
            match stop.run_until_cancelled(self.pass()).await {
                None => return Ok(()),
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "could not look after the backups; trying again"
                    );
                }
            }
            tokio::select! {
                () = sleep(PERIOD) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    pub(crate) async fn pass(&self) -> Result<()> {
        let platform = &self.platform;
        let mut conn = platform.store.connection().await?;
        // Rows of backups first: an add-on that is not among those that follow is gone.
        let backups = store::addon_backup::all_of(&mut conn, platform.server).await?;
        let rows = store::addon::all(&mut conn).await?;
        let upkeep = store::addon_backup::upkeep(&mut conn).await?;
        drop(conn);
        let mut of_addons: HashMap<Id<Addon>, Vec<AddonBackup>> = HashMap::new();
        for backup in backups {
            of_addons.entry(backup.addon).or_default().push(backup);
        }
        for row in &rows {
            let id = row.addon.id;
            let own = of_addons.get(&id).map_or(&[][..], Vec::as_slice);
            let upkeep = upkeep.iter().find(|upkeep| upkeep.addon == id);
            let Some(schedule) = upkeep.and_then(|upkeep| upkeep.schedule) else {
                continue;
            };
            if row.addon.state == AddonState::Provisioned
                && can_back_up(platform, row)
                && let Err(error) = self.look_after(row, schedule, own).await
            {
                tracing::warn!(
                    addon.name = %row.addon.name,
                    error = format!("{error:#}"),
                    "could not look after the backups of an add-on; trying again"
                );
            }
        }
        upgrade::let_go(platform).await?;
        for (addon, own) in &of_addons {
            let is_living = rows.iter().any(|row| row.addon.id == *addon);
            for backup in surplus_backups(own, is_living, platform.clock.now()) {
                tracing::info!(backup.id = %backup.id, "the time of a backup is over");
                if let Err(error) = throw_away(platform, backup, None).await {
                    tracing::warn!(
                        backup.id = %backup.id,
                        error = format!("{error:#}"),
                        "a backup whose time is over could not be removed; trying again"
                    );
                }
            }
        }
        Ok(())
    }

    async fn look_after(&self, row: &AddonRow, schedule: BackupSchedule, own: &[AddonBackup]) -> Result<()> {
        let (platform, now) = (&self.platform, self.platform.clock.now());
        let scheduled = own.iter().filter(|backup| backup.kind == BackupKind::Scheduled);
        let good = scheduled.clone().filter(|backup| backup.is_good());
        let turn = BackupTurn {
            schedule,
            created_at: row.addon.created_at,
            last_begun: scheduled.map(|backup| backup.created_at).max(),
            last_good: good.map(|backup| backup.created_at).max(),
        };
        let mut running = own.iter().filter(|backup| backup.state == BackupState::Running);
        let is_running = running.any(|backup| !is_stale(backup, now));
        if turn.is_due(now) && !is_running {
            match capture(platform, row, BackupKind::Scheduled, None).await {
                // What comes of it is seen next time.
                Ok(_) | Err(StoreError::AddonGone) => return Ok(()),
                // Whatever is at it, and for how long: whether there is a good one is another question.
                Err(StoreError::BackupRunning) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.alarm(row, own).await?;
        if let Some(backup) = backup_to_prove(own, now) {
            self.prove(row, backup, now);
        }
        Ok(())
    }

    /// Says once that there is no good backup any more, and once that there is one again.
    async fn alarm(&self, row: &AddonRow, own: &[AddonBackup]) -> Result<()> {
        let (platform, now) = (&self.platform, self.platform.clock.now());
        let is_overdue = is_backup_overdue(own, row.addon.created_at, now);
        if is_overdue == row.backup_alarm.is_some() {
            return Ok(());
        }
        let alarm = is_overdue.then(|| words(own));
        let mut conn = platform.store.connection().await?;
        store::addon_backup::set_alarm(&mut conn, row, alarm.as_deref(), now).await?;
        drop(conn);
        let message = match &alarm {
            Some(alarm) => {
                tracing::error!(addon.name = %row.addon.name, alarm, "an add-on has no good backup");
                alarm.clone()
            }
            None => "There is a good backup again".to_owned(),
        };
        tell::log(platform, &row.addon, &message).await;
        Ok(())
    }

    fn prove(&self, row: &AddonRow, backup: &AddonBackup, now: DateTime<Utc>) {
        let mut proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        let last = proofs.get(&row.addon.id);
        let is_busy = self.platform.transfers.proving.try_lock().is_err();
        if is_busy || last.is_some_and(|last| *last + PROVE_AGAIN > now) {
            return;
        }
        proofs.insert(row.addon.id, now);
        drop(proofs);
        // One that somebody asked for is as good.
        prove(&self.platform, row, backup);
    }
}

/// Why there is none, for people.
fn words(own: &[AddonBackup]) -> String {
    let newest = match newest_good(own) {
        Some(backup) => format!(
            "the newest good one is {} of {}",
            backup.name(),
            backup.created_at.format("%Y-%m-%d %H:%M UTC")
        ),
        None => "there is none at all".to_owned(),
    };
    let bad = own
        .iter()
        .rev()
        .find_map(|backup| match (&backup.state, &backup.proof) {
            (BackupState::Failed { reason }, _) if backup.kind.has_bytes() => {
                Some(format!("{} failed: {reason}", backup.name()))
            }
            (_, Some(proof)) if !proof.is_good => Some(format!("{} is no good: {}", backup.name(), proof.words)),
            _ => None,
        });
    let bad = bad.map_or_else(String::new, |bad| format!("; {bad}"));
    format!("No good backup in the last 26 hours: {newest}{bad}. See paas pg:backups")
}
