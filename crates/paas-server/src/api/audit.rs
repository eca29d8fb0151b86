//! What is left behind by whoever changed something: a line of the app's log, and a look of the controller.
//!
//! The event row is written by the store, in the same transaction as the change itself.

use paas_core::{App, Id, LogSource, ReleaseStatus};
use paas_store::{account::Account, release::ReleaseRow};

use super::state::Api;
use crate::control;

impl Api {
    /// To be called after the commit: writes `app[api]: <what> by user <email>` and wakes the controller.
    pub(super) fn announce(&self, app: Id<App>, what: &str, account: &Account) {
        let message = format!("{what} by user {}", account.email);
        self.platform.log(app, LogSource::App, "api", message);
        self.platform.wake.notify_one();
    }

    /// Runs the release phase of a release that has one; it is on its way without one.
    pub(super) fn begin_release(&self, release: ReleaseRow) {
        if release.release.status == ReleaseStatus::Pending {
            control::start_release_phase(&self.platform, release);
        }
    }
}
