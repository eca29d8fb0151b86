//! The way of an add-on to a newer version of its server.
//!
//! First a copy of what it holds is loaded into a scratch server of that version, while its own goes on. Then, unless that was all that
//! somebody wanted, its own server ends: what is on its volume is read by a scratch server that nobody else reaches, loaded into
//! one of the other version on a new volume, and counted in both. One transaction makes that volume the add-on's; the old one is kept for
//! some days. What fails before leaves the old server as it was. Whoever dies in between begins this step again: each begins with
//! nothing of an earlier try left.

use anyhow::{Context, Result, anyhow, bail, ensure};
use chrono::TimeDelta;
use paas_core::{Addon, AddonStep, AddonUpgrade, Id, ImageRef, UpgradeState};
use paas_engine::{ContainerId, Role};
use paas_store::{
    self as store,
    addon::{AddonRow, Values},
    addon_upgrade::{Moved, Turn},
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    AddonsController, room, scratch,
    step::{NOBODY_WAITS, Place, SERVES, STOP_LIMIT, volume},
    stream, tell,
    watch::{LOOK_AGAIN, until_seen},
};
use crate::{
    addon::{Service, Upgrading},
    control::is_temporary,
    failpoint,
    platform::Platform,
};

const PURPOSE: &str = "upgrade";
/// What an add-on had before is kept for so long.
const KEPT: TimeDelta = TimeDelta::days(7);
/// Longer than any try takes, and any move.
const LIMIT: TimeDelta = TimeDelta::hours(12);

impl AddonsController {
    /// A dry run: where it succeeds, and more than that was wanted, the add-on is to move.
    pub(super) async fn try_upgrade(&self, row: &AddonRow, container: &ContainerId) -> Result<()> {
        let Some(upgrade) = self.upgrade_of(row, UpgradeState::Trying).await? else {
            return Ok(());
        };
        clear(&self.platform, row, &upgrade).await?;
        let step = AddonStep::Try {
            container: container.as_str().to_owned(),
        };
        let tried = self
            .unless_stopped(row, &step, self.tried(row, &upgrade, container))
            .await;
        if tried.is_err() {
            // Its own server goes on.
            stream::leave(&self.platform.engine, container, transfer(row.addon.id)).await;
        }
        clear(&self.platform, row, &upgrade).await?;
        let words = match tried {
            Ok(words) => words,
            Err(error) => return self.fall_back(row, &upgrade, error).await,
        };
        failpoint::hit("dry-run.after");
        if upgrade.is_dry_run {
            return self.end(row, UpgradeState::Succeeded, &words).await;
        }
        if let Err(error) = self.take_turn(row, &step).await {
            return self.fall_back(row, &upgrade, error).await;
        }
        let words = format!(
            "{words}. It is being upgraded to {} now, and cannot be reached meanwhile",
            upgrade.version
        );
        tell::log(&self.platform, &row.addon, &words).await;
        Ok(())
    }

    /// Its server has ended: brings what is on its volume onto another one, and makes that its own.
    pub(super) async fn move_over(&self, row: &AddonRow) -> Result<()> {
        let Some(upgrade) = self.upgrade_of(row, UpgradeState::Moving).await? else {
            return Ok(());
        };
        clear(&self.platform, row, &upgrade).await?;
        let moved = self
            .unless_stopped(row, &AddonStep::Move, self.moved(row, &upgrade))
            .await;
        let moved = match moved {
            Ok(moved) => moved,
            Err(error) => {
                // Nobody may be on its volume when its own server comes back.
                clear(&self.platform, row, &upgrade).await?;
                return self.fall_back(row, &upgrade, error).await;
            }
        };
        failpoint::hit("upgrade-swap.before");
        let mut conn = self.platform.store.connection().await?;
        let now = self.platform.clock.now();
        let swapped = store::addon_upgrade::swap(&mut conn, row, &upgrade, &moved, now).await?;
        drop(conn);
        failpoint::hit("upgrade-swap.after");
        if !swapped {
            return clear(&self.platform, row, &upgrade).await;
        }
        self.measured().remove(&row.addon.id);
        tell::log(&self.platform, &row.addon, &moved.words).await;
        self.platform.wake_webhooks.notify_one();
        Ok(())
    }

