//! Connections to certificate authorities, with our accounts.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use paas_core::{Authority as Part, Fault, Ledger};
use paas_router::acme::{Account, AcmeError, Authority, Directory, ProblemKind};
use paas_store as store;
use tokio::sync::Mutex;

use crate::platform::Platform;

/// What was connected to, by its part. One at a time: two would register two accounts.
#[derive(Default)]
pub(super) struct ConnectedAuthorities {
    production: Mutex<Option<Arc<Authority>>>,
    staging: Mutex<Option<Arc<Authority>>>,
    fallback: Mutex<Option<Arc<Authority>>>,
}

/// Why an authority could not be asked, or what it said.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error(transparent)]
    Acme(#[from] AcmeError),
    /// Too many accounts were made.
    #[error("{words}")]
    Blocked { words: String, until: DateTime<Utc> },
    #[error("no certificate authority is set up for this any more")]
    NoDirectory,
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

impl ConnectedAuthorities {
    /// The authority that plays this part, with our account: one that is new is stored before it is used.
    pub(super) async fn get(&self, part: Part, platform: &Platform) -> Result<Arc<Authority>, AskError> {
        let mut connected = self.slot(part).lock().await;
        if let Some(authority) = &*connected {
            return Ok(Arc::clone(authority));
        }
        let settings = platform.settings.acme.as_ref();
        let directory = settings.and_then(|settings| settings.directory(part));
        let directory = directory.ok_or(AskError::NoDirectory)?;
        let authority = Arc::new(connect(part, directory, platform).await?);
        *connected = Some(Arc::clone(&authority));
        Ok(authority)
    }

    /// Connects anew next time: the authority may have lost our account.
    pub(super) async fn forget(&self, part: Part) {
        *self.slot(part).lock().await = None;
    }

    fn slot(&self, part: Part) -> &Mutex<Option<Arc<Authority>>> {
        match part {
            Part::Production => &self.production,
            Part::Staging => &self.staging,
            Part::Fallback => &self.fallback,
        }
    }
}

async fn connect(part: Part, directory: &Directory, platform: &Platform) -> Result<Authority, AskError> {
    let (store, now) = (&platform.store, platform.clock.now());
    let mut conn = store.connection().await?;
    let account = store::acme_account::find(&mut conn, &store.sealer, &directory.url).await?;
    if account.is_none() {
        let ledger = Ledger(store::acme_ledger::of_directory(&mut conn, &directory.url, part, now).await?);
        if let Err(blocked) = ledger.allows_account(part, now) {
            return Err(AskError::Blocked {
                words: blocked.to_string(),
                until: blocked.until,
            });
        }
        store::acme_ledger::record_account(&mut conn, &directory.url, now).await?;
    }
    drop(conn);
    let account = account.map(Account::from_bytes);
    let connected = Authority::connect(directory, account.as_ref()).await?;
    if let Some(new) = &connected.new_account {
        let mut conn = store.connection().await?;
        if account.is_some() {
            tracing::warn!(
                directory = directory.url,
                "the authority has lost our account: there is a new one"
            );
            store::acme_ledger::record_account(&mut conn, &directory.url, now).await?;
        }
        store::acme_account::keep(&mut conn, &store.sealer, &directory.url, new.as_bytes(), now).await?;
    }
    Ok(connected.authority)
}

impl AskError {
    /// Whose fault it is, for the state machine. `None`: ours, and nothing to tell anybody outside.
    pub(super) fn fault(&self, now: DateTime<Utc>) -> Option<Fault> {
        let fault = match self {
            Self::Store(_) => return None,
            Self::Blocked { until, .. } => Fault::Authority { retry_at: Some(*until) },
            Self::NoDirectory | Self::Acme(AcmeError::NotReady) => Fault::Lost,
            Self::Acme(AcmeError::Refused(problem)) => {
                of_problem(&problem.kind, problem.retry_after.and_then(|wait| after(now, wait)))
            }
            Self::Acme(AcmeError::NotOffered { .. }) => Fault::Name,
            // Out of reach, talking nonsense, or not set up as it should be: its own affair, and ours, not the name's.
            Self::Acme(_) => Fault::Authority { retry_at: None },
        };
        Some(fault)
    }
}

/// Whose fault a problem is.
pub(super) fn of_problem(kind: &ProblemKind, retry_at: Option<DateTime<Utc>>) -> Fault {
    match kind {
        ProblemKind::AccountUnknown | ProblemKind::OrderGone => Fault::Lost,
        kind if kind.is_authoritys_fault() => Fault::Authority { retry_at },
        _ => Fault::Name,
    }
}

/// An authority may say anything: a date that does not exist is none.
fn after(now: DateTime<Utc>, wait: Duration) -> Option<DateTime<Utc>> {
    now.checked_add_signed(TimeDelta::from_std(wait).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_may_want_to_rest_for_ever() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let after = |seconds| after(now, Duration::from_secs(seconds));
        assert_eq!(after(60), Some(now + TimeDelta::minutes(1)));
        assert_eq!([after(9_000_000_000_000), after(u64::MAX)], [None, None]);
    }
}
