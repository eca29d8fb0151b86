//! The way of an add-on to a newer version of its server.
//!
//! First a copy of what it holds is loaded into a scratch server of that version, while its own goes on. Then, unless that was all that
//! somebody wanted, its own server ends: what is on its volume is read by a scratch server that nobody else reaches, loaded into
//! one of the other version on a new volume, and counted in both. One transaction makes that volume the add-on's; the old one is kept for
//! some days. What fails before leaves the old server as it was. Whoever dies in between begins this step again: each begins with
//! nothing of an earlier try left.

use anyhow::{Context, Result, bail, ensure};
use chrono::TimeDelta;
use paas_core::{Addon, AddonState, AddonUpgrade, Id, ImageRef, UpgradeState};
use paas_engine::{ContainerId, Role};
use paas_store::{
    self as store,
    addon::{AddonRow, Values},
    addon_upgrade::Moved,
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    AddonsController, scratch,
    step::{ASK_AGAIN, Place, STOP_LIMIT, volume},
    stream, tell,
};
use crate::{
    addon::{Service, Upgrading},
    control::{disk::Fill, is_temporary},
    failpoint,
    platform::Platform,
};

const PURPOSE: &str = "upgrade";
/// What an add-on had before is kept for so long.
const KEPT: TimeDelta = TimeDelta::days(7);
/// So many bytes of the disk are not for this: everybody else needs some, too.
const RESERVE: u64 = 256 * MEBIBYTE;
const MEBIBYTE: u64 = 1024 * 1024;

impl AddonsController {
    /// A dry run: where it succeeds, and more than that was wanted, the add-on is to move.
    pub(super) async fn try_upgrade(&self, row: &AddonRow, container: &ContainerId) -> Result<()> {
        let Some(upgrade) = self.upgrade_of(row, UpgradeState::Trying).await? else {
            return Ok(());
        };
        clear(&self.platform, row, &upgrade).await?;
        let tried = tokio::select! {
            tried = self.tried(row, &upgrade, container) => tried,
            () = self.is_called_off(row.addon.id) => Err(CalledOff.into()),
        };
        clear(&self.platform, row, &upgrade).await?;
        let words = match tried {
            Ok(words) => words,
            Err(error) => return self.fall_back(row, &upgrade, error).await,
        };
        failpoint::hit("dry-run.after");
        let mut conn = self.platform.store.connection().await?;
        if !upgrade.is_dry_run {
            store::addon_upgrade::begin_to_move(&mut conn, row.addon.id, "moving: it cannot be reached meanwhile")
                .await?;
            drop(conn);
            let words = format!(
                "{words}. It is being upgraded to {} now, and cannot be reached meanwhile",
                upgrade.version
            );
            tell::log(&self.platform, &row.addon, &words).await;
            return Ok(());
        }
        let now = self.platform.clock.now();
        store::addon_upgrade::end(&mut conn, row.addon.id, UpgradeState::Succeeded, &words, now).await?;
        drop(conn);
        tell::log(&self.platform, &row.addon, &words).await;
        Ok(())
    }

    /// Its server has ended: brings what is on its volume onto another one, and makes that its own.
    pub(super) async fn move_over(&self, row: &AddonRow) -> Result<()> {
        let Some(upgrade) = self.upgrade_of(row, UpgradeState::Moving).await? else {
            return Ok(());
        };
        clear(&self.platform, row, &upgrade).await?;
        let moved = tokio::select! {
            moved = self.moved(row, &upgrade) => moved,
            () = self.is_called_off(row.addon.id) => Err(CalledOff.into()),
        };
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

    /// Loads a dump of the server that runs into a scratch server; says what came of it.
    async fn tried(&self, row: &AddonRow, upgrade: &AddonUpgrade, container: &ContainerId) -> Result<String> {
        let platform = &self.platform;
        let (service, scripts) = self.upgrading(row)?;
        self.has_room(row).await?;
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
        // What they have in memory has to be on the disk, in order, before anybody else takes the volume.
        for container in [&to, &from] {
            platform.engine.stop(container, STOP_LIMIT).await?;
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
        let (state, words) = if error.is::<CalledOff>() {
            (
                UpgradeState::Cancelled,
                "It was cancelled: nothing has changed".to_owned(),
            )
        } else {
            let words = format!(
                "It could not be upgraded to {}: {error:#}. It is as it was, of version {}",
                upgrade.version, row.version
            );
            tracing::warn!(addon.name = %row.addon.name, error = format!("{error:#}"), "an add-on could not be upgraded");
            (UpgradeState::Failed, words)
        };
        let mut conn = self.platform.store.connection().await?;
        store::addon_upgrade::end(&mut conn, row.addon.id, state, &words, self.platform.clock.now()).await?;
        drop(conn);
        tell::log(&self.platform, &row.addon, &words).await;
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
    async fn has_room(&self, row: &AddonRow) -> Result<()> {
        let mut conn = self.platform.store.connection().await?;
        let used = store::addon::disk_bytes(&mut conn, row.addon.id).await?;
        drop(conn);
        let folder = self.platform.engine.data_dir().await?;
        let needed = used.unwrap_or_default() * 2 + RESERVE;
        let Some(fill) = Fill::of(folder.as_ref()) else {
            return Ok(());
        };
        ensure!(
            fill.free_bytes >= needed,
            "the disk at {folder} has {} MB free, and {} MB are needed: see what takes room with paas disk",
            fill.free_bytes / MEBIBYTE,
            needed / MEBIBYTE
        );
        Ok(())
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

    /// Comes to an end when somebody cancels it, or destroys the add-on.
    async fn is_called_off(&self, id: Id<Addon>) {
        loop {
            let called_off = async {
                let mut conn = self.platform.store.connection().await?;
                let row = store::addon::by_id(&mut conn, id).await?;
                let is_going = row.is_none_or(|row| row.addon.state == AddonState::Deprovisioning);
                Ok::<_, store::StoreError>(is_going || store::addon_upgrade::is_cancelled(&mut conn, id).await?)
            };
            if called_off.await.unwrap_or(false) {
                return;
            }
            sleep(ASK_AGAIN).await;
        }
    }
}

/// Removes volumes that add-ons had before they were upgraded, when their time is over.
pub(super) async fn let_go(platform: &Platform) -> Result<()> {
    let now = platform.clock.now();
    let mut conn = platform.store.connection().await?;
    let kept = store::addon_volume::all(&mut conn).await?;
    drop(conn);
    for volume in kept.into_iter().filter(|volume| volume.kept_until <= now) {
        remove_kept(platform, &volume.name).await?;
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

/// Somebody has cancelled it.
#[derive(Debug, thiserror::Error)]
#[error("it was cancelled")]
struct CalledOff;

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