    /// It was cancelled while nobody was at it.
    pub(super) async fn call_off(&self, row: &AddonRow) -> Result<()> {
        let mut conn = self.platform.store.connection().await?;
        let upgrade = store::addon_upgrade::of_addon(&mut conn, row.addon.id).await?;
        drop(conn);
        let Some(upgrade) = upgrade.filter(|upgrade| !upgrade.is_over()) else {
            return Ok(());
        };
        clear(&self.platform, row, &upgrade).await?;
        self.fall_back(row, &upgrade, Stop::Cancelled.into()).await
    }

    /// Does one step of it, while that is what the add-on needs next, and not without end: everything else waits for it.
    async fn unless_stopped<T>(
        &self,
        row: &AddonRow,
        step: &AddonStep,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let clock = &self.platform.clock;
        let end = clock.now() + LIMIT;
        let is_late = || async { Ok((clock.now() > end).then_some(())) };
        tokio::select! {
            biased;
            done = work => done,
            reason = until_seen(|| self.stopped(row, step)) => Err(reason),
            () = until_seen(is_late) => bail!("it took longer than {} hours", LIMIT.num_hours()),
        }
    }

    /// Why this step is not what the add-on needs any more.
    async fn stopped(&self, row: &AddonRow, step: &AddonStep) -> Result<Option<anyhow::Error>> {
        if !self.lease(row.addon.id).await? {
            return Ok(Some(Stop::Postponed.into()));
        }
        let next = self.look_at(row.addon.id).await?;
        Ok(match (step, next) {
            (_, Some(AddonStep::Rest(_))) => None,
            (_, Some(next)) if next == *step => None,
            (_, Some(AddonStep::CallOff)) => Some(Stop::Cancelled.into()),
            // Begun again it would end in the same way, and take the server down each time.
            (AddonStep::Try { .. }, Some(AddonStep::Start | AddonStep::Remove { has_crashed: true, .. })) => {
                Some(anyhow!("its own server ended meanwhile"))
            }
            _ => Some(Stop::Postponed.into()),
        })
    }

    /// From now on nobody reaches its server. Whoever copies what is in it, or puts something into it, comes to an end before.
    async fn take_turn(&self, row: &AddonRow, step: &AddonStep) -> Result<()> {
        loop {
            let (words, now) = ("moving: it cannot be reached meanwhile", self.platform.clock.now());
            let mut conn = self.platform.store.connection().await?;
            let turn = store::addon_upgrade::begin_to_move(&mut conn, row.addon.id, words, now).await?;
            drop(conn);
            match turn {
                Turn::Taken => return Ok(()),
                Turn::Cancelled => return Err(Stop::Cancelled.into()),
                Turn::After(backup) => {
                    let words = format!("the dry run has succeeded; waiting for {backup} to end");
                    self.say(row, &words).await?;
                }
            }
            sleep(LOOK_AGAIN).await;
            if let Some(reason) = self.stopped(row, step).await? {
                return Err(reason);
            }
        }
    }

    /// Loads a dump of the server that runs into a scratch server; says what came of it.
    async fn tried(&self, row: &AddonRow, upgrade: &AddonUpgrade, container: &ContainerId) -> Result<String> {
        let platform = &self.platform;
        let (service, scripts) = self.upgrading(row)?;
        self.has_room(row, container).await?;
        let transfer = transfer(row.addon.id);
        stream::hang_up(&platform.engine, container, transfer).await?;
        let image = self.make_image(service, &upgrade.version).await?;
        self.say(row, "trying it out: loading a copy into a scratch server")
            .await?;
        let begun = Instant::now();
        let at = place(
            row,
            Side::Trial,
            scratch_name(row.addon.id, Side::Trial),
            &upgrade.version,
        );
        let to = self.serve(row, service, at, image).await?;
        failpoint::hit("dry-run.before");
        let cancel = platform.stop.child_token();
        let pipe = |container, script| stream::Pipe {
            engine: &platform.engine,
            container,
            script,
            transfer,
            cancel: &cancel,
        };
        stream::through(pipe(container, &scripts.dump), pipe(&to, &scripts.load), |_| {})
            .await
            .context("loading a copy")?;
        let counted = scratch::said(pipe(&to, &scripts.count))
            .await
            .context("counting the rows")?;
        Ok(format!(
            "The dry run of version {} succeeded: {} in {} s",
            upgrade.version,
            Count::of(&counted),
            begun.elapsed().as_secs().max(1)
        ))
    }

