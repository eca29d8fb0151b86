//! What authorities are shown while they validate names.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use paas_core::DomainName;
use paas_router::feed::Challenge;
use tokio::time::{sleep, timeout};

use crate::control::RouterFeed;

/// A router swaps at once; one that does not, hangs.
const APPLY_LIMIT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(100);

/// The challenges of all orders that are under way, as the router has them.
pub(super) struct Challenges {
    feed: Arc<RouterFeed>,
    shown: Mutex<BTreeMap<DomainName, Vec<Challenge>>>,
}

impl Challenges {
    pub(super) fn new(feed: Arc<RouterFeed>) -> Self {
        Self {
            feed,
            shown: Mutex::default(),
        }
    }

    /// Puts the challenges of an order in place. When this returns well, every router that a request reaches answers them.
    pub(super) async fn show(&self, order: &DomainName, challenges: Vec<Challenge>) -> Result<()> {
        self.set(order, Some(challenges));
        let applied = async {
            // A router starts with its server.
            let receipt = loop {
                match self.feed.publish_challenges(|| self.all()).await {
                    Some(receipt) => break receipt,
                    None => sleep(RETRY).await,
                }
            };
            self.feed.applied(&receipt).await
        };
        timeout(APPLY_LIMIT, applied)
            .await
            .context("no router takes the challenges of an order")?
            .context("the router went away")
    }

    /// Takes them away again.
    pub(super) async fn hide(&self, order: &DomainName) {
        if self.set(order, None) {
            // A router that does not take it is given all of its table anew by whoever finds it.
            self.feed.publish_challenges(|| self.all()).await;
        }
    }

    /// Whether there were any before.
    fn set(&self, order: &DomainName, challenges: Option<Vec<Challenge>>) -> bool {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match challenges {
            Some(challenges) => shown.insert(order.clone(), challenges),
            None => shown.remove(order),
        };
        before.is_some()
    }

    fn all(&self) -> Vec<Challenge> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.values().flatten().cloned().collect()
    }
}
