//! Finding a dyno for a request, and a connection to it.
//!
//! Nothing of the request has been sent while this is at work, so every failure may be answered by trying another dyno, or
//! by waiting for a better table.

use std::{io, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use rand::seq::IteratorRandom;
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use uuid::Uuid;

use crate::{
    activity::WAKE_AGAIN,
    affinity::Mark,
    backend::{Backend, InFlight},
    code::Code,
    feed::Report,
    link::Link,
    shared::Shared,
    table::{Host, State, Table},
};

/// How often a request looks again while every dyno refuses: first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// A connection unused for less than this is taken even for a request that must not be sent twice: servers close
/// connections after seconds, so the close cannot be on its way already.
const YOUNG: Duration = Duration::from_millis(500);

/// Which connections a request may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// It can be sent again.
    Any,
    Young,
    /// An old one just failed.
    Never,
}

/// A dyno that listens.
pub(crate) struct Connected {
    pub(crate) link: Link,
    pub(crate) in_flight: InFlight,
    pub(crate) is_reused: bool,
    pub(crate) elapsed: Duration,
}

/// Why a request found no dyno.
pub(crate) enum NoDyno {
    Code(Code),
    /// The hostname left the table meanwhile, or its app.
    Gone,
}

/// Whose dyno is searched for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Aim {
    /// `None` for hosts of the platform. A hostname may go to another app while a request waits: it was not for that one.
    pub(crate) app: Option<Uuid>,
    /// The dyno that is asked first, if it takes requests.
    pub(crate) preferred: Option<Mark>,
    /// It has to be reached by HTTP/2.
    pub(crate) is_grpc: bool,
    /// It has to be reached by a connection that takes the largest heads.
    pub(crate) is_roomy: bool,
}

/// One request's search.
pub(crate) struct Search<'a> {
    shared: &'a Arc<Shared>,
    hostname: &'a str,
    started: Instant,
    table: Arc<Table>,
    aim: Aim,
    changes: Option<watch::Receiver<Arc<Table>>>,
    tried: Vec<Arc<Backend>>,
    /// How the last dyno failed.
    failure: Code,
    /// When every dyno had failed for the first time.
    failing_since: Option<Instant>,
    pause: Duration,
}

/// What is to be done next.
enum Move {
    Try(Arc<Backend>),
    /// Until the table changes or the time comes.
    Wait(Instant),
}

impl Move {
    fn at_most(self, until: Instant) -> Self {
        match self {
            Self::Wait(deadline) => Self::Wait(deadline.min(until)),
            Self::Try(_) => self,
        }
    }
}

impl<'a> Search<'a> {
    pub(crate) fn new(shared: &'a Arc<Shared>, hostname: &'a str, table: Arc<Table>, aim: Aim) -> Self {
        Self {
            shared,
            hostname,
            started: Instant::now(),
            table,
            aim,
            changes: None,
            tried: Vec::new(),
            failure: Code::H21,
            failing_since: None,
            pause: FIRST_PAUSE,
        }
    }

    pub(crate) async fn connect(&mut self, reuse: Reuse) -> Result<Connected, NoDyno> {
        loop {
            let now = Instant::now();
            match self.next_move(now)? {
                Move::Wait(until) => self.wait(until).await,
                Move::Try(backend) => {
                    let Some(in_flight) = backend.enter() else {
                        self.table = self.shared.tables.current();
                        continue;
                    };
                    match self.try_backend(in_flight, reuse, now).await? {
                        // While it connected, the dyno may have died and its address may have been given away: what
                        // was opened since then may lead to anybody.
                        Some(connected) if !connected.is_reused && backend.is_retired() => {
                            self.table = self.shared.tables.current();
                        }
                        Some(connected) => return Ok(connected),
                        None if backend.is_retired() => self.table = self.shared.tables.current(),
                        None => self.tried.push(backend),
                    }
                }
            }
        }
    }

    /// Remembers that the app's heads are larger than usual. `false` when that was known, and no help.
    pub(crate) fn make_room(&mut self) -> bool {
        if let Some(Host::App(app)) = self.table.host(self.hostname)
            && self.aim.app == Some(app.id)
        {
            app.activity.expect_large_heads();
            return !std::mem::replace(&mut self.aim.is_roomy, true);
        }
        false
    }

