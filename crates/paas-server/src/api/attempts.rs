//! Failed logins: after a few, each further one has to wait, longer every time.
//!
//! Counted per account and per address, in memory. Nobody is locked out for more than a minute, so that a stranger
//! who knows an email address cannot keep its owner away.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};

/// This many failures cost nothing: people mistype.
const FREE_FAILURES: u32 = 5;
const LONGEST_WAIT: TimeDelta = TimeDelta::seconds(60);
/// Failures older than this are forgotten.
const FORGET_AFTER: TimeDelta = TimeDelta::minutes(15);
const SWEEP_ABOVE: usize = 1024;
/// Strangers choose the keys, so there is an end to them.
const MAXIMUM_KEYS: usize = 16 * 1024;

#[derive(Default)]
pub(super) struct Attempts(Mutex<HashMap<String, Failures>>);

struct Failures {
    count: u32,
    last: DateTime<Utc>,
}

impl Attempts {
    /// How long anybody who is one of `keys` has to wait; `None` when they may try.
    pub(super) fn wait(&self, keys: &[String], now: DateTime<Utc>) -> Option<TimeDelta> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.iter()
            .filter_map(|key| failures.get(key))
            .filter_map(|failures| {
                let wait = failures.last + failures.wait() - now;
                (wait > TimeDelta::zero()).then_some(wait)
            })
            .max()
    }

    pub(super) fn failed(&self, keys: &[String], now: DateTime<Utc>) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() > SWEEP_ABOVE {
            failures.retain(|_, failures| failures.last + FORGET_AFTER > now);
        }
        for key in keys {
            if failures.len() >= MAXIMUM_KEYS && !failures.contains_key(key) {
                continue;
            }
            let entry = failures.entry(key.clone()).or_insert(Failures { count: 0, last: now });
            if entry.last + FORGET_AFTER <= now {
                entry.count = 0;
            }
            entry.count = entry.count.saturating_add(1);
            entry.last = now;
        }
    }

    pub(super) fn succeeded(&self, keys: &[String]) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            failures.remove(key);
        }
    }
}

impl Failures {
    fn wait(&self) -> TimeDelta {
        match self.count.checked_sub(FREE_FAILURES) {
            None => TimeDelta::zero(),
            Some(more) => TimeDelta::seconds(1 << more.min(6)).min(LONGEST_WAIT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_begins_after_five_failures_and_ends_with_a_success() {
        let attempts = Attempts::default();
        let keys = ["ada@example.com".to_owned()];
        let now = DateTime::UNIX_EPOCH;
        let mut waits = Vec::new();
        for _ in 0..12 {
            attempts.failed(&keys, now);
            waits.push(attempts.wait(&keys, now).map_or(0, |wait| wait.num_seconds()));
        }
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(attempts.wait(&keys, now + TimeDelta::seconds(60)), None);
        assert_eq!(attempts.wait(&["other".to_owned()], now), None);
        attempts.succeeded(&keys);
        assert_eq!(attempts.wait(&keys, now), None);
    }

    #[test]
    fn old_failures_are_forgotten() {
        let attempts = Attempts::default();
        let keys = ["10.0.0.1".to_owned()];
        let now = DateTime::UNIX_EPOCH;
        for _ in 0..9 {
            attempts.failed(&keys, now);
        }
        let later = now + TimeDelta::minutes(20);
        attempts.failed(&keys, later);
        assert_eq!(attempts.wait(&keys, later), None);
    }
}
