//! What was stored about dynos, held against the containers that are really there.
//!
//! ```text
//! stored ╲ container   none, or only made     running                      exited
//! starting             starting (launch it)   up when it answers           crashed
//! up                   crashed                up; starting when it moved   crashed
//! crashed              crashed                crashed, and an orphan       crashed
//! stopping             gone when there is     stopping                     stopping
//!                      none, else stopping
//! ```
//!
//! A stored time that lies in the future is first brought back to `now`: a clock that was set back by an hour must not
//! hold a dyno for an hour.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{Backoff, Crash, Dyno, DynoState, Endpoint, Id};

/// How long a web dyno may take to bind `$PORT`, from its launch (R10; Dev Center, *Web Dyno Boot Timeout*).
pub const BOOT_LIMIT: TimeDelta = TimeDelta::seconds(60);

/// How long a crashed dyno waits at least while the container of its last attempt still runs.
const KILL_WAIT: TimeDelta = TimeDelta::seconds(1);

/// A container of the formation, as the engine shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenContainer {
    pub id: String,
    pub dyno: Id<Dyno>,
    pub attempt: u32,
    pub state: SeenState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeenState {
    /// Made, not yet started.
    Created,
    /// With the address of its app's network, where `$PORT` is expected.
    Running { address: SocketAddr },
    Exited {
        at: DateTime<Utc>,
        code: i32,
        out_of_memory: bool,
    },
}

/// The dynos as they are now, and what is left over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observation {
    /// Every stored dyno that still exists, with the state seen.
    pub dynos: Vec<Dyno>,
    /// Dynos that were stopping and have no container: their rows can go. While a launch of such a dyno is still in flight
    /// its row must stay and be handed to the planner as it is stored, or its slot would be given away too early.
    pub gone: Vec<Id<Dyno>>,
    /// Containers to kill and remove: of no dyno row, of another attempt than the row's, or of a crashed dyno and still
    /// running (it did not boot in time).
    pub orphans: Vec<String>,
}

/// Brings stored dynos up to date.
///
/// `answering` holds the ids of the containers whose port has answered a probe **at their present address**: whoever
/// probes takes an id out when its container stops running or moves. After a start of the server, probe once before the
/// first call, or a dyno that booted meanwhile seems to have missed its time.
pub fn observe(
    stored: &[Dyno],
    seen: &[SeenContainer],
    answering: &BTreeSet<String>,
    now: DateTime<Utc>,
) -> Observation {
    let mut observation = Observation::default();
    let attempts: BTreeMap<_, _> = stored.iter().map(|dyno| (dyno.id, dyno.attempt)).collect();
    let mut containers = BTreeMap::new();
    for container in seen {
        if attempts.get(&container.dyno) == Some(&container.attempt) && !containers.contains_key(&container.dyno) {
            containers.insert(container.dyno, container);
        } else {
            observation.orphans.push(container.id.clone());
        }
    }
    for dyno in stored {
        let container = containers.get(&dyno.id).copied();
        if dyno.state.is_stopping() && container.is_none() {
            observation.gone.push(dyno.id);
            continue;
        }
        let mut dyno = dyno.clone();
        set_back(&mut dyno, now);
        let is_first_sight = dyno.container.is_none();
        dyno.container = container.and_then(|container| launched(container, &dyno));
        if is_first_sight
            && dyno.container.is_some()
            && let DynoState::Starting { since } = &mut dyno.state
        {
            // The time to boot begins with the launch: an engine that was away must not fail a deploy.
            *since = now;
        }
        let is_leftover = look_at(&mut dyno, container, answering, now);
        if let Some(container) = container.filter(|_| is_leftover) {
            observation.orphans.push(container.id.clone());
        }
        observation.dynos.push(dyno);
    }
    observation
}

impl Dyno {
    /// The engine answered, and refused to make the container (no such image, no room): a starting dyno has crashed. A
    /// deploy then fails instead of waiting for ever. An engine that cannot be reached is no refusal.
    pub fn refuse_launch(&mut self, now: DateTime<Utc>) {
        if matches!(self.state, DynoState::Starting { .. }) {
            crash(self, now, Death::NoLife);
        }
    }
}