    /// Loads what is on the volume onto a new one.
    async fn moved(&self, row: &AddonRow, upgrade: &AddonUpgrade) -> Result<Moved> {
        let platform = &self.platform;
        let (service, scripts) = self.upgrading(row)?;
        let begun = Instant::now();
        let old = self.image(row, service).await?;
        let image = self.make_image(service, &upgrade.version).await?;
        let at = place(row, Side::From, volume(row), &row.version);
        let from = self
            .serve(row, service, at, old)
            .await
            .context("starting its old server")?;
        self.has_room(row, &from).await?;
        let target = target(row, upgrade);
        let at = place(row, Side::To, target.clone(), &upgrade.version);
        let to = self
            .serve(row, service, at, image.clone())
            .await
            .context("starting its new server")?;
        failpoint::hit("upgrade-dump.before");
        let cancel = platform.stop.child_token();
        let pipe = |container, script| stream::Pipe {
            engine: &platform.engine,
            container,
            script,
            transfer: transfer(row.addon.id),
            cancel: &cancel,
        };
        stream::through(pipe(&from, &scripts.dump), pipe(&to, &scripts.load), |_| {})
            .await
            .context("loading it into its new server")?;
        let before = scratch::said(pipe(&from, &scripts.count))
            .await
            .context("counting its rows")?;
        let after = scratch::said(pipe(&to, &scripts.count))
            .await
            .context("counting its rows")?;
        if let Some(table) = difference(&before, &after) {
            bail!("not all of it is there: {table}");
        }
        failpoint::hit("upgrade-dump.after");
        // What it has in memory has to be on the disk, in order, before anybody else takes the volume: a server that was killed lets
        // go of rows that no log has, such as those of unlogged tables.
        let exit = platform.engine.stop(&to, STOP_LIMIT).await?;
        let exit = exit.context("its new server is gone")?;
        ensure!(exit.is_success(), "its new server ended with status {}", exit.code);
        platform.engine.stop(&from, STOP_LIMIT).await?;
        for container in [&to, &from] {
            platform.engine.remove(container).await?;
        }
        let kept_until = platform.clock.now() + KEPT;
        Ok(Moved {
            volume: target,
            image,
            left: (volume(row), kept_until),
            words: format!(
                "Upgraded from {} to {}: {} in {} s. What it had before is kept until {}",
                row.version,
                upgrade.version,
                Count::of(&after),
                begun.elapsed().as_secs().max(1),
                kept_until.format("%Y-%m-%d %H:%M UTC")
            ),
        })
    }

    /// Says why nothing came of it. What may be over in a moment is tried again.
    async fn fall_back(&self, row: &AddonRow, upgrade: &AddonUpgrade, error: anyhow::Error) -> Result<()> {
        if is_temporary(&error) {
            return Err(error);
        }
        match error.downcast_ref() {
            Some(Stop::Postponed) => {
                return self.say(row, "waiting for its turn: something else comes first").await;
            }
            Some(Stop::Cancelled) => {
                let words = "It was cancelled: nothing has changed";
                return self.end(row, UpgradeState::Cancelled, words).await;
            }
            None => {}
        }
        tracing::warn!(addon.name = %row.addon.name, error = format!("{error:#}"), "an add-on could not be upgraded");
        let words = format!(
            "It could not be upgraded to {}: {error:#}. It is as it was, of version {}. Mend that, and try it with paas \
             pg:upgrade:dryrun",
            upgrade.version, row.version
        );
        self.end(row, UpgradeState::Failed, &words).await
    }

