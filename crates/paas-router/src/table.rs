//! The table in force, made for looking up.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    backend::Backend,
    code::Code,
    feed::{self, AppEntry, AppState, BackendEntry, Certificate, DrainOutcome, PlatformHost},
    tls,
};

/// How long tunnels get to notice that they were cut.
const CUT: Duration = Duration::from_secs(2);

/// One version of the table.
#[derive(Default)]
pub(crate) struct Table {
    /// 0 before the first.
    pub(crate) version: u64,
    hosts: HashMap<Box<str>, Host>,
    certificates: HashMap<Box<str>, Arc<Certified>>,
    backends: HashMap<Uuid, Vec<Arc<Backend>>>,
}

/// What a hostname stands for.
#[derive(Clone)]
pub(crate) enum Host {
    Platform(Arc<Backend>),
    App(Arc<App>),
}

pub(crate) struct App {
    pub(crate) id: Uuid,
    pub(crate) state: State,
}

pub(crate) enum State {
    /// No request gets further than this.
    Answer(Code),
    Booting,
    Serving(Vec<Arc<Backend>>),
}

/// A certificate that was understood, and what it was understood from.
struct Certified {
    source: Certificate,
    key: Arc<CertifiedKey>,
}

/// The table in force and the backends that have left it.
pub(crate) struct Tables {
    current: watch::Sender<Arc<Table>>,
    /// Retired backends that may have requests in flight.
    draining: Mutex<Vec<Arc<Backend>>>,
}

impl Table {
    pub(crate) fn host(&self, hostname: &str) -> Option<&Host> {
        self.hosts.get(hostname)
    }

    /// The certificate for a name, or for one label under a wildcard.
    pub(crate) fn certificate(&self, hostname: &str) -> Option<Arc<CertifiedKey>> {
        let exact = self.certificates.get(hostname);
        let certified = exact.or_else(|| {
            let (_, parent) = hostname.split_once('.')?;
            self.certificates.get(format!("*.{parent}").as_str())
        })?;
        Some(certified.key.clone())
    }

    /// What the feeder sent, with the backends and certificates of the table before where they are the same.
    fn compile(version: u64, table: feed::Table, before: &Self) -> Self {
        let feed::Table {
            apps,
            platform_hosts,
            certificates,
            challenges: _,
        } = table;
        let mut compiled = Self {
            version,
            ..Self::default()
        };
        for AppEntry {
            app,
            name: _,
            hostnames,
            state,
            policy: _,
        } in apps
        {
            let app = Arc::new(App {
                id: app,
                state: compiled.state(state, before),
            });
            for hostname in hostnames {
                compiled.hosts.insert(hostname.into(), Host::App(app.clone()));
            }
        }
        for PlatformHost { hostname, address } in platform_hosts {
            let backend = compiled.backend(
                BackendEntry {
                    dyno: Uuid::nil(),
                    name: String::new(),
                    container: String::new(),
                    address,
                },
                before,
            );
            compiled.hosts.insert(hostname.into(), Host::Platform(backend));
        }
        for certificate in certificates {
            compiled.certify(certificate, before);
        }
        compiled
    }

    fn state(&mut self, state: AppState, before: &Self) -> State {
        match state {
            AppState::Blank => State::Answer(Code::H81),
            AppState::Maintenance => State::Answer(Code::H80),
            AppState::NoWeb => State::Answer(Code::H14),
            AppState::Crashed => State::Answer(Code::H10),
            AppState::Booting | AppState::Asleep => State::Booting,
            AppState::Serving(entries) if entries.is_empty() => State::Booting,
            AppState::Serving(entries) => {
                State::Serving(entries.into_iter().map(|entry| self.backend(entry, before)).collect())
            }
        }
    }

