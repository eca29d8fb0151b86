//! Archives of add-ons: the segments of their logs are taken out of their spools, and copies are made that the log leads on from.
//!
//! A segment leaves its spool when all of it is in the archive, and never before: whoever dies in between does it again. A copy
//! gets its name when its program has ended well. Nothing is known but the names of files, so a start has nothing to
//! find out; what was lost shows as a gap, which is told, and closed by another copy.

mod base;
mod frames;
mod server;
mod spool;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use paas_core::{Addon, AddonState, Backoff, BackupSchedule, Id, Lineage, LineageName, Moments};
use paas_store::{self as store, addon::AddonRow, addon_alarm::Subject};
use tokio::time::sleep;

use super::{container_of, run, tell};
use crate::{
    addon::{Archive, Archiving},
    control::disk::Fill,
    platform::Platform,
};

const PERIOD: Duration = Duration::from_secs(5);
/// Between two looks into a spool: a server hands on what is in its memory each minute.
const LOOK_AGAIN: TimeDelta = TimeDelta::minutes(1);
/// Each look starts programs beside the server, so a busy one is left alone until about so much is there: a quarter of the smallest
/// spool.
const ENOUGH_BYTES: u64 = 32 * MEBIBYTE;
/// What has not worked for so long is told.
const PATIENCE: TimeDelta = TimeDelta::minutes(15);
/// The same of copies, of which there is one a day.
const COPY_PATIENCE: TimeDelta = TimeDelta::hours(26);
/// Longer than it takes to hand on a segment.
const SWITCH_LIMIT: Duration = Duration::from_secs(30);
/// So many bytes of the disk are not for archives: the database of the platform needs some, too.
pub(super) const RESERVE: u64 = 256 * MEBIBYTE;
pub(super) const MEBIBYTE: u64 = 1024 * 1024;
/// As long as any lease: see [`super::LEASE`].
const LEASE: TimeDelta = TimeDelta::minutes(60);

/// Who is at the archive of which add-on.
#[derive(Default)]
pub(crate) struct Archives {
    turns: Mutex<HashMap<Id<Addon>, Arc<tokio::sync::Mutex<()>>>>,
    /// One at a time: a copy reads all that is there.
    copying: Arc<tokio::sync::Mutex<()>>,
}

impl Archives {
    /// Whoever writes to an archive, or removes it, holds this.
    fn turn(&self, addon: Id<Addon>) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(addon).or_default())
    }

    fn forget(&self, addon: Id<Addon>) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.remove(&addon);
    }
}

pub(crate) struct ArchivesController {
    platform: Arc<Platform>,
    turns: Mutex<HashMap<Id<Addon>, Turn>>,
    at_work: Mutex<HashSet<Id<Addon>>>,
}

/// What this process knows of an add-on. A restart looks at once.
#[derive(Debug, Clone, Copy, Default)]
struct Turn {
    looked_at: Option<DateTime<Utc>>,
    look_at: DateTime<Utc>,
    copy_at: DateTime<Utc>,
    failures: u32,
    /// Its log does not come.
    failing_since: Option<DateTime<Utc>>,
    /// Nothing is there that its log could lead on from.
    bare_since: Option<DateTime<Utc>>,
    /// No copy has come off.
    copy_failing_since: Option<DateTime<Utc>>,
}

/// What a look has found besides files.
struct Found {
    /// Why its log does not come.
    trouble: Option<String>,
    /// Something is missing behind the newest segment.
    has_lost: bool,
}

/// How an archive is, as far as that is known yet.
enum Verdict {
    Unknown,
    Well,
    Ill(String),
}

impl ArchivesController {
    pub(crate) fn new(platform: Arc<Platform>) -> Self {
        Self {
            platform,
            turns: Mutex::default(),
            at_work: Mutex::default(),
        }
    }

    /// Runs until the platform stops.
    pub(crate) async fn run(self: Arc<Self>) -> Result<()> {
        let platform = Arc::clone(&self.platform);
        loop {
            match platform.stop.run_until_cancelled(self.pass()).await {
                None => return Ok(()),
                Some(Ok(())) => {}
                Some(Err(error)) => tracing::warn!(
                    error = format!("{error:#}"),
                    "could not look after the archives; trying again"
                ),
            }
            tokio::select! {
                () = sleep(PERIOD) => {}
                () = platform.stop.cancelled() => return Ok(()),
            }
        }
    }

