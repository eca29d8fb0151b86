//! One world: an app, its store, an engine, and a server that looks, plans and acts, with delays and losses.

use std::{collections::BTreeSet, net::SocketAddr};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    dice::Dice,
    engine::{Behaviour, Engine, Life},
    store::{Fate, Store},
};
use crate::{BOOT_LIMIT, Dyno, DynoName, DynoState, Id, RouteState, Step, StopReason, observe, plan, routes};

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) store: Store,
    pub(super) engine: Engine,
    /// Milliseconds that really passed; the wall clock may jump away from them.
    pub(super) now: i64,
    pub(super) skew: i64,
    /// What the server is doing; lost when it restarts.
    pub(super) tasks: Vec<Task>,
    /// Where a probe was answered; lost when the server restarts.
    answering: BTreeSet<(String, SocketAddr)>,
    /// Until when the server is down.
    pub(super) away_until: i64,
    is_fresh_start: bool,
    published: RouteState,
    /// How likely a step or a task is lost, in percent.
    pub(super) losses: i64,
    /// Nothing fails by itself: from the first request that was served on, every pass must find a dyno that answers.
    pub(super) is_calm: bool,
    is_serving: bool,
    /// How often the app fell asleep.
    pub(super) sleeps: u32,
}

/// Something the server does to containers in phases, each at its own time.
pub(super) struct Task {
    subject: Subject,
    phases: Vec<(i64, Phase)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    Dyno(Id<Dyno>),
    Orphan(String),
}

