//! Reports on their way to the feeder: bounded, and never in the way of a request.
//!
//! A report is encoded where it is left, so that a record borrows all of its texts.

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

/// Reports in one frame.
const BATCH: usize = 512;

/// Encoded reports.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) count: usize,
    pub(crate) encoded: Vec<u8>,
}

/// Where reports are left.
pub(crate) struct ReportQueue {
    waiting: Mutex<Waiting>,
    capacity: usize,
    begun: Notify,
    urgent: Notify,
}

#[derive(Default)]
struct Waiting {
    /// The last of them is being filled.
    batches: Vec<Batch>,
    reports: usize,
    /// So many found no place.
    dropped: u64,
    /// When the first of them came.
    since: Option<Instant>,
    is_urgent: bool,
    /// The bytes of the batch that was taken last: so many are likely to come before the next time.
    usual: usize,
}

impl Waiting {
    fn add(&mut self, report: &Report<'_>) {
        if self.batches.last().is_none_or(|batch| batch.count == BATCH) {
            let encoded = Vec::with_capacity(self.usual);
            self.batches.push(Batch { count: 0, encoded });
        }
        let Some(batch) = self.batches.last_mut() else { return };
        match postcard::to_extend(report, std::mem::take(&mut batch.encoded)) {
            Ok(encoded) => {
                batch.encoded = encoded;
                batch.count += 1;
                self.reports += 1;
            }
            // Of shapes like ours none is refused; if one were, its batch is what was lost with it.
            Err(_) => {
                self.dropped += 1 + batch.count as u64;
                self.reports -= batch.count;
                batch.count = 0;
            }
        }
    }
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
    pub(crate) fn push(&self, report: &Report<'_>) {
        let mut waiting = self.lock();
        let is_first = waiting.since.is_none();
        if is_first {
            waiting.since = Some(Instant::now());
        }
        let reports = waiting.reports;
        // Somebody waits for everything but records; and half a queue does not wait for the rest of it.
        let is_urgent = !matches!(report, Report::Access(_)) || reports >= self.capacity / 2;
        let is_news = is_urgent && !waiting.is_urgent;
        waiting.is_urgent |= is_urgent;
        if reports < self.capacity {
            waiting.add(report);
        } else {
            waiting.dropped += 1;
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
    pub(crate) fn take(&self) -> Vec<Batch> {
        let mut now = self.lock();
        let usual = now.batches.last().map_or(0, |batch| batch.encoded.len());
        let next = Waiting {
            usual,
            ..Waiting::default()
        };
        let mut waiting = std::mem::replace(&mut *now, next);
        drop(now);
        if waiting.dropped > 0 {
            let count = waiting.dropped;
            waiting.add(&Report::Dropped { count });
        }
        waiting.batches
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

    fn idle() -> Report<'static> {
        Report::Idle { app: Uuid::nil() }
    }

    fn decoded(batches: &[Batch]) -> Vec<Report<'static>> {
        let mut reports = Vec::new();
        for batch in batches {
            let mut rest = batch.encoded.as_slice();
            for _ in 0..batch.count {
                let (report, after) = postcard::take_from_bytes(rest).unwrap();
                reports.push(report);
                rest = after;
            }
            assert!(rest.is_empty());
        }
        reports
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
                () = async { queue.push(&idle()) } => {}
            }
        }
        timeout(PAUSE * 100, queue.ripe()).await.expect("a report waits");
        assert_eq!(decoded(&queue.take()).len(), 1);
        assert!(timeout(PAUSE * 9, queue.ripe()).await.is_err());
    }

    #[test]
    fn what_finds_no_place_is_counted() {
        let queue = ReportQueue::new(3);
        for _ in 0..10 {
            queue.push(&idle());
        }
        let reports = decoded(&queue.take());
        assert!(matches!(reports.as_slice(), [_, _, _, Report::Dropped { count: 7 }]));
        assert!(queue.take().is_empty());
    }

    #[test]
    fn many_go_in_several_frames() {
        let queue = ReportQueue::new(2 * BATCH);
        for _ in 0..=BATCH {
            queue.push(&idle());
        }
        let batches = queue.take();
        assert_eq!(batches.iter().map(|batch| batch.count).collect::<Vec<_>>(), [BATCH, 1]);
        assert_eq!(decoded(&batches).len(), BATCH + 1);
    }
}
