//! A dyno in the table: what is in flight to it, and whether it still may get more.
//!
//! ```text
//! request:  in_flight += 1 ─▶ is it retired?  yes: in_flight -= 1, look at the new table
//! swap:     new table ─▶ retired = true ─▶ is in_flight 0?  yes: drained
//! ```
//!
//! Both sides write before they read, sequentially consistent: either the request sees that the backend is retired, or the
//! swap sees the request. So after "drained" nothing is sent to the dyno.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{affinity::Mark, feed::BackendEntry, pool::Pool};

/// One dyno with one container at one address; with any of them changed, it is another backend.
pub(crate) struct Backend {
    pub(crate) dyno: Uuid,
    pub(crate) name: String,
    pub(crate) container: String,
    pub(crate) address: SocketAddr,
    pub(crate) mark: Mark,
    pub(crate) pool: Pool,
    in_flight: AtomicUsize,
    tunnels: AtomicUsize,
    is_retired: AtomicBool,
    left: CancellationToken,
    emptied: Notify,
    quarantined_until: Mutex<Option<Instant>>,
    cut: CancellationToken,
}

/// A request or a tunnel that a backend has to finish.
pub(crate) struct InFlight {
    backend: Arc<Backend>,
    is_tunnel: bool,
}

impl Backend {
    pub(crate) fn new(entry: BackendEntry) -> Arc<Self> {
        Arc::new(Self {
            dyno: entry.dyno,
            name: entry.name,
            container: entry.container,
            address: entry.address,
            mark: Mark::of(entry.dyno),
            pool: Pool::default(),
            in_flight: AtomicUsize::new(0),
            tunnels: AtomicUsize::new(0),
            is_retired: AtomicBool::new(false),
            left: CancellationToken::new(),
            emptied: Notify::new(),
            quarantined_until: Mutex::new(None),
            cut: CancellationToken::new(),
        })
    }

    pub(crate) fn is(&self, entry: &BackendEntry) -> bool {
        let BackendEntry {
            dyno,
            name,
            container,
            address,
        } = entry;
        self.dyno == *dyno && self.name == *name && self.container == *container && self.address == *address
    }

    /// A place for one request; `None` when the backend has left the table.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<InFlight> {
        self.in_flight.fetch_add(1, SeqCst);
        let entered = InFlight {
            backend: self.clone(),
            is_tunnel: false,
        };
        (!self.is_retired()).then_some(entered)
    }

    /// From here on nothing new is sent; unused connections are closed now.
    pub(crate) fn retire(&self) {
        self.is_retired.store(true, SeqCst);
        self.left.cancel();
        self.pool.close();
    }

    /// Resolves when the backend leaves the table.
    pub(crate) async fn left(&self) {
        self.left.cancelled().await;
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.is_retired.load(SeqCst)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(SeqCst)
    }

    /// What is in flight and is not a tunnel.
    pub(crate) fn requests(&self) -> usize {
        self.in_flight().saturating_sub(self.tunnels.load(SeqCst))
    }

    /// Waits until nothing is in flight. Says something lasting only of a retired backend.
    pub(crate) async fn emptied(&self) {
        self.until(|| self.in_flight() == 0).await;
    }

    /// Closes the tunnels, and waits until they are gone.
    pub(crate) async fn cut_tunnels(&self) {
        self.cut.cancel();
        self.until(|| self.tunnels.load(SeqCst) == 0).await;
    }

    /// Resolves when tunnels have to end.
    pub(crate) async fn cut(&self) {
        self.cut.cancelled().await;
    }

    pub(crate) fn is_quarantined(&self, now: Instant) -> bool {
        let until = *self.quarantined_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| now < until)
    }

    pub(crate) fn quarantine(&self, now: Instant, period: Duration) {
        *self.quarantined_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(now + period);
    }

    pub(crate) fn acquit(&self) {
        *self.quarantined_until.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn until(&self, condition: impl Fn() -> bool) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            if condition() {
                return;
            }
            emptied.await;
        }
    }
}

impl InFlight {
    pub(crate) fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    #[must_use]
    pub(crate) fn into_tunnel(mut self) -> Self {
        self.is_tunnel = true;
        self.backend.tunnels.fetch_add(1, SeqCst);
        self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.is_tunnel {
            self.backend.tunnels.fetch_sub(1, SeqCst);
        }
        self.backend.in_flight.fetch_sub(1, SeqCst);
        if self.backend.is_retired() {
            self.backend.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Barrier, thread};

    use super::*;

    fn backend() -> Arc<Backend> {
        Backend::new(BackendEntry {
            dyno: Uuid::nil(),
            name: "web.1".to_owned(),
            container: String::new(),
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
        })
    }

    #[test]
    fn nobody_enters_a_backend_that_was_seen_retired_and_empty() {
        for _ in 0..2000 {
            let (backend, is_drained) = (backend(), AtomicBool::new(false));
            let start = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    start.wait();
                    while let Some(entered) = backend.enter() {
                        assert!(!is_drained.load(SeqCst), "a request after the drain");
                        drop(entered);
                    }
                });
                start.wait();
                backend.retire();
                while backend.in_flight() > 0 {
                    thread::yield_now();
                }
                is_drained.store(true, SeqCst);
            });
        }
    }

    #[tokio::test]
    async fn a_tunnel_counts_until_it_is_cut() {
        let backend = backend();
        let (request, tunnel) = (backend.enter().unwrap(), backend.enter().unwrap().into_tunnel());
        assert_eq!((backend.in_flight(), backend.requests()), (2, 1));
        backend.retire();
        assert!(backend.enter().is_none());
        tokio::join!(backend.cut_tunnels(), async {
            backend.cut().await;
            drop(tunnel);
        });
        assert_eq!((backend.in_flight(), backend.requests()), (1, 1));
        tokio::join!(backend.emptied(), async { drop(request) });
    }
}
