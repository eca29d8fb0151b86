//! The table in force, made for looking up.
//!
//! A table never changes: a change makes the next one, which shares with it whatever stays the same. Whole tables and
//! changes are built by the same steps, app by app, so that a router cannot tell afterwards which of them it got.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    activity::Activity,
    backend::Backend,
    certificates::Certificates,
    challenges::Challenges,
    code::Code,
    feed::{self, AppEntry, AppState, BackendEntry, Change, DrainOutcome, Exposure, PlatformHost},
    rules::Rules,
    settings::Limits,
    shared_map::SharedMap,
};

/// How long tunnels get to notice that they were cut.
const CUT: Duration = Duration::from_secs(2);

/// One version of the table.
#[derive(Clone, Default)]
pub(crate) struct Table {
    /// 0 before the first.
    pub(crate) version: u64,
    /// By hostname, and by `*.example.com` for one label below it.
    hosts: SharedMap<Arc<str>, Host>,
    apps: SharedMap<Uuid, Arc<App>>,
    /// Every dyno that takes requests.
    dynos: SharedMap<Uuid, Arc<Backend>>,
    platform: Arc<Vec<Arc<Backend>>>,
    certificates: Arc<Certificates>,
    challenges: Arc<Challenges>,
    exposures: Arc<Vec<Exposure>>,
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
    pub(crate) rules: Rules,
    /// The same in every version of the table.
    pub(crate) activity: Arc<Activity>,
    hostnames: Vec<Arc<str>>,
}

pub(crate) enum State {
    /// No request gets further than this.
    Answer(Code),
    Booting,
    /// A request wakes it, and waits like one that finds it booting.
    Asleep,
    Serving(Vec<Arc<Backend>>),
}

/// The table in force and the backends that have left it.
pub(crate) struct Tables {
    current: watch::Sender<Arc<Table>>,
    /// Retired backends that may have requests in flight.
    draining: Mutex<Vec<Arc<Backend>>>,
}

/// A table in the making, and the backends that the one before had and it has not.
struct Next<'a> {
    table: Table,
    before: &'a Table,
    retired: Vec<Arc<Backend>>,
    limits: &'a Limits,
}

impl Table {
    /// What a request for this name is for: an exact name wins over a wildcard.
    pub(crate) fn host(&self, hostname: &str) -> Option<&Host> {
        self.hosts.get(hostname).or_else(|| {
            let (_, parent) = hostname.split_once('.')?;
            self.hosts.get(format!("*.{parent}").as_str())
        })
    }

    pub(crate) fn apps(&self) -> impl Iterator<Item = &Arc<App>> {
        self.apps.values()
    }

    /// The certificate for a client that asks for this name, or for none.
    pub(crate) fn certificate(&self, hostname: Option<&str>) -> Option<Arc<CertifiedKey>> {
        self.certificates.find(hostname).cloned()
    }

    pub(crate) fn has_same_certificate(&self, name: &str, other: &str) -> bool {
        self.certificates.have_one_for(name, other)
    }

    /// The key authorization for the token of an HTTP-01 challenge.
    pub(crate) fn challenge(&self, token: &str) -> Option<&str> {
        self.challenges.key_authorization(token)
    }

    /// The certificate for a TLS-ALPN-01 validation of a name.
    pub(crate) fn challenge_certificate(&self, hostname: &str) -> Option<Arc<CertifiedKey>> {
        self.challenges.certificate(hostname)
    }

    /// Shared with the tables after it for as long as none of them changes.
    pub(crate) fn exposures(&self) -> &Arc<Vec<Exposure>> {
        &self.exposures
    }

    fn all_backends(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.dynos.values().chain(self.platform.iter())
    }
}

impl App {
    pub(crate) fn backends(&self) -> &[Arc<Backend>] {
        match &self.state {
            State::Serving(backends) => backends,
            State::Answer(_) | State::Booting | State::Asleep => &[],
        }
    }
}

impl<'a> Next<'a> {
    /// What the feeder sent, with the backends and certificates of the table before where they are the same.
    fn whole(version: u64, table: feed::Table, before: &'a Table, limits: &'a Limits) -> Self {
        let feed::Table {
            apps,
            platform_hosts,
            certificates,
            challenges,
            exposures,
        } = table;
        let mut next = Self {
            table: Table {
                version,
                certificates: Arc::new(before.certificates.replaced(certificates)),
                challenges: Arc::new(Challenges::of(challenges)),
                exposures: Arc::new(exposures),
                ..Table::default()
            },
            before,
            retired: Vec::new(),
            limits,
        };
        // First, because they win over an app's.
        next.put_platform(platform_hosts);
        for entry in apps {
            next.put(entry);
        }
        for gone in before.apps() {
            if next.table.apps.get(&gone.id).is_none() {
                next.retired.extend_from_slice(gone.backends());
            }
        }
        next
    }

    /// The table before, with this change; `None` when the change was made for another one.
    fn changed(version: u64, change: Change, before: &'a Table, limits: &'a Limits) -> Option<Self> {
        let Change {
            apps,
            gone,
            certificates,
            challenges,
            exposures,
        } = change;
        let mut next = Self {
            table: before.clone(),
            before,
            retired: Vec::new(),
            limits,
        };
        next.table.version = version;
        if let Some(changes) = certificates {
            next.table.certificates = Arc::new(before.certificates.changed(changes)?);
        }
        if let Some(challenges) = challenges {
            next.table.challenges = Arc::new(Challenges::of(challenges));
        }
        if let Some(exposures) = exposures {
            next.table.exposures = Arc::new(exposures);
        }
        for app in gone {
            next.remove(app);
        }
        // A name may go from one app to another, whichever of the two comes first.
        for entry in &apps {
            next.release_hostnames(entry.app);
        }
        for entry in apps {
            next.put(entry);
        }
        Some(next)
    }

