//! Webhooks are told what changes.
//!
//! An event of an app with webhooks is recorded with a mark. This controller looks for marked events, writes what is told
//! and to whom (`webhook_deliveries`), and takes the mark away, all in one transaction. Each webhook with deliveries that
//! are due has a task of its own, which sends one after the other: a receiver that is slow, dead or hostile holds up no
//! other. How an attempt went is written down after it: a server that is killed in between repeats that attempt, with the
//! same delivery and another attempt id.

mod sender;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Result, anyhow};
use chrono::TimeDelta;
use paas_core::{Id, WebhookEntity};
use paas_store::{
    webhook::Webhook,
    webhook_delivery::{self, Untold},
};
use tokio::time::{Instant, sleep};

use self::sender::Sender;
use crate::{
    api::Resources,
    outbound::{Connector, Policy},
    platform::Platform,
};

/// How often rows are looked at without a wake-up.
const PERIOD: Duration = Duration::from_secs(10);
/// So many events are looked up at once.
const BATCH: u32 = 100;
/// How long it can be asked what webhooks were told.
const KEPT: TimeDelta = TimeDelta::days(30);
const PRUNE_EVERY: Duration = Duration::from_hours(1);

/// Tells webhooks.
pub(crate) struct WebhooksController {
    platform: Arc<Platform>,
    resources: Resources,
    connector: Connector,
    sending: Arc<Sending>,
    pruned_at: Option<Instant>,
}

/// The webhooks that are being told something.
#[derive(Default)]
pub(super) struct Sending(Mutex<HashSet<Id<Webhook>>>);

impl WebhooksController {
    pub(crate) fn new(platform: Arc<Platform>) -> Result<Self> {
        let settings = &platform.settings;
        Ok(Self {
            connector: Connector::new(Policy::of_receivers(settings), &settings.extra_ca)?,
            resources: Resources::new(Arc::clone(&platform)),
            sending: Arc::default(),
            pruned_at: None,
            platform,
        })
    }

    /// Runs until the platform stops.
    pub(crate) async fn run(mut self) -> Result<()> {
        let platform = Arc::clone(&self.platform);
        loop {
            let passed = platform.stop.run_until_cancelled(self.pass()).await;
            let wait = match passed {
                None => return Ok(()),
                Some(Ok(wait)) => wait,
                Some(Err(error)) => {
                    tracing::warn!(error = format!("{error:#}"), "could not tell webhooks; trying again");
                    PERIOD
                }
            };
            tokio::select! {
                () = platform.wake_webhooks.notified() => {}
                () = sleep(wait) => {}
                () = platform.stop.cancelled() => return Ok(()),
            }
        }
    }

    /// Looks once. Says how long there is nothing to do.
    pub(crate) async fn pass(&mut self) -> Result<Duration> {
        while self.tell().await? {}
        if self.pruned_at.is_none_or(|at| at.elapsed() >= PRUNE_EVERY) {
            let horizon = self.platform.clock.now() - KEPT;
            let mut conn = self.platform.store.connection().await?;
            webhook_delivery::prune(&mut conn, horizon).await?;
            self.pruned_at = Some(Instant::now());
        }
        self.send().await
    }

    /// Tells of the oldest events. Whether there may be more.
    async fn tell(&self) -> Result<bool> {
        let mut conn = self.platform.store.connection().await?;
        let events = webhook_delivery::untold(&mut conn, BATCH).await?;
        drop(conn);
        let is_full = events.len() == BATCH as usize;
        for event in events {
            self.tell_of(&event).await?;
        }
        Ok(is_full)
    }

    async fn tell_of(&self, event: &Untold) -> Result<()> {
        let now = self.platform.clock.now();
        let mut conn = self.platform.store.connection().await?;
        let entity = match WebhookEntity::of(&event.action, &event.resource) {
            Some(entity) if webhook_delivery::is_wanted(&mut conn, event.app, entity).await? => entity,
            _ => return Ok(webhook_delivery::pass_over(&mut conn, event).await?),
        };
        drop(conn);
        let payload = match self.resources.payload(event, entity).await {
            Ok(payload) => serde_json::to_value(payload)?,
            Err(error) if error.is_unavailable() => return Err(anyhow!("{error}")),
            Err(error) => {
                // Those behind it are told all the same.
                tracing::error!(event.sequence, %error, "an event cannot be shown to webhooks");
                let mut conn = self.platform.store.connection().await?;
                return Ok(webhook_delivery::pass_over(&mut conn, event).await?);
            }
        };
        let mut conn = self.platform.store.connection().await?;
        Ok(webhook_delivery::tell(&mut conn, event, entity, &payload, now).await?)
    }

    /// Starts what is due.
    async fn send(&self) -> Result<Duration> {
        let mut conn = self.platform.store.connection().await?;
        let waiting = webhook_delivery::waiting(&mut conn).await?;
        drop(conn);
        let now = self.platform.clock.now();
        let mut wait = PERIOD;
        for (webhook, due_at) in waiting {
            if due_at > now {
                wait = wait.min((due_at - now).to_std().unwrap_or_default());
            } else if self.sending.lock().insert(webhook) {
                let sender = Sender {
                    platform: Arc::clone(&self.platform),
                    connector: self.connector.clone(),
                    webhook,
                    sending: Arc::clone(&self.sending),
                };
                let stop = self.platform.stop.clone();
                self.platform.tracker.spawn(async move {
                    stop.run_until_cancelled(sender.run()).await;
                });
            }
        }
        Ok(wait)
    }
}

impl Sending {
    fn lock(&self) -> MutexGuard<'_, HashSet<Id<Webhook>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
