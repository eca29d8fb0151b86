//! The rows of one app, and what each step does to them.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::engine::Behaviour;
use crate::{App, AppWanted, Dyno, DynoState, Id, ProcessType, Release, ReleaseVersion, Routing, Scale, Step, Target};

pub(super) struct StoredRelease {
    pub(super) id: Id<Release>,
    pub(super) behaviour: Behaviour,
    pub(super) has_web: bool,
    pub(super) has_worker: bool,
    pub(super) fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    New,
    Served,
    Failed,
}

pub(super) struct Store {
    pub(super) releases: Vec<StoredRelease>,
    pub(super) formation: BTreeMap<ProcessType, Scale>,
    pub(super) maintenance: bool,
    pub(super) is_destroyed: bool,
    pub(super) sleep_after: Option<Duration>,
    pub(super) is_asleep: bool,
    pub(super) rows: Vec<Dyno>,
    ids: u128,
}

impl Store {
    pub(super) fn new() -> Self {
        let one = Scale {
            quantity: 1,
            ..Scale::default()
        };
        Self {
            releases: Vec::new(),
            formation: BTreeMap::from([(ProcessType::web(), one), (worker(), one)]),
            maintenance: false,
            is_destroyed: false,
            sleep_after: None,
            is_asleep: false,
            rows: Vec::new(),
            ids: 0,
        }
    }

    pub(super) fn next_id<T>(&mut self) -> Id<T> {
        self.ids += 1;
        Id::from_uuid(Uuid::from_u128(self.ids))
    }

    pub(super) fn current(&self) -> Option<(usize, &StoredRelease)> {
        let mut newest_first = self.releases.iter().enumerate().rev();
        newest_first.find(|(_, release)| release.fate != Fate::Failed && !self.is_destroyed)
    }

    pub(super) fn wanted(&self) -> AppWanted {
        let current = self.current();
        let has = |process_type: &ProcessType| {
            current.is_some_and(|(_, release)| {
                if process_type.is_web() {
                    release.has_web
                } else {
                    release.has_worker
                }
            })
        };
        AppWanted {
            app: Id::<App>::from_uuid(Uuid::nil()),
            name: "simulated".parse().unwrap(),
            hostnames: Vec::new(),
            maintenance: self.maintenance,
            routing: Routing {
                sleep_after: self.sleep_after,
                ..Routing::default()
            },
            is_asleep: self.is_asleep,
            target: current.map(|(index, release)| Target {
                release: release.id,
                version: version(index),
                is_served: release.fate == Fate::Served,
            }),
            formation: self
                .formation
                .clone()
                .into_iter()
                .filter(|(name, _)| has(name))
                .collect(),
        }
    }

    pub(super) fn release(&self, id: Id<Release>) -> (usize, &StoredRelease) {
        let mut releases = self.releases.iter().enumerate();
        releases.find(|(_, release)| release.id == id).unwrap()
    }

    /// Applies a step that changes rows. The conditions are those of an update statement: a row that has moved on stays.
    pub(super) fn apply(&mut self, step: &Step, now: DateTime<Utc>) {
        match step {
            Step::Start { name, release, size } => {
                let (index, stored) = self.release(*release);
                let release_served = stored.fate == Fate::Served;
                let id = self.next_id();
                self.rows.push(Dyno {
                    id,
                    app: Id::from_uuid(Uuid::nil()),
                    name: name.clone(),
                    release: *release,
                    version: version(index),
                    release_served,
                    size: *size,
                    attempt: 1,
                    failures: 0,
                    state: DynoState::Starting { since: now },
                    is_condemned: false,
                    container: None,
                    created_at: now,
                });
            }
            Step::Restart(dyno) => {
                let row = self.row(*dyno);
                assert!(matches!(row.state, DynoState::Crashed(_)), "restart of {row:?}");
                row.attempt += 1;
                row.state = DynoState::Starting { since: now };
                row.container = None;
            }
            Step::Stop { dyno, why } => {
                let row = self.row(*dyno);
                assert!(!row.state.is_stopping(), "second stop of {row:?}");
                row.state = DynoState::Stopping { since: now, why: *why };
            }
            Step::Serve(release) => {
                let (index, stored) = self.release(*release);
                assert!(stored.fate != Fate::Failed, "a failed release serves");
                self.releases[index].fate = Fate::Served;
                let rows = self.rows.iter_mut().filter(|row| row.release == *release);
                rows.for_each(|row| row.release_served = true);
            }
            Step::Fail { release, .. } => {
                let (index, stored) = self.release(*release);
                assert!(stored.fate != Fate::Served, "a release that serves fails");
                self.releases[index].fate = Fate::Failed;
            }
            Step::Launch(_) | Step::Terminate(_) => {}
        }
    }

    fn row(&mut self, id: Id<Dyno>) -> &mut Dyno {
        self.rows.iter_mut().find(|row| row.id == id).unwrap()
    }
}

pub(super) fn worker() -> ProcessType {
    "worker".parse().unwrap()
}

fn version(index: usize) -> ReleaseVersion {
    ReleaseVersion::new(u32::try_from(index).unwrap() + 1).unwrap()
}
