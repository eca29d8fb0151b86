//! Certificates that come by themselves, and everything else that the router shows in a handshake.
//!
//! One loop of the same form as the one for apps: a wake-up says *look again*. A pass compares the names that are wanted
//! with their rows, has our own authority certify what no other can, gives the router what it serves, and spawns a task for
//! each name that something is due for; what that is, `paas_core::Acm` decides. One task per name, one server per name (a
//! lease on its row). An old certificate serves until a new one is stored.

mod authorities;
mod challenges;
mod local;
mod local_ca;
mod pursue;
mod serve;
mod step;
mod tell;
mod wanted;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use paas_core::{Acm, AcmState, AcmStep, DomainName, Ledger};
use paas_store::{
    self as store,
    acm::{ManagedName, Standing},
    certificate::{Certificate, Source},
};
use tokio::time::sleep;
use uuid::Uuid;

use super::{RouterFeed, is_temporary};
use crate::{
    config::Settings,
    dns::{DnsPublisher, Resolver},
    platform::Platform,
};
use authorities::ConnectedAuthorities;
use challenges::Challenges;
pub(crate) use local_ca::LocalCa;
use step::Advance;
use wanted::{Means, Wanted, WantedAuthority, wanted};

/// A pass without a reason, in case a wake-up was lost.
const PERIOD: Duration = Duration::from_secs(30);
/// After a pass or a task that failed: the database is away.
const RETRY: Duration = Duration::from_secs(1);
/// While another server works on a name.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Changes come in bursts.
const REST: Duration = Duration::from_millis(50);
/// A pass over many names rests for as long as it took, but no longer than this.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// Names that are worked on at the same time.
const MOST_AT_WORK: usize = 8;
/// How long a name is ours, from one sign of life to the next.
const LEASE: TimeDelta = TimeDelta::minutes(2);
/// An expired certificate says what was, for a while.
const EXPIRED_KEPT: TimeDelta = TimeDelta::days(30);

pub(crate) struct CertificatesController {
    platform: Arc<Platform>,
    feed: Arc<RouterFeed>,
    local_ca: LocalCa,
    resolver: Resolver,
    publisher: Option<DnsPublisher>,
    authorities: ConnectedAuthorities,
    challenges: Challenges,
    /// Held from a look at the ledger to the entry in it.
    placing: tokio::sync::Mutex<()>,
    at_work: Mutex<HashSet<DomainName>>,
    /// Whose the leases are.
    server: Uuid,
}

impl CertificatesController {
    pub(crate) fn new(platform: Arc<Platform>, feed: Arc<RouterFeed>) -> Result<Self> {
        let settings = &platform.settings;
        let is_first = !settings.local_ca().join("root.pem").exists();
        let local_ca =
            LocalCa::open(&settings.local_ca(), platform.clock.now()).context("opening our own authority")?;
        if is_first {
            let root = local_ca.root_path().display();
            tracing::info!(
                "HTTPS works for localhost and other private names, too, once browsers trust {root}; on Debian: \
                 cp {root} /usr/local/share/ca-certificates/paas.crt && update-ca-certificates"
            );
        }
        let publisher = DnsPublisher::from_settings(settings, &platform.clock);
        Ok(Self {
            local_ca,
            resolver: Resolver::new(settings.dns_servers.clone()),
            publisher: publisher.context("setting up DNS-01")?,
            authorities: ConnectedAuthorities::default(),
            challenges: Challenges::new(Arc::clone(&feed)),
            placing: tokio::sync::Mutex::default(),
            at_work: Mutex::default(),
            server: server_id(settings),
            platform,
            feed,
        })
    }

    pub(crate) async fn run(self: Arc<Self>) -> Result<()> {
        let stop = self.platform.stop.clone();
        loop {
            let began = Instant::now();
            let pause = tokio::select! {
                passed = self.pass() => match passed {
                    Ok(next) => next,
                    Err(error) => {
                        tracing::warn!(error = format!("{error:#}"), "could not look at the certificates; trying again");
                        RETRY
                    }
                },
                () = stop.cancelled() => return Ok(()),
            };
            let rest = began.elapsed().clamp(REST, LONGEST_REST);
            tokio::select! {
                () = self.platform.wake_certificates.notified() => sleep(rest).await,
                () = sleep(pause) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    /// One pass; says when the next one is due at the latest.
    async fn pass(self: &Arc<Self>) -> Result<Duration> {
        let platform = &self.platform;
        let now = platform.clock.now();
        let mut conn = platform.store.connection().await?;
        let apps = store::app::names(&mut conn).await?;
        let domains = store::domain::list_all(&mut conn).await?;
        let wanted = wanted(self.means(), &apps, &domains);

        let default = match self.certify_locally(&mut conn, &wanted, now).await {
            Ok(default) => Some(default),
            Err(error) if is_temporary(&error) => return Err(error),
            // Apps whose certificates are from elsewhere must not wait for ours.
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "our own authority does not work");
                None
            }
        };
        let served = serve::load(&mut conn, platform, default, now).await?;
        self.feed.publish_certificates(served.certificates).await;

        let rows = self.sync(&mut conn, &wanted, now).await?;
        tell::warn(&mut conn, platform, &served.facts, &rows, now).await?;
        store::certificate::delete_expired(&mut conn, now - EXPIRED_KEPT).await?;
        store::acme_ledger::prune(&mut conn, now).await?;
        let certificates = store::certificate::managed(&mut conn).await?;
        drop(conn);

        let mut next = None;
        for wanted in wanted {
            let Some(row) = rows
                .get(&wanted.hostname)
                .filter(|_| wanted.authority == WantedAuthority::Public)
            else {
                continue;
            };
            let held = current(&certificates, &wanted);
            match self.due(row, &wanted, held, now) {
                None => self.spawn(wanted),
                Some(at) => next = next.min(Some(at)).or(Some(at)),
            }
        }
        let wait = next.map_or(TimeDelta::MAX, |next| next - now);
        Ok(wait.to_std().unwrap_or_default().clamp(REST, PERIOD))
    }

    fn means(&self) -> Means<'_> {
        let settings = &self.platform.settings;
        Means {
            domain: &settings.domain,
            has_acme: settings.acme.is_some(),
            has_dns_01: self.publisher.is_some(),
        }
    }

