//! A load generator: requests at a constant rate while a story does something, each of them judged.
//!
//! The schedule is fixed when the load starts, and does not wait for answers: a request that is late because the one
//! before it was slow counts as sent, so that a pause of the platform shows as failures or slow answers and never as a
//! lower rate. Nothing is ever sent twice: a kept connection that is closed under a request is a failed request, because the
//! router has no reason to close one (RFC 9112 §9.5 would let a client hide that).

use std::{
    fmt,
    io::{self, Write as _},
    net::SocketAddr,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    Stalls,
    load_connection::Connection,
    priority::{self, Priority},
};

/// What a story asks for per second; a little more than the 200 that it promises, so that rounding does not matter.
const RATE: u32 = 220;
/// The least that the platform must have been asked per second.
const PROMISED_RATE: f64 = 200.0;
/// Requests that may wait for an answer at the same time.
const WORKERS: u64 = 48;
/// Every so many requests of a worker goes on a connection of its own, the others on a kept one.
const NEW_CONNECTION_EVERY: u64 = 4;
/// Of visitors who are not of this machine.
const ELSEWHERE: Priority = 10;
/// How many failures are written out when there are many.
const SHOWN_FAILURES: usize = 12;

/// Where requests go, and what counts as an answer: status and body, or the reason why not.
#[derive(Clone)]
pub struct Target {
    host: String,
    judge: Arc<Judge>,
}

type Judge = dyn Fn(u16, &str) -> Result<(), String> + Send + Sync;

/// Requests under way. Dropping it ends them.
pub struct Load {
    started: Instant,
    stop: Arc<AtomicBool>,
    tallies: Vec<Arc<Mutex<Tally>>>,
    workers: Vec<JoinHandle<()>>,
}

/// What came of a load.
#[derive(Clone)]
pub struct Traffic {
    pub started: Instant,
    pub requests: u64,
    pub elapsed: Duration,
    /// In the order in which they were noticed.
    pub failures: Vec<Failure>,
    pub slowest: Duration,
    /// When each request was sent, since the start of the load, and how long it took: the quickest first.
    latencies: Vec<(Duration, Duration)>,
}

/// A request that did not get the answer that it should have got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Since the start of the load.
    pub sent: Duration,
    pub noticed: Duration,
    pub host: String,
    pub reason: String,
}

#[derive(Default)]
struct Tally {
    requests: u64,
    failures: Vec<Failure>,
    latencies: Vec<(Duration, Duration)>,
}

impl Target {
    /// Asks for `/`; only status 200 is an answer, with whatever body.
    pub fn new(host: impl Into<String>) -> Self {
        Self::judged(host, |status, _| match status {
            200 => Ok(()),
            status => Err(format!("status {status}")),
        })
    }

    /// Asks for `/`; `judge` tells what is an answer.
    pub fn judged(
        host: impl Into<String>,
        judge: impl Fn(u16, &str) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            host: host.into(),
            judge: Arc::new(judge),
        }
    }
}

impl Load {
    /// Starts to send requests to a router, to each of the targets in turn.
    pub fn start(router: SocketAddr, targets: &[Target]) -> Self {
        Self::begin(router, targets, None)
    }

    /// The same as from machines of their own: whatever runs here keeps nobody from asking in time, and from seeing an answer when it
    /// comes.
    pub fn from_elsewhere(router: SocketAddr, targets: &[Target]) -> Self {
        Self::begin(router, targets, Some(ELSEWHERE))
    }

    fn begin(router: SocketAddr, targets: &[Target], priority: Option<Priority>) -> Self {
        let started = Instant::now();
        let stop = Arc::new(AtomicBool::new(false));
        let next = Arc::new(AtomicU64::new(0));
        let tallies: Vec<Arc<Mutex<Tally>>> = (0..WORKERS).map(|_| Arc::default()).collect();
        let workers = tallies.iter().map(|tally| {
            let worker = Worker {
                router,
                targets: targets.to_vec(),
                started,
                stop: Arc::clone(&stop),
                next: Arc::clone(&next),
                tally: Arc::clone(tally),
            };
            thread::spawn(move || {
                if let Some(priority) = priority {
                    priority::become_first(priority);
                }
                worker.run();
            })
        });
        let workers = workers.collect();
        Self {
            started,
            stop,
            tallies,
            workers,
        }
    }

    /// What has come of it until now.
    pub fn traffic(&self) -> Traffic {
        let mut traffic = Traffic {
            started: self.started,
            requests: 0,
            elapsed: self.started.elapsed(),
            failures: Vec::new(),
            slowest: Duration::ZERO,
            latencies: Vec::new(),
        };
        for tally in &self.tallies {
            let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            traffic.requests += tally.requests;
            traffic.failures.extend(tally.failures.iter().cloned());
            traffic.latencies.extend(&tally.latencies);
        }
        traffic.latencies.sort_by_key(|(_, took)| *took);
        traffic.slowest = traffic.latencies.last().map_or(Duration::ZERO, |(_, took)| *took);
        traffic.failures.sort_by_key(|failure| failure.noticed);
        traffic
    }

