//! Whether the disk that volumes are on has room for what comes: one that is full takes every server of the machine down.

use anyhow::{Result, ensure};

use super::{
    archive::{MEBIBYTE, RESERVE},
    watch::until_seen,
};
use crate::{control::disk::Fill, platform::Platform};

/// Refuses where there is none for so many bytes, besides what is for everybody.
pub(super) async fn require(platform: &Platform, bytes: u64) -> Result<()> {
    let folder = platform.engine.data_dir().await?;
    let Some(fill) = Fill::of(folder.as_ref()) else {
        return Ok(());
    };
    let needed = bytes.saturating_add(RESERVE);
    ensure!(
        fill.free_bytes >= needed,
        "the disk at {folder} has {} MB free, and {} MB are needed: see what takes room with paas disk",
        fill.free_bytes / MEBIBYTE,
        needed / MEBIBYTE
    );
    Ok(())
}

/// Comes to an end when there is none besides what is for everybody.
pub(super) async fn until_used_up(platform: &Platform) {
    until_seen(|| async {
        let folder = platform.engine.data_dir().await?;
        let is_used_up = Fill::of(folder.as_ref()).is_some_and(|fill| fill.free_bytes < RESERVE);
        Ok(is_used_up.then_some(()))
    })
    .await;
}
