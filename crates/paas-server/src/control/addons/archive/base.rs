//! A copy of all that is in an add-on, for its log to lead on from.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use paas_core::{ArchiveBase, ArchiveFile, LineageName, WalSegment};
use paas_store::addon::AddonRow;
use tokio::{sync::mpsc, time::timeout};

use super::{
    super::{container_of, stream},
    archive_of, archiving,
    frames::{BrokeOff, Frames, together},
    has_room, is_living, newest,
};
use crate::{addon::VaultWriter, failpoint, platform::Platform};

/// Longer than any of these takes.
const LIMIT: Duration = Duration::from_hours(12);
/// Whoever gives nothing for so long has stopped. Meanwhile no other add-on is copied.
const STALL: Duration = Duration::from_mins(30);
const PIECES: usize = 16;
/// Between two looks at the disk.
const LOOK_AFTER: u64 = 16 * 1024 * 1024;

/// Makes one, for whoever holds the lock of all copies. It leads nowhere before its program has ended well.
pub(super) async fn copy(platform: &Platform, row: &AddonRow) -> Result<()> {
    let copied = timeout(LIMIT, copied(platform, row)).await;
    let copied = copied.unwrap_or_else(|_| Err(anyhow!("it took longer than {} hours", LIMIT.as_secs() / 3600)));
    if copied.is_err() {
        // It leads nowhere, and takes the room of the log.
        archive_of(platform, row.addon.id).remove_drafts().await?;
    }
    copied
}

/// Removes what a dead server left half done, unless that is being made anew.
pub(super) async fn tidy(platform: &Platform, row: &AddonRow) -> Result<()> {
    match platform.archives.copying.try_lock() {
        Ok(_nobody) => archive_of(platform, row.addon.id).remove_drafts().await,
        Err(_) => Ok(()),
    }
}

async fn copied(platform: &Platform, row: &AddonRow) -> Result<()> {
    let id = row.addon.id;
    let container = container_of(platform, id).await?;
    let container = container.context("its server does not run")?;
    // What a dead server left of another one would go on for nobody.
    stream::hang_up(&platform.engine, &container, *id.as_uuid()).await?;
    archive_of(platform, id).remove_drafts().await?;
    has_room(platform, last_bytes(platform, row).await?)?;
    let cancel = platform.stop.child_token();
    let pipe = stream::Pipe {
        engine: &platform.engine,
        container: &container,
        script: &archiving(platform, row)?.base,
        transfer: *id.as_uuid(),
        cancel: &cancel,
    };
    let (sink, pieces) = mpsc::channel(PIECES);
    let keep = async {
        let mut frames = Frames::new(pieces);
        let (lineage, from) = begin(&mut frames).await?;
        let mut writer = draft(platform, row, &lineage).await?;
        let mut looked = 0;
        while let Some(piece) = rest(&mut frames).await? {
            writer.write(&piece).await?;
            if writer.bytes() > looked + LOOK_AFTER {
                looked = writer.bytes();
                has_room(platform, 0)?;
            }
        }
        anyhow::Ok((lineage, from, writer))
    };
    let keep = async {
        let kept = keep.await;
        if kept.is_err() {
            // One that writes nothing would not learn that nobody reads.
            cancel.cancel();
        }
        kept
    };
    let (copied, kept) = tokio::join!(stream::out_of(pipe, sink), keep);
    let (lineage, from, writer) = together(copied, kept)?;
    ensure!(writer.bytes() > 0, "its server gave nothing");
    failpoint::hit("base.before");
    // Whatever is committed from now on is behind its end.
    let at = platform.clock.now();
    let file = ArchiveFile::Base(ArchiveBase { from, at });
    archive_of(platform, id).finish(writer, &lineage, file).await?;
    failpoint::hit("base.after");
    tracing::info!(addon.name = %row.addon.name, "an add-on was copied for its archive");
    Ok(())
}

/// What it begins with: `15-7710828948686417953 000000010000000000000004`
async fn begin(frames: &mut Frames) -> Result<(LineageName, WalSegment)> {
    let line = timeout(STALL, frames.line()).await.map_err(|_| stalled())??;
    let line = line.ok_or(BrokeOff)?;
    let (lineage, from) = line.split_once(' ').context("its server says what cannot be read")?;
    Ok((lineage.parse()?, from.parse()?))
}

async fn rest(frames: &mut Frames) -> Result<Option<Bytes>> {
    timeout(STALL, frames.rest()).await.map_err(|_| stalled())
}

fn stalled() -> anyhow::Error {
    anyhow!("its server gave nothing for {} minutes", STALL.as_secs() / 60)
}

async fn draft(platform: &Platform, row: &AddonRow, lineage: &LineageName) -> Result<VaultWriter> {
    let id = row.addon.id;
    let turn = platform.archives.turn(id);
    let _turn = turn.lock().await;
    ensure!(is_living(platform, id).await?, "it is being destroyed");
    archive_of(platform, id).draft(lineage).await
}

/// What the last one took.
async fn last_bytes(platform: &Platform, row: &AddonRow) -> Result<u64> {
    let archive = archive_of(platform, row.addon.id);
    let lineages = archive.lineages().await?;
    let last = newest(row, &lineages).and_then(|(name, lineage)| Some((name, *lineage.bases().last()?)));
    match last {
        Some((name, base)) => Ok(archive.open(name, ArchiveFile::Base(base)).await?.bytes()),
        None => Ok(0),
    }
}
