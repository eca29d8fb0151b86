//! The planner: what is wanted and what is seen become what to do next.
//!
//! Words used below. A dyno is *fresh* when it is just what its slot wants: the target's release, the wanted size, not
//! condemned, not stopping. Every other dyno that is not stopping is *stale*. While the target has not served, the app is
//! *deploying*, and whatever served before goes on as it was.
//!
//! Invariants, which `simulation` holds against thousands of worlds:
//! - the planner never stops the last web dyno that takes requests while the formation wants web, unless the app sleeps;
//! - no slot of another process type ever has two dynos: no clock or worker runs twice;
//! - a release that does not boot beside one that serves fails, and nothing of what serves is touched;
//! - with nothing left to do it returns nothing, and every step that was lost is returned again.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{
    App, AppName, DomainName, DynoName, DynoSize, DynoState, Endpoint, Id, ProcessType, Release, ReleaseVersion,
    Routing, Scale, StopReason, slots::Slots,
};

/// All that is wanted of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppWanted {
    pub app: Id<App>,
    pub name: AppName,
    pub hostnames: Vec<DomainName>,
    pub maintenance: bool,
    pub routing: Routing,
    /// Nobody asked for it for a while: nothing runs until somebody does.
    pub is_asleep: bool,
    /// The newest release that succeeded and has a slug. `None` stops every dyno.
    pub target: Option<Target>,
    /// Only process types that the target's slug has; `release` is never among them.
    pub formation: BTreeMap<ProcessType, Scale>,
}

/// The release that ought to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub release: Id<Release>,
    pub version: ReleaseVersion,
    /// Whether its web dynos have taken the traffic over: from then on a crash is a crash, not a failed deploy.
    pub is_served: bool,
}

/// One dyno of the formation: a row of the store, and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dyno {
    pub id: Id<Dyno>,
    pub app: Id<App>,
    pub name: DynoName,
    pub release: Id<Release>,
    pub version: ReleaseVersion,
    /// Whether the release of this dyno ever took traffic.
    pub release_served: bool,
    pub size: DynoSize,
    /// How often this dyno has been started, from 1: with `id`, the name of its container.
    pub attempt: u32,
    /// Crashes in a row, for the back-off.
    pub failures: u32,
    pub state: DynoState,
    /// Somebody asked for a restart: it is to be replaced by a dyno just like it.
    pub is_condemned: bool,
    /// The container of this attempt, as last seen; `None` when there is none, or when a starting dyno's was made and
    /// never started.
    pub container: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// What to do next. All but the last three only change rows, and are applied at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make a dyno row, starting.
    Start {
        name: DynoName,
        release: Id<Release>,
        size: DynoSize,
    },
    /// Let a crashed dyno start again, with its next attempt.
    Restart(Id<Dyno>),
    /// Let a dyno begin to stop: it gets no new request from here on.
    Stop { dyno: Id<Dyno>, why: StopReason },
    /// The release's dynos take the traffic: the deploy is done.
    Serve(Id<Release>),
    /// The release did not boot while another serves: it fails, because of this dyno.
    Fail { release: Id<Release>, dyno: Id<Dyno> },
    /// Create and start the container of a starting dyno that has none.
    Launch(Id<Dyno>),
    /// Drain, signal, kill and remove the container of a stopping dyno.
    Terminate(Id<Dyno>),
}

impl AppWanted {
    /// How many web dynos are wanted; none when the target has no web process.
    pub fn web_quantity(&self) -> u32 {
        self.formation
            .get(&ProcessType::web())
            .map_or(0, |scale| scale.quantity)
    }
}

impl Dyno {
    pub fn is_web(&self) -> bool {
        self.name.process_type.is_web()
    }

    /// Where a web dyno that is up answers.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        match &self.state {
            DynoState::Up { endpoint, .. } if self.is_web() => endpoint.as_ref(),
            _ => None,
        }
    }
}

