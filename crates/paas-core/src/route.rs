//! Which dynos an app's requests may go to.
//!
//! All backends of an app are of **one** release: a deploy moves every request at once, from the release that served to the
//! one that serves now. A release that never served takes no request, however many of its dynos are up.

use crate::{App, AppName, AppWanted, DomainName, Dyno, DynoName, DynoState, Endpoint, Id, Routing, Target};

/// One app in the router's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRoutes {
    pub app: Id<App>,
    pub name: AppName,
    pub hostnames: Vec<DomainName>,
    pub state: RouteState,
    pub routing: Routing,
}

/// What the router does with a request for an app; the codes are Heroku's (Dev Center, *Error Codes*).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteState {
    /// No release has code: H81.
    Blank,
    /// Maintenance mode: H80.
    Maintenance,
    /// Web is scaled to zero: H14.
    NoWeb,
    /// Every web dyno crashed: H10.
    Crashed,
    /// Web dynos are booting and none answers yet: wait up to 75 s, then H20.
    Booting,
    /// Nothing runs until a request comes: it wakes the app, and waits like one that finds it booting.
    Asleep,
    /// At least one dyno answers.
    Serving(Vec<Backend>),
}

/// A dyno that takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    pub dyno: Id<Dyno>,
    pub name: DynoName,
    pub endpoint: Endpoint,
}

/// The routes of one app, from its wanted state and its observed dynos alone.
pub fn routes(wanted: &AppWanted, dynos: &[Dyno]) -> AppRoutes {
    AppRoutes {
        app: wanted.app,
        name: wanted.name.clone(),
        hostnames: wanted.hostnames.clone(),
        state: state(wanted, dynos),
        routing: Routing {
            sleep_after: wanted.sleep_after(),
            ..wanted.routing.clone()
        },
    }
}

fn state(wanted: &AppWanted, dynos: &[Dyno]) -> RouteState {
    let Some(target) = &wanted.target else {
        return RouteState::Blank;
    };
    if wanted.maintenance {
        return RouteState::Maintenance;
    }
    if wanted.web_quantity() == 0 {
        return RouteState::NoWeb;
    }
    if wanted.is_sleeping() {
        return RouteState::Asleep;
    }
    let routed: Vec<_> = routed(target, dynos).into_iter().filter_map(backend).collect();
    if !routed.is_empty() {
        return RouteState::Serving(routed);
    }
    let mut web = dynos
        .iter()
        .filter(|dyno| dyno.is_web() && !dyno.state.is_stopping())
        .peekable();
    let is_crashed = web.peek().is_some() && web.all(|dyno| matches!(dyno.state, DynoState::Crashed(_)));
    if is_crashed {
        RouteState::Crashed
    } else {
        RouteState::Booting
    }
}

/// The web dynos that take requests, in the order of their names: those of the target when it serves, else those of the
/// newest release that did.
pub(crate) fn routed<'a>(target: &Target, dynos: impl IntoIterator<Item = &'a Dyno>) -> Vec<&'a Dyno> {
    let mut up: Vec<_> = dynos.into_iter().filter(|dyno| dyno.endpoint().is_some()).collect();
    if target.is_served && up.iter().any(|dyno| dyno.release == target.release) {
        up.retain(|dyno| dyno.release == target.release);
    } else {
        up.retain(|dyno| dyno.release_served);
        let newest = up.iter().map(|dyno| dyno.version).max();
        up.retain(|dyno| Some(dyno.version) == newest);
    }
    up.sort_by(|left, right| (&left.name, left.id).cmp(&(&right.name, right.id)));
    up
}

fn backend(dyno: &Dyno) -> Option<Backend> {
    Some(Backend {
        dyno: dyno.id,
        name: dyno.name.clone(),
        endpoint: dyno.endpoint()?.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{ProcessType, ReleaseVersion, Scale, StopReason, fixture::*};

    /// One web dyno of the release with this version.
    fn wanted(version: u32, is_served: bool) -> AppWanted {
        let one = Scale {
            quantity: 1,
            ..Scale::default()
        };
        AppWanted {
            target: Some(Target {
                release: release(version),
                version: ReleaseVersion::new(version).unwrap(),
                is_served,
            }),
            formation: BTreeMap::from([(ProcessType::web(), one)]),
            ..blank()
        }
    }

    fn up(name: &str, version: u32) -> Dyno {
        let dyno = dyno(name, version, starting(0));
        Dyno {
            state: up_at(&dyno, 0),
            ..dyno
        }
    }

    fn serving(wanted: &AppWanted, dynos: &[Dyno]) -> Vec<String> {
        match routes(wanted, dynos).state {
            RouteState::Serving(backends) => backends.into_iter().map(|backend| backend.endpoint.container).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_requests_move_from_one_release_to_the_next_at_once() {
        let unserved = |dyno| Dyno {
            release_served: false,
            ..dyno
        };
        let dynos = [
            up("web.2", 1),
            up("web.1", 1),
            unserved(up("web.1", 2)),
            up("worker.1", 1),
        ];
        assert_eq!(serving(&wanted(2, false), &dynos), ["web.1 of v1", "web.2 of v1"]);
        assert_eq!(serving(&wanted(2, true), &dynos), ["web.1 of v2"]);
    }

    #[test]
    fn the_release_before_answers_while_the_target_cannot() {
        let dynos = [up("web.1", 1), up("web.1", 2), dyno("web.1", 3, crashed(0))];
        assert_eq!(serving(&wanted(3, true), &dynos), ["web.1 of v2"]);
    }

    #[test]
    fn without_a_dyno_that_answers_the_state_says_why() {
        let state = |wanted: &AppWanted, dynos: &[Dyno]| routes(wanted, dynos).state;
        let stopping = DynoState::Stopping {
            since: at(0),
            why: StopReason::Replaced,
        };
        let stopping = dyno("web.1", 1, stopping);
        let broken = dyno("web.1", 1, crashed(9));
        let served = wanted(1, true);
        assert_eq!(state(&blank(), &[up("web.1", 1)]), RouteState::Blank);
        assert_eq!(state(&served, &[]), RouteState::Booting);
        assert_eq!(state(&served, std::slice::from_ref(&stopping)), RouteState::Booting);
        assert_eq!(state(&served, &[broken.clone(), stopping]), RouteState::Crashed);
        assert_eq!(
            state(&served, &[broken, dyno("web.2", 1, starting(0))]),
            RouteState::Booting
        );
        let unserved = Dyno {
            release_served: false,
            ..up("web.1", 1)
        };
        assert_eq!(state(&wanted(1, false), &[unserved]), RouteState::Booting);
        let maintenance = AppWanted {
            maintenance: true,
            ..served.clone()
        };
        assert_eq!(state(&maintenance, &[up("web.1", 1)]), RouteState::Maintenance);
        let mut to_zero = served;
        to_zero.formation.get_mut(&ProcessType::web()).unwrap().quantity = 0;
        assert_eq!(state(&to_zero, &[up("web.1", 1)]), RouteState::NoWeb);
    }
}
