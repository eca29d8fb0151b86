//! Which drains run: those that have a row.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Result;
use paas_core::Id;
use paas_store::log_drain::{self, LogDrain};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{place::PlaceFile, sender::Sender};
use crate::{
    outbound::{Connector, Policy},
    platform::Platform,
};

/// How often rows are looked at without a wake-up.
const PERIOD: Duration = Duration::from_secs(30);

/// Starts and ends the tasks of drains.
pub(crate) struct LogDrainsController {
    platform: Arc<Platform>,
    connector: Connector,
    running: BTreeMap<Id<LogDrain>, CancellationToken>,
}

impl LogDrainsController {
    pub(crate) fn new(platform: Arc<Platform>) -> Result<Self> {
        Ok(Self {
            connector: Connector::new(Policy::of_receivers(&platform.settings), &platform.settings.extra_ca)?,
            platform,
            running: BTreeMap::new(),
        })
    }

    /// Runs until the platform stops.
    pub(crate) async fn run(mut self) -> Result<()> {
        let platform = Arc::clone(&self.platform);
        loop {
            // While the database is away, drains go on as they are.
            if let Err(error) = self.pass().await {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "could not look for log drains; trying again"
                );
            }
            tokio::select! {
                () = platform.wake_log_drains.notified() => {}
                () = sleep(PERIOD) => {}
                () = platform.stop.cancelled() => return Ok(()),
            }
        }
    }

    pub(super) async fn pass(&mut self) -> Result<()> {
        let store = &self.platform.store;
        let mut conn = store.connection().await?;
        let drains = log_drain::all(&mut conn, &store.sealer).await?;
        drop(conn);
        self.running.retain(|id, running| {
            let is_wanted = drains.iter().any(|drain| drain.id == *id);
            if !is_wanted {
                running.cancel();
            }
            is_wanted
        });
        for drain in drains {
            if !self.running.contains_key(&drain.id) {
                self.running.insert(drain.id, self.start(drain));
            }
        }
        Ok(())
    }

    fn start(&self, drain: LogDrain) -> CancellationToken {
        let path = self
            .platform
            .logs
            .directory(drain.app)
            .join(format!("drain-{}", drain.id));
        let file = PlaceFile::new(path.clone());
        let sender = Sender::new(Arc::clone(&self.platform), self.connector.clone(), drain, file);
        // Ended with the platform, its place is for the next start.
        let (ended, stop) = (CancellationToken::new(), self.platform.stop.clone());
        let running = ended.clone();
        self.platform.tracker.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = ended.cancelled() => PlaceFile::remove(&path),
                () = sender.run() => {}
            }
        });
        running
    }
}