    /// Panics, with the name of the step, when a request has failed until now: close to what made it fail.
    #[track_caller]
    pub fn expect_no_failure(&self, step: &str) {
        let traffic = self.traffic();
        assert!(traffic.failures.is_empty(), "requests failed by {step}: {traffic:?}");
    }

    /// Ends the load after the requests under way, and tells what came of it.
    #[track_caller]
    pub fn stop(mut self) -> Traffic {
        let elapsed = self.started.elapsed();
        self.end();
        let traffic = Traffic {
            elapsed,
            ..self.traffic()
        };
        // Nobody may be there to read it.
        let _ = writeln!(io::stderr(), "{traffic:?}");
        traffic
    }

    #[track_caller]
    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for worker in self.workers.drain(..) {
            let joined = worker.join();
            assert!(joined.is_ok() || thread::panicking(), "a worker of the load panicked");
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

impl Traffic {
    /// Requests per second.
    #[expect(clippy::cast_precision_loss, reason = "a test sends far fewer than 2⁵² requests")]
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// What so many of a hundred requests took at most.
    pub fn percentile(&self, percent: usize) -> Duration {
        let took: Vec<_> = self.latencies.iter().map(|(_, took)| *took).collect();
        at_most(&took, percent)
    }

    /// The same, of the requests that were sent within a span and under which the machine itself did not stand still.
    pub fn undisturbed_percentile(&self, percent: usize, stalls: &Stalls, sent_in: &Range<Instant>) -> Duration {
        let undisturbed = self.latencies.iter().filter(|(sent, took)| {
            let sent = self.started + *sent;
            sent_in.contains(&sent) && !stalls.touch(&(sent..sent + *took))
        });
        let took: Vec<_> = undisturbed.map(|(_, took)| *took).collect();
        at_most(&took, percent)
    }

    /// Panics unless every request was answered, at the rate that was promised.
    #[track_caller]
    pub fn expect_all_answered(&self) {
        assert!(self.failures.is_empty(), "requests failed: {self:?}");
        self.expect_rate();
    }

    /// Panics unless the load was as heavy as promised: a platform at rest proves nothing.
    #[track_caller]
    pub fn expect_rate(&self) {
        let rate = self.rate();
        assert!(rate >= PROMISED_RATE, "only {rate:.0} requests per second: {self:?}");
    }

    /// From the first failed request to the end of the last one.
    pub fn gap(&self) -> Duration {
        let first = self.failures.iter().map(|failure| failure.sent).min();
        let last = self.failures.iter().map(|failure| failure.noticed).max();
        first
            .zip(last)
            .map_or(Duration::ZERO, |(first, last)| last.saturating_sub(first))
    }
}

/// The quickest come first.
fn at_most(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

/// As a person wants to read it.
impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failures, rate) = (self.failures.len(), self.rate());
        write!(
            f,
            "{} requests in {:.1?} ({rate:.0} per second), {failures} failed, half took {:.2?}, all but one in a hundred {:.2?}, \
             the slowest {:.2?}",
            self.requests,
            self.elapsed,
            self.percentile(50),
            self.percentile(99),
            self.slowest
        )?;
        for Failure {
            sent,
            noticed,
            host,
            reason,
        } in self.failures.iter().take(SHOWN_FAILURES)
        {
            write!(f, "\n  sent at {sent:.2?}, failed at {noticed:.2?}: {host}: {reason}")?;
        }
        if failures > SHOWN_FAILURES {
            write!(f, "\n  and {} more", failures - SHOWN_FAILURES)?;
        }
        Ok(())
    }
}

struct Worker {
    router: SocketAddr,
    targets: Vec<Target>,
    started: Instant,
    stop: Arc<AtomicBool>,
    /// The number of the next request of all workers.
    next: Arc<AtomicU64>,
    tally: Arc<Mutex<Tally>>,
}

impl Worker {
    fn run(self) {
        let mut kept: Vec<Option<Connection>> = self.targets.iter().map(|_| None).collect();
        for turn in 0_u64.. {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let due = Duration::from_nanos(number * 1_000_000_000 / u64::from(RATE));
            thread::sleep(due.saturating_sub(self.started.elapsed()));
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let index = usize::try_from(number).expect("numbers fit") % self.targets.len();
            let is_alone = turn % NEW_CONNECTION_EVERY == 0;
            let before = kept[index].take().filter(|_| !is_alone);
            kept[index] = self.request(&self.targets[index], before, is_alone);
        }
    }

    /// Sends one request, and gives its connection back if it may be used again.
    fn request(&self, target: &Target, connection: Option<Connection>, is_alone: bool) -> Option<Connection> {
        let sent = self.started.elapsed();
        let answered = match connection {
            Some(connection) => Ok(connection),
            None => Connection::open(self.router),
        };
        let answered = answered.and_then(|mut connection| {
            let answer = connection.get(&target.host, is_alone)?;
            (target.judge)(answer.status, &answer.body)?;
            Ok(connection)
        });
        let noticed = self.started.elapsed();
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.requests += 1;
        tally.latencies.push((sent, noticed.saturating_sub(sent)));
        match answered {
            Ok(connection) => Some(connection).filter(Connection::is_kept),
            Err(reason) => {
                tally.failures.push(Failure {
                    sent,
                    noticed,
                    host: target.host.clone(),
                    reason,
                });
                None
            }
        }
    }
}
