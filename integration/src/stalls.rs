//! When the machine itself stood still, so that a benchmark does not blame a neighbour for it.
//!
//! A virtual machine shares its processors with others whom nobody here sees: its host takes one away for some milliseconds, many
//! times a second, also from a machine that does nothing, and more in one minute than in the next. The slowest in a hundred of any
//! server's answers are then the host's. One thread for each processor, which nothing but the kernel comes before, sleeps for a
//! millisecond at a time and writes down when it woke late.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::priority::{self, Priority};

/// Before whatever else is real-time here.
const PRIORITY: Priority = 50;
/// How long a watcher sleeps.
const TURN: Duration = Duration::from_millis(1);
/// Who wakes later than by this was kept from its processor: a real-time thread wakes within 0.1 ms.
const LATE: Duration = Duration::from_micros(500);

/// A watch over all processors. Dropping it ends it.
pub struct Stalls {
    stop: Arc<AtomicBool>,
    /// One list for each processor, in the order of time.
    found: Vec<Arc<Mutex<Vec<Range<Instant>>>>>,
    watchers: Vec<JoinHandle<()>>,
}

impl Stalls {
    /// Begins to watch.
    #[track_caller]
    pub fn watch() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let processors = thread::available_parallelism()
            .expect("the number of processors is known")
            .get();
        let found: Vec<_> = (0..processors).map(|_| Arc::<Mutex<Vec<_>>>::default()).collect();
        let watchers = found.iter().enumerate().map(|(processor, found)| {
            let (stop, found) = (Arc::clone(&stop), Arc::clone(found));
            thread::spawn(move || {
                priority::stay_on(processor);
                priority::become_first(PRIORITY);
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    thread::sleep(TURN);
                    if begun.elapsed() >= TURN + LATE {
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        found.push(begun..Instant::now());
                    }
                }
            })
        });
        let watchers = watchers.collect();
        Self { stop, found, watchers }
    }

    /// Whether a processor stood still at some moment of a span.
    pub fn touch(&self, span: &Range<Instant>) -> bool {
        self.found.iter().any(|found| {
            let found = found.lock().unwrap_or_else(PoisonError::into_inner);
            let first = found.partition_point(|stall| stall.end <= span.start);
            found.get(first).is_some_and(|stall| stall.start < span.end)
        })
    }

    /// For which part of a span the processors stood still, on average.
    #[expect(clippy::cast_precision_loss, reason = "no machine has 2⁵² processors")]
    pub fn share(&self, span: &Range<Instant>) -> f64 {
        let still = self.found.iter().map(|found| {
            let found = found.lock().unwrap_or_else(PoisonError::into_inner);
            let of_span = found.iter().map(|stall| {
                let (start, end) = (stall.start.max(span.start), stall.end.min(span.end));
                end.saturating_duration_since(start)
            });
            of_span.sum::<Duration>().as_secs_f64()
        });
        still.sum::<f64>() / (span.end - span.start).as_secs_f64() / self.found.len() as f64
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for watcher in self.watchers.drain(..) {
            let joined = watcher.join();
            assert!(
                joined.is_ok() || thread::panicking(),
                "a watcher of a processor panicked"
            );
        }
    }
}