/// The container to store. One that was made and never started does not count for a starting dyno: its launch was cut
/// short and is to be repeated.
fn launched(container: &SeenContainer, dyno: &Dyno) -> Option<String> {
    let is_half_launched = matches!(
        (&dyno.state, &container.state),
        (DynoState::Starting { .. }, SeenState::Created)
    );
    (!is_half_launched).then(|| container.id.clone())
}

/// Moves one dyno to the state that its container shows. Says whether that container must be killed.
fn look_at(
    dyno: &mut Dyno,
    container: Option<&SeenContainer>,
    answering: &BTreeSet<String>,
    now: DateTime<Utc>,
) -> bool {
    match (&mut dyno.state, container.map(|container| &container.state)) {
        (DynoState::Starting { since }, Some(SeenState::Running { address })) => {
            let endpoint = container.map(|container| Endpoint {
                container: container.id.clone(),
                address: *address,
            });
            if !dyno.name.process_type.is_web() {
                dyno.state = DynoState::Up {
                    since: now,
                    endpoint: None,
                };
            } else if container.is_some_and(|container| answering.contains(&container.id)) {
                dyno.state = DynoState::Up { since: now, endpoint };
            } else if now - *since >= BOOT_LIMIT {
                crash(dyno, now, Death::BootTimeout);
                return true;
            }
        }
        (
            DynoState::Starting { .. } | DynoState::Up { .. },
            Some(SeenState::Exited {
                at,
                code,
                out_of_memory,
            }),
        ) => {
            // An engine that never saw the end says year 1, and its clock need not be ours.
            let at = (*at).max(dyno.state.since()).min(now);
            let death = Death::Exit {
                code: *code,
                out_of_memory: *out_of_memory,
            };
            crash(dyno, at, death);
        }
        (DynoState::Up { .. }, None | Some(SeenState::Created)) => crash(dyno, now, Death::NoLife),
        (DynoState::Up { endpoint, .. }, Some(SeenState::Running { address })) => {
            let is_where_it_was = endpoint.as_ref().is_some_and(|endpoint| {
                endpoint.address == *address && container.is_some_and(|container| container.id == endpoint.container)
            });
            if dyno.name.process_type.is_web() && !is_where_it_was {
                dyno.state = DynoState::Starting { since: now };
            }
        }
        (DynoState::Crashed(crash), Some(SeenState::Running { .. })) => {
            crash.retry_at = crash.retry_at.max(later(now, KILL_WAIT));
            return true;
        }
        // Not launched yet; or past changing.
        (DynoState::Starting { .. }, None | Some(SeenState::Created))
        | (DynoState::Crashed(_) | DynoState::Stopping { .. }, _) => {}
    }
    false
}

/// How a dyno was seen to end.
#[derive(Clone, Copy)]
enum Death {
    Exit {
        code: i32,
        out_of_memory: bool,
    },
    /// It vanished, or was never made.
    NoLife,
    BootTimeout,
}

fn crash(dyno: &mut Dyno, at: DateTime<Utc>, death: Death) {
    if matches!(&dyno.state, DynoState::Up { since, .. } if at - *since >= Backoff::RESET_AFTER) {
        dyno.failures = 0;
    }
    dyno.failures = dyno.failures.saturating_add(1);
    let backoff = Backoff::after(dyno.failures);
    let (exit_code, out_of_memory, wait) = match death {
        Death::Exit { code, out_of_memory } => (Some(code), out_of_memory, backoff),
        Death::NoLife => (None, false, backoff),
        Death::BootTimeout => (None, false, backoff.max(KILL_WAIT)),
    };
    dyno.state = DynoState::Crashed(Crash {
        at,
        exit_code,
        out_of_memory,
        boot_timeout: matches!(death, Death::BootTimeout),
        retry_at: later(at, wait),
    });
}

/// Undoes what a clock that has since been set back wrote.
fn set_back(dyno: &mut Dyno, now: DateTime<Utc>) {
    match &mut dyno.state {
        DynoState::Starting { since } | DynoState::Up { since, .. } | DynoState::Stopping { since, .. } => {
            *since = (*since).min(now);
        }
        DynoState::Crashed(crash) => {
            crash.at = crash.at.min(now);
            let wait = Backoff::after(dyno.failures).max(KILL_WAIT);
            crash.retry_at = crash.retry_at.min(later(now, wait));
        }
    }
}

