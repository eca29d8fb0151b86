//! What an app's requests are at: how many wait, how many are in flight, and since when there were none.
//!
//! Requests only count; no clock is read for them. Whoever wants to know since when an app is idle looks at the counters
//! from time to time ([`watch`]).

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    code::Code,
    feed::Report,
    shared::Shared,
    table::{App, State},
};

/// How often the feeder is told again that an app is still idle: the word may have been lost, or come at a bad time.
const IDLE_AGAIN: Duration = Duration::from_mins(1);
/// How often it is told again that requests wait for an app that sleeps.
pub(crate) const WAKE_AGAIN: Duration = Duration::from_secs(1);

/// Counters of one app, which outlive the versions of the table.
#[derive(Default)]
pub(crate) struct Activity {
    /// All requests so far.
    requests: AtomicU64,
    /// Requests and tunnels that have not ended.
    in_flight: AtomicUsize,
    /// Requests that have got nothing of a response yet: Heroku's backlog.
    waiting: AtomicUsize,
    /// The head of a response was too large for the usual buffers.
    has_large_heads: AtomicBool,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    requests: u64,
    idle_since: Option<Instant>,
    idle_told: Option<Instant>,
    wake_told: Option<Instant>,
}

/// One request of an app, from its head to its end.
pub(crate) struct Visit {
    pub(crate) app: Arc<App>,
    is_waiting: bool,
}

impl Visit {
    pub(crate) fn begin(app: Arc<App>) -> Self {
        let activity = &app.activity;
        activity.requests.fetch_add(1, Relaxed);
        activity.in_flight.fetch_add(1, Relaxed);
        activity.waiting.fetch_add(1, Relaxed);
        let is_waiting = true;
        Self { app, is_waiting }
    }

    /// Whether more requests wait than the app could ever get through: so many for each of its dynos (H11).
    pub(crate) fn is_too_many(&self, per_dyno: usize) -> bool {
        let dynos = self.app.backends().len().max(1);
        self.app.activity.waiting.load(Relaxed) > per_dyno.saturating_mul(dynos)
    }

    /// A response has begun.
    pub(crate) fn answered(&mut self) {
        if std::mem::take(&mut self.is_waiting) {
            self.app.activity.waiting.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.answered();
        self.app.activity.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Activity {
    pub(crate) fn expect_large_heads(&self) {
        self.has_large_heads.store(true, Relaxed);
    }

    pub(crate) fn has_large_heads(&self) -> bool {
        self.has_large_heads.load(Relaxed)
    }

    /// Whether it is time to say (again) that a request waits for this app, which sleeps.
    pub(crate) fn should_wake(&self, now: Instant) -> bool {
        let mut watched = self.watched();
        let is_due = watched
            .wake_told
            .is_none_or(|told| now.duration_since(told) >= WAKE_AGAIN);
        if is_due {
            watched.wake_told = Some(now);
        }
        is_due
    }

    /// Whether it is time to say (again) that nobody asked for this app for so long.
    fn is_idle(&self, after: Duration, now: Instant) -> bool {
        let mut watched = self.watched();
        let requests = self.requests.load(Relaxed);
        if requests != watched.requests || self.in_flight.load(Relaxed) > 0 {
            watched.requests = requests;
            watched.idle_since = Some(now);
            watched.idle_told = None;
            return false;
        }
        let since = *watched.idle_since.get_or_insert(now);
        let is_due = now.duration_since(since) >= after
            && watched
                .idle_told
                .is_none_or(|told| now.duration_since(told) >= IDLE_AGAIN.min(after));
        if is_due {
            watched.idle_told = Some(now);
        }
        is_due
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells of apps that may sleep and that nobody asks for. A router that just started has seen none of their requests, and
/// counts from there.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let mut ticks = interval(shared.limits.look);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => look(&shared, Instant::now()),
            () = shared.stop.cancelled() => return,
        }
    }
}

fn look(shared: &Shared, now: Instant) {
    for app in shared.tables.current().apps() {
        let Some(after) = app.rules.sleep_after else { continue };
        let is_awake = match app.state {
            State::Asleep | State::Answer(Code::H14 | Code::H81) => false,
            State::Answer(_) | State::Booting | State::Serving(_) => true,
        };
        if is_awake && app.activity.is_idle(after, now) {
            shared.reports.push(&Report::Idle { app: app.id });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn an_app_is_idle_after_its_time_and_every_minute_from_then_on() {
        let activity = Activity::default();
        let start = Instant::now();
        let told = |minutes: u64| activity.is_idle(HOUR, start + Duration::from_mins(minutes));
        assert!(!told(0) && !told(59) && told(60) && !told(60) && told(61));
        // A request came and went between two looks.
        activity.requests.fetch_add(1, Relaxed);
        assert!(!told(62) && !told(121) && told(122));
        // A tunnel is no request, and still somebody.
        activity.in_flight.fetch_add(1, Relaxed);
        assert!(!told(300) && !told(600));
        activity.in_flight.fetch_sub(1, Relaxed);
        assert!(!told(601 + 58) && told(660));
    }

    #[test]
    fn a_sleeping_app_is_called_once_a_second_however_many_wait() {
        let activity = Activity::default();
        let start = Instant::now();
        let calls = |milliseconds| activity.should_wake(start + Duration::from_millis(milliseconds));
        assert!(calls(0) && !calls(0) && !calls(999) && calls(1000) && !calls(1001));
    }
}
