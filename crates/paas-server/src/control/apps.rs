//! The reconciler: one loop that brings every app's dynos to what is wanted.
//!
//! Level-triggered: a wake-up says *look again*, never what happened. A pass reads rows and containers, decides
//! (`paas_core::observe`, `plan`, `routes`), applies what only changes rows, publishes the routes, and spawns what the
//! engine has to do. A pass that fails half-way is no trouble: the next one starts from rows and containers again.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use paas_core::{App, AppRoutes, AppWanted, Dyno, DynoState, Id, ReleaseFailure, Step, observe, plan, routes};
use paas_engine::{Container, ContainerId, Role};
use paas_store as store;
use tokio::time::sleep;

use super::{RouterFeed, destroy, dyno, probe, router_feed::Receipt};
use crate::{failpoint, platform::Platform};

/// A pass without a reason, in case a wake-up was lost.
const PERIOD: Duration = Duration::from_secs(10);
/// After a pass that failed: the engine or the database is away.
const RETRY: Duration = Duration::from_secs(1);
/// Rounds of decisions that change rows within one pass; a deploy takes two.
const MAXIMUM_ROUNDS: usize = 8;

pub(crate) struct AppsController {
    pub(super) platform: Arc<Platform>,
    pub(super) feed: Arc<RouterFeed>,
    /// What tasks are at work on, so that no pass starts a second one.
    in_flight: Mutex<HashSet<Work>>,
    /// Containers whose port has answered a probe.
    pub(super) answering: Mutex<BTreeSet<String>>,
    /// Dynos that the engine refused to launch, until the next pass makes that a crash.
    refused: Mutex<HashSet<Id<Dyno>>>,
}

/// What a task works on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Work {
    Dyno(Id<Dyno>),
    Probe(String),
    Orphan(String),
    Destroy(Id<App>),
}

/// What one round of reading and deciding came to.
struct Round {
    wanted: Vec<AppWanted>,
    dynos: BTreeMap<Id<App>, Vec<Dyno>>,
    orphans: Vec<String>,
    engine_steps: Vec<(Id<App>, Step)>,
    changed_rows: bool,
    /// Whether a release took the traffic over in this round.
    has_swapped: bool,
}

