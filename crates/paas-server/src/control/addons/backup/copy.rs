//! What is in an add-on, copied into another one: a dump on its way to a restore, with nothing kept in between.
//!
//! What breaks off is never taken for the end of a dump. Whether it leaves the target as it was is its service's business: Postgres
//! restores beside what is there and swaps the two, `MariaDB` fills the original table by table after a trial beside it, and `MongoDB`
//! replaces collection by collection. One thing at a time is put into a server: `restore` holds a lock there.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Context, Result};
use paas_core::AddonBackup;
use paas_store::addon::AddonRow;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    super::{container_of, stream},
    script,
    work::{TELL_AGAIN, end, run, tell_progress},
};
use crate::{failpoint, platform::Platform};

/// Copies, and says in the row how that ended.
pub(super) async fn copy(platform: &Arc<Platform>, (from, to): (&AddonRow, &AddonRow), transfer: &AddonBackup) {
    let copied = run(platform, transfer, &platform.stop, async |cancel| {
        pour(platform, (from, to), transfer, &cancel).await
    });
    // The row says how it ended.
    let _ = end(platform, to, transfer, copied.await).await;
}

async fn pour(
    platform: &Platform,
    (from, to): (&AddonRow, &AddonRow),
    transfer: &AddonBackup,
    cancel: &CancellationToken,
) -> Result<u64> {
    let dump = script(platform, from, |kind| kind.backup.as_ref())?;
    let restore = script(platform, to, |kind| kind.restore.as_ref())?;
    let container = async |row: &AddonRow| {
        let container = container_of(platform, row.addon.id).await?;
        container.with_context(|| format!("the server of {} does not run", row.addon.name))
    };
    let (from, to) = (container(from).await?, container(to).await?);
    let pipe = |container, script| stream::Pipe {
        engine: &platform.engine,
        container,
        script,
        transfer: *transfer.id.as_uuid(),
        cancel,
    };
    let passed = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&passed);
    let flow = stream::through(pipe(&from, dump), pipe(&to, restore), move |bytes| {
        failpoint::hit("copy.amid");
        count.store(bytes, Ordering::Relaxed);
    });
    let tell = async {
        loop {
            sleep(TELL_AGAIN).await;
            tell_progress(platform, transfer, passed.load(Ordering::Relaxed)).await;
        }
    };
    tokio::select! {
        ended = flow => ended?,
        () = tell => {}
    }
    Ok(passed.load(Ordering::Relaxed))
}