    /// Begins whatever is due.
    pub(crate) async fn pass(self: &Arc<Self>) -> Result<()> {
        let platform = &self.platform;
        let now = platform.clock.now();
        let mut conn = platform.store.connection().await?;
        let rows = store::addon::all(&mut conn).await?;
        for row in rows {
            let is_due = self.turn(row.addon.id).look_at <= now;
            if row.addon.state != AddonState::Provisioned || archiving(platform, &row).is_err() || !is_due {
                continue;
            }
            let server = platform.server;
            let leased = store::addon::lease(&mut conn, row.addon.id, server, now + LEASE, now);
            if leased.await? && self.at_work().insert(row.addon.id) {
                self.spawn(row);
            }
        }
        Ok(())
    }

    fn spawn(self: &Arc<Self>, row: AddonRow) {
        let controller = Arc::clone(self);
        let stop = self.platform.stop.clone();
        self.platform.tracker.spawn(async move {
            let id = row.addon.id;
            let looked = stop.run_until_cancelled(controller.look_after(&row)).await;
            if let Some(Err(error)) = looked {
                tracing::warn!(addon.name = %row.addon.name, error = format!("{error:#}"), "an archive does not go on");
            }
            controller.at_work().remove(&id);
        });
    }

    /// Empties the spool, makes a copy where one is due, removes what is old, and says what is wrong.
    async fn look_after(self: &Arc<Self>, row: &AddonRow) -> Result<()> {
        let (platform, id) = (&self.platform, row.addon.id);
        let now = platform.clock.now();
        // Before its spool is emptied: after that, all that it has handed on by now is in the archive.
        let told = server::ask(platform, row).await;
        let emptied = spool::empty(platform, row).await;
        let is_empty = emptied.as_ref().is_ok_and(|bytes| *bytes < spool::MOST_BYTES);
        self.change(id, |turn| {
            let since = turn.looked_at.replace(now).map(|before| now - before);
            let bytes = emptied.as_ref().copied().unwrap_or_default();
            turn.look_at = now + rest(bytes, since.unwrap_or(LOOK_AGAIN));
        });
        let lineages = archive_of(platform, id).lineages().await?;
        let found = Found {
            has_lost: is_empty && matches!(&told, Ok(Some(told)) if told.shows_gap(&lineages)),
            trouble: match (&emptied, &told) {
                (Err(error), _) | (_, Err(error)) => Some(format!("{error:#}")),
                (Ok(_), Ok(Some(told))) if told.is_failing => Some("its server fails to hand it on".to_owned()),
                _ => None,
            },
        };
        match self.judge(row, &lineages, &found, now) {
            Verdict::Unknown => {}
            Verdict::Well => self.tell(row, None).await?,
            Verdict::Ill(trouble) => self.tell(row, Some(&trouble)).await?,
        }
        self.retain(row, &lineages, now).await?;
        if emptied.is_err() {
            base::tidy(platform, row).await?;
        }
        emptied?;
        let newest = newest(row, &lineages);
        let is_old = |(_, lineage): (_, &Lineage)| lineage.is_base_due(&BackupSchedule::quiet(id), now);
        let is_due = found.has_lost || newest.is_none_or(is_old);
        if is_due && self.turn(id).copy_at <= now {
            self.begin_copy(row, now);
        }
        Ok(())
    }

    /// Removes what is old. Where the disk is full, this is what makes room: it waits for nothing that takes some.
    async fn retain(
        &self,
        row: &AddonRow,
        lineages: &BTreeMap<LineageName, Lineage>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let (platform, id) = (&self.platform, row.addon.id);
        let mut conn = platform.store.connection().await?;
        let unfilled = store::addon_rollback::unfilled(&mut conn).await?;
        drop(conn);
        // Somebody was promised that moment, however long it takes.
        let promised = unfilled.iter().filter(|rollback| rollback.source == id);
        let promised = promised.map(|rollback| now - rollback.moment).max();
        let window = archiving(platform, row)?.window(&row.addon.plan);
        let window = window.max(promised.unwrap_or_default());
        let (archive, newest) = (archive_of(platform, id), newest(row, lineages));
        for (name, lineage) in lineages {
            let is_over = newest.is_none_or(|(newest, _)| newest != name);
            for file in lineage.surplus(is_over, window, now) {
                archive.remove(name, file).await?;
            }
        }
        Ok(())
    }

