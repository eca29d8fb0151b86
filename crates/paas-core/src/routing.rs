//! How an app's requests are treated, beyond where they go.

use std::time::Duration;

/// The rules of one app; what is `None` is as on Heroku.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routing {
    /// Plain HTTP is answered with a redirect to HTTPS.
    pub https_redirect: bool,
    /// `Strict-Transport-Security` with this `max-age` on every answer over HTTPS (RFC 6797).
    pub hsts: Option<Duration>,
    /// A client stays with the dyno that answered it first (Dev Center, *Session Affinity*).
    pub session_affinity: bool,
    /// To the first byte of a response, instead of 30 s: H12.
    pub response_timeout: Option<Duration>,
    /// Without a byte in either direction, instead of 55 s: H15, H28.
    pub idle_timeout: Option<Duration>,
    /// For a dyno that boots or wakes, instead of 75 s: H20.
    pub boot_timeout: Option<Duration>,
    /// Shown instead of our own page for an error (config var `ERROR_PAGE_URL`).
    pub error_page: Option<String>,
    /// Shown instead of our own page in maintenance mode (config var `MAINTENANCE_PAGE_URL`).
    pub maintenance_page: Option<String>,
    /// Without a request for this long, the app goes to sleep (Dev Center, *Eco Dyno Sleeping*).
    pub sleep_after: Option<Duration>,
}
