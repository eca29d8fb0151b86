//! Failed logins: after a few, each further one has to wait, longer every time.
//!
//! Counted per account and per address, in memory. Nobody who only mistypes a password is locked out for more than a
//! minute, so that a stranger who knows an email address cannot keep its owner away. Codes of six digits are guessed more
//! easily, and asked for after the password: there the wait grows longer.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};

/// This many failures cost nothing: people mistype.
const FREE_FAILURES: u32 = 5;
/// For passwords.
const LONGEST_WAIT: TimeDelta = TimeDelta::seconds(60);
/// For codes: three of a million are right, so at one guess in this time somebody is at it for years.
const LONGEST_WAIT_OF_CODES: TimeDelta = TimeDelta::minutes(15);
/// Failures older than this are forgotten; longer than any wait.
const FORGET_AFTER: TimeDelta = TimeDelta::minutes(30);
const SWEEP_ABOVE: usize = 1024;
/// Strangers choose the keys, so there is an end to them.
const MAXIMUM_KEYS: usize = 16 * 1024;

pub(super) struct Attempts {
    failures: Mutex<HashMap<String, Failures>>,
    longest_wait: TimeDelta,
}

struct Failures {
    count: u32,
    last: DateTime<Utc>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            failures: Mutex::default(),
            longest_wait: LONGEST_WAIT,
        }
    }
}

impl Attempts {
    pub(super) fn of_codes() -> Self {
        Self {
            longest_wait: LONGEST_WAIT_OF_CODES,
            ..Self::default()
        }
    }

    /// How long anybody who is one of `keys` has to wait; `None` when they may try.
    pub(super) fn wait(&self, keys: &[String], now: DateTime<Utc>) -> Option<TimeDelta> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        self.longest(&failures, keys, now)
    }

    /// Counts an attempt as a failure before it is made, unless it has to wait: then says how long. A success takes it back.
    pub(super) fn claim(&self, keys: &[String], now: DateTime<Utc>) -> Option<TimeDelta> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self.longest(&failures, keys, now);
        if wait.is_none() {
            count(&mut failures, keys, now);
        }
        wait
    }

    pub(super) fn failed(&self, keys: &[String], now: DateTime<Utc>) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        count(&mut failures, keys, now);
    }

    pub(super) fn succeeded(&self, keys: &[String]) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            failures.remove(key);
        }
    }

    fn longest(&self, failures: &HashMap<String, Failures>, keys: &[String], now: DateTime<Utc>) -> Option<TimeDelta> {
        keys.iter()
            .filter_map(|key| failures.get(key))
            .filter_map(|failures| {
                let wait = failures.last + failures.wait(self.longest_wait) - now;
                (wait > TimeDelta::zero()).then_some(wait)
            })
            .max()
    }
}

impl Failures {
    fn wait(&self, longest: TimeDelta) -> TimeDelta {
        match self.count.checked_sub(FREE_FAILURES) {
            None => TimeDelta::zero(),
            Some(more) => TimeDelta::seconds(1 << more.min(16)).min(longest),
        }
    }
}

fn count(failures: &mut HashMap<String, Failures>, keys: &[String], now: DateTime<Utc>) {
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
    fn of_a_volley_of_codes_only_the_first_few_are_looked_at() {
        let attempts = Attempts::of_codes();
        let keys = ["account".to_owned()];
        let now = DateTime::UNIX_EPOCH;
        let looked_at = (0..100).filter(|_| attempts.claim(&keys, now).is_none()).count();
        assert_eq!(looked_at, 5);
        let mut at = now;
        let mut looked_at = 0;
        for _ in 0..24 * 60 * 60 {
            at += TimeDelta::seconds(1);
            looked_at += usize::from(attempts.claim(&keys, at).is_none());
        }
        assert!(looked_at < 110, "{looked_at} guesses in a day");
    }

    #[test]
    fn old_failures_are_forgotten() {
        let attempts = Attempts::default();
        let keys = ["10.0.0.1".to_owned()];
        let now = DateTime::UNIX_EPOCH;
        for _ in 0..9 {
            attempts.failed(&keys, now);
        }
        let later = now + TimeDelta::minutes(40);
        attempts.failed(&keys, later);
        assert_eq!(attempts.wait(&keys, later), None);
    }
}