    /// In a task of its own: meanwhile the spool has to be emptied, or the copy would never come to its end.
    fn begin_copy(self: &Arc<Self>, row: &AddonRow, now: DateTime<Utc>) {
        let Ok(one) = Arc::clone(&self.platform.archives.copying).try_lock_owned() else {
            return;
        };
        let (controller, row) = (Arc::clone(self), row.clone());
        // Not another one before this one has ended, or its task has.
        self.change(row.addon.id, |turn| turn.copy_at = now + TimeDelta::days(1));
        self.platform.tracker.spawn(async move {
            let _one = one;
            let (platform, id) = (&controller.platform, row.addon.id);
            let copied = platform.stop.run_until_cancelled(base::copy(platform, &row)).await;
            let (begun, now) = (now, platform.clock.now());
            match copied {
                None => {}
                Some(Ok(())) => controller.change(id, |turn| {
                    turn.failures = 0;
                    turn.copy_failing_since = None;
                    turn.copy_at = now;
                    turn.look_at = now;
                }),
                Some(Err(error)) => {
                    tracing::warn!(
                        addon.name = %row.addon.name,
                        error = format!("{error:#}"),
                        "an add-on could not be copied for its archive; trying again"
                    );
                    controller.change(id, |turn| {
                        turn.failures = turn.failures.saturating_add(1);
                        // For as long as it has kept all others from theirs, it leaves them theirs.
                        turn.copy_at = now + Backoff::after(turn.failures).max(now - begun);
                        turn.copy_failing_since.get_or_insert(begun);
                    });
                }
            }
        });
    }

    /// How an archive is.
    fn judge(
        &self,
        row: &AddonRow,
        lineages: &BTreeMap<LineageName, Lineage>,
        found: &Found,
        now: DateTime<Utc>,
    ) -> Verdict {
        let id = row.addon.id;
        if let Some(trouble) = &found.trouble {
            self.change(id, |turn| _ = turn.failing_since.get_or_insert(now));
            let since = self.turn(id).failing_since.unwrap_or(now);
            if since + PATIENCE > now {
                return Verdict::Unknown;
            }
            return Verdict::Ill(format!(
                "Its log has not been archived since {}: {trouble}. Until it is, pg:rollback does not reach beyond that",
                minute(since)
            ));
        }
        self.change(id, |turn| turn.failing_since = None);
        let newest = newest(row, lineages).filter(|(_, lineage)| !lineage.bases().is_empty());
        self.change(id, |turn| {
            let bare_since = *turn.bare_since.get_or_insert(now);
            turn.bare_since = newest.is_none().then_some(bare_since);
        });
        let turn = self.turn(id);
        match newest {
            Some((_, lineage)) if lineage.is_whole() && !found.has_lost => match turn.copy_failing_since {
                Some(since) if since + COPY_PATIENCE <= now => Verdict::Ill(format!(
                    "It could not be copied for its archive since {}, and is tried again: its log grows, and pg:rollback takes ever \
                     longer",
                    minute(since)
                )),
                _ => Verdict::Well,
            },
            Some((_, lineage)) => {
                let until = lineage.moments().last().map(|moments| minute(moments.to));
                let until = until.unwrap_or_else(|| "its last copy".to_owned());
                Verdict::Ill(format!(
                    "Its log has a gap after {until}: pg:rollback reaches no moment from there until another copy is made, which is \
                     under way"
                ))
            }
            None => match turn.bare_since {
                Some(since) if since + PATIENCE <= now => Verdict::Ill(
                    "It has not been copied for its archive yet, which is tried again: pg:rollback has nothing to begin with"
                        .to_owned(),
                ),
                _ => Verdict::Unknown,
            },
        }
    }

    /// Whether each look has come to its end, and each copy.
    #[cfg(test)]
    pub(crate) fn is_at_rest(&self) -> bool {
        self.at_work().is_empty() && self.platform.archives.copying.try_lock().is_ok()
    }

    async fn tell(&self, row: &AddonRow, trouble: Option<&str>) -> Result<()> {
        let alarm = (Subject::Archive, trouble);
        Ok(tell::alarm(&self.platform, row, alarm, "Its log is archived again").await?)
    }

    fn turn(&self, id: Id<Addon>) -> Turn {
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.get(&id).copied().unwrap_or_default()
    }

    fn change(&self, id: Id<Addon>, change: impl FnOnce(&mut Turn)) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        change(turns.entry(id).or_default());
    }

    fn at_work(&self) -> std::sync::MutexGuard<'_, HashSet<Id<Addon>>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until the next look, after one that brought so many bytes of so long a time.
