//! How full the disks of add-ons are. Docker bounds no volume, so a plan's disk is a promise, which is kept in view: people are
//! told before it is used up.

use anyhow::{Context, Result};
use paas_core::AddonFill;
use paas_engine::ContainerId;
use paas_store::{self as store, addon::AddonRow};

use super::{AddonsController, run, step::APPLY_LIMIT, tell};
use crate::addon::{Service, fill_in_words};

impl AddonsController {
    pub(super) async fn measure(&self, row: &AddonRow, container: &ContainerId) -> Result<()> {
        let platform = &self.platform;
        let now = platform.clock.now();
        // Whatever comes of it, there is a next time.
        self.measured().insert(row.addon.id, now);
        let service = self.service(row)?;
        let Some(plan) = service.plan(&row.addon.plan) else {
            return Ok(());
        };
        let Some(used_bytes) = self.count_bytes(service, container).await? else {
            return Ok(());
        };
        let fill = AddonFill {
            used_bytes,
            plan_bytes: plan.disk_bytes(),
        };
        let mut conn = platform.store.connection().await?;
        let news = store::addon::set_disk_bytes(&mut conn, row.addon.id, fill, now).await;
        drop(conn);
        if news.context("noting how full its disk is")?.is_some() {
            let words = fill_in_words(fill, row);
            tracing::warn!(addon.name = %row.addon.name, percent = fill.percent(), "the disk of an add-on fills up");
            tell::log(platform, &row.addon, &words).await;
            platform.wake_webhooks.notify_one();
        }
        Ok(())
    }

    /// What an add-on takes; looked at now in this container, where nobody has.
    pub(super) async fn used_bytes(&self, row: &AddonRow, container: &ContainerId) -> Result<u64> {
        let mut conn = self.platform.store.connection().await?;
        let used = store::addon::disk_bytes(&mut conn, row.addon.id).await?;
        drop(conn);
        let used = match used {
            Some(used) => Some(used),
            None => self.count_bytes(self.service(row)?, container).await?,
        };
        Ok(used.unwrap_or_default())
    }

    /// `None`: it does not say.
    async fn count_bytes(&self, service: &Service, container: &ContainerId) -> Result<Option<u64>> {
        // Files that go while it counts are no trouble.
        let script = format!("du -skx '{}' 2>/dev/null || true", service.kind.data);
        let said = run::answer(&self.platform.engine, container, &script, APPLY_LIMIT).await?;
        let kibibytes = said.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        Ok(kibibytes.map(|kibibytes| kibibytes.saturating_mul(1024)))
    }
}
