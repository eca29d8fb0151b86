//! Whether the disk that volumes are on has room for what comes: one that is full takes every server of the machine down.

use anyhow::{Result, ensure};

use super::archive::{MEBIBYTE, RESERVE};
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
