//! Whether a killed container was killed by its memory limit.
//!
//! Docker hears of the kill and of the exit on two ways. When the exit comes first, its state says `OOMKilled: false` for
//! ever and only an event tells the truth; a few seconds later even that may have been forgotten, so the verdict is kept.

use std::{
    collections::{BTreeMap, HashMap},
    future::ready,
    sync::{Arc, Mutex, PoisonError},
};

use bollard::query_parameters::EventsOptionsBuilder;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt as _;

use super::DockerEngine;
use crate::{ContainerId, Exit};

/// What a process ends with that was killed, by whomever.
const KILLED: i32 = 128 + 9;
/// How long before and after an exit its reason may be told.
const BEFORE: TimeDelta = TimeDelta::seconds(10);
const AFTER: TimeDelta = TimeDelta::seconds(2);

/// The verdicts on containers that were killed.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdicts(Arc<Mutex<BTreeMap<ContainerId, bool>>>);

impl Verdicts {
    /// Remembers that this container is, or was, killed by us: no need to ask.
    pub(super) fn acquit(&self, id: &ContainerId) {
        self.set(id, false);
    }

    pub(super) fn forget(&self, id: &ContainerId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    fn set(&self, id: &ContainerId, was_out_of_memory: bool) {
        let mut verdicts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        verdicts.insert(id.clone(), was_out_of_memory);
    }

    fn get(&self, id: &ContainerId) -> Option<bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }
}

impl DockerEngine {
    /// The exit with the truth about memory.
    pub(super) async fn judge(&self, id: &ContainerId, exit: Exit) -> Exit {
        if exit.code != KILLED || exit.out_of_memory {
            return exit;
        }
        let out_of_memory = match self.verdicts.get(id) {
            Some(verdict) => verdict,
            None => {
                let verdict = self.was_out_of_memory(id, exit.at).await;
                self.verdicts.set(id, verdict);
                verdict
            }
        };
        Exit { out_of_memory, ..exit }
    }

    async fn was_out_of_memory(&self, id: &ContainerId, at: DateTime<Utc>) -> bool {
        let filters = HashMap::from([("container", vec![id.as_str()]), ("event", vec!["oom"])]);
        // Ends by itself: at once for an exit of long ago.
        let options = EventsOptionsBuilder::new()
            .since(&timestamp(at - BEFORE))
            .until(&timestamp(at + AFTER))
            .filters(&filters)
            .build();
        let events = self.docker.events(Some(options));
        // Without an answer the state is all that we know.
        events.any(|event| ready(event.is_ok())).await
    }
}

fn timestamp(at: DateTime<Utc>) -> String {
    format!("{}.{:09}", at.timestamp(), at.timestamp_subsec_nanos())
}