    /// Nothing of the add-on has changed.
    async fn end(&self, row: &AddonRow, state: UpgradeState, words: &str) -> Result<()> {
        let mut conn = self.platform.store.connection().await?;
        store::addon_upgrade::end(&mut conn, row.addon.id, state, words, self.platform.clock.now()).await?;
        drop(conn);
        tell::log(&self.platform, &row.addon, words).await;
        Ok(())
    }

    /// A server of one side, which answers but knows nobody yet.
    async fn serve(&self, row: &AddonRow, service: &Service, at: Place<'_>, image: ImageRef) -> Result<ContainerId> {
        let plan = service
            .plan(&row.addon.plan)
            .context("there is no such plan any more")?;
        let file = self.credentials(row).await?.to_file() + &service.settings_file(&Values::new());
        scratch::start(&self.platform, (service, plan), at, image, file).await
    }

    fn upgrading(&self, row: &AddonRow) -> Result<(&Service, &Upgrading)> {
        let service = self.service(row)?;
        let scripts = service.kind.upgrade.as_ref();
        let scripts = scripts.with_context(|| format!("{} cannot be upgraded", service.name))?;
        Ok((service, scripts))
    }

    /// A copy and what is loaded from it are there at the same time.
    async fn has_room(&self, row: &AddonRow, container: &ContainerId) -> Result<()> {
        let used = self.used_bytes(row, container).await?;
        room::require(&self.platform, used.saturating_mul(2)).await
    }

    async fn upgrade_of(&self, row: &AddonRow, state: UpgradeState) -> Result<Option<AddonUpgrade>> {
        let mut conn = self.platform.store.connection().await?;
        let upgrade = store::addon_upgrade::of_addon(&mut conn, row.addon.id).await?;
        Ok(upgrade.filter(|upgrade| upgrade.state == state))
    }

    async fn say(&self, row: &AddonRow, words: &str) -> Result<()> {
        let mut conn = self.platform.store.connection().await?;
        Ok(store::addon_upgrade::say(&mut conn, row.addon.id, words).await?)
    }
}

/// Removes volumes that add-ons had before they were upgraded, when their time is over.
pub(super) async fn let_go(platform: &Platform) -> Result<()> {
    let now = platform.clock.now();
    let mut conn = platform.store.connection().await?;
    let kept = store::addon_volume::all(&mut conn).await?;
    // Whose new server has never answered may need what it had before.
    let mut starting = store::addon_upgrade::running(&mut conn).await?;
    drop(conn);
    starting.retain(|upgrade| upgrade.state == UpgradeState::Starting);
    for volume in kept.into_iter().filter(|volume| volume.kept_until <= now) {
        let is_of = |upgrade: &AddonUpgrade| upgrade.addon == volume.addon;
        if starting.iter().any(is_of) {
            continue;
        }
        // One that somebody uses keeps nobody from anything else.
        if let Err(error) = remove_kept(platform, &volume.name).await {
            tracing::warn!(
                volume = volume.name,
                error = format!("{error:#}"),
                "what an add-on had before an upgrade could not be removed; trying again"
            );
        }
    }
    Ok(())
}

/// All that an upgrade has left of an add-on that goes.
pub(super) async fn remove(platform: &Platform, row: &AddonRow) -> Result<()> {
    let mut conn = platform.store.connection().await?;
    let upgrade = store::addon_upgrade::of_addon(&mut conn, row.addon.id).await?;
    let kept = store::addon_volume::list_of_addon(&mut conn, row.addon.id).await?;
    drop(conn);
    if let Some(upgrade) = upgrade.filter(|upgrade| !upgrade.is_over()) {
        clear(platform, row, &upgrade).await?;
    }
    for volume in kept {
        remove_kept(platform, &volume.name).await?;
    }
    Ok(())
}