    fn next_move(&mut self, now: Instant) -> Result<Move, NoDyno> {
        let table = self.table.clone();
        let limits = &self.shared.limits;
        let backends = match table.host(self.hostname).ok_or(NoDyno::Gone)? {
            Host::Platform(backend) => std::slice::from_ref(backend),
            Host::App(app) if self.aim.app != Some(app.id) => return Err(NoDyno::Gone),
            Host::App(app) => match &app.state {
                State::Answer(code) => return Err(NoDyno::Code(*code)),
                State::Booting => return self.wait_at_most(self.started + app.rules.boot, Code::H20, now),
                State::Asleep => {
                    if app.activity.should_wake(now) {
                        self.shared.reports.push(&Report::Wake { app: app.id });
                    }
                    let booting = self.wait_at_most(self.started + app.rules.boot, Code::H20, now);
                    // Whoever was told may not have heard it.
                    return booting.map(|next| next.at_most(now + WAKE_AGAIN));
                }
                State::Serving(backends) => backends,
            },
        };
        // Once all have refused, quarantine means nothing: there is nobody else.
        let may_try = |backend: &&Arc<Backend>| {
            !self.tried.iter().any(|tried| Arc::ptr_eq(tried, backend))
                && (self.failing_since.is_some() || !backend.is_quarantined(now))
        };
        let choice = if self.tried.len() < limits.tries {
            choose(backends, self.aim.preferred, may_try)
        } else {
            None
        };
        if let Some(backend) = choice {
            return Ok(Move::Try(backend.clone()));
        }
        if self.tried.is_empty() {
            return self.wait_at_most(self.started + limits.boot, Code::H99, now);
        }
        self.tried.clear();
        let since = *self.failing_since.get_or_insert(now);
        self.wait_at_most(since + limits.swap, self.failure, now)
    }

    fn wait_at_most(&mut self, deadline: Instant, code: Code, now: Instant) -> Result<Move, NoDyno> {
        if now >= deadline {
            return Err(NoDyno::Code(code));
        }
        if code == Code::H20 {
            return Ok(Move::Wait(deadline));
        }
        let until = deadline.min(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(Move::Wait(until))
    }

    /// Waits for a table that this search has not seen.
    async fn wait(&mut self, until: Instant) {
        let changes = self.changes.get_or_insert_with(|| {
            let mut changes = self.shared.tables.subscribe();
            // The table may have changed between the look and the subscription.
            changes.mark_changed();
            changes
        });
        // An error would mean that the tables are gone, and with them everything that could answer.
        let _ = timeout_at(until, changes.changed()).await;
        self.table = changes.borrow_and_update().clone();
    }

    async fn open(&self, stream: TcpStream) -> hyper::Result<Link> {
        if self.aim.is_grpc {
            Link::open_http2(stream, &self.shared.outbound).await
        } else {
            Ok(Link::open(stream, self.aim.is_roomy))
        }
    }

    /// `None` when this dyno takes no connection.
    async fn try_backend(
        &mut self,
        in_flight: InFlight,
        reuse: Reuse,
        now: Instant,
    ) -> Result<Option<Connected>, NoDyno> {
        let limits = &self.shared.limits;
        let backend = in_flight.backend();
        let age = match reuse {
            Reuse::Any => Some(limits.keep_alive),
            Reuse::Young => Some(YOUNG),
            Reuse::Never => None,
        };
        let pooled = match age {
            Some(_) if self.aim.is_grpc => backend.pool.join(now),
            Some(age) => backend
                .pool
                .take(now, age)
                .filter(|link| link.is_roomy || !self.aim.is_roomy),
            None => None,
        };
        if let Some(link) = pooled {
            return Ok(Some(Connected {
                link,
                in_flight,
                is_reused: true,
                elapsed: Duration::ZERO,
            }));
        }
        let connected = tokio::select! {
            connected = timeout(limits.connect, TcpStream::connect(backend.address)) => connected,
            // The address of a dead dyno answers nothing for seconds, and whoever took its place is in the table by now.
            () = backend.left() => return Ok(None),
        };
        self.failure = match connected {
            Ok(Ok(stream)) => match self.open(stream).await {
                Ok(link) => {
                    backend.acquit();
                    if self.aim.is_grpc {
                        backend.pool.share(&link, now);
                    }
                    return Ok(Some(Connected {
                        link,
                        in_flight,
                        is_reused: false,
                        elapsed: now.elapsed(),
                    }));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to a dyno broke at once");
                    Code::H21
                }
            },
            Ok(Err(error)) if is_ours(&error) => {
                tracing::error!(%error, "the router cannot open connections");
                return Err(NoDyno::Code(Code::H99));
            }
            Ok(Err(_)) => Code::H21,
            Err(_) => Code::H19,
        };
        // Once per quarantine is enough to be told.
        let is_news = !backend.dyno.is_nil() && !backend.is_quarantined(now);
        backend.quarantine(Instant::now(), limits.quarantine);
        if is_news {
            self.shared.reports.push(&Report::Refused {
                at: DateTime::<Utc>::from(std::time::SystemTime::now()),
                dyno: backend.dyno,
                container: backend.container.clone(),
            });
        }
        Ok(None)
    }
}

/// The preferred one, or else a random one (Dev Center: "a random selection algorithm").
fn choose(
    backends: &[Arc<Backend>],
    preferred: Option<Mark>,
    may_try: impl Fn(&&Arc<Backend>) -> bool,
) -> Option<&Arc<Backend>> {
    if let Some(mark) = preferred {
        let preferred = backends.iter().find(|backend| backend.mark == mark).filter(&may_try);
        if preferred.is_some() {
            return preferred;
        }
    }
    match backends {
        [only] => Some(only).filter(may_try),
        many => many.iter().filter(may_try).choose(&mut rand::rng()),
    }
}

/// Whether it was this machine that ran out of something, and not the dyno that did not listen.
fn is_ours(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::TimedOut
    )
}
