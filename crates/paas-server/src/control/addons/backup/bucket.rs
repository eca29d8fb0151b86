//! Backups go to the bucket that the operator has set, after they are whole on the disk.
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
use paas_core::{
    Backoff, BackupObject, OBJECT_PART, ObjectAlarm, ObjectStep, ObjectTrouble, missing_objects, next_object_step,
    object_alarm, object_parts,
};
use paas_store::{
    self as store, StoreError,
    addon::AddonRow,
    addon_alarm::{self, Subject},
    addon_backup_object::{self, mark_lost, mark_stored, set_upload},
};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
    time::sleep,
};

use super::{super::tell, vault};
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

/// While a bucket does not work, it is not asked all the time; nor is a file that is spoilt here read all the time. A
/// restart asks at once.
#[derive(Debug, Clone, Copy, Default)]
struct Pause {
    failures: u32,
    until: DateTime<Utc>,
}

impl Pause {
    fn lengthen(&mut self, now: DateTime<Utc>) {
        self.failures = self.failures.saturating_add(1);
        self.until = now + Backoff::after(self.failures);
    }
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
            match stop.run_until_cancelled(self.pass()).await {
                None => return Ok(()),
                Some(Ok(true)) => continue,
                Some(Ok(false)) if self.platform.bucket.is_none() => {
                    stop.cancelled().await;
                    return Ok(());
                }
                Some(Ok(false)) => {}
                Some(Err(error)) => tracing::warn!(
                    error = format!("{error:#}"),
                    "could not look after the backups in the bucket; trying again"
                ),
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
        let Some(step) = next_object_step(&objects, now) else {
            return Ok(false);
        };
        let done = match step {
            ObjectStep::Store(object) => put(platform, bucket, object).await,
            ObjectStep::Remove(object) => remove(platform, bucket, object).await,
            ObjectStep::Look(object) => look(platform, bucket, object).await,
        };
        match done {
            Ok(()) => {
                *self.pause() = Pause::default();
                Ok(true)
            }
            Err(failure) => {
                self.fail(bucket, step, failure).await?;
                Ok(false)
            }
        }
    }

    async fn fail(&self, bucket: &Bucket, step: ObjectStep<'_>, failure: Failure) -> Result<()> {
        let platform = &self.platform;
        let now = platform.clock.now();
        let (ObjectStep::Store(object) | ObjectStep::Remove(object) | ObjectStep::Look(object)) = step;
        let (words, is_refused, others) = match failure {
            Failure::Here(error) => (format!("{error:#}"), false, None),
            Failure::There(error) => {
                let is_refused = error.is_refusal();
                // Who may not remove may send all the same.
                let is_everybodys = matches!(step, ObjectStep::Store(_)) && !error.is_about_object();
                let others = is_everybodys.then_some(platform.server);
                (format!("{:#}", anyhow!(error)), is_refused, others)
            }
        };
        self.pause().lengthen(now);
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
            let alarm = object_alarm(&own, now);
            // What it says meanwhile changes from try to try; not what is refused.
            let is_news = match &alarm {
                Some(ObjectAlarm::Waits(trouble) | ObjectAlarm::Stays(trouble)) => {
                    trouble.is_refused || !alarmed.contains(&id)
                }
                None => alarmed.contains(&id),
            };
            if !is_news {
                continue;
            }
            let alarm = alarm.map(|alarm| in_words(&alarm));
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

async fn put(platform: &Platform, bucket: &Bucket, object: &BackupObject) -> Result<(), Failure> {
    let vault = vault(platform);
    // What is spoilt here replaces nothing there.
    vault.check(object.backup).await?;
    let (mut file, length) = vault.open_sealed(object.backup).await?;
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
    let place = (bucket.place(), platform.server);
    mark_stored(&mut conn, place, object.backup, platform.clock.now()).await?;
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
    match bucket.complete(key, &upload, &parts).await {
        Err(error) if error.is_about_parts() => {
            // What was sent is good for nothing: the next try begins anew.
            bucket.abort(key, &upload).await?;
            let mut conn = platform.store.connection().await?;
            set_upload(&mut conn, place, object.backup, None).await?;
            Err(error.into())
        }
        done => Ok(done?),
    }
}

/// Is it there still, as long as it is here? Where the file is lost or spoilt here, what is there is what it should be.
async fn look(platform: &Platform, bucket: &Bucket, object: &BackupObject) -> Result<(), Failure> {
    let vault = vault(platform);
    let is_there = match bucket.length(&object.key).await {
        Ok(None) => false,
        Ok(Some(length)) => {
            vault.check(object.backup).await.is_err() || vault.open_sealed(object.backup).await?.1 == length
        }
        // Whoever may not list a bucket is not told that there is nothing.
        Err(error) if error.is_refusal() => {
            let error = format!("{:#}", anyhow!(error));
            tracing::warn!(
                key = object.key,
                error,
                "whether a backup is in the bucket still cannot be seen"
            );
            true
        }
        Err(error) => return Err(error.into()),
    };
    let mut conn = platform.store.connection().await?;
    if is_there {
        let place = (bucket.place(), platform.server);
        mark_stored(&mut conn, place, object.backup, platform.clock.now()).await?;
    } else {
        tracing::error!(
            bucket = bucket.place(),
            key = object.key,
            "a backup is gone from the bucket, or not as it was sent; sending it again"
        );
        mark_lost(&mut conn, bucket.place(), object.backup).await?;
    }
    Ok(())
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

fn in_words(alarm: &ObjectAlarm) -> String {
    let (ObjectAlarm::Waits(trouble) | ObjectAlarm::Stays(trouble)) = alarm;
    let since = trouble.since.format("%Y-%m-%d %H:%M UTC");
    let words = &trouble.words;
    match alarm {
        ObjectAlarm::Waits(_) => format!(
            "Backups have not reached the bucket since {since}: {words}. They are sent again by themselves, as long as they are \
             on the disk. See paas pg:backups"
        ),
        ObjectAlarm::Stays(_) => format!(
            "Backups that were deleted are in the bucket still, since {since}: {words}. They are removed as soon as the bucket lets \
             them"
        ),
    }
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
