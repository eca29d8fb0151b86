//! What the handlers share: the platform, and counters that a restart may forget.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use paas_store::{Connection, Stamp, Store, account::Account};
use tokio::sync::Notify;

use super::{attempts::Attempts, capability::Capabilities, error::ApiError, rate_limit::RateLimits};
use crate::platform::Platform;

pub(super) struct Api {
    pub(super) platform: Arc<Platform>,
    /// Of passwords.
    pub(super) attempts: Attempts,
    /// Of codes that go with passwords.
    pub(super) codes: Attempts,
    /// Tells the commands that wait for a login in a browser to look again.
    pub(super) logins: Notify,
    pub(super) rate_limits: RateLimits,
    pub(super) capabilities: Capabilities,
}

impl Api {
    pub(super) fn new(platform: Arc<Platform>) -> Self {
        Self {
            capabilities: Capabilities::new(platform.store.sealer.derive_key("api capability")),
            platform,
            attempts: Attempts::default(),
            codes: Attempts::of_codes(),
            logins: Notify::new(),
            rate_limits: RateLimits::default(),
        }
    }

    pub(super) fn store(&self) -> &Store {
        &self.platform.store
    }

    pub(super) async fn connection(&self) -> Result<Connection, ApiError> {
        Ok(self.platform.store.connection().await?)
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.platform.clock.now()
    }

    pub(super) fn stamp(&self, account: &Account) -> Stamp {
        Stamp {
            by: account.id,
            at: self.now(),
        }
    }
}
