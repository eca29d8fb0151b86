//! How many requests an account may make: a bucket of 4500 that refills by 75 a minute (Dev Center, *API Rate Limits*).
//!
//! Counted in memory: a restart fills all buckets, which harms nobody.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

const CAPACITY: i64 = 4500;
/// One more request every 800 ms is 75 a minute.
const REFILL_EVERY: TimeDelta = TimeDelta::milliseconds(800);
/// Buckets that are full again are forgotten when there are more than this.
const SWEEP_ABOVE: usize = 1024;

/// The buckets of all accounts.
#[derive(Default)]
pub(super) struct RateLimits(Mutex<HashMap<Uuid, Bucket>>);

/// A bucket is the time at which it will be full again: nothing has to refill it.
struct Bucket {
    full_at: DateTime<Utc>,
}

/// The account has no request left.
pub(super) struct Exhausted {
    pub(super) retry_after_seconds: u32,
}

impl RateLimits {
    /// Takes one request from an account's bucket; says how many are left.
    pub(super) fn take(&self, account: Uuid, now: DateTime<Utc>) -> Result<u32, Exhausted> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() > SWEEP_ABOVE {
            buckets.retain(|_, bucket| bucket.full_at > now);
        }
        let bucket = buckets.entry(account).or_insert(Bucket { full_at: now });
        let full_at = bucket.full_at.max(now) + REFILL_EVERY;
        if remaining(full_at, now) < 0 {
            return Err(Exhausted { retry_after_seconds: 1 });
        }
        bucket.full_at = full_at;
        Ok(count(remaining(full_at, now)))
    }

    /// How many requests are left, free of charge.
    pub(super) fn remaining(&self, account: Uuid, now: DateTime<Utc>) -> u32 {
        let buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = buckets.get(&account).map_or(now, |bucket| bucket.full_at.max(now));
        count(remaining(full_at, now))
    }
}

fn remaining(full_at: DateTime<Utc>, now: DateTime<Utc>) -> i64 {
    let missing = (full_at - now).num_milliseconds();
    let every = REFILL_EVERY.num_milliseconds();
    CAPACITY - (missing + every - 1) / every
}

fn count(remaining: i64) -> u32 {
    u32::try_from(remaining).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_refills() {
        let limits = RateLimits::default();
        let account = Uuid::from_u128(1);
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(limits.take(account, now).ok(), Some(4499));
        for _ in 0..4499 {
            assert!(limits.take(account, now).is_ok());
        }
        assert!(limits.take(account, now).is_err());
        assert_eq!(limits.remaining(account, now), 0);
        assert_eq!(limits.remaining(Uuid::from_u128(2), now), 4500);
        let later = now + TimeDelta::minutes(1);
        assert_eq!(limits.remaining(account, later), 75);
        assert_eq!(limits.take(account, later).ok(), Some(74));
        assert_eq!(limits.remaining(account, now + TimeDelta::hours(2)), 4500);
    }
}
