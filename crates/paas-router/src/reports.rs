//! Reports on their way to the feeder: bounded, and never in the way of a request.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::feed::Report;

/// How long an access record waits for more to go with it: a write to the feeder, and waking it, costs as much as half a
/// request, and a log line that is this late is late for nobody.
const PAUSE: Duration = Duration::from_millis(20);

/// Where reports are left.
pub(crate) struct ReportQueue {
    waiting: Mutex<Waiting>,
    capacity: usize,
    begun: Notify,
    urgent: Notify,
}

#[derive(Default)]
struct Waiting {
    reports: Vec<Report>,
    /// So many found no place.
    dropped: u64,
    /// When the first of them came.
    since: Option<Instant>,
    is_urgent: bool,
    /// How many were taken last: so many are likely to come before the next time.
    usual: usize,
}

impl ReportQueue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            capacity: capacity.max(1),
            begun: Notify::new(),
            urgent: Notify::new(),
        }
    }

    /// Leaves a report, or counts it when there is no place.
    pub(crate) fn push(&self, report: Report) {
        let mut waiting = self.lock();
        let is_first = waiting.since.is_none();
        if is_first {
            waiting.since = Some(Instant::now());
            let usual = waiting.usual;
            waiting.reports.reserve(usual);
        }
        let is_full = waiting.reports.len() >= self.capacity;
        if is_full {
            waiting.dropped += 1;
        }
        // Somebody waits for everything but records; and half a queue does not wait for the rest of it.
        let is_urgent = !matches!(report, Report::Access(_)) || waiting.reports.len() >= self.capacity / 2;
        let is_news = is_urgent && !waiting.is_urgent;
        waiting.is_urgent |= is_urgent;
        if !is_full {
            waiting.reports.push(report);
        }
        drop(waiting);
        if is_first {
            self.begun.notify_one();
        }
        if is_news {
            self.urgent.notify_one();
        }
    }

    /// Waits until it is time to take what there is. May be given up and called again.
    pub(crate) async fn ripe(&self) {
        loop {
            let (since, is_urgent) = {
                let waiting = self.lock();
                (waiting.since, waiting.is_urgent)
            };
            match since {
                Some(_) if is_urgent => return,
                Some(since) => {
                    tokio::select! {
                        () = sleep_until(since + PAUSE) => return,
                        () = self.urgent.notified() => {}
                    }
                }
                None => self.begun.notified().await,
            }
        }
    }

    /// Takes what there is.
    pub(crate) fn take(&self) -> Vec<Report> {
        let mut now = self.lock();
        let usual = now.reports.len();
        let next = Waiting {
            usual,
            ..Waiting::default()
        };
        let waiting = std::mem::replace(&mut *now, next);
        drop(now);
        let mut reports = waiting.reports;
        if waiting.dropped > 0 {
            let count = waiting.dropped;
            reports.push(Report::Dropped { count });
        }
        reports
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::time::timeout;
    use uuid::Uuid;

    use super::*;

    fn idle() -> Report {
        Report::Idle { app: Uuid::nil() }
    }

    #[tokio::test]
    async fn whoever_gave_up_waiting_still_gets_what_came() {
        let queue = ReportQueue::new(10);
        assert!(timeout(PAUSE * 9, queue.ripe()).await.is_err());
        {
            let mut ripe = pin!(queue.ripe());
            tokio::select! {
                biased;
                () = &mut ripe => panic!("nothing is there"),
                () = async { queue.push(idle()) } => {}
            }
        }
        timeout(PAUSE * 100, queue.ripe()).await.expect("a report waits");
        assert_eq!(queue.take().len(), 1);
        assert!(timeout(PAUSE * 9, queue.ripe()).await.is_err());
    }

    #[test]
    fn what_finds_no_place_is_counted() {
        let queue = ReportQueue::new(3);
        for _ in 0..10 {
            queue.push(idle());
        }
        let reports = queue.take();
        assert!(matches!(reports.as_slice(), [_, _, _, Report::Dropped { count: 7 }]));
        assert!(queue.take().is_empty());
    }
}
