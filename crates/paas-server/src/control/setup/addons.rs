//! The add-ons that an `app.json` asks for: there before the first build, because a release phase may need them.

use std::time::Duration;

use paas_core::AddonState;
use paas_store::{self as store, addon::AddonRow};
use tokio::time::{Instant, sleep};

use super::{Failure, Setup};
use crate::{api, control::start_release_phase, source::Manifest};

/// Heroku's own databases take minutes; ours an image, on first need, and some seconds.
const LIMIT: Duration = Duration::from_mins(15);
const LOOK_AGAIN: Duration = Duration::from_millis(250);

impl Setup<'_> {
    pub(super) async fn provision(&self, manifest: &Manifest) -> Result<(), Failure> {
        let mut made = Vec::new();
        for order in &manifest.addons {
            let ordered = api::order_addon(self.platform, self.new.app.id, order, self.stamp()).await;
            match ordered {
                Ok((row, release)) => {
                    if release.release.status == paas_core::ReleaseStatus::Pending {
                        start_release_phase(self.platform, release).await;
                    }
                    made.push(row);
                }
                Err(error) if error.is_unavailable() => return Err(Failure::Ours(anyhow::anyhow!("{error}"))),
                Err(error) => return Err(Failure::Manifest(vec![format!("addons: {error}")])),
            }
        }
        let begun = Instant::now();
        for row in made {
            self.wait_for(&row, begun).await?;
        }
        Ok(())
    }

    async fn wait_for(&self, row: &AddonRow, begun: Instant) -> Result<(), Failure> {
        let (service, plan) = (&row.addon.service, &row.addon.plan);
        loop {
            let mut conn = self.platform.store.connection().await?;
            let now = store::addon::by_id(&mut conn, row.addon.id).await?;
            drop(conn);
            let Some(now) = now else {
                return Err(Failure::Told(format!("The add-on {service}:{plan} was destroyed")));
            };
            if now.addon.state == AddonState::Provisioned {
                return Ok(());
            }
            if begun.elapsed() > LIMIT {
                let why = now.trouble.unwrap_or_else(|| "its server does not answer".to_owned());
                return Err(Failure::Told(format!(
                    "The add-on {service}:{plan} does not run: {why}"
                )));
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}
