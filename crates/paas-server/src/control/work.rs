//! What tasks of the apps controller are at work on, so that no pass starts a second one.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use paas_core::{App, Dyno, Id};
use paas_engine::{Container, Role};

use crate::platform::Platform;

/// What a task works on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Work {
    Launch(Id<Dyno>),
    Terminate(Id<Dyno>),
    Probe(String),
    Orphan(String),
    Destroy(Id<App>),
}

#[derive(Default)]
pub(super) struct InFlight(Mutex<HashSet<Work>>);

/// One piece of work in flight. However its task ends, the controller looks again afterwards.
pub(super) struct Ticket {
    platform: Arc<Platform>,
    in_flight: Arc<InFlight>,
    work: Work,
}

impl InFlight {
    /// `None` when it is in flight already, or something that must not be at work beside it.
    pub(super) fn begin(self: &Arc<Self>, platform: &Arc<Platform>, work: &Work) -> Option<Ticket> {
        let mut in_flight = self.lock();
        if work.opposite().is_some_and(|opposite| in_flight.contains(&opposite)) {
            return None;
        }
        in_flight.insert(work.clone()).then(|| Ticket {
            platform: Arc::clone(platform),
            in_flight: Arc::clone(self),
            work: work.clone(),
        })
    }

    pub(super) fn launches(&self) -> usize {
        let is_launch = |work: &&Work| matches!(work, Work::Launch(_));
        self.lock().iter().filter(is_launch).count()
    }

    pub(super) fn now(&self) -> HashSet<Work> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Work>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    /// Whether one of `work` is on this dyno.
    pub(super) fn is_on(work: &HashSet<Self>, dyno: Id<Dyno>) -> bool {
        work.contains(&Self::Launch(dyno)) || work.contains(&Self::Terminate(dyno))
    }

    /// Whether one of `work` removes this container.
    pub(super) fn removes(work: &HashSet<Self>, container: &Container) -> bool {
        let is_of_dyno = match &container.role {
            Some(Role::Dyno { dyno, .. }) => work.contains(&Self::Terminate(*dyno)),
            _ => false,
        };
        is_of_dyno || work.contains(&Self::Orphan(container.id.as_str().to_owned()))
    }

    fn opposite(&self) -> Option<Self> {
        match self {
            Self::Launch(dyno) => Some(Self::Terminate(*dyno)),
            Self::Terminate(dyno) => Some(Self::Launch(*dyno)),
            Self::Probe(_) | Self::Orphan(_) | Self::Destroy(_) => None,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.in_flight.lock().remove(&self.work);
        self.platform.wake.notify_one();
    }
}
