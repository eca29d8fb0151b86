//! One backup, and its way back.

use std::{pin::pin, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use paas_core::{AddonBackup, BackupKind, Id, LogSource, newest_good};
use paas_store::{self as store, account::Account, addon::AddonRow, addon_backup::Ending};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    super::{container_of, stream, tell},
    SERVER_ENDED, begin,
    fetch::make_whole,
    script, vault,
};
use crate::{
    control::disk::{self, Fill},
    failpoint,
    platform::Platform,
};

/// Longer than any of these takes.
const LIMIT: Duration = Duration::from_hours(12);
const QUEUED_PIECES: usize = 8;
/// Between two tries to say how it ended.
const WRITE_AGAIN: Duration = Duration::from_secs(1);
/// Between two words about how far it is.
pub(super) const TELL_AGAIN: Duration = Duration::from_secs(2);
/// So many bytes of the disk are not for backups: the database of the platform needs some, too.
const RESERVE: u64 = 256 * MEBIBYTE;
const MEBIBYTE: u64 = 1024 * 1024;
/// Between two looks at the disk.
const LOOK_AFTER: u64 = 16 * MEBIBYTE;

/// Copies, and says in the row how that ended. It ends with `parent`, too.
pub(super) async fn take(
    platform: &Arc<Platform>,
    row: &AddonRow,
    backup: &AddonBackup,
    parent: &CancellationToken,
) -> Result<()> {
    let taken = run(platform, backup, parent, async |cancel| {
        copy(platform, row, backup, &cancel).await
    })
    .await;
    end(platform, row, backup, taken).await.map(drop)
}

/// Puts a backup back, after what is there was copied.
pub(super) async fn replace(
    platform: &Arc<Platform>,
    row: &AddonRow,
    (backup, source): (&AddonBackup, &AddonBackup),
    by: Id<Account>,
) {
    let replaced = run(platform, backup, &platform.stop, async |cancel| {
        let advice = "what is there now could not be copied before; restore into a new add-on instead";
        // Not before its turn has come: whoever never begins leaves no row that nobody ends.
        let before = begin(platform, row, BackupKind::Before, None, Some(by)).await;
        let before = before.context(advice)?;
        take(platform, row, &before, &cancel).await.context(advice)?;
        put_back(platform, row, (backup, source), &cancel).await?;
        Ok(source.bytes)
    });
    // The row says how it ended.
    let _ = end(platform, row, backup, replaced.await).await;
}

/// Waits for its turn and does it, unless somebody stops it.
pub(super) async fn run(
    platform: &Platform,
    backup: &AddonBackup,
    parent: &CancellationToken,
    work: impl AsyncFnOnce(CancellationToken) -> Result<u64>,
) -> Ended {
    let cancel = parent.child_token();
    platform.transfers.begin(backup.id, cancel.clone());
    let turn = async {
        // What is copied before has the turn of what it is copied for.
        match backup.kind {
            BackupKind::Before => Ok(None),
            BackupKind::Restore | BackupKind::Copy => platform.transfers.restores.acquire().await.map(Some),
            _ => platform.transfers.turns.acquire().await.map(Some),
        }
    };
    let done = match cancel.run_until_cancelled(turn).await {
        None => Err(anyhow!("it had not begun")),
        // The work looks at its token by itself: what it has begun it has to end.
        Some(_turn) => {
            let late = cancel.child_token();
            let mut work = pin!(work(late.clone()));
            match timeout(LIMIT, &mut work).await {
                Ok(done) => done,
                Err(_) => {
                    late.cancel();
                    let _ = work.await;
                    Err(anyhow!("it took longer than {} hours", LIMIT.as_secs() / 3600))
                }
            }
        }
    };
    platform.transfers.end(backup.id);
    match done {
        Ok(bytes) => Ended::Whole(bytes),
        Err(_) if platform.stop.is_cancelled() => Ended::Broken(anyhow!(SERVER_ENDED)),
        Err(_) if cancel.is_cancelled() => Ended::Canceled,
        Err(error) => Ended::Broken(error),
    }
}

pub(super) enum Ended {
    Whole(u64),
    Canceled,
    Broken(anyhow::Error),
}

async fn copy(platform: &Platform, row: &AddonRow, backup: &AddonBackup, cancel: &CancellationToken) -> Result<u64> {
    let script = script(platform, row, |kind| kind.backup.as_ref())?;
    let container = container_of(platform, row.addon.id).await?;
    let container = container.context("its server does not run")?;
    // It may be another one than when this began.
    let mut conn = platform.store.connection().await?;
    store::addon_backup::note_version(&mut conn, backup.id).await?;
    drop(conn);
    let room = Room::of(platform, row).await?;
    let mut writer = vault(platform).create(backup.id).await?;
    let (sink, mut pieces) = mpsc::channel::<Bytes>(QUEUED_PIECES);
    let pipe = stream::Pipe {
        engine: &platform.engine,
        container: &container,
        script,
        transfer: *backup.id.as_uuid(),
        cancel,
    };
    let keep = async {
        let (mut told, mut looked) = (Instant::now(), 0);
        while let Some(piece) = pieces.recv().await {
            writer.write(&piece).await?;
            if writer.bytes() > looked + LOOK_AFTER {
                looked = writer.bytes();
                room.check()?;
            }
            if told.elapsed() > TELL_AGAIN {
                told = Instant::now();
                tell_progress(platform, backup, writer.bytes()).await;
            }
        }
        // Not before its program has ended: then this is dropped, and the program is hung up on.
        drop(pieces);
        anyhow::Ok(writer)
    };
    let (written, kept) = tokio::join!(stream::out_of(pipe, sink), keep);
    // A disk that is full ends the program, too: its own word comes first.
    let writer = kept?;
    written?;
    ensure!(writer.bytes() > 0, "its server gave nothing");
    failpoint::hit("capture.before");
    let bytes = writer.finish().await?;
    failpoint::hit("capture.after");
    Ok(bytes)
}

