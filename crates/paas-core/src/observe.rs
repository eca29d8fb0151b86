//! What was stored about dynos, held against the containers that are really there.

use std::{collections::BTreeSet, net::SocketAddr};

use chrono::{DateTime, Utc};

use crate::{Dyno, Id};

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
    /// Dynos that were stopping and whose container is gone: their rows can go.
    pub gone: Vec<Id<Dyno>>,
    /// Containers that belong to no dyno row, or to an earlier attempt: they can go.
    pub orphans: Vec<String>,
}

/// Brings stored dynos up to date. `answering` holds the ids of the containers whose port has answered a probe.
pub fn observe(
    stored: &[Dyno],
    seen: &[SeenContainer],
    answering: &BTreeSet<String>,
    now: DateTime<Utc>,
) -> Observation {
    let _ = (stored, seen, answering, now);
    Observation::default()
}