    fn backend(&mut self, entry: BackendEntry, before: &Self) -> Arc<Backend> {
        let known = [&self.backends, &before.backends]
            .into_iter()
            .filter_map(|backends| backends.get(&entry.dyno))
            .flatten()
            .find(|backend| backend.is(&entry))
            .cloned();
        let backend = known.unwrap_or_else(|| Backend::new(entry));
        let same_dyno = self.backends.entry(backend.dyno).or_default();
        if !same_dyno.iter().any(|known| Arc::ptr_eq(known, &backend)) {
            same_dyno.push(backend.clone());
        }
        backend
    }

    fn certify(&mut self, source: Certificate, before: &Self) {
        let known = source
            .hostnames
            .first()
            .and_then(|name| before.certificates.get(name.as_str()));
        let certified = match known.filter(|known| known.source == source) {
            Some(known) => known.clone(),
            None => match tls::certified_key(&source) {
                Ok(key) => Arc::new(Certified {
                    source,
                    key: Arc::new(key),
                }),
                Err(error) => {
                    let hostnames = source.hostnames.join(" ");
                    return tracing::error!(%error, hostnames, "a certificate of the table cannot be used");
                }
            },
        };
        for hostname in &certified.source.hostnames {
            self.certificates.insert(hostname.as_str().into(), certified.clone());
        }
    }

    fn has(&self, backend: &Arc<Backend>) -> bool {
        let same_dyno = self.backends.get(&backend.dyno);
        same_dyno.is_some_and(|same_dyno| same_dyno.iter().any(|known| Arc::ptr_eq(known, backend)))
    }

    fn all_backends(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.backends.values().flatten()
    }
}

impl Tables {
    pub(crate) fn new() -> Self {
        Self {
            current: watch::Sender::new(Arc::default()),
            draining: Mutex::default(),
        }
    }

    pub(crate) fn current(&self) -> Arc<Table> {
        self.current.borrow().clone()
    }

    /// For those who wait for a better table: subscribe first, look second.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Table>> {
        self.current.subscribe()
    }

    /// Puts a table in force; when this returns, no new request goes to a backend that is not in it.
    pub(crate) fn apply(&self, version: u64, table: feed::Table) {
        let before = self.current();
        let now = Arc::new(Table::compile(version, table, &before));
        self.current.send_replace(now.clone());
        let mut draining = self.draining();
        draining.retain(|backend| backend.in_flight() > 0);
        for backend in before.all_backends().filter(|backend| !now.has(backend)) {
            backend.retire();
            draining.push(backend.clone());
        }
    }

    /// Waits until nothing of a dyno is in flight; when time is up, cuts its tunnels.
    pub(crate) async fn drain(&self, dyno: Uuid, within: Duration) -> DrainOutcome {
        if self.current().backends.contains_key(&dyno) {
            return DrainOutcome::StillRouted;
        }
        let draining = self.draining().clone();
        let leaving: Vec<_> = draining.into_iter().filter(|backend| backend.dyno == dyno).collect();
        let emptied = async {
            for backend in &leaving {
                backend.emptied().await;
            }
        };
        if tokio::time::timeout(within, emptied).await.is_ok() {
            return DrainOutcome::Drained;
        }
        let mut requests = 0;
        for backend in &leaving {
            // A tunnel that does not notice holds nobody up: the dyno is stopped next.
            let _ = tokio::time::timeout(CUT, backend.cut_tunnels()).await;
            requests += backend.requests();
        }
        DrainOutcome::Unfinished { requests }
    }

    /// Closes connections to dynos that nobody used for `age`.
    pub(crate) fn expire_idle(&self, age: Duration) {
        let now = tokio::time::Instant::now();
        for backend in self.current().all_backends() {
            backend.pool.expire(now, age);
        }
    }

    /// Ends everything that would keep a connection to a dyno open.
    pub(crate) fn close_pools(&self) {
        for backend in self.current().all_backends() {
            backend.pool.close();
        }
    }

    fn draining(&self) -> MutexGuard<'_, Vec<Arc<Backend>>> {
        self.draining.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
