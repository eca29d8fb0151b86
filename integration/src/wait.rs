//! Waiting for a condition, with a deadline.

use std::{
    thread,
    time::{Duration, Instant},
};

const RETRY: Duration = Duration::from_millis(50);

/// Looks until there is an answer; `None` when `limit` has passed.
pub fn within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(RETRY);
    }
}

/// Waits until `condition` holds; `what` says in the failure what did not come.
#[track_caller]
pub fn eventually(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let held = within(limit, || condition().then_some(()));
    assert!(held.is_some(), "not within {limit:?}: {what}");
}
