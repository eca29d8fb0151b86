//! The rules of one app, ready for use.

use std::time::Duration;

use http::HeaderValue;

use crate::{
    code::{Code, Page},
    feed::Policy,
    flow::Patience,
    settings::Limits,
};

/// A [`Policy`], with the router's limits where it says nothing.
pub(crate) struct Rules {
    pub(crate) https_redirect: bool,
    /// `Strict-Transport-Security`, whole.
    pub(crate) hsts: Option<HeaderValue>,
    pub(crate) session_affinity: bool,
    pub(crate) patience: Patience,
    pub(crate) boot: Duration,
    pub(crate) sleep_after: Option<Duration>,
    error_page: Option<String>,
    maintenance_page: Option<String>,
}

impl Rules {
    pub(crate) fn new(policy: Policy, limits: &Limits) -> Self {
        let Policy {
            https_redirect,
            hsts,
            session_affinity,
            response_timeout,
            idle_timeout,
            boot_timeout,
            error_page,
            maintenance_page,
            sleep_after,
        } = policy;
        let max_age = |age: Duration| HeaderValue::try_from(format!("max-age={}", age.as_secs()));
        Self {
            https_redirect,
            hsts: hsts.and_then(|age| max_age(age).ok()),
            session_affinity,
            patience: Patience {
                first_byte: Some(response_timeout.unwrap_or(limits.first_byte)),
                idle: Some(idle_timeout.unwrap_or(limits.idle)),
                floor: Some(limits.floor()),
            },
            boot: boot_timeout.unwrap_or(limits.boot),
            sleep_after,
            error_page,
            maintenance_page,
        }
    }

    /// The page of the app's own that is shown for a code, by its address.
    pub(crate) fn page(&self, code: Code) -> Option<&str> {
        match code.page()? {
            Page::Error => self.error_page.as_deref(),
            Page::Maintenance => self.maintenance_page.as_deref(),
        }
    }
}
