//! Backups whose files the disk has lost, or does not have as they were written: they come back from the bucket.

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, stream};
use paas_core::{AddonBackup, object_parts};
use paas_store::{self as store, addon_backup_object};
use tokio_util::sync::CancellationToken;

use super::{vault, work::has_room};
use crate::{addon::is_found_out, platform::Platform};

/// Fetches a backup whose file is not on the disk any more. Where there is none to be had, whoever opens it says so.
pub(crate) async fn bring_back(platform: &Platform, backup: &AddonBackup) -> Result<()> {
    let vault = vault(platform);
    if vault.has(backup.id).await? {
        return Ok(());
    }
    // Two of them would write the same file.
    let _turn = platform.transfers.fetching.lock().await;
    if !vault.has(backup.id).await? {
        Box::pin(fetch(platform, backup)).await?;
    }
    Ok(())
}

/// Reads all of a backup, and fetches it when it is not what was written. An error that [`is_found_out`] says that there is no good
/// one anywhere; any other one says nothing about it.
pub(super) async fn make_whole(platform: &Platform, backup: &AddonBackup, cancel: &CancellationToken) -> Result<()> {
    let vault = vault(platform);
    let made = async {
        let Err(error) = vault.check(backup.id).await else {
            return Ok(());
        };
        if !is_found_out(&error) {
            return Err(error);
        }
        let _turn = platform.transfers.fetching.lock().await;
        // Whoever had the turn before may have been at this one.
        let Err(error) = vault.check(backup.id).await else {
            return Ok(());
        };
        if Box::pin(fetch(platform, backup)).await? {
            Ok(())
        } else {
            Err(error)
        }
    };
    cancel.run_until_cancelled(made).await.context("it was canceled")?
}

/// `false`: no bucket has it.
async fn fetch(platform: &Platform, backup: &AddonBackup) -> Result<bool> {
    let mut conn = platform.store.connection().await?;
    let places = addon_backup_object::places(&mut conn, backup.id).await?;
    let set = platform.bucket.as_ref();
    let Some(bucket) = set.filter(|bucket| places.iter().any(|place| place == bucket.place())) else {
        if places.is_empty() {
            return Ok(false);
        }
        bail!(
            "{} is not whole on the disk. It is in the bucket {}, and that is not the one that is set: start paasd with it",
            backup.name(),
            places.join(" and in ")
        );
    };
    let object = addon_backup_object::get(&mut conn, bucket.place(), backup.id).await?;
    drop(conn);
    let Some(object) = object else { return Ok(false) };
    let fetching = || format!("fetching {} from the bucket", backup.name());
    let Some(length) = bucket.length(&object.key).await.with_context(fetching)? else {
        tracing::error!(
            key = object.key,
            "a backup is gone from the bucket, and is not whole on the disk"
        );
        let mut conn = platform.store.connection().await?;
        addon_backup_object::mark_lost(&mut conn, bucket.place(), backup.id).await?;
        return Ok(false);
    };
    has_room(platform, length)?;
    let pieces = stream::iter(object_parts(length)).then(|part| {
        let key = &object.key;
        async move {
            has_room(platform, part.length)?;
            anyhow::Ok(bucket.piece(key, part.offset, part.length).await?)
        }
    });
    let vault = vault(platform);
    vault.take_back(backup.id, pieces).await.with_context(fetching)?;
    let mut conn = platform.store.connection().await?;
    if store::addon_backup::get(&mut conn, backup.id).await?.is_none() {
        // It was deleted meanwhile.
        vault.remove(backup.id).await?;
        return Ok(false);
    }
    tracing::info!(backup.id = %backup.id, "a backup came back from the bucket");
    Ok(true)
}
