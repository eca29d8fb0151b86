//! What another add-on holds, in a new one.
//!
//! A dump of the original, which is all that was committed at one moment, goes straight into the new server, before any app gets its
//! address. What breaks off is begun again: the new server gets its address when all of it is there, and never before.

use anyhow::{Context, Result, anyhow, bail};
use paas_core::{AddonState, compare_versions};
use paas_engine::ContainerId;
use paas_store::{self as store, addon::AddonRow};

use super::{AddonsController, container_of, room, stream, tell};
use crate::{addon::Service, failpoint};

impl AddonsController {
    /// Fills a new server with what it is to begin with, if that is anything.
    pub(super) async fn fork(&self, row: &AddonRow, service: &Service, container: &ContainerId) -> Result<()> {
        let platform = &self.platform;
        let mut conn = platform.store.connection().await?;
        let Some(fork) = store::addon_fork::unfilled(&mut conn, row.addon.id).await? else {
            return Ok(());
        };
        let source = store::addon::by_id(&mut conn, fork.source).await?;
        drop(conn);
        let name = &fork.source_name;
        let source = source.filter(|source| source.addon.state == AddonState::Provisioned);
        let Some(source) = source else {
            bail!("{name}, which it was to be a fork of, is gone. Destroy this add-on");
        };
        if compare_versions(&source.version, &row.version).is_gt() {
            bail!(
                "{name} is of version {} by now, which {} is too old to read. Destroy this add-on, and fork again",
                source.version,
                row.version
            );
        }
        self.pour(row, service, (container, &source))
            .await
            .with_context(|| format!("forking {name}"))?;
        failpoint::hit("fork.after");
        let mut conn = platform.store.connection().await?;
        store::addon_fork::mark_filled(&mut conn, row.addon.id, platform.clock.now()).await?;
        drop(conn);
        tell::log(platform, &row.addon, &format!("It holds what {name} held")).await;
        Ok(())
    }

    async fn pour(&self, row: &AddonRow, service: &Service, (to, source): (&ContainerId, &AddonRow)) -> Result<()> {
        let platform = &self.platform;
        let kind = &service.kind;
        let from = container_of(platform, source.addon.id).await?;
        let from = from.context("its server does not run at the moment")?;
        let transfer = *row.addon.id.as_uuid();
        // What a dead server was at would go on beside this.
        for container in [&from, to] {
            stream::hang_up(&platform.engine, container, transfer).await?;
        }
        room::require(platform, self.used_bytes(source, &from).await?).await?;
        failpoint::hit("fork.before");
        let backup = self.service(source)?.kind.backup.as_ref();
        let backup = backup.with_context(|| format!("{} has no copy to give", source.addon.service))?;
        let restore = kind.restore.as_ref().context("it takes no copy")?;
        let cancel = platform.stop.child_token();
        let pipe = |container, script| stream::Pipe {
            engine: &platform.engine,
            container,
            script,
            transfer,
            cancel: &cancel,
        };
        let poured = stream::through(pipe(&from, backup), pipe(to, restore), |_| {});
        let poured = tokio::select! {
            poured = poured => poured,
            () = self.is_given_up(row.addon.id) => Err(anyhow!("it is being destroyed, or another server is at it")),
        };
        if poured.is_err() {
            // The original goes on, and is not to be read by somebody whom nobody hears.
            stream::leave(&platform.engine, &from, transfer).await;
        }
        poured
    }
}
