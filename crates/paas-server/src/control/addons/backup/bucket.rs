//! Backups go to the bucket that the operator has set, after they are whole on the disk, and come back from there.
//!
//! What is to be there is a row for each ([`paas_core::BackupObject`]); what is there already of one that is sent in parts, the
//! bucket itself knows. So whoever dies in between has nothing to find out: the next start carries on. A bucket that is down holds
//! nothing up but itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use paas_core::{
    AddonBackup, Backoff, BackupObject, OBJECT_PART, ObjectStep, ObjectTrouble, missing_objects, next_object_step,
    object_alarm, object_parts,
};
use paas_store::{
    self as store, StoreError,
    addon::AddonRow,
    addon_alarm::{self, Subject},
    addon_backup_object::{self, mark_stored, set_upload},
};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
    time::sleep,
};

use super::{super::tell, vault, work::has_room};
use crate::{
    addon::{Bucket, BucketError},
    failpoint,
    platform::Platform,
};

const PERIOD: Duration = Duration::from_secs(5);

pub(crate) struct BucketController {
    platform: Arc<Platform>,
    pause: Mutex<Pause>,
}

/// While a bucket does not work, it is not asked all the time. A restart asks at once.
#[derive(Debug, Clone, Copy, Default)]
struct Pause {
    failures: u32,
    until: DateTime<Utc>,
}

/// Why a backup is not where it should be.
enum Failure {
    /// The bucket is at fault: no other one would get there either.
    There(BucketError),
    Here(anyhow::Error),
}

impl BucketController {
    pub(crate) fn new(platform: Arc<Platform>) -> Self {
        Self {
            platform,
            pause: Mutex::default(),
        }
    }

