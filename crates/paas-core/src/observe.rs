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
        dyno.container = container.and_then(|container| launched(container, &dyno));
        let is_leftover = look_at(&mut dyno, container, answering, now);
        if let Some(container) = container.filter(|_| is_leftover) {
            observation.orphans.push(container.id.clone());
        }
        observation.dynos.push(dyno);
    }
    observation
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
        // The time to boot begins with the launch: an engine that was away must not fail a deploy.
        (DynoState::Starting { since }, None | Some(SeenState::Created)) => *since = now,
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
        (DynoState::Up { .. }, None | Some(SeenState::Created)) => crash(dyno, now, Death::Vanished),
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
        (DynoState::Crashed(_) | DynoState::Stopping { .. }, _) => {}
    }
    false
}

/// How a dyno was seen to end.
#[derive(Clone, Copy)]
enum Death {
    Exit { code: i32, out_of_memory: bool },
    Vanished,
    BootTimeout,
}

fn crash(dyno: &mut Dyno, at: DateTime<Utc>, death: Death) {
    if matches!(&dyno.state, DynoState::Up { since, .. } if at - *since >= Backoff::RESET_AFTER) {
        dyno.failures = 0;
    }
    dyno.failures = dyno.failures.saturating_add(1);
    let (exit_code, out_of_memory) = match death {
        Death::Exit { code, out_of_memory } => (Some(code), out_of_memory),
        Death::Vanished | Death::BootTimeout => (None, false),
    };
    dyno.state = DynoState::Crashed(Crash {
        at,
        exit_code,
        out_of_memory,
        boot_timeout: matches!(death, Death::BootTimeout),
        retry_at: later(at, Backoff::after(dyno.failures)),
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