    /// Brings the rows to the names that are wanted.
    async fn sync(
        &self,
        conn: &mut store::Connection,
        wanted: &[Wanted],
        now: DateTime<Utc>,
    ) -> Result<HashMap<DomainName, ManagedName>> {
        let rows = store::acm::all(conn).await?;
        let mut rows: HashMap<_, _> = rows.into_iter().map(|row| (row.hostname.clone(), row)).collect();
        let names: HashSet<_> = wanted.iter().map(|wanted| &wanted.hostname).collect();
        for row in rows.values().filter(|row| !names.contains(&row.hostname)) {
            store::acm::forget(conn, row.id).await?;
        }
        for wanted in wanted {
            let (hostname, app) = (&wanted.hostname, wanted.app);
            let fresh = match wanted.authority {
                WantedAuthority::Public => Acm::new(now),
                WantedAuthority::Local => Acm::local(self.why_local(), now),
            };
            let row = rows.get(hostname);
            if row.is_none_or(|row| row.app != app) {
                store::acm::manage(conn, hostname, app, &fresh, now).await?;
            }
            let is_local = |acm: &Acm| acm.state == AcmState::Local;
            if let Some(row) = row.filter(|row| is_local(&row.acm) != is_local(&fresh))
                && store::acm::lease(conn, row.id, self.server, now, now).await?
            {
                // It became possible to validate the name, or impossible.
                let standing = Standing {
                    acm: &fresh,
                    window_due_at: None,
                    fault: None,
                };
                store::acm::save(conn, row, standing, self.server).await?;
            }
            if row.is_none_or(|row| row.app != app || is_local(&row.acm) != is_local(&fresh))
                && let Some(row) = store::acm::find(conn, hostname).await?
            {
                rows.insert(hostname.clone(), row);
            }
        }
        Ok(rows)
    }

    fn why_local(&self) -> String {
        format!(
            "No public authority can validate this name. Its certificate is from this platform's own authority: trust {}",
            self.local_ca.root_path().display()
        )
    }

    /// When something is to be done about a name; `None` for now.
    fn due(
        &self,
        row: &ManagedName,
        wanted: &Wanted,
        held: Option<&Certificate>,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let Some(acme) = &self.platform.settings.acme else {
            return Some(DateTime::<Utc>::MAX_UTC);
        };
        let held = held.map(step::dates);
        // What the ledger says is looked at by the task.
        let step = row.acm.decide(
            &wanted.texts(),
            held.as_ref(),
            &Ledger::default(),
            acme.authorities(),
            now,
        );
        let AcmStep::Rest(at) = step else { return None };
        let window = step::window_due_at(row);
        if window.is_some_and(|window| window <= now) {
            return None;
        }
        Some(
            [at, window]
                .into_iter()
                .flatten()
                .min()
                .unwrap_or(DateTime::<Utc>::MAX_UTC),
        )
    }

    /// Spawns a task for a name, unless one is at work on it.
    fn spawn(self: &Arc<Self>, wanted: Wanted) {
        let hostname = wanted.hostname.clone();
        {
            let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
            if at_work.len() >= MOST_AT_WORK || !at_work.insert(hostname.clone()) {
                return;
            }
        }
        let controller = Arc::clone(self);
        let stop = self.platform.stop.clone();
        self.platform.tracker.spawn(async move {
            let pause = match stop.run_until_cancelled(controller.advance(&wanted)).await {
                Some(Err(error)) => {
                    let error = format!("{error:#}");
                    tracing::warn!(%hostname, error, "a certificate's next step did not succeed; trying again");
                    RETRY
                }
                Some(Ok(Advance::NotOurs)) => LOOK_AGAIN,
                Some(Ok(Advance::Done)) | None => Duration::ZERO,
            };
            stop.run_until_cancelled(sleep(pause)).await;
            controller
                .at_work
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&hostname);
            controller.platform.wake_certificates.notify_one();
        });
    }
}

/// Who we are in a lease: the same after a restart, because two servers never have one data directory, and what a server
/// that died was working on is its successor's at once.
pub(crate) fn server_id(settings: &Settings) -> Uuid {
    let stored = std::fs::read_to_string(settings.data_dir.join("platform-id"));
    let stored = stored.ok().and_then(|id| id.trim().parse().ok());
    stored.unwrap_or_else(Uuid::new_v4)
}

impl Wanted {
    fn texts(&self) -> Vec<String> {
        self.names.iter().map(ToString::to_string).collect()
    }
}

/// The certificate of a public authority that lasts longest.
fn current<'a>(certificates: &'a [Certificate], wanted: &Wanted) -> Option<&'a Certificate> {
    certificates
        .iter()
        .filter(|certificate| certificate.source == Source::Acme && same_names(&certificate.hostnames, &wanted.names))
        .max_by_key(|certificate| certificate.not_after)
}

fn same_names(one: &[DomainName], other: &[DomainName]) -> bool {
    // There are few in each, and a pass compares every certificate with every app's.
    one.iter().all(|name| other.contains(name)) && other.iter().all(|name| one.contains(name))
}