    fn put(&mut self, entry: AppEntry) {
        let AppEntry {
            app: id,
            name: _,
            hostnames,
            state,
            policy,
        } = entry;
        let known = self.before.apps.get(&id);
        let before = known.map_or(&[][..], |known| known.backends());
        let state = state_of(state, before);
        let app = Arc::new(App {
            id,
            state,
            rules: Rules::new(policy, self.limits),
            activity: known.map_or_else(Arc::default, |known| known.activity.clone()),
            hostnames: hostnames.into_iter().map(Into::into).collect(),
        });
        for backend in before {
            if !app.backends().iter().any(|kept| Arc::ptr_eq(kept, backend)) {
                self.table.dynos.remove(&backend.dyno);
                self.retired.push(backend.clone());
            }
        }
        for backend in app.backends() {
            self.table.dynos.insert(backend.dyno, backend.clone());
        }
        for hostname in &app.hostnames {
            if !matches!(self.table.hosts.get(hostname), Some(Host::Platform(_))) {
                self.table.hosts.insert(hostname.clone(), Host::App(app.clone()));
            }
        }
        self.table.apps.insert(id, app);
    }

    fn remove(&mut self, id: Uuid) {
        self.release_hostnames(id);
        let Some(app) = self.before.apps.get(&id) else {
            return;
        };
        for backend in app.backends() {
            self.table.dynos.remove(&backend.dyno);
            self.retired.push(backend.clone());
        }
        self.table.apps.remove(&id);
    }

    /// Takes the names from an app that it had before.
    fn release_hostnames(&mut self, id: Uuid) {
        let Some(app) = self.before.apps.get(&id) else {
            return;
        };
        for hostname in &app.hostnames {
            if matches!(self.table.hosts.get(hostname), Some(Host::App(holder)) if holder.id == id) {
                self.table.hosts.remove(hostname);
            }
        }
    }

    fn put_platform(&mut self, platform_hosts: Vec<PlatformHost>) {
        let mut platform: Vec<Arc<Backend>> = Vec::new();
        for PlatformHost { hostname, address } in platform_hosts {
            let entry = BackendEntry {
                dyno: Uuid::nil(),
                name: String::new(),
                container: String::new(),
                address,
            };
            let backend = known_backend(entry, platform.iter().chain(self.before.platform.iter()));
            if !platform.iter().any(|known| Arc::ptr_eq(known, &backend)) {
                platform.push(backend.clone());
            }
            self.table.hosts.insert(hostname.into(), Host::Platform(backend));
        }
        let has_left = |backend: &&Arc<Backend>| !platform.iter().any(|kept| Arc::ptr_eq(kept, backend));
        self.retired
            .extend(self.before.platform.iter().filter(has_left).cloned());
        self.table.platform = Arc::new(platform);
    }
}

fn state_of(state: AppState, before: &[Arc<Backend>]) -> State {
    match state {
        AppState::Blank => State::Answer(Code::H81),
        AppState::Maintenance => State::Answer(Code::H80),
        AppState::NoWeb => State::Answer(Code::H14),
        AppState::Crashed => State::Answer(Code::H10),
        AppState::Booting => State::Booting,
        AppState::Asleep => State::Asleep,
        AppState::Serving(entries) if entries.is_empty() => State::Booting,
        AppState::Serving(entries) => {
            let backend = |entry| known_backend(entry, before.iter());
            State::Serving(entries.into_iter().map(backend).collect())
        }
    }
}

/// A backend that is kept with its connections, or a new one.
fn known_backend<'b>(entry: BackendEntry, mut known: impl Iterator<Item = &'b Arc<Backend>>) -> Arc<Backend> {
    match known.find(|backend| backend.is(&entry)) {
        Some(backend) => backend.clone(),
        None => Backend::new(entry),
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
    pub(crate) fn replace(&self, version: u64, table: feed::Table, limits: &Limits) {
        self.apply(Next::whole(version, table, &self.current(), limits));
    }

    /// Puts the table after this one in force, as [`replace`](Self::replace) does; `false` when the change was made for
    /// another table than the one in force.
    pub(crate) fn change(&self, version: u64, base: u64, change: Change, limits: &Limits) -> bool {
        let before = self.current();
        if before.version != base {
            return false;
        }
        let next = Next::changed(version, change, &before, limits);
        next.map(|next| self.apply(next)).is_some()
    }

    fn apply(&self, next: Next<'_>) {
        self.current.send_replace(Arc::new(next.table));
        let mut draining = self.draining();
        draining.retain(|backend| backend.in_flight() > 0);
        for backend in next.retired {
            backend.retire();
            draining.push(backend);
        }
    }

    /// Waits until nothing of a dyno is in flight; when time is up, cuts its tunnels.
    pub(crate) async fn drain(&self, dyno: Uuid, within: Duration) -> DrainOutcome {
        if self.current().dynos.get(&dyno).is_some() {
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
