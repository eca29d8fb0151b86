//! When the authority would like a certificate to be renewed (RFC 9773).

use std::time::Duration;

use chrono::{DateTime, Utc};

/// Renew at a random moment in between; at once when it lies in the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalWindow {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
    /// How long this answer is good for: ask again then.
    pub ask_again_after: Duration,
    /// Why the window is what it is, when the authority says so.
    pub explanation_url: Option<String>,
}
