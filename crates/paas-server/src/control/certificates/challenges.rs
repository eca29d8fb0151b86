//! What authorities are shown while they validate names.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use paas_core::DomainName;
use paas_router::feed::Challenge;
use tokio::time::timeout;

use crate::control::RouterFeed;

/// A router swaps at once; one that does not, hangs.
const APPLY_LIMIT: Duration = Duration::from_secs(10);

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
        let all = self.set(order, Some(challenges));
        let published = self.feed.publish_challenges(all).await;
        let receipt = published.context("no router takes the challenges of an order")?;
        timeout(APPLY_LIMIT, self.feed.applied(&receipt))
            .await
            .context("the router does not answer")?
            .context("the router went away")
    }

    /// Takes them away again.
    pub(super) async fn hide(&self, order: &DomainName) {
        let all = self.set(order, None);
        // A router that does not take it is given all of its table anew by whoever finds it.
        self.feed.publish_challenges(all).await;
    }

    fn set(&self, order: &DomainName, challenges: Option<Vec<Challenge>>) -> Vec<Challenge> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        match challenges {
            Some(challenges) => shown.insert(order.clone(), challenges),
            None => shown.remove(order),
        };
        shown.values().flatten().cloned().collect()
    }
}
