//! Hints that something wanted has changed.

use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::time::{Instant, sleep_until};

use crate::Store;

const FIRST_RETRY: Duration = Duration::from_millis(100);
/// Below the reconciler's own period, so that a database that is back is noticed before that.
const LAST_RETRY: Duration = Duration::from_secs(5);

/// Listens to `NOTIFY wanted`. A wake-up carries no facts: it says *look again*.
pub struct Wakeups {
    store: Store,
    listener: Option<PgListener>,
    /// When to connect, and how long to wait if that fails. Kept here, because `next` is dropped halfway all the time.
    retry_at: Instant,
    pause: Duration,
}

impl Wakeups {
    /// Connects when first asked.
    pub fn new(store: &Store) -> Self {
        Self {
            store: store.clone(),
            listener: None,
            retry_at: Instant::now(),
            pause: FIRST_RETRY,
        }
    }

    /// Waits for the next change. Also returns after each connect, because changes may have been missed. Reconnects with
    /// back-off, never fails; safe to drop halfway (in `select!`).
    pub async fn next(&mut self) {
        loop {
            let Some(listener) = &mut self.listener else {
                sleep_until(self.retry_at).await;
                self.connect().await;
                if self.listener.is_some() {
                    return;
                }
                continue;
            };
            match listener.try_recv().await {
                Ok(Some(_)) => {
                    // One look answers all that has come in so far.
                    while listener.next_buffered().is_some() {}
                    return;
                }
                Ok(None) => self.lose(&"the connection ended"),
                Err(error) => self.lose(&error),
            }
        }
    }

    async fn connect(&mut self) {
        // Counts as a failure until it has succeeded: a connect that is dropped halfway must not be retried at once for ever.
        self.back_off();
        let connect = async {
            let mut listener = PgListener::connect_with(&self.store.pool).await?;
            listener.eager_reconnect(false);
            listener.listen("wanted").await?;
            Ok::<_, sqlx::Error>(listener)
        };
        match connect.await {
            Ok(listener) => {
                self.listener = Some(listener);
                self.pause = FIRST_RETRY;
            }
            Err(error) => tracing::debug!(%error, "cannot listen for changes yet"),
        }
    }

    fn lose(&mut self, why: &dyn std::fmt::Display) {
        tracing::warn!(error = %why, "lost the database connection that tells of changes, connecting again");
        self.listener = None;
        self.pause = FIRST_RETRY;
        self.back_off();
    }

    fn back_off(&mut self) {
        self.retry_at = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LAST_RETRY);
    }
}
