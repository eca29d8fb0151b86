//! Backups of add-ons: taken, put back, proven, and thrown away when their time is over.
//!
//! Each is a task with a row. The file gets its name before the row says that it is there, and goes before the row does. What a
//! server that dies was at has failed: the next one ends the programs that are left of it, removes its file, and says so
//! ([`abandon`]). Before anything is put back, what is there is copied; putting back is the service's own business: Postgres
//! restores beside the original, and swaps the two when all is there.

mod bucket;
mod copy;
mod fetch;
mod proof;
mod upkeep;
mod work;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use paas_core::{AddonBackup, AddonState, BackupKind, Id};
use paas_store::{
    self as store, StoreError,
    account::Account,
    addon::AddonRow,
    addon_backup::{Ending, NewBackup, Source, is_stale},
};
use tokio::{sync::Semaphore, time::sleep};
use tokio_util::sync::CancellationToken;

pub(crate) use bucket::BucketController;
pub(crate) use fetch::bring_back;
pub(crate) use upkeep::BackupsController;

use super::{container_of, stream};
use crate::{
    addon::{DRAFT, Kind, Vault},
    platform::Platform,
};

/// Dumps take disk and CPU from everybody: so many at once.
const AT_ONCE: usize = 2;
/// How often a last backup is tried. After that, whoever destroys an add-on to have room gets it.
const FAREWELL_TRIES: u32 = 3;
/// Between two looks at what has been told to end.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const SERVER_ENDED: &str = "The platform stopped while it was running. Begin it again.";

/// When a proof was given up, and why.
type FailedProof = (DateTime<Utc>, String);

/// What this process is at, and how it is stopped.
pub(crate) struct Transfers {
    running: Mutex<HashMap<Id<AddonBackup>, CancellationToken>>,
    /// Proofs that were not brought to an end: `None` for one that goes on, or waits.
    proofs: Mutex<HashMap<Id<AddonBackup>, Option<FailedProof>>>,
    turns: Semaphore,
    /// What is put back waits for no dump, and no dump for it: the one may be stuck, and the other the way out.
    restores: Semaphore,
    /// One at a time: each takes as much memory as its add-on.
    proving: tokio::sync::Mutex<()>,
    /// One at a time comes back from the bucket.
    fetching: tokio::sync::Mutex<()>,
}

impl Default for Transfers {
    fn default() -> Self {
        Self {
            running: Mutex::default(),
            proofs: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
            restores: Semaphore::new(AT_ONCE),
            proving: tokio::sync::Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }
}

impl Transfers {
    /// Stops one; `false` when this process is not at it.
    pub(crate) fn cancel(&self, id: Id<AddonBackup>) -> bool {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.get(&id).inspect(|cancel| cancel.cancel()).is_some()
    }

    fn begin(&self, id: Id<AddonBackup>, cancel: CancellationToken) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(id, cancel);
    }

    fn end(&self, id: Id<AddonBackup>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&id);
    }

    /// `false` while a proof of this backup goes on, or waits.
    fn begin_proof(&self, id: Id<AddonBackup>) -> bool {
        !matches!(self.proofs().insert(id, None), Some(None))
    }

    fn end_proof(&self, id: Id<AddonBackup>, failed: Option<FailedProof>) {
        match failed {
            Some(failed) => self.proofs().insert(id, Some(failed)),
            None => self.proofs().remove(&id),
        };
    }

    /// Why the last proof of a backup said nothing about it.
    pub(crate) fn failed_proof(&self, id: Id<AddonBackup>) -> Option<FailedProof> {
        self.proofs().get(&id).cloned().flatten()
    }

    fn proofs(&self) -> MutexGuard<'_, HashMap<Id<AddonBackup>, Option<FailedProof>>> {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is a way to copy what is in an add-on.
pub(crate) fn can_back_up(platform: &Platform, row: &AddonRow) -> bool {
    script(platform, row, |kind| kind.backup.as_ref()).is_ok()
}

/// Begins a copy of what is in an add-on.
pub(crate) async fn capture(
    platform: &Arc<Platform>,
    row: &AddonRow,
    kind: BackupKind,
    by: Option<Id<Account>>,
) -> Result<AddonBackup, StoreError> {
    let backup = begin(platform, row, kind, None, by).await?;
    let (task, row, begun) = (Arc::clone(platform), row.clone(), backup.clone());
    platform.tracker.spawn(async move {
        // The row says how it ended.
        let _ = work::take(&task, &row, &begun, &task.stop).await;
    });
    Ok(backup)
}

/// Begins to put a backup back.
pub(crate) async fn restore(
    platform: &Arc<Platform>,
    row: &AddonRow,
    source: AddonBackup,
    by: Id<Account>,
) -> Result<AddonBackup, StoreError> {
    let backup = begin(
        platform,
        row,
        BackupKind::Restore,
        Some(Source::Backup(source.id)),
        Some(by),
    )
    .await?;
    let (task, row, begun) = (Arc::clone(platform), row.clone(), backup.clone());
    platform.tracker.spawn(async move {
        work::replace(&task, &row, (&begun, &source), by).await;
    });
    Ok(backup)
}

/// Begins to copy what is in one add-on into another one of its kind.
pub(crate) async fn copy(
    platform: &Arc<Platform>,
    (from, to): (&AddonRow, &AddonRow),
    by: Id<Account>,
) -> Result<AddonBackup, StoreError> {
    let source = Some(Source::Addon(from.addon.id));
    let transfer = begin(platform, to, BackupKind::Copy, source, Some(by)).await?;
    let (task, from, to, begun) = (Arc::clone(platform), from.clone(), to.clone(), transfer.clone());
    platform.tracker.spawn(async move {
        copy::copy(&task, (&from, &to), &begun).await;
    });
    Ok(transfer)
}

