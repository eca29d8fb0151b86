//! Reports on their way to the feeder: bounded, and never in the way of a request.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::feed::Report;

/// Where reports are left.
pub(crate) struct ReportQueue {
    queue: mpsc::Sender<Report>,
    dropped: AtomicU64,
}

impl ReportQueue {
    pub(crate) fn new(capacity: usize) -> (Self, mpsc::Receiver<Report>) {
        let (queue, reports) = mpsc::channel(capacity.max(1));
        let dropped = AtomicU64::new(0);
        (Self { queue, dropped }, reports)
    }

    /// Leaves a report, or counts it when there is no place.
    pub(crate) fn push(&self, report: Report) {
        if self.queue.try_send(report).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were dropped since the last time somebody asked.
    pub(crate) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}