impl AppsController {
    pub(crate) fn new(platform: Arc<Platform>, feed: Arc<RouterFeed>) -> Self {
        Self {
            platform,
            feed,
            in_flight: Mutex::default(),
            answering: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    pub(crate) async fn run(self: Arc<Self>) -> Result<()> {
        let stop = self.platform.stop.clone();
        let mut hints = self.platform.engine.hints();
        // What booted while nobody looked must not seem to have missed its boot limit.
        tokio::select! {
            () = probe::all(&self) => {}
            () = stop.cancelled() => return Ok(()),
        }
        loop {
            let pause = tokio::select! {
                passed = self.pass() => match passed {
                    Ok(next) => next,
                    Err(error) => {
                        tracing::warn!(error = format!("{error:#}"), "could not look at the apps; trying again");
                        RETRY
                    }
                },
                () = stop.cancelled() => return Ok(()),
            };
            tokio::select! {
                () = self.platform.wake.notified() => {}
                _ = hints.next() => {}
                () = sleep(pause) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    /// One pass; says when the next one is due at the latest.
    async fn pass(self: &Arc<Self>) -> Result<Duration> {
        // Containers first: a row is always older than its container, so that none looks like an orphan.
        let containers = self.platform.engine.list().await.context("listing containers")?;
        self.follow_output(&containers);
        let mut round = self.round(&containers).await?;
        let mut has_swapped = round.has_swapped;
        for _ in 1..MAXIMUM_ROUNDS {
            if !round.changed_rows {
                break;
            }
            round = self.round(&containers).await?;
            has_swapped |= round.has_swapped;
        }

        let table: Vec<AppRoutes> = round
            .wanted
            .iter()
            .filter(|wanted| !wanted.hostnames.is_empty())
            .map(|wanted| routes(wanted, round.dynos.get(&wanted.app).map_or(&[], Vec::as_slice)))
            .collect();
        let receipt = self.feed.publish(&table).await;
        if has_swapped {
            failpoint::hit("swap.after");
        }
        for (app, step) in &round.engine_steps {
            self.spawn_step(*app, step, &round, &receipt);
        }
        for orphan in &round.orphans {
            self.spawn_removal(orphan, &containers, &receipt);
        }
        probe::spawn(self, &containers, &round.wanted, &round.dynos);
        destroy::spawn(self).await?;
        self.platform.passes.send_modify(|passes| *passes += 1);

        let now = self.platform.clock.now();
        Ok(next_pass(round.dynos.values().flatten(), now))
    }

    /// Reads rows, brings them up to date, decides, and applies the decisions that only change rows.
    async fn round(&self, containers: &[Container]) -> Result<Round> {
        let platform = &self.platform;
        let now = platform.clock.now();
        let seen: Vec<_> = containers.iter().filter_map(Container::as_seen).collect();
        let answering = self.answering(containers);

        let mut conn = platform.store.connection().await?;
        let wanted = store::wanted::all(&mut conn, &platform.settings.domain).await?;
        let mut stored = store::dyno::all(&mut conn).await?;
        for dyno in &mut stored {
            if self.was_refused(dyno.id) {
                let before = dyno.clone();
                dyno.refuse_launch(now);
                store::dyno::update(&mut conn, dyno, now).await?;
                dyno::log_change(platform, &before, dyno);
            }
        }
        let mut observation = observe(&stored, &seen, &answering, now);
        // A launch may still make the container of a dyno that seems to be gone: its row stays for as long.
        let (busy, gone) = observation.gone.iter().partition(|dyno| self.is_in_flight(**dyno));
        observation.gone = gone;
        let busy: Vec<Id<Dyno>> = busy;
        let kept = stored.iter().filter(|dyno| busy.contains(&dyno.id));
        observation.dynos.extend(kept.cloned());
        for dyno in &observation.dynos {
            let before = stored.iter().find(|stored| stored.id == dyno.id);
            if before.is_some_and(|before| before != dyno) {
                store::dyno::update(&mut conn, dyno, now).await?;
                if let Some(before) = before {
                    dyno::log_change(platform, before, dyno);
                }
            }
        }
        if !observation.gone.is_empty() {
            store::dyno::delete(&mut conn, &observation.gone).await?;
        }

        let mut dynos: BTreeMap<Id<App>, Vec<Dyno>> = BTreeMap::new();
        for dyno in observation.dynos {
            dynos.entry(dyno.app).or_default().push(dyno);
        }
        let mut round = Round {
            wanted,
            dynos,
            orphans: observation.orphans,
            engine_steps: Vec::new(),
            changed_rows: false,
            has_swapped: false,
        };
        for wanted in &round.wanted {
            let dynos = round.dynos.get(&wanted.app).map_or(&[][..], Vec::as_slice);
            for step in plan(wanted, dynos, now) {
                match step {
                    Step::Launch(_) | Step::Terminate(_) => round.engine_steps.push((wanted.app, step)),
                    step => {
                        round.has_swapped |= matches!(step, Step::Serve(_));
                        self.apply(&mut conn, wanted, dynos, step, now).await?;
                        round.changed_rows = true;
                    }
                }
            }
        }
        Ok(round)
    }

    /// Applies a step that only changes rows.
    async fn apply(
        &self,
        conn: &mut store::Connection,
        wanted: &AppWanted,
        dynos: &[Dyno],
        step: Step,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let find = |id: Id<Dyno>| dynos.iter().find(|dyno| dyno.id == id).cloned();
        match step {
            Step::Start { name, release, size } => {
                let new = store::dyno::NewDyno {
                    id: store::new_id(now),
                    app: wanted.app,
                    name,
                    release,
                    size,
                };
                store::dyno::insert(conn, new, now).await?;
            }
            Step::Restart(id) => {
                if let Some(before) = find(id) {
                    let mut dyno = before.clone();
                    dyno.attempt += 1;
                    dyno.container = None;
                    dyno.state = DynoState::Starting { since: now };
                    store::dyno::update(conn, &dyno, now).await?;
                    dyno::log_change(&self.platform, &before, &dyno);
                }
            }
            Step::Stop { dyno: id, why } => {
                if let Some(mut dyno) = find(id) {
                    dyno.state = DynoState::Stopping { since: now, why };
                    store::dyno::update(conn, &dyno, now).await?;
                }
            }
            Step::Serve(release) => {
                failpoint::hit("swap.before");
                store::release::mark_served(conn, release, now).await?;
            }
            Step::Fail { release, dyno } => {
                tracing::info!(app.name = %wanted.name, %release, %dyno, "a release did not boot");
                store::release::fail(conn, release, ReleaseFailure::Boot, now).await?;
            }
            Step::Launch(_) | Step::Terminate(_) => {}
        }
        Ok(())
    }

    fn spawn_step(self: &Arc<Self>, app: Id<App>, step: &Step, round: &Round, receipt: &Receipt) {
        let (Step::Launch(id) | Step::Terminate(id)) = step else {
            return;
        };
        let dynos = round.dynos.get(&app).map_or(&[][..], Vec::as_slice);
        let Some(dyno) = dynos.iter().find(|dyno| dyno.id == *id).cloned() else {
            return;
        };
        let is_launch = matches!(step, Step::Launch(_));
        let receipt = receipt.clone();
        self.spawn(Work::Dyno(*id), move |controller| async move {
            if is_launch {
                dyno::launch(&controller, &dyno, &receipt).await
            } else {
                dyno::terminate(&controller, &dyno, &receipt).await
            }
        });
    }

    /// Removes a container that belongs to no row, after what it said was stored and no table names it.
    fn spawn_removal(self: &Arc<Self>, orphan: &str, containers: &[Container], receipt: &Receipt) {
        let id = ContainerId::new(orphan);
        let Some(container) = containers.iter().find(|container| container.id == id).cloned() else {
            return;
        };
        let receipt = receipt.clone();
        self.spawn(Work::Orphan(orphan.to_owned()), move |controller| async move {
            dyno::remove_orphan(&controller, &container, &receipt).await
        });
    }

    /// Spawns a task, unless one is at work on the same thing. What fails is found again by a later pass.
    pub(super) fn spawn<F, T>(self: &Arc<Self>, work: Work, task: F)
    where
        F: FnOnce(Arc<Self>) -> T,
        T: Future<Output = Result<()>> + Send + 'static,
    {
        if !self.lock_in_flight().insert(work.clone()) {
            return;
        }
        let controller = Arc::clone(self);
        let task = task(Arc::clone(self));
        let stop = self.platform.stop.clone();
        self.platform.tracker.spawn(async move {
            tokio::select! {
                ended = task => if let Err(error) = ended {
                    tracing::warn!(?work, error = format!("{error:#}"), "a step did not succeed; trying again");
                    tokio::select! {
                        () = sleep(RETRY) => {}
                        () = stop.cancelled() => {}
                    }
                },
                () = stop.cancelled() => {}
            }
            controller.lock_in_flight().remove(&work);
            controller.platform.wake.notify_one();
        });
    }

    /// The containers that answered and still are there.
    fn answering(&self, containers: &[Container]) -> BTreeSet<String> {
        let mut answering = self.answering.lock().unwrap_or_else(PoisonError::into_inner);
        answering.retain(|id| containers.iter().any(|container| container.id.as_str() == id));
        answering.clone()
    }

    fn follow_output(&self, containers: &[Container]) {
        for container in containers {
            if let Some(Role::Dyno { app, name, .. }) = &container.role
                && container.is_running()
            {
                self.platform.collector.follow(*app, &container.id, &name.to_string());
            }
        }
    }

    /// Lets the next pass treat a dyno as crashed: the engine answered, and would not make its container.
    pub(super) fn refuse(&self, dyno: Id<Dyno>) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).insert(dyno);
    }

    fn was_refused(&self, dyno: Id<Dyno>) -> bool {
        self.refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&dyno)
    }

    fn is_in_flight(&self, dyno: Id<Dyno>) -> bool {
        self.lock_in_flight().contains(&Work::Dyno(dyno))
    }

    fn lock_in_flight(&self) -> std::sync::MutexGuard<'_, HashSet<Work>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When something falls due by itself: a retry, or the end of a boot limit.
fn next_pass<'a>(dynos: impl Iterator<Item = &'a Dyno>, now: DateTime<Utc>) -> Duration {
    let due = dynos.filter_map(|dyno| match &dyno.state {
        DynoState::Crashed(crash) => Some(crash.retry_at),
        DynoState::Starting { since } => Some(*since + paas_core::BOOT_LIMIT),
        DynoState::Up { .. } | DynoState::Stopping { .. } => None,
    });
    let wait = due.min().map_or(TimeDelta::MAX, |due| due - now);
    wait.to_std()
        .unwrap_or_default()
        .clamp(Duration::from_millis(20), PERIOD)
}