fn rest(bytes: u64, since: TimeDelta) -> TimeDelta {
    let milliseconds = since.num_milliseconds().unsigned_abs().max(1);
    let until_enough = ENOUGH_BYTES.saturating_mul(milliseconds) / bytes.max(1);
    TimeDelta::milliseconds(i64::try_from(until_enough).unwrap_or(i64::MAX)).min(LOOK_AGAIN)
}

/// The archive of an add-on.
pub(crate) fn archive_of(platform: &Platform, addon: Id<Addon>) -> Archive<'_> {
    Archive {
        sealer: &platform.store.sealer,
        folder: platform.settings.archive(),
        addon,
    }
}

/// How a kind of server is archived.
pub(crate) fn archiving<'a>(platform: &'a Platform, row: &AddonRow) -> Result<&'a Archiving> {
    let service = platform.catalogue.service(&row.addon.service);
    let archiving = service.and_then(|service| service.kind.archive.as_ref());
    archiving.with_context(|| format!("{} keeps no log that could be gone back in", row.addon.service))
}

/// Since when an add-on can be gone back to any moment, without a gap.
pub(crate) async fn earliest(platform: &Platform, row: &AddonRow) -> Result<Option<DateTime<Utc>>> {
    let lineages = archive_of(platform, row.addon.id).lineages().await?;
    Ok(newest(row, &lineages).and_then(|(_, lineage)| lineage.earliest()))
}

/// The moments that an add-on can be gone back to, in order: those since it is of the version that it is of.
pub(crate) async fn moments(platform: &Platform, row: &AddonRow) -> Result<Vec<Moments>> {
    let lineages = archive_of(platform, row.addon.id).lineages().await?;
    let own = lineages.iter().filter(|(name, _)| name.is_of(&row.version));
    let mut moments: Vec<_> = own.flat_map(|(_, lineage)| lineage.moments()).collect();
    moments.sort_unstable_by_key(|moments| moments.from);
    Ok(moments)
}

/// Brings all that was committed until now into the archive.
pub(crate) async fn catch_up(platform: &Platform, row: &AddonRow) -> Result<()> {
    let container = container_of(platform, row.addon.id).await?;
    let container = container.context("its server does not run")?;
    let switch = &archiving(platform, row)?.switch;
    run::script(&platform.engine, &container, switch, SWITCH_LIMIT).await?;
    while spool::empty(platform, row).await? >= spool::MOST_BYTES {}
    Ok(())
}

/// Everything of an add-on that goes.
pub(super) async fn remove(platform: &Platform, addon: Id<Addon>) -> Result<()> {
    let turn = platform.archives.turn(addon);
    let _turn = turn.lock().await;
    archive_of(platform, addon).remove_all().await?;
    platform.archives.forget(addon);
    Ok(())
}

/// The one that goes on. What a server of another version wrote before an upgrade does not.
fn newest<'a>(row: &AddonRow, lineages: &'a BTreeMap<LineageName, Lineage>) -> Option<(&'a LineageName, &'a Lineage)> {
    let own = lineages.iter().filter(|(name, _)| name.is_of(&row.version));
    own.max_by_key(|(_, lineage)| lineage.newest())
}

/// An add-on that is going gets no archive any more.
async fn is_living(platform: &Platform, addon: Id<Addon>) -> Result<bool> {
    let mut conn = platform.store.connection().await?;
    let row = store::addon::by_id(&mut conn, addon).await?;
    Ok(row.is_some_and(|row| row.addon.state == AddonState::Provisioned))
}

fn has_room(platform: &Platform, bytes: u64) -> Result<()> {
    let path = platform.settings.archive();
    let Some(fill) = Fill::of(&path) else { return Ok(()) };
    ensure!(
        fill.free_bytes >= bytes + RESERVE,
        // In an alarm that is told once: no number that changes.
        "there is no room for it on the disk at {}: see what takes room with paas disk",
        path.display(),
    );
    Ok(())
}

fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_spool_is_looked_into_before_it_is_full() {
        let seconds = TimeDelta::seconds;
        assert_eq!(rest(0, seconds(60)), seconds(60));
        assert_eq!(rest(729, seconds(1)), seconds(60));
        assert_eq!(rest(ENOUGH_BYTES, seconds(20)), seconds(20));
        assert_eq!(rest(4 * ENOUGH_BYTES, seconds(20)), seconds(5));
        assert_eq!(rest(u64::MAX, seconds(60)), seconds(0));
    }
}
