//! The rules of the planner: the slots of one app, who holds them, and what each rule makes of that.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::{AppWanted, Dyno, DynoName, DynoState, Id, Step, StopReason, Target, route::routed};

/// The dynos of one app, sorted by what the target wants of them.
pub(crate) struct Slots<'a> {
    wanted: &'a AppWanted,
    target: &'a Target,
    /// All that are not stopping.
    running: Vec<&'a Dyno>,
    /// Names that a stopping dyno still holds.
    stopping: BTreeSet<&'a DynoName>,
    /// The fresh dyno of each slot.
    fresh: BTreeMap<&'a DynoName, &'a Dyno>,
    /// The web dynos that take requests now.
    routed: Vec<&'a Dyno>,
}

impl<'a> Slots<'a> {
    pub(crate) fn new(wanted: &'a AppWanted, target: &'a Target, dynos: &'a [Dyno]) -> Self {
        let (stopping, running): (Vec<_>, Vec<_>) = dynos.iter().partition(|dyno| dyno.state.is_stopping());
        let mut fresh: BTreeMap<&DynoName, &Dyno> = BTreeMap::new();
        for dyno in running.iter().copied().filter(|dyno| is_fresh(wanted, target, dyno)) {
            let holder = fresh.entry(&dyno.name).or_insert(dyno);
            if seniority(dyno) < seniority(holder) {
                *holder = dyno;
            }
        }
        Self {
            wanted,
            target,
            stopping: stopping.into_iter().map(|dyno| &dyno.name).collect(),
            fresh,
            routed: routed(target, running.iter().copied()),
            running,
        }
    }

    /// Rule 1: a release that does not boot while another serves has failed. With nothing else to serve it is tried
    /// again and again instead, as Heroku does.
    pub(crate) fn fail(&self) -> Option<Step> {
        if self.target.is_served || !self.is_another_serving() {
            return None;
        }
        let is_dead = |dyno: &&&Dyno| dyno.is_web() && matches!(dyno.state, DynoState::Crashed(_));
        self.fresh.values().find(is_dead).map(|dyno| Step::Fail {
            release: self.target.release,
            dyno: dyno.id,
        })
    }

    /// Rule 2: the target serves when all of its web dynos are up. Where nobody answers now, the first one is enough.
    pub(crate) fn serve(&self) -> Option<Step> {
        let wanted = self.wanted.web_quantity();
        let up = self.fresh.values().filter(|dyno| dyno.endpoint().is_some()).count();
        let enough = if self.is_another_serving() {
            wanted as usize
        } else {
            wanted.min(1) as usize
        };
        (!self.target.is_served && up >= enough).then_some(Step::Serve(self.target.release))
    }

    fn is_another_serving(&self) -> bool {
        self.routed.iter().any(|dyno| dyno.release != self.target.release)
    }

    /// Rule 3: web dynos start beside those that they replace; others wait until the target serves and their slot is empty.
    pub(crate) fn starts(&self) -> Vec<Step> {
        let taken: BTreeSet<_> = self
            .running
            .iter()
            .map(|dyno| &dyno.name)
            .chain(self.stopping.iter().copied())
            .collect();
        let mut starts = Vec::new();
        for (process_type, scale) in &self.wanted.formation {
            for index in 1..=scale.quantity {
                let name = DynoName {
                    process_type: process_type.clone(),
                    index,
                };
                let is_missing = if process_type.is_web() {
                    !self.fresh.contains_key(&name)
                } else {
                    self.target.is_served && !taken.contains(&name)
                };
                if is_missing {
                    starts.push(Step::Start {
                        name,
                        release: self.target.release,
                        size: scale.size,
                    });
                }
            }
        }
        starts
    }

    /// Rule 4: crashed dynos start again when it is time. Those of the release before are among the stopped as soon as the
    /// target serves.
    pub(crate) fn restarts<'b>(
        &'b self,
        stopped: &'b BTreeMap<Id<Dyno>, StopReason>,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = Step> + 'b {
        let is_due = move |dyno: &Dyno| matches!(&dyno.state, DynoState::Crashed(crash) if crash.retry_at <= now);
        self.running
            .iter()
            .filter(move |dyno| is_due(dyno) && !stopped.contains_key(&dyno.id))
            .map(|dyno| Step::Restart(dyno.id))
    }

    /// Rule 5: what is neither wanted nor needed goes, but never the last web dyno that takes requests.
    pub(crate) fn stops(&self) -> BTreeMap<Id<Dyno>, StopReason> {
        let mut stops: BTreeMap<_, _> = self
            .running
            .iter()
            .filter_map(|dyno| Some((dyno.id, self.reason_to_stop(dyno)?)))
            .collect();
        let would_stay = self
            .running
            .iter()
            .copied()
            .filter(|dyno| !stops.contains_key(&dyno.id));
        if self.wanted.web_quantity() > 0
            && routed(self.target, would_stay).is_empty()
            && let Some(last) = self.routed.first()
        {
            stops.remove(&last.id);
        }
        stops
    }

    fn reason_to_stop(&self, dyno: &Dyno) -> Option<StopReason> {
        if !self.is_slot_wanted(dyno) {
            return Some(StopReason::ScaledDown);
        }
        let holder = self.fresh.get(&dyno.name);
        if holder.is_some_and(|holder| holder.id == dyno.id) {
            return None;
        }
        if dyno.release != self.target.release && !dyno.release_served {
            return Some(StopReason::Abandoned);
        }
        let is_over = if !dyno.is_web() {
            self.target.is_served
        } else if dyno.release != self.target.release && !self.target.is_served {
            // Deploying: the release before goes on, unless a newer one has taken its requests over.
            self.routed.iter().any(|routed| routed.version > dyno.version)
        } else {
            let takes_requests = self.routed.iter().any(|routed| routed.id == dyno.id);
            !takes_requests || holder.is_some_and(|holder| holder.endpoint().is_some())
        };
        is_over.then_some(StopReason::Replaced)
    }

    /// Whether the formation has this slot. A process type that the target no longer has is kept until the target serves:
    /// if the deploy fails, nothing has happened to it.
    fn is_slot_wanted(&self, dyno: &Dyno) -> bool {
        match self.wanted.formation.get(&dyno.name.process_type) {
            Some(scale) => (1..=scale.quantity).contains(&dyno.name.index),
            None => !self.target.is_served && dyno.release != self.target.release,
        }
    }
}

fn is_fresh(wanted: &AppWanted, target: &Target, dyno: &Dyno) -> bool {
    dyno.release == target.release
        && !dyno.is_condemned
        && wanted
            .formation
            .get(&dyno.name.process_type)
            .is_some_and(|scale| scale.size == dyno.size && (1..=scale.quantity).contains(&dyno.name.index))
}

/// Of two fresh dynos in one slot the one that is up stays, then the one that is starting, then the older.
fn seniority(dyno: &Dyno) -> (u8, DateTime<Utc>, Id<Dyno>) {
    let rank = match dyno.state {
        DynoState::Up { .. } => 0,
        DynoState::Starting { .. } => 1,
        DynoState::Crashed(_) | DynoState::Stopping { .. } => 2,
    };
    (rank, dyno.created_at, dyno.id)
}