#[derive(Debug, Clone)]
enum Phase {
    Create(u32, DynoName, Behaviour),
    Start(u32),
    Kill,
    Remove,
    End,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            store: Store::new(),
            engine: Engine::default(),
            now: 0,
            skew: 0,
            tasks: Vec::new(),
            answering: BTreeSet::new(),
            away_until: 0,
            is_fresh_start: true,
            published: RouteState::Blank,
            losses: 0,
            is_calm: false,
            is_serving: false,
            sleeps: 0,
        }
    }

    pub(super) fn wall(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_800_000_000_000 + self.now + self.skew).unwrap()
    }

    /// Lets time pass, with all that happens by itself meanwhile.
    pub(super) fn advance(&mut self, milliseconds: i64) {
        let end = self.now + milliseconds;
        loop {
            let task = self.tasks.iter().filter_map(|task| Some(task.phases.first()?.0)).min();
            let next = task.into_iter().chain(self.engine.next_event(self.now)).min();
            self.now = next.filter(|next| *next <= end).unwrap_or(end).max(self.now);
            self.engine.advance(self.now, self.wall());
            self.run_tasks();
            if self.now >= end {
                return;
            }
        }
    }

    fn run_tasks(&mut self) {
        let (now, wall) = (self.now, self.wall());
        for index in 0..self.tasks.len() {
            while self.tasks[index].phases.first().is_some_and(|(at, _)| *at <= now) {
                let subject = self.tasks[index].subject.clone();
                let (_, phase) = self.tasks[index].phases.remove(0);
                if matches!(phase, Phase::Create(..)) && self.dice.chance(self.losses) {
                    // The engine would not: nothing is started afterwards, though an earlier try may have left a container.
                    self.refuse(&subject, wall);
                    self.tasks[index].phases.clear();
                } else {
                    self.run_phase(&subject, phase, wall);
                }
            }
        }
        self.tasks.retain(|task| !task.phases.is_empty());
    }

    fn run_phase(&mut self, subject: &Subject, phase: Phase, wall: DateTime<Utc>) {
        let is_subject = |container: &&super::engine::Container| match subject {
            Subject::Dyno(dyno) => container.dyno == *dyno,
            Subject::Orphan(id) => container.id == *id,
        };
        let ids: Vec<_> = self
            .engine
            .containers
            .iter()
            .filter(is_subject)
            .map(|it| it.id.clone())
            .collect();
        match (subject, phase) {
            (Subject::Dyno(dyno), Phase::Create(attempt, name, behaviour)) => {
                self.engine.create(*dyno, attempt, &name, behaviour);
            }
            (Subject::Dyno(dyno), Phase::Start(attempt)) => self.engine.start(*dyno, attempt, self.now),
            (_, Phase::Kill) => {
                for id in &ids {
                    assert!(!self.is_published(id), "{id} is killed while requests are sent to it");
                    self.engine.kill(id, 143, wall);
                }
            }
            (_, Phase::Remove) => ids.iter().for_each(|id| self.engine.remove(id)),
            (_, Phase::End) | (Subject::Orphan(_), _) => {}
        }
    }

    fn refuse(&mut self, subject: &Subject, wall: DateTime<Utc>) {
        let row = self.store.rows.iter_mut().find(|row| *subject == Subject::Dyno(row.id));
        if let Some(row) = row {
            row.refuse_launch(wall);
        }
    }

    fn is_published(&self, container: &str) -> bool {
        matches!(&self.published, RouteState::Serving(backends)
            if backends.iter().any(|backend| backend.endpoint.container == container))
    }

    /// The server dies and comes back later: all it knew and did is gone.
    pub(super) fn restart_server(&mut self, milliseconds: i64) {
        self.tasks.clear();
        self.answering.clear();
        self.is_fresh_start = true;
        self.away_until = self.now + milliseconds;
    }

    /// One pass of the reconciler. Says whether there was nothing to do and nothing to wait for.
    pub(super) fn pass(&mut self) -> bool {
        if self.now < self.away_until {
            return false;
        }
        let (seen, now) = (self.engine.list(), self.wall());
        self.probe();
        let answering = self.answering.iter().map(|(id, _)| id.clone()).collect();
        let seen = observe(&self.store.rows, &seen, &answering, now);
        let mut rows = seen.dynos;
        let busy_gone: Vec<_> = seen
            .gone
            .iter()
            .filter(|dyno| self.is_busy(&Subject::Dyno(**dyno)))
            .collect();
        rows.extend(
            self.store
                .rows
                .iter()
                .filter(|row| busy_gone.contains(&&row.id))
                .cloned(),
        );
        self.store.rows = rows;
        for orphan in &seen.orphans {
            self.terminate(Subject::Orphan(orphan.clone()));
        }

        self.publish();
        let steps = plan(&self.store.wanted(), &self.store.rows, now);
        self.check_steps(&steps);
        for step in &steps {
            if self.dice.chance(self.losses) {
                self.restart_server(100);
                return false;
            }
            self.apply(step, now);
        }
        steps.is_empty() && seen.gone.is_empty() && seen.orphans.is_empty() && self.tasks.is_empty()
    }

    fn probe(&mut self) {
        let engine = &self.engine;
        let now = self.now;
        self.answering.retain(|(id, address)| engine.answers(id, *address, now));
        for container in engine.list() {
            if let crate::SeenState::Running { address } = container.state
                && (self.is_fresh_start || self.is_calm || self.dice.chance(80))
                && engine.answers(&container.id, address, now)
            {
                self.answering.insert((container.id, address));
            }
        }
        self.is_fresh_start = false;
    }

    fn publish(&mut self) {
        let wanted = self.store.wanted();
        self.published = routes(&wanted, &self.store.rows).state;
        if let RouteState::Serving(backends) = &self.published {
            assert!(!backends.is_empty() && !wanted.maintenance);
            let mut releases = BTreeSet::new();
            for backend in backends {
                let row = self.store.rows.iter().find(|row| row.id == backend.dyno).unwrap();
                let endpoint = &backend.endpoint;
                let is_its_own = self.engine.containers.iter().any(|container| {
                    container.id == endpoint.container && container.dyno == row.id && container.attempt == row.attempt
                });
                assert!(
                    is_its_own && self.engine.answers(&endpoint.container, endpoint.address, self.now),
                    "requests go to an unverified address: {backend:?}"
                );
                let (_, release) = self.store.release(row.release);
                assert!(release.fate == Fate::Served, "{row:?} takes requests");
                releases.insert(row.release);
            }
            assert_eq!(releases.len(), 1, "requests go to two releases at once");
        }
        let could_serve = self
            .store
            .rows
            .iter()
            .filter(|row| self.store.release(row.release).1.fate == Fate::Served);
        let is_open = wanted.web_quantity() > 0 && !wanted.maintenance && !wanted.is_sleeping();
        if could_serve.filter_map(Dyno::endpoint).count() > 0 && is_open {
            let is_serving = matches!(self.published, RouteState::Serving(_));
            assert!(
                is_serving,
                "requests are refused while a dyno answers: {:#?}",
                self.store.rows
            );
        }
        assert_eq!(
            self.published == RouteState::Asleep,
            wanted.is_sleeping() && !wanted.maintenance,
            "{:?}",
            self.published
        );
        if wanted.web_quantity() == 0 || wanted.is_sleeping() {
            self.is_serving = false;
        } else if !wanted.maintenance {
            let is_serving = matches!(self.published, RouteState::Serving(_));
            assert!(
                is_serving || !self.is_serving || !self.is_calm,
                "service was interrupted: {:#?}",
                self.store.rows
            );
            self.is_serving |= is_serving;
        }
    }

    /// The router says that nobody asked for the app for a while; the word may be late.
    pub(super) fn idle(&mut self) {
        if self.store.wanted().may_sleep(&self.store.rows, self.wall()) {
            self.store.is_asleep = true;
            self.sleeps += 1;
        }
    }

    /// How many dynos would answer if the routes of the present rows were published.
    fn answering_backends(&self) -> usize {
        let mut wanted = self.store.wanted();
        wanted.maintenance = false;
        wanted.is_asleep = false;
        match routes(&wanted, &self.store.rows).state {
            RouteState::Serving(backends) => {
                let answers =
                    |endpoint: &crate::Endpoint| self.engine.answers(&endpoint.container, endpoint.address, self.now);
                backends.iter().filter(|backend| answers(&backend.endpoint)).count()
            }
            _ => 0,
        }
    }

    fn check_steps(&self, steps: &[Step]) {
        let mut names = BTreeSet::new();
        for step in steps {
            if let Step::Start { name, release, size } = step {
                assert!(names.insert(name), "{name} starts twice in one plan");
                let twin = self.store.rows.iter().find(|row| {
                    let is_same = row.release == *release && row.size == *size && !row.is_condemned;
                    row.name == *name && (!row.is_web() || is_same && !row.state.is_stopping())
                });
                assert!(twin.is_none(), "{name} starts beside {twin:?}");
            }
        }
    }

    fn check_step(&self, step: &Step) {
        let rows = &self.store.rows;
        let row = |id: &Id<Dyno>| rows.iter().find(|row| row.id == *id).unwrap();
        let current = self.store.current().map(|(_, release)| release);
        let is_deploying = current.is_some_and(|release| release.fate == Fate::New);
        match step {
            Step::Fail { release, .. } => {
                let (_, failed) = self.store.release(*release);
                let behaviour = failed.behaviour;
                assert!(
                    !self.is_calm || !behaviour.boots_in_time(),
                    "good code failed: {behaviour:?}"
                );
                let serves = |row: &Dyno| row.release != *release && row.release_served && row.endpoint().is_some();
                assert!(
                    rows.iter().any(serves),
                    "a release failed with nothing to go back to: {rows:#?}"
                );
            }
            Step::Start { name, .. } => {
                assert!(
                    name.process_type.is_web() || !is_deploying,
                    "{name} starts before its release serves"
                );
            }
            Step::Restart(id) => {
                let is_due = matches!(&row(id).state, DynoState::Crashed(crash) if crash.retry_at <= self.wall());
                assert!(is_due, "restart out of turn: {:?}", row(id));
            }
            Step::Stop { dyno, why } if is_deploying && !row(dyno).is_web() && row(dyno).release_served => {
                let is_too_many = self.store.formation[&row(dyno).name.process_type].quantity < row(dyno).name.index;
                assert!(
                    is_too_many,
                    "a deploy that may still fail stops ({why:?}) {:?}",
                    row(dyno)
                );
            }
            Step::Stop {
                dyno,
                why: StopReason::Replaced,
            } if self.is_routed(*dyno) => {
                let takes_over = |other: &Dyno| {
                    other.id != *dyno
                        && other.name == row(dyno).name
                        && other.endpoint().is_some()
                        && !other.is_condemned
                };
                assert!(
                    rows.iter().any(takes_over),
                    "nobody replaces {:?}: {rows:#?}",
                    row(dyno)
                );
            }
            _ => {}
        }
    }

    fn is_routed(&self, dyno: Id<Dyno>) -> bool {
        matches!(routes(&self.store.wanted(), &self.store.rows).state, RouteState::Serving(backends)
            if backends.iter().any(|backend| backend.dyno == dyno))
    }

    fn apply(&mut self, step: &Step, now: DateTime<Utc>) {
        self.check_step(step);
        let before = self.answering_backends();
        self.store.apply(step, now);
        let after = self.answering_backends();
        let is_sleeping = self.store.wanted().is_sleeping();
        let wanted = self.store.wanted().web_quantity() as usize;
        assert!(
            before == 0 || after > 0 || wanted == 0 || is_sleeping,
            "{step:?} took web down: {:#?}",
            self.store.rows
        );
        assert!(
            before == 0 || !matches!(step, Step::Serve(_)) || after >= wanted,
            "{step:?} came too early: {:#?}",
            self.store.rows
        );
        match step {
            Step::Launch(dyno) => self.launch(*dyno),
            Step::Terminate(dyno) => self.terminate(Subject::Dyno(*dyno)),
            _ => {}
        }
    }

    fn is_busy(&self, subject: &Subject) -> bool {
        self.tasks.iter().any(|task| task.subject == *subject)
    }

    fn launch(&mut self, dyno: Id<Dyno>) {
        let row = self.store.rows.iter().find(|row| row.id == dyno).unwrap();
        let (_, release) = self.store.release(row.release);
        let phases = [
            Phase::Create(row.attempt, row.name.clone(), release.behaviour),
            Phase::Start(row.attempt),
            Phase::End,
        ];
        self.spawn(Subject::Dyno(dyno), phases, 1_500);
    }

    fn terminate(&mut self, subject: Subject) {
        self.spawn(subject, [Phase::Kill, Phase::Remove, Phase::End], 4_000);
    }

    fn spawn(&mut self, subject: Subject, phases: [Phase; 3], slowest: i64) {
        if self.is_busy(&subject) {
            return;
        }
        let mut at = self.now;
        let mut timed = Vec::new();
        for phase in phases {
            at += self.dice.between(1, slowest);
            timed.push((at, phase));
            if self.dice.chance(self.losses) {
                break;
            }
        }
        self.tasks.push(Task { subject, phases: timed });
    }

    /// The next moment that is worth a pass, if any.
    pub(super) fn next_moment(&self) -> i64 {
        let wall = self.wall();
        let of_rows = self.store.rows.iter().filter_map(|row| match &row.state {
            DynoState::Starting { since } if row.container.is_some() => {
                Some((*since + BOOT_LIMIT - wall).num_milliseconds())
            }
            DynoState::Crashed(crash) => Some((crash.retry_at - wall).num_milliseconds()),
            _ => None,
        });
        let of_tasks = self
            .tasks
            .iter()
            .filter_map(|task| Some(task.phases.first()?.0 - self.now));
        let of_engine = self.engine.next_event(self.now).map(|at| at - self.now);
        let waits = of_rows.chain(of_tasks).chain(of_engine).filter(|wait| *wait > 0);
        waits
            .min()
            .unwrap_or(10_000)
            .min(TimeDelta::minutes(1).num_milliseconds())
    }

    /// Whether rows and containers are exactly what is wanted.
    pub(super) fn is_settled(&self) -> bool {
        let wanted = self.store.wanted();
        let containers = &self.engine.containers;
        let Some(target) = &wanted.target else {
            return self.store.rows.is_empty() && containers.is_empty();
        };
        if wanted.is_sleeping() {
            return self.store.rows.is_empty() && containers.is_empty();
        }
        let slots = wanted
            .formation
            .values()
            .map(|scale| scale.quantity as usize)
            .sum::<usize>();
        let is_right = |row: &Dyno| {
            let scale = wanted.formation.get(&row.name.process_type);
            row.state.is_up()
                && row.release == target.release
                && !row.is_condemned
                && scale.is_some_and(|scale| scale.size == row.size && row.name.index <= scale.quantity)
        };
        let names: BTreeSet<_> = self.store.rows.iter().map(|row| &row.name).collect();
        let is_running = |row: &Dyno| {
            containers.iter().any(|container| {
                container.dyno == row.id
                    && container.attempt == row.attempt
                    && matches!(container.life, Life::Running { .. })
            })
        };
        target.is_served
            && self.store.rows.len() == slots
            && names.len() == slots
            && containers.len() == slots
            && self.store.rows.iter().all(|row| is_right(row) && is_running(row))
    }
}
