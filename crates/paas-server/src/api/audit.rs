//! What is left behind by whoever changed something: a line of the app's log, and a look of the controller.
//!
//! The event row is written by the store, in the same transaction as the change itself.

use chrono::{DateTime, Utc};
use paas_core::{App, Id, LogSource, ReleaseStatus};
use paas_store::{account::Account, event::Event, release::ReleaseRow};
use serde_json::Value;
use uuid::Uuid;

use super::state::Api;
use crate::control;

impl Api {
    /// To be called after the commit: writes `app[api]: <what> by user <email>` and wakes the controller.
    pub(super) fn announce(&self, app: Id<App>, what: &str, account: &Account) {
        let message = format!("{what} by user {}", account.email);
        self.platform.log(app, LogSource::App, "api", message);
        self.platform.wake.notify_one();
    }

    /// Runs the release phase of a release that has one; it is on its way without one. Before the answer: whoever gets it may
    /// ask for the output at once.
    pub(super) async fn begin_release(&self, release: ReleaseRow) {
        if release.release.status == ReleaseStatus::Pending {
            control::start_release_phase(&self.platform, release).await;
        }
    }
}

/// What somebody did to what is theirs alone: a key, a second factor. The payload stays empty, so that nothing secret gets
/// into it by accident.
pub(super) fn personal(action: &str, resource: &str, id: Option<Uuid>, account: &Account, at: DateTime<Utc>) -> Event {
    Event {
        app: None,
        actor: Some(account.id),
        action: action.to_owned(),
        resource: resource.to_owned(),
        resource_id: id,
        payload: Value::Object(serde_json::Map::new()),
        at,
    }
}