/// Ends the servers of an upgrade: its own comes to its volume.
pub(super) async fn clear_servers(platform: &Platform, id: Id<Addon>) -> Result<()> {
    let names = [Side::Trial, Side::From, Side::To].map(|side| scratch_name(id, side));
    for container in platform.engine.list().await? {
        let is_ours = matches!(&container.role, Some(Role::Task { purpose }) if purpose == PURPOSE);
        if is_ours && names.contains(&container.name) {
            platform.engine.stop(&container.id, STOP_LIMIT).await?;
            platform.engine.remove(&container.id).await?;
        }
    }
    Ok(())
}

/// Removes what an upgrade that is not over has made.
async fn clear(platform: &Platform, row: &AddonRow, upgrade: &AddonUpgrade) -> Result<()> {
    clear_servers(platform, row.addon.id).await?;
    for made in [scratch_name(row.addon.id, Side::Trial), target(row, upgrade)] {
        // Never what it has now.
        if made != volume(row) {
            platform.engine.remove_volume(&made).await?;
        }
    }
    Ok(())
}

/// The volume, then its row.
async fn remove_kept(platform: &Platform, name: &str) -> Result<()> {
    platform.engine.remove_volume(name).await?;
    let mut conn = platform.store.connection().await?;
    Ok(store::addon_volume::delete(&mut conn, name).await?)
}

/// Why nobody is at it any more, though nothing is wrong with it.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("it was cancelled")]
    Cancelled,
    /// It is begun again when its turn has come.
    #[error("something else comes first")]
    Postponed,
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Trial,
    From,
    To,
}

/// Where one side is.
fn place<'a>(row: &AddonRow, side: Side, volume: String, version: &'a str) -> Place<'a> {
    Place {
        name: scratch_name(row.addon.id, side),
        role: Role::Task {
            purpose: PURPOSE.to_owned(),
        },
        volume,
        version,
        cpu_weight: match side {
            Side::Trial => NOBODY_WAITS,
            Side::From | Side::To => SERVES,
        },
    }
}

fn scratch_name(id: Id<Addon>, side: Side) -> String {
    let side = match side {
        Side::Trial => "trial",
        Side::From => "from",
        Side::To => "to",
    };
    format!("paas-upgrade-{id}-{side}")
}

/// The volume that an upgrade leads to: another one for each try, so that none is ever taken for that of an earlier one.
fn target(row: &AddonRow, upgrade: &AddonUpgrade) -> String {
    format!("paas-addon-{}-{}", row.addon.id, upgrade.begun_at.timestamp_micros())
}

/// What programs in its server are marked with: not as those of its archive, which carry its id.
fn transfer(id: Id<Addon>) -> Uuid {
    Uuid::from_u128(!id.as_uuid().as_u128())
}

/// How much there is.
struct Count {
    tables: usize,
    rows: u64,
}

impl Count {
    /// Of `public.people 12` on each line.
    fn of(counted: &str) -> Self {
        let rows = counted
            .lines()
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
        Self {
            tables: counted.lines().count(),
            rows: rows.sum(),
        }
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} tables, {} rows", self.tables, self.rows)
    }
}

/// The first table that is not the same on both sides.
fn difference(before: &str, after: &str) -> Option<String> {
    let mut after_lines = after.lines();
    for line in before.lines() {
        match after_lines.next() {
            Some(other) if other == line => {}
            Some(other) => return Some(format!("{line} before, and {other} after")),
            None => return Some(format!("{line} before, and nothing after")),
        }
    }
    after_lines
        .next()
        .map(|line| format!("nothing before, and {line} after"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_compared_table_by_table() {
        let before = "public.\"Odd Name\" 2\npublic.people 1000\n";
        assert_eq!(Count::of(before).to_string(), "2 tables, 1002 rows");
        assert_eq!(Count::of("").to_string(), "0 tables, 0 rows");
        assert_eq!(difference(before, before), None);
        let fewer = before.replace("1000", "999");
        let words = difference(before, &fewer).unwrap();
        assert_eq!(words, "public.people 1000 before, and public.people 999 after");
        assert!(difference(before, "public.\"Odd Name\" 2\n").is_some());
        assert!(difference("", before).is_some());
    }
}