/// Begins a proof of a backup, now; `false` while there is one already.
pub(crate) fn prove(platform: &Arc<Platform>, row: &AddonRow, backup: &AddonBackup) -> bool {
    if !platform.transfers.begin_proof(backup.id) {
        return false;
    }
    let (task, row, backup) = (Arc::clone(platform), row.clone(), backup.clone());
    platform.tracker.spawn(async move {
        proof::prove(&task, &row, &backup).await;
    });
    true
}

/// Whether an add-on that is being destroyed is to be copied before.
pub(super) fn owes_farewell(platform: &Platform, row: &AddonRow) -> bool {
    row.addon.state == AddonState::Deprovisioning
        && !row.has_farewell
        && row.failures < FAREWELL_TRIES
        && can_back_up(platform, row)
}

/// The last copy of an add-on that is being destroyed.
pub(super) async fn farewell(platform: &Arc<Platform>, row: &AddonRow) -> Result<()> {
    // Nobody waits for what is under way: the last one has all that it would have.
    loop {
        let (server, now) = (platform.server, platform.clock.now());
        let mut conn = platform.store.connection().await?;
        let mut running = store::addon_backup::running_of(&mut conn, server, now).await?;
        drop(conn);
        // What nobody is at any more would never end.
        running.retain(|backup| backup.addon == row.addon.id && !is_stale(backup, now));
        if running.is_empty() {
            break;
        }
        for backup in running {
            platform.transfers.cancel(backup.id);
        }
        sleep(LOOK_AGAIN).await;
    }
    let backup = begin(platform, row, BackupKind::Last, None, None).await?;
    work::take(platform, row, &backup, &platform.stop)
        .await
        .context("its last backup could not be taken")?;
    let mut conn = platform.store.connection().await?;
    Ok(store::addon::mark_farewell(&mut conn, row.addon.id).await?)
}

/// The file, then the row. What is in the bucket follows.
pub(crate) async fn throw_away(platform: &Platform, backup: &AddonBackup, by: Option<Id<Account>>) -> Result<()> {
    vault(platform).remove(backup.id).await?;
    let mut conn = platform.store.connection().await?;
    Ok(store::addon_backup::delete(&mut conn, backup, by, platform.clock.now()).await?)
}

/// Fails what a server before this one was at, and removes what is left of files. Before this one begins any.
pub(crate) async fn abandon(platform: &Platform) -> Result<()> {
    let mut conn = platform.store.connection().await?;
    let running = store::addon_backup::running_of(&mut conn, platform.server, platform.clock.now()).await?;
    drop(conn);
    for backup in &running {
        // What it is fed has ended, but what a program has read it would still put in place.
        let ended = async {
            for addon in [Some(backup.addon), backup.copied_from].into_iter().flatten() {
                if let Some(container) = container_of(platform, addon).await? {
                    stream::hang_up(&platform.engine, &container, *backup.id.as_uuid()).await?;
                }
            }
            anyhow::Ok(())
        };
        if let Err(error) = ended.await {
            tracing::warn!(
                backup = backup.name(),
                error = format!("{error:#}"),
                "an add-on may still be at it"
            );
        }
        vault(platform).remove(backup.id).await?;
        let reason = Ending::Failed { reason: SERVER_ENDED };
        let mut conn = platform.store.connection().await?;
        let now = platform.clock.now();
        store::addon_backup::end(&mut conn, backup.id, reason, backup.bytes, now).await?;
    }
    proof::sweep(platform).await?;
    sweep(&platform.settings.backups()).await
}

/// Removes drafts: a server that died wrote them, and nothing can be read out of them. What is whole stays, also when no row
/// knows of it: then this database is a copy that is older than the file, and who put it there will want it.
async fn sweep(folder: &Path) -> Result<()> {
    let reading = || format!("reading {}", folder.display());
    let mut entries = tokio::fs::read_dir(folder).await.with_context(reading)?;
    while let Some(entry) = entries.next_entry().await.with_context(reading)? {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == DRAFT) {
            // One that stays takes room, and nothing else.
            if let Err(error) = tokio::fs::remove_file(&path).await {
                tracing::warn!(path = %path.display(), %error, "half a backup could not be removed");
            }
        }
    }
    Ok(())
}

/// Where backups are.
pub(crate) fn vault(platform: &Platform) -> Vault<'_> {
    Vault {
        sealer: &platform.store.sealer,
        folder: platform.settings.backups(),
    }
}

async fn begin(
    platform: &Platform,
    row: &AddonRow,
    kind: BackupKind,
    source: Option<Source>,
    by: Option<Id<Account>>,
) -> Result<AddonBackup, StoreError> {
    let new = NewBackup {
        kind,
        source,
        by,
        server: platform.server,
    };
    let mut conn = platform.store.connection().await?;
    store::addon_backup::begin(&mut conn, row, new, platform.clock.now()).await
}

/// A script of the add-on's service.
fn script<'a>(platform: &'a Platform, row: &AddonRow, of: impl Fn(&'a Kind) -> Option<&'a String>) -> Result<&'a str> {
    let service = platform.catalogue.service(&row.addon.service);
    match service.and_then(|service| of(&service.kind)) {
        Some(script) => Ok(script),
        None => bail!("{} has no such command in its description", row.addon.service),
    }
}
