//! Keeps the doors shut that Docker leaves open, whatever else rewrites the firewall.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use paas_engine::Firewall;
use tokio::time::sleep;

use crate::platform::Platform;

/// Another program may flush the rules at any time; the engine does so when it restarts.
const PERIOD: Duration = Duration::from_mins(1);

pub(crate) struct FirewallController {
    platform: Arc<Platform>,
    firewall: Firewall,
}

impl FirewallController {
    pub(crate) fn new(platform: Arc<Platform>, firewall: Firewall) -> Self {
        Self { platform, firewall }
    }

    pub(crate) async fn run(self) -> Result<()> {
        loop {
            tokio::select! {
                () = sleep(PERIOD) => {}
                () = self.platform.stop.cancelled() => return Ok(()),
            }
            let ensured = self.platform.stop.run_until_cancelled(self.firewall.ensure()).await;
            if let Some(Err(error)) = ensured {
                tracing::error!(%error, "the firewall rules could not be checked: dynos may reach this host's services");
            }
        }
    }
}
