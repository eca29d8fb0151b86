//! The reconciler: one loop that brings every app's dynos to what is wanted.
//!
//! Level-triggered: a wake-up says *look again*, never what happened. A pass reads rows and containers, decides
//! (`paas_core::observe`, `plan`, `routes`), applies what only changes rows, publishes the routes, and spawns what the
//! engine has to do. A pass that fails half-way is no trouble: the next one starts from rows and containers again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{FutureExt, StreamExt};
use paas_core::{App, AppRoutes, AppWanted, Dyno, DynoState, Id, ReleaseFailure, Step, observe, plan, routes};
use paas_engine::{Container, ContainerId, ContainerState, Role};
use paas_store as store;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{
    RouterFeed, destroy, dyno, exposure, is_temporary, probe,
    router_feed::Receipt,
    sleep as sleeping,
    work::{InFlight, Work},
};
use crate::{failpoint, platform::Platform};

/// A pass without a reason, in case a wake-up was lost.
const PERIOD: Duration = Duration::from_secs(10);
/// After a pass that failed: the engine or the database is away.
const RETRY: Duration = Duration::from_secs(1);
/// Rounds of decisions that change rows within one pass; a deploy takes two.
const MAXIMUM_ROUNDS: usize = 8;
/// A pass reads the whole platform. It rests for as long as it took, so that a stream of changes on a large platform leaves
/// half of a processor to those who make them; but it took no longer than this.
const LONGEST_REST: Duration = Duration::from_millis(100);
/// Docker and the database are shared with everybody else: after a reboot there may be a thousand dynos to start.
const LAUNCHES_AT_ONCE: usize = 32;
/// How long a pass waits for the router to swap, so that who hears of the swap sees it, too.
const SWAP_LIMIT: Duration = Duration::from_secs(5);