    /// Runs until the platform stops.
    pub(crate) async fn run(self) -> Result<()> {
        let stop = &self.platform.stop;
        loop {
            let is_busy = match stop.run_until_cancelled(self.pass()).await {
                None => return Ok(()),
                Some(Ok(is_busy)) => is_busy,
                Some(Err(error)) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "could not look after the backups in the bucket; trying again"
                    );
                    false
                }
            };
            if is_busy {
                continue;
            }
            if self.platform.bucket.is_none() {
                stop.cancelled().await;
                return Ok(());
            }
            tokio::select! {
                () = sleep(PERIOD) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    /// One step, if any is due. `true`: there may be another one.
    pub(crate) async fn pass(&self) -> Result<bool> {
        let platform = &self.platform;
        let now = platform.clock.now();
        let mut conn = platform.store.connection().await?;
        let rows = store::addon::all(&mut conn).await?;
        let Some(bucket) = &platform.bucket else {
            drop(conn);
            // There may have been one.
            self.tell(&rows, &[], now).await?;
            return Ok(false);
        };
        let server = platform.server;
        let backups = store::addon_backup::all_of(&mut conn, server).await?;
        let mut objects = addon_backup_object::of_bucket(&mut conn, bucket.place(), server).await?;
        let missing = missing_objects(&backups, &objects);
        for backup in &missing {
            let key = backup.object_key(bucket.prefix());
            addon_backup_object::want(&mut conn, backup, (bucket.place(), server), &key, now).await?;
        }
        if !missing.is_empty() {
            objects = addon_backup_object::of_bucket(&mut conn, bucket.place(), server).await?;
        }
        drop(conn);
        self.tell(&rows, &objects, now).await?;
        if self.pause().until > now {
            return Ok(false);
        }
        let (object, done) = match next_object_step(&objects) {
            None => return Ok(false),
            Some(ObjectStep::Store(object)) => (object, put(platform, bucket, object).await),
            Some(ObjectStep::Remove(object)) => (object, remove(platform, bucket, object).await),
        };
        match done {
            Ok(()) => {
                *self.pause() = Pause::default();
                Ok(true)
            }
            Err(failure) => {
                self.fail(bucket, object, failure).await?;
                Ok(false)
            }
        }
    }

    async fn fail(&self, bucket: &Bucket, object: &BackupObject, failure: Failure) -> Result<()> {
        let platform = &self.platform;
        let now = platform.clock.now();
        let (words, is_refused, others) = match failure {
            Failure::Here(error) => (format!("{error:#}"), false, None),
            Failure::There(error) => {
                let mut pause = self.pause();
                pause.failures = pause.failures.saturating_add(1);
                pause.until = now + Backoff::after(pause.failures);
                let is_refused = error.is_refusal();
                let others = Some(platform.server);
                (format!("{:#}", anyhow!(error)), is_refused, others)
            }
        };
        let trouble = ObjectTrouble {
            since: now,
            // It stands in tables.
            words: words.replace('\n', "; "),
            is_refused,
        };
        if object.trouble.as_ref().is_none_or(|known| known.words != trouble.words) {
            tracing::warn!(
                bucket = bucket.place(),
                key = object.key,
                error = trouble.words,
                "a backup in the bucket is not as it should be; trying again"
            );
        }
        let mut conn = platform.store.connection().await?;
        Ok(addon_backup_object::fail(&mut conn, bucket.place(), object.backup, &trouble, others).await?)
    }

    /// Says once what is wrong about the backups of an add-on, and once that nothing is any more.
    async fn tell(&self, rows: &[AddonRow], objects: &[BackupObject], now: DateTime<Utc>) -> Result<()> {
        let platform = &self.platform;
        let mut conn = platform.store.connection().await?;
        let alarmed = addon_alarm::alarmed(&mut conn, Subject::Bucket).await?;
        drop(conn);
        for row in rows {
            let id = row.addon.id;
            let own: Vec<_> = objects.iter().filter(|object| object.addon == id).collect();
            let alarm = object_alarm(&own, now).map(|trouble| in_words(&trouble));
            if alarm.is_some() == alarmed.contains(&id) {
                continue;
            }
            let well = match platform.bucket {
                None => "No bucket is set any more: backups are on one disk only",
                Some(_) => "All of its backups are in the bucket again",
            };
            tell::alarm(platform, row, (Subject::Bucket, alarm.as_deref()), well).await?;
        }
        Ok(())
    }

    fn pause(&self) -> std::sync::MutexGuard<'_, Pause> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fetches a backup whose file is not on the disk any more. Where there is none to be had, whoever opens it says so.
pub(crate) async fn bring_back(platform: &Platform, backup: &AddonBackup) -> Result<()> {
    let (vault, id) = (vault(platform), backup.id);
    let Some(bucket) = &platform.bucket else { return Ok(()) };
    if vault.has(id).await? {
        return Ok(());
    }
    // Two of them would write the same file.
    let _turn = platform.transfers.fetching.lock().await;
    if vault.has(id).await? {
        return Ok(());
    }
    let mut conn = platform.store.connection().await?;
    let object = addon_backup_object::get(&mut conn, bucket.place(), id).await?;
    drop(conn);
    let Some(object) = object.filter(|object| object.stored_at.is_some()) else {
        return Ok(());
    };
    let fetching = || format!("fetching {} from the bucket", backup.name());
    let Some(length) = bucket.length(&object.key).await.with_context(fetching)? else {
        tracing::error!(key = object.key, "a backup is gone from the bucket, and from the disk");
        return Ok(());
    };
    has_room(platform, length)?;
    let pieces = stream::iter(object_parts(length)).then(|part| {
        let key = &object.key;
        async move { anyhow::Ok(bucket.piece(key, part.offset, part.length).await?) }
    });
    vault.take_back(id, pieces).await.with_context(fetching)?;
    tracing::info!(backup.id = %id, "a backup came back from the bucket");
    Ok(())
}

async fn put(platform: &Platform, bucket: &Bucket, object: &BackupObject) -> Result<(), Failure> {
    let (mut file, length) = vault(platform).open_sealed(object.backup).await?;
    if length <= OBJECT_PART {
        let all = read(&mut file, 0, length).await?;
        failpoint::hit("upload.before");
        bucket.put(&object.key, all).await?;
    } else {
        put_parts(platform, bucket, object, (&mut file, length)).await?;
    }
    let there = bucket.length(&object.key).await?;
    if there != Some(length) {
        let reason = format!("of {length} bytes, it has {}", there.unwrap_or_default());
        return Err(BucketError::garbled("s3:PutObject", &reason).into());
    }
    failpoint::hit("upload.after");
    let mut conn = platform.store.connection().await?;
    mark_stored(&mut conn, bucket.place(), object.backup, platform.clock.now()).await?;
    tracing::info!(
        bucket = bucket.place(),
        key = object.key,
        bytes = length,
        "a backup is in the bucket"
    );
    Ok(())
}

/// Sends what the bucket does not have yet.
async fn put_parts(
    platform: &Platform,
    bucket: &Bucket,
    object: &BackupObject,
    (file, length): (&mut File, u64),
) -> Result<(), Failure> {
    let (key, place) = (object.key.as_str(), bucket.place());
    let begun = match &object.upload {
        None => None,
        Some(upload) => {
            let there = bucket.parts(key, upload).await?;
            there.map(|there| (upload.clone(), there))
        }
    };
    if begun.is_none() && object.upload.is_some() {
        // It has ended: well, if all of it is there. Whoever may list no bucket is not told that there is nothing.
        match bucket.length(key).await {
            Ok(there) if there == Some(length) => return Ok(()),
            Err(error) if !error.is_refusal() => return Err(error.into()),
            _ => {}
        }
    }
    let (upload, there) = match begun {
        Some(begun) => begun,
        None => {
            let upload = bucket.begin(key).await?;
            let mut conn = platform.store.connection().await?;
            set_upload(&mut conn, place, object.backup, Some(&upload)).await?;
            (upload, BTreeMap::new())
        }
    };
    let mut parts = BTreeMap::new();
    for part in object_parts(length) {
        // A file never changes, so a part of the same place and length is the same part.
        let known = there.get(&part.number).filter(|known| known.bytes == part.length);
        let etag = if let Some(known) = known {
            known.etag.clone()
        } else {
            let body = read(file, part.offset, part.length).await?;
            let etag = bucket.put_part(key, &upload, part.number, body).await?;
            failpoint::hit("upload.before");
            etag
        };
        parts.insert(part.number, etag);
    }
    Ok(bucket.complete(key, &upload, &parts).await?)
}

/// The object goes, then what is known of it.
async fn remove(platform: &Platform, bucket: &Bucket, object: &BackupObject) -> Result<(), Failure> {
    if let Some(upload) = &object.upload {
        bucket.abort(&object.key, upload).await?;
    }
    bucket.remove(&object.key).await?;
    let mut conn = platform.store.connection().await?;
    Ok(addon_backup_object::delete(&mut conn, bucket.place(), object.backup).await?)
}

async fn read(file: &mut File, offset: u64, length: u64) -> Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(length)?];
    let reading = async {
        file.seek(std::io::SeekFrom::Start(offset)).await?;
        file.read_exact(&mut bytes).await
    };
    reading.await.context("its file cannot be read")?;
    Ok(Bytes::from(bytes))
}

fn in_words(trouble: &ObjectTrouble) -> String {
    format!(
        "Backups have not reached the bucket since {}, and are on one disk only: {}. They are sent again by themselves. See paas \
         pg:backups",
        trouble.since.format("%Y-%m-%d %H:%M UTC"),
        trouble.words
    )
}

impl From<BucketError> for Failure {
    fn from(error: BucketError) -> Self {
        Self::There(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Here(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Here(error.into())
    }
}