/// The steps for one app, from its wanted state and its observed dynos alone.
///
/// `Launch` and `Terminate` follow from the state of a row alone and come again with every call until they have had their
/// effect: the caller leaves them out for a dyno that it has either of the two in flight for. `Serve` and `Fail` come alone: once applied, plan again.
pub fn plan(wanted: &AppWanted, dynos: &[Dyno], now: DateTime<Utc>) -> Vec<Step> {
    let mut steps = Vec::new();
    let stopped = match &wanted.target {
        None => dynos
            .iter()
            .filter(|dyno| !dyno.state.is_stopping())
            .map(|dyno| (dyno.id, StopReason::Unwanted))
            .collect(),
        Some(_) if wanted.is_sleeping() => dynos
            .iter()
            .filter(|dyno| !dyno.state.is_stopping())
            .map(|dyno| (dyno.id, StopReason::Idle))
            .collect(),
        Some(target) => {
            let slots = Slots::new(wanted, target, dynos);
            // Both change what all the rest is decided from: the rest is left to the next pass.
            if let Some(verdict) = slots.fail().or_else(|| slots.serve()) {
                return vec![verdict];
            }
            steps.extend(slots.starts());
            let stopped = slots.stops();
            steps.extend(slots.restarts(&stopped, now));
            stopped
        }
    };
    steps.extend(dynos.iter().filter_map(|dyno| {
        let why = *stopped.get(&dyno.id)?;
        Some(Step::Stop { dyno: dyno.id, why })
    }));
    steps.extend(dynos.iter().filter_map(|dyno| match dyno.state {
        DynoState::Starting { .. } if dyno.container.is_none() && !stopped.contains_key(&dyno.id) => {
            Some(Step::Launch(dyno.id))
        }
        DynoState::Stopping { .. } => Some(Step::Terminate(dyno.id)),
        _ => None,
    }));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::*;

    /// Web and worker at these quantities, and v2 as the target.
    fn wanted(web: u32, worker: u32, is_served: bool) -> AppWanted {
        let scale = |quantity| Scale {
            quantity,
            ..Scale::default()
        };
        AppWanted {
            target: Some(Target {
                release: release(2),
                version: ReleaseVersion::new(2).unwrap(),
                is_served,
            }),
            formation: BTreeMap::from([
                (ProcessType::web(), scale(web)),
                ("worker".parse().unwrap(), scale(worker)),
            ]),
            ..blank()
        }
    }

    fn up(name: &str, version: u32) -> Dyno {
        let dyno = dyno(name, version, starting(0));
        Dyno {
            state: up_at(&dyno, 0),
            container: Some(container_of(&dyno)),
            ..dyno
        }
    }

    fn new(state: DynoState, name: &str) -> Dyno {
        Dyno {
            release_served: false,
            ..dyno(name, 2, state)
        }
    }

    fn condemned(dyno: Dyno) -> Dyno {
        Dyno {
            is_condemned: true,
            ..dyno
        }
    }

    fn start(name: &str) -> Step {
        Step::Start {
            name: name.parse().unwrap(),
            release: release(2),
            size: DynoSize::default(),
        }
    }

    fn stop(dyno: &Dyno, why: StopReason) -> Step {
        Step::Stop { dyno: dyno.id, why }
    }

    #[test]
    fn a_deploy_boots_beside_what_serves_and_then_takes_over() {
        let (old, worker) = (up("web.1", 1), up("worker.1", 1));
        let deploying = wanted(1, 1, false);
        assert_eq!(
            plan(&deploying, &[old.clone(), worker.clone()], at(0)),
            [start("web.1")]
        );

        let booting = new(starting(0), "web.1");
        let dynos = [old.clone(), worker.clone(), booting];
        assert_eq!(plan(&deploying, &dynos, at(0)), [Step::Launch(dynos[2].id)]);

        let ready = Dyno {
            release_served: false,
            ..up("web.1", 2)
        };
        let dynos = [old.clone(), worker.clone(), ready];
        assert_eq!(plan(&deploying, &dynos, at(0)), [Step::Serve(release(2))]);

        let dynos = [old.clone(), worker.clone(), up("web.1", 2)];
        let replaced = [stop(&old, StopReason::Replaced), stop(&worker, StopReason::Replaced)];
        assert_eq!(plan(&wanted(1, 1, true), &dynos, at(0)), replaced);

        let state = DynoState::Stopping {
            since: at(0),
            why: StopReason::Replaced,
        };
        let dynos = [up("web.1", 2), dyno("worker.1", 1, state)];
        let step = Step::Terminate(dynos[1].id);
        assert_eq!(plan(&wanted(1, 1, true), &dynos, at(0)), [step]);
        assert_eq!(plan(&wanted(1, 1, true), &dynos[..1], at(0)), [start("worker.1")]);
        let done = [up("web.1", 2), up("worker.1", 2)];
        assert_eq!(plan(&wanted(1, 1, true), &done, at(0)), []);
    }

    #[test]
    fn a_release_that_does_not_boot_fails_only_when_another_serves() {
        let broken = new(crashed(5), "web.1");
        let fail = Step::Fail {
            release: release(2),
            dyno: broken.id,
        };
        assert_eq!(
            plan(&wanted(1, 0, false), &[up("web.1", 1), broken.clone()], at(5)),
            [fail]
        );
        assert_eq!(plan(&wanted(1, 0, false), std::slice::from_ref(&broken), at(4)), []);
        let again = plan(&wanted(1, 0, false), std::slice::from_ref(&broken), at(5));
        assert_eq!(again, [Step::Restart(broken.id)]);
    }

    #[test]
    fn the_first_dyno_that_answers_is_enough_where_nothing_serves() {
        let first = Dyno {
            release_served: false,
            ..up("web.1", 2)
        };
        let dynos = [first, new(starting(0), "web.2")];
        assert_eq!(plan(&wanted(2, 0, false), &dynos, at(0)), [Step::Serve(release(2))]);
        let [first, second] = dynos;
        let steps = plan(&wanted(2, 0, false), &[up("web.1", 1), first, second.clone()], at(0));
        assert_eq!(steps, [Step::Launch(second.id)]);
    }

    #[test]
    fn a_release_without_web_serves_at_once() {
        assert_eq!(plan(&wanted(0, 1, false), &[], at(0)), [Step::Serve(release(2))]);
        assert_eq!(plan(&wanted(0, 1, true), &[], at(0)), [start("worker.1")]);
    }

    #[test]
    fn scaling_down_never_stops_the_last_web_dyno_that_answers() {
        let crashing = dyno("web.1", 2, crashed(60));
        let dynos = [crashing, up("web.2", 2), up("web.3", 2)];
        let steps = plan(&wanted(1, 0, true), &dynos, at(0));
        assert_eq!(steps, [stop(&dynos[2], StopReason::ScaledDown)]);
        let dynos = [up("web.1", 2), up("web.2", 2)];
        let steps = plan(&wanted(1, 0, true), &dynos, at(0));
        assert_eq!(steps, [stop(&dynos[1], StopReason::ScaledDown)]);
        let steps = plan(&wanted(0, 0, true), &dynos[..1], at(0));
        assert_eq!(steps, [stop(&dynos[0], StopReason::ScaledDown)]);
    }

    #[test]
    fn a_restart_replaces_web_beside_and_workers_after() {
        let dynos = [condemned(up("web.1", 2)), condemned(up("worker.1", 2))];
        let steps = plan(&wanted(1, 1, true), &dynos, at(0));
        assert_eq!(steps, [start("web.1"), stop(&dynos[1], StopReason::Replaced)]);
        let twin = Dyno {
            id: Id::from_uuid(uuid::Uuid::from_u128(77)),
            ..dyno("web.1", 2, starting(0))
        };
        let mut dynos = [condemned(up("web.1", 2)), twin];
        assert_eq!(plan(&wanted(1, 0, true), &dynos, at(0)), [Step::Launch(dynos[1].id)]);
        dynos[1].state = up_at(&dynos[1], 1);
        let steps = plan(&wanted(1, 0, true), &dynos, at(0));
        assert_eq!(steps, [stop(&dynos[0], StopReason::Replaced)]);
    }

    #[test]
    fn another_size_is_another_dyno() {
        let mut bigger = wanted(1, 0, true);
        bigger.formation.get_mut(&ProcessType::web()).unwrap().size = DynoSize::Standard2X;
        let steps = plan(&bigger, &[up("web.1", 2)], at(0));
        assert!(
            matches!(
                &steps[..],
                [Step::Start {
                    size: DynoSize::Standard2X,
                    ..
                }]
            ),
            "{steps:?}"
        );
    }

    #[test]
    fn what_a_failed_or_overtaken_release_left_is_abandoned() {
        let overtaken = Dyno {
            release_served: false,
            ..up("web.1", 1)
        };
        let dynos = [up("web.1", 2), overtaken];
        let steps = plan(&wanted(1, 0, true), &dynos, at(0));
        assert_eq!(steps, [stop(&dynos[1], StopReason::Abandoned)]);
    }

    #[test]
    fn of_two_older_releases_the_one_that_takes_the_requests_goes_on() {
        let mut deploying = wanted(1, 0, false);
        deploying.target = Some(Target {
            release: release(3),
            version: ReleaseVersion::new(3).unwrap(),
            is_served: false,
        });
        let next = Dyno {
            container: Some("booting".to_owned()),
            release_served: false,
            ..dyno("web.1", 3, starting(0))
        };
        let dynos = [up("web.1", 1), up("web.1", 2), next];
        let steps = plan(&deploying, &dynos, at(0));
        assert_eq!(steps, [stop(&dynos[0], StopReason::Replaced)]);
    }

    #[test]
    fn a_process_type_that_the_target_dropped_runs_until_the_target_serves() {
        let clock = up("clock.1", 1);
        let dynos = [up("web.1", 1), clock, new(starting(0), "web.1")];
        assert_eq!(plan(&wanted(1, 0, false), &dynos, at(0)), [Step::Launch(dynos[2].id)]);
        let dynos = [up("web.1", 2), up("clock.1", 1)];
        let steps = plan(&wanted(1, 0, true), &dynos, at(0));
        assert_eq!(steps, [stop(&dynos[1], StopReason::ScaledDown)]);
    }

    #[test]
    fn without_a_target_everything_stops() {
        let state = DynoState::Stopping {
            since: at(0),
            why: StopReason::Unwanted,
        };
        let dynos = [up("web.1", 1), dyno("web.2", 1, starting(0)), dyno("web.3", 1, state)];
        let expected = [
            stop(&dynos[0], StopReason::Unwanted),
            stop(&dynos[1], StopReason::Unwanted),
            Step::Terminate(dynos[2].id),
        ];
        assert_eq!(plan(&blank(), &dynos, at(0)), expected);
    }
}