fn later(at: DateTime<Utc>, wait: TimeDelta) -> DateTime<Utc> {
    at.checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{StopReason, fixture::*};

    fn container(dyno: &Dyno, state: SeenState) -> SeenContainer {
        SeenContainer {
            id: container_of(dyno),
            dyno: dyno.id,
            attempt: dyno.attempt,
            state,
        }
    }

    fn running(dyno: &Dyno) -> SeenState {
        SeenState::Running {
            address: address_of(dyno),
        }
    }

    /// What becomes of one dyno whose container is in this state.
    fn seen(dyno: &Dyno, state: Option<SeenState>, answers: bool, now: i64) -> Observation {
        let containers: Vec<_> = state.map(|state| container(dyno, state)).into_iter().collect();
        let answering = if answers {
            BTreeSet::from([container_of(dyno)])
        } else {
            BTreeSet::new()
        };
        observe(std::slice::from_ref(dyno), &containers, &answering, at(now))
    }

    /// One whose launch was seen.
    fn booting() -> Dyno {
        let web = dyno("web.1", 1, starting(0));
        Dyno {
            container: Some(container_of(&web)),
            ..web
        }
    }

    fn up_since(second: i64) -> Dyno {
        let web = dyno("web.1", 1, starting(0));
        Dyno {
            state: up_at(&web, second),
            ..web
        }
    }

    fn crash_of(observation: &Observation) -> &Crash {
        match &observation.dynos[0].state {
            DynoState::Crashed(crash) => crash,
            other => panic!("{other:?} is no crash"),
        }
    }

    #[test]
    fn web_is_up_when_it_answers_and_anything_else_when_it_runs() {
        let web = booting();
        let still_booting = &seen(&web, Some(running(&web)), false, 59).dynos[0];
        assert_eq!(still_booting.state, starting(0));
        assert_eq!(still_booting.container, Some(container_of(&web)));
        let answers = &seen(&web, Some(running(&web)), true, 59).dynos[0];
        assert_eq!(answers.state, up_at(&web, 59));
        let worker = dyno("worker.1", 1, starting(0));
        let runs = &seen(&worker, Some(running(&worker)), false, 1).dynos[0];
        assert_eq!(
            runs.state,
            DynoState::Up {
                since: at(1),
                endpoint: None
            }
        );
    }

    #[test]
    fn web_that_does_not_answer_in_time_crashes_and_is_killed_before_it_is_tried_again() {
        let web = booting();
        let observation = seen(&web, Some(running(&web)), false, 60);
        let crash = crash_of(&observation);
        assert!(crash.boot_timeout && crash.exit_code.is_none());
        assert_eq!(observation.orphans, [container_of(&web)]);
        assert_eq!(crash.retry_at, at(61));

        let again = seen(&observation.dynos[0], Some(running(&web)), true, 61);
        assert_eq!(again.orphans, [container_of(&web)]);
        assert_eq!(crash_of(&again).retry_at, at(62));
    }

    #[test]
    fn the_time_to_boot_begins_with_the_launch() {
        let web = dyno("web.1", 1, starting(0));
        for not_launched in [None, Some(SeenState::Created)] {
            let waiting = &seen(&web, not_launched, false, 500).dynos[0];
            assert_eq!(
                waiting, &web,
                "the planner has to launch it, and there is nothing to store"
            );
            let launched = &seen(waiting, Some(running(&web)), false, 600).dynos[0];
            assert_eq!(launched.state, starting(600));
            let boots = &seen(launched, Some(running(&web)), false, 659).dynos[0];
            assert_eq!(boots.state, starting(600));
        }
    }

    #[test]
    fn every_end_is_a_crash_and_five_good_minutes_forgive_the_earlier_ones() {
        let exited = |at_second| SeenState::Exited {
            at: at(at_second),
            code: 0,
            out_of_memory: true,
        };
        let web = dyno("web.1", 1, starting(0));
        let web = Dyno {
            failures: 2,
            state: up_at(&web, 0),
            ..web
        };
        let soon = seen(&web, Some(exited(299)), false, 299);
        let crash = crash_of(&soon);
        assert_eq!((crash.exit_code, crash.out_of_memory), (Some(0), true));
        assert_eq!((crash.at, crash.retry_at), (at(299), at(319)));
        assert_eq!(soon.dynos[0].failures, 3);
        assert!(soon.orphans.is_empty(), "the dead container's log is still to be read");

        let late = seen(&web, Some(exited(300)), false, 400);
        assert_eq!((late.dynos[0].failures, crash_of(&late).retry_at), (1, at(300)));

        let vanished = seen(&web, None, false, 10);
        assert_eq!(
            (crash_of(&vanished).exit_code, crash_of(&vanished).retry_at),
            (None, at(30))
        );

        let unknown_end = seen(&web, Some(exited(-2_000_000_000)), false, 20);
        assert_eq!(crash_of(&unknown_end).at, at(0));
    }

    #[test]
    fn an_address_that_was_not_probed_is_never_trusted() {
        let web = up_since(0);
        assert_eq!(seen(&web, Some(running(&web)), false, 9).dynos[0].state, up_at(&web, 0));
        let moved = SeenState::Running {
            address: SocketAddr::from(([10, 9, 9, 9], 5000)),
        };
        assert_eq!(seen(&web, Some(moved), true, 9).dynos[0].state, starting(9));
    }

    #[test]
    fn a_stopping_dyno_stays_so_until_its_container_is_gone() {
        let why = StopReason::Replaced;
        let web = dyno("web.1", 1, DynoState::Stopping { since: at(0), why });
        let exited = SeenState::Exited {
            at: at(1),
            code: 143,
            out_of_memory: false,
        };
        for state in [SeenState::Created, running(&web), exited] {
            let observation = seen(&web, Some(state), true, 9);
            assert_eq!(observation.dynos[0].state, web.state);
            assert!(observation.gone.is_empty() && observation.orphans.is_empty());
        }
        let observation = seen(&web, None, false, 9);
        assert_eq!((observation.gone, observation.dynos), (vec![web.id], vec![]));
    }

    #[test]
    fn containers_of_nobody_and_of_other_attempts_are_orphans() {
        let web = dyno("web.1", 1, starting(0));
        let stranger = dyno("web.2", 1, starting(0));
        let attempt = |attempt, id: &str| SeenContainer {
            id: id.to_owned(),
            attempt,
            ..container(&web, running(&web))
        };
        let containers = [
            container(&stranger, SeenState::Created),
            attempt(0, "older"),
            attempt(1, "its own"),
            attempt(2, "newer"),
        ];
        let observation = observe(&[web], &containers, &BTreeSet::new(), at(1));
        assert_eq!(
            observation.orphans,
            [container_of(&stranger), "older".into(), "newer".into()]
        );
        assert_eq!(observation.dynos[0].container.as_deref(), Some("its own"));
    }

    #[test]
    fn a_launch_that_the_engine_refuses_is_a_crash() {
        let mut web = dyno("web.1", 1, starting(0));
        web.refuse_launch(at(1));
        assert!(matches!(&web.state, DynoState::Crashed(crash) if crash.retry_at == at(1)));
        let mut web = up_since(0);
        web.refuse_launch(at(1));
        assert!(web.state.is_up());
    }

    #[test]
    fn a_clock_that_was_set_back_holds_nobody() {
        let web = dyno("web.1", 1, starting(90_000));
        assert_eq!(seen(&web, Some(running(&web)), false, 10).dynos[0].state, starting(10));
        let crashed = Dyno {
            failures: 3,
            ..dyno("web.1", 1, crashed(90_000))
        };
        assert_eq!(crash_of(&seen(&crashed, None, false, 10)).retry_at, at(30));
        let ancient = seen(&dyno("web.1", 1, starting(0)), None, false, 0);
        assert_eq!(ancient.dynos.len(), 1);
        let end_of_time = observe(&[crashed], &[], &BTreeSet::new(), DateTime::<Utc>::MAX_UTC);
        assert_eq!(end_of_time.dynos.len(), 1);
    }
}
