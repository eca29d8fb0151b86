//! The wall clock, as an argument: the one place that may ask what time it is.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Tells the time; a test sets it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    fixed: Option<Arc<Mutex<DateTime<Utc>>>>,
}

impl Clock {
    /// The machine's own clock.
    pub(crate) const fn system() -> Self {
        Self { fixed: None }
    }

    /// A clock that stands still until it is advanced.
    #[cfg_attr(not(test), expect(dead_code, reason = "a controlled clock is for tests"))]
    pub(crate) fn fixed(now: DateTime<Utc>) -> Self {
        Self {
            fixed: Some(Arc::new(Mutex::new(now))),
        }
    }

    #[cfg_attr(not(test), expect(dead_code, reason = "a controlled clock is for tests"))]
    pub(crate) fn advance(&self, by: TimeDelta) {
        if let Some(fixed) = &self.fixed {
            *fixed.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }

    /// Now, in the microseconds that Postgres keeps, so that a stored time equals the one in hand.
    #[expect(clippy::disallowed_methods, reason = "everything else takes its time from here")]
    pub(crate) fn now(&self) -> DateTime<Utc> {
        match &self.fixed {
            Some(fixed) => *fixed.lock().unwrap_or_else(PoisonError::into_inner),
            None => Utc::now().trunc_subsecs(6),
        }
    }
}