pub(crate) struct AppsController {
    pub(super) platform: Arc<Platform>,
    pub(super) feed: Arc<RouterFeed>,
    in_flight: Arc<InFlight>,
    /// Containers whose port has answered a probe, and where that was.
    pub(super) answering: Mutex<HashMap<ContainerId, ContainerState>>,
    /// Dynos that the engine refused to launch, until the next pass makes that a crash.
    refused: Mutex<HashSet<Id<Dyno>>>,
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
            in_flight: Arc::default(),
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
            let began = Instant::now();
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
            let ended = Instant::now();
            let rested = ended + (ended - began).min(LONGEST_REST);
            tokio::select! {
                () = self.platform.wake.notified() => sleep_until(rested).await,
                _ = hints.next() => sleep_until(rested).await,
                () = sleep(pause) => {}
                () = stop.cancelled() => return Ok(()),
            }
            // One look answers all hints that have come in so far.
            while hints.next().now_or_never().flatten().is_some() {}
        }
    }

    /// One pass; says when the next one is due at the latest.
    async fn pass(self: &Arc<Self>) -> Result<Duration> {
        self.platform.is_settled.store(false, Ordering::SeqCst);
        // What a task has done meanwhile may be missing from the list: to this pass it is at work to the end.
        let at_work = self.in_flight.now();
        // What was taken back is closed whatever else can be looked at.
        self.feed.restrict(&exposure::rows(&self.platform).await?).await;
        // Containers first: a row is always older than its container, so that none looks like an orphan.
        let containers = self.platform.engine.list().await.context("listing containers")?;
        self.follow_output(&containers, &at_work);
        let mut round = self.round(&containers, &at_work).await?;
        let mut has_swapped = round.has_swapped;
        for _ in 1..MAXIMUM_ROUNDS {
            if !round.changed_rows {
                break;
            }
            round = self.round(&containers, &at_work).await?;
            has_swapped |= round.has_swapped;
        }

        let table: Vec<AppRoutes> = round
            .wanted
            .iter()
            .filter(|wanted| !wanted.hostnames.is_empty())
            .map(|wanted| routes(wanted, round.dynos.get(&wanted.app).map_or(&[], Vec::as_slice)))
            .collect();
        // Nothing is started or stopped behind the back of a router that cannot be told: the next one wakes us.
        let exposures = exposure::entries(&self.platform, &containers).await?;
        if let Some(receipt) = self.feed.publish(&table, exposures).await {
            if has_swapped {
                // Not in time, or not at all: whoever starts or stops something waits for itself.
                let _ = timeout(SWAP_LIMIT, self.feed.applied(&receipt)).await;
                failpoint::hit("swap.after");
            }
            for (app, step) in &round.engine_steps {
                self.spawn_step(*app, step, &round, &receipt);
            }
            for orphan in &round.orphans {
                self.spawn_removal(orphan, &containers, &receipt);
            }
        }
        probe::spawn(self, &containers, &round.wanted, &round.dynos);
        destroy::spawn(self).await?;
        self.platform.is_settled.store(true, Ordering::SeqCst);
        self.platform.passes.send_modify(|passes| *passes += 1);

        if round.changed_rows {
            return Ok(Duration::ZERO);
        }
        let now = self.platform.clock.now();
        Ok(next_pass(round.dynos.values().flatten(), now))
    }

    /// Reads rows, brings them up to date, decides, and applies the decisions that only change rows.
    async fn round(&self, containers: &[Container], at_work: &HashSet<Work>) -> Result<Round> {
        let platform = &self.platform;
        let now = platform.clock.now();
        let seen: Vec<_> = containers.iter().filter_map(Container::as_seen).collect();
        let answering = self.answering(containers);

        let mut conn = platform.store.connection().await?;
        let wanted = store::wanted::all(&mut conn, &platform.settings.domain).await?;
        let mut stored = store::dyno::all(&mut conn).await?;
        let refused = std::mem::take(&mut *self.refused.lock().unwrap_or_else(PoisonError::into_inner));
        for dyno in &mut stored {
            if refused.contains(&dyno.id) {
                let before = dyno.clone();
                dyno.refuse_launch(now);
                store::dyno::update(&mut conn, dyno, now).await?;
                dyno::log_change(platform, &before, dyno);
            }
        }
        let mut observation = observe(&stored, &seen, &answering, now);
        observation
            .orphans
            .retain(|orphan| !at_work.contains(&Work::Orphan(orphan.clone())));
        // A launch may still make the container of a dyno that seems to be gone: its row stays for as long.
        let (busy, gone) = observation.gone.iter().partition(|dyno| Work::is_on(at_work, **dyno));
        observation.gone = gone;
        let busy: Vec<Id<Dyno>> = busy;
        let kept = stored.iter().filter(|dyno| busy.contains(&dyno.id));
        observation.dynos.extend(kept.cloned());
        let before: HashMap<_, _> = stored.iter().map(|dyno| (dyno.id, dyno)).collect();
        let is_another = |dyno: &&Dyno| before.get(&dyno.id).is_some_and(|before| *before != *dyno);
        let changed: Vec<&Dyno> = observation.dynos.iter().filter(is_another).collect();
        if !changed.is_empty() {
            store::dyno::update_all(&mut conn, &changed, now).await?;
        }
        for dyno in &changed {
            dyno::log_change(platform, before[&dyno.id], dyno);
        }
        if !observation.gone.is_empty() {
            store::dyno::delete(&mut conn, &observation.gone, now).await?;
        }
        let mut has_told = !changed.is_empty() || !observation.gone.is_empty();

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
        let calls = self.feed.take_calls();
        sleeping::follow(platform, &mut conn, calls, &mut round.wanted, &round.dynos, now).await?;
        for wanted in &round.wanted {
            let dynos = round.dynos.get(&wanted.app).map_or(&[][..], Vec::as_slice);
            for step in plan(wanted, dynos, now) {
                if let Step::Launch(dyno) | Step::Terminate(dyno) = step {
                    if !Work::is_on(at_work, dyno) {
                        round.engine_steps.push((wanted.app, step));
                    }
                    continue;
                }
                let is_swap = matches!(step, Step::Serve(_));
                match self.apply(&mut conn, wanted, dynos, step, now).await {
                    Ok(()) => {
                        round.has_swapped |= is_swap;
                        round.changed_rows = true;
                        has_told = true;
                    }
                    Err(error) if is_temporary(&error) => return Err(error),
                    // One app's trouble is not another's.
                    Err(error) => {
                        tracing::error!(app.name = %wanted.name, error = format!("{error:#}"), "a step could not be stored");
                        break;
                    }
                }
            }
        }
        // States of dynos wake nobody in the database: that would ask for the next pass.
        if has_told {
            platform.wake_webhooks.notify_one();
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
        // Whoever is left out is planned again when one of those ends.
        if is_launch && self.in_flight.launches() >= LAUNCHES_AT_ONCE {
            return;
        }
        let receipt = receipt.clone();
        let work = if is_launch {
            Work::Launch(*id)
        } else {
            Work::Terminate(*id)
        };
        self.spawn(work, move |controller| async move {
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
        let Some(ticket) = self.in_flight.begin(&self.platform, &work) else {
            return;
        };
        let task = task(Arc::clone(self));
        let stop = self.platform.stop.clone();
        self.platform.tracker.spawn(stop.run_until_cancelled_owned(async move {
            let _ticket = ticket;
            if let Err(error) = task.await {
                tracing::warn!(
                    ?work,
                    error = format!("{error:#}"),
                    "a step did not succeed; trying again"
                );
                sleep(RETRY).await;
            }
        }));
    }

    /// The containers that answered and still are where they did.
    fn answering(&self, containers: &[Container]) -> BTreeSet<String> {
        let states: HashMap<_, _> = containers.iter().map(|seen| (&seen.id, &seen.state)).collect();
        let mut answering = self.answering.lock().unwrap_or_else(PoisonError::into_inner);
        answering.retain(|id, state| states.get(id) == Some(&&*state));
        answering.keys().map(|id| id.as_str().to_owned()).collect()
    }

    /// Those that have ended, too: what one said while no server ran is stored before it goes. Not those that a task was
    /// removing before they were listed: they may be gone.
    fn follow_output(&self, containers: &[Container], at_work: &HashSet<Work>) {
        for container in containers {
            if let Some(Role::Dyno { app, name, .. }) = &container.role
                && container.state != ContainerState::Created
                && !Work::removes(at_work, container)
            {
                self.platform.collector.follow(*app, &container.id, &name.to_string());
            }
        }
    }

    /// Lets the next pass treat a dyno as crashed: the engine answered, and would not make its container.
    pub(super) fn refuse(&self, dyno: Id<Dyno>) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).insert(dyno);
    }
}

/// When something falls due by itself: a retry, or the end of a boot limit.
fn next_pass<'a>(dynos: impl Iterator<Item = &'a Dyno>, now: DateTime<Utc>) -> Duration {
    let due = dynos.filter_map(|dyno| match &dyno.state {
        DynoState::Crashed(crash) => Some(crash.retry_at),
        DynoState::Starting { since } if dyno.container.is_some() => Some(*since + paas_core::BOOT_LIMIT),
        DynoState::Starting { .. } | DynoState::Up { .. } | DynoState::Stopping { .. } => None,
    });
    let wait = due.min().map_or(TimeDelta::MAX, |due| due - now);
    wait.to_std()
        .unwrap_or_default()
        .clamp(Duration::from_millis(20), PERIOD)
}