async fn put_back(
    platform: &Platform,
    row: &AddonRow,
    (backup, source): (&AddonBackup, &AddonBackup),
    cancel: &CancellationToken,
) -> Result<()> {
    let script = script(platform, row, |kind| kind.restore.as_ref())?;
    let container = container_of(platform, row.addon.id).await?;
    let container = container.context("its server does not run")?;
    // Whole before the first byte of it counts.
    make_whole(platform, source, cancel).await?;
    let reader = vault(platform).open(source.id).await?;
    let pipe = stream::Pipe {
        engine: &platform.engine,
        container: &container,
        script,
        transfer: *backup.id.as_uuid(),
        cancel,
    };
    failpoint::hit("restore.before");
    stream::into(pipe, reader.into_stream()).await?;
    failpoint::hit("restore.after");
    Ok(())
}

pub(super) async fn tell_progress(platform: &Platform, backup: &AddonBackup, bytes: u64) {
    let told = async {
        let mut conn = platform.store.connection().await?;
        store::addon_backup::progress(&mut conn, backup.id, bytes).await
    };
    if let Err(error) = told.await {
        tracing::debug!(%error, "nobody learns how far a backup is");
    }
}

/// Says how it ended, in the row, in the log of its apps and to the caller.
pub(super) async fn end(platform: &Platform, row: &AddonRow, backup: &AddonBackup, ended: Ended) -> Result<u64> {
    let what = match backup.kind {
        BackupKind::Restore => "Restore",
        BackupKind::Copy => "Copy",
        BackupKind::Before | BackupKind::Last | BackupKind::Manual | BackupKind::Scheduled => "Backup",
    };
    let name = backup.name();
    let reason = match &ended {
        Ended::Broken(error) => format!("{error:#}"),
        Ended::Whole(_) | Ended::Canceled => String::new(),
    };
    let (ending, bytes, message) = match &ended {
        Ended::Whole(bytes) => (Ending::Succeeded, *bytes, format!("{what} {name} completed")),
        Ended::Canceled => (Ending::Canceled, 0, format!("{what} {name} canceled")),
        Ended::Broken(_) => {
            tracing::error!(addon.name = %row.addon.name, backup = name, error = reason, "a transfer failed");
            let message = format!("{what} {name} failed: {reason}");
            (Ending::Failed { reason: &reason }, 0, message)
        }
    };
    // While the row says that it runs, no other one is taken: so it is told until it is written down.
    while let Err(error) = write_down(platform, backup, ending, bytes).await {
        tracing::warn!(
            backup = name,
            error = format!("{error:#}"),
            "how a transfer ended could not be written down; trying again"
        );
        if platform.stop.run_until_cancelled(sleep(WRITE_AGAIN)).await.is_none() {
            // The next start ends it.
            return Err(error);
        }
    }
    if backup.kind == BackupKind::Last {
        // No app uses it any more.
        let (app, name) = (row.addon.app, row.addon.name.as_str());
        platform.log(app, LogSource::Heroku, name, message);
    } else {
        tell::log(platform, &row.addon, &message).await;
    }
    disk::forget(platform).await;
    match ended {
        Ended::Whole(bytes) => Ok(bytes),
        Ended::Canceled => bail!("it was canceled"),
        Ended::Broken(error) => Err(error),
    }
}

/// What is not whole has no file, and then its row has an end.
async fn write_down(platform: &Platform, backup: &AddonBackup, ending: Ending<'_>, bytes: u64) -> Result<()> {
    if ending != Ending::Succeeded && backup.kind.has_bytes() {
        vault(platform).remove(backup.id).await?;
    }
    let mut conn = platform.store.connection().await?;
    store::addon_backup::end(&mut conn, backup.id, ending, bytes, platform.clock.now()).await?;
    Ok(())
}

/// Refuses what the disk has no room for.
pub(super) fn has_room(platform: &Platform, bytes: u64) -> Result<()> {
    let path = platform.settings.backups();
    Room { path }.has(bytes + RESERVE)
}

/// The disk that backups are on.
struct Room {
    path: std::path::PathBuf,
}

impl Room {
    /// Refuses when there is none for another one like the last.
    async fn of(platform: &Platform, row: &AddonRow) -> Result<Self> {
        let mut conn = platform.store.connection().await?;
        let mut backups = store::addon_backup::list_of_app(&mut conn, row.addon.app).await?;
        drop(conn);
        backups.retain(|backup| backup.addon == row.addon.id);
        let last = newest_good(&backups).map_or(0, |backup| backup.bytes);
        let room = Self {
            path: platform.settings.backups(),
        };
        room.has(last + last / 10 + RESERVE)?;
        Ok(room)
    }

    fn check(&self) -> Result<()> {
        self.has(RESERVE)
    }

    fn has(&self, bytes: u64) -> Result<()> {
        let Some(fill) = Fill::of(&self.path) else {
            return Ok(());
        };
        ensure!(
            fill.free_bytes >= bytes,
            "the disk at {} has {} MB free, and {} MB are needed: see what takes room with paas disk",
            self.path.display(),
            fill.free_bytes / MEBIBYTE,
            bytes / MEBIBYTE,
        );
        Ok(())
    }
}

/// Refuses when a disk has too little room, besides what is not for backups.
pub(super) fn require_room(path: std::path::PathBuf, bytes: u64) -> Result<()> {
    Room { path }.has(bytes.saturating_add(RESERVE))
}
