//! Sleep: an app that nobody asks for runs nothing until somebody does (Dev Center, *Eco Dyno Hours*, "Dyno sleeping").
//!
//! ```text
//! awake ─nobody asked for `sleep_after`, and it may─▶ asleep ─a request, or a change of what is to run─▶ awake
//! ```

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{AppWanted, Dyno, DynoSize};

/// How long Eco dynos wait for a request.
const ECO_SLEEP: Duration = Duration::from_mins(30);

impl AppWanted {
    /// How long nobody has to ask for the app before it may sleep; `None`: it never does.
    ///
    /// Apps of Eco dynos alone do so by themselves, their workers with their web dynos. Without web nothing could wake it.
    pub fn sleep_after(&self) -> Option<Duration> {
        if self.web_quantity() == 0 {
            return None;
        }
        let mut scales = self.formation.values().filter(|scale| scale.quantity > 0);
        let is_eco = scales.all(|scale| scale.size == DynoSize::Eco);
        self.routing.sleep_after.or(is_eco.then_some(ECO_SLEEP))
    }

    /// Whether it sleeps: nothing of it is to run. A deploy is brought to its end first.
    pub fn is_sleeping(&self) -> bool {
        self.is_asleep && self.sleep_after().is_some() && self.target.as_ref().is_some_and(|target| target.is_served)
    }

    /// Whether it may fall asleep now that nobody asked for it for a while. Not while it is being deployed, and not when a
    /// dyno of it is younger than that while: whoever deployed, scaled or woke it means to use it.
    pub fn may_sleep(&self, dynos: &[Dyno], now: DateTime<Utc>) -> bool {
        let Some(after) = self.sleep_after() else {
            return false;
        };
        let is_served = self.target.as_ref().is_some_and(|target| target.is_served);
        let is_old = |dyno: &Dyno| (now - dyno.created_at).to_std().is_ok_and(|age| age >= after);
        is_served && !self.is_asleep && dynos.iter().all(is_old)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        DynoState, ProcessType, ReleaseVersion, RouteState, Routing, Scale, Step, StopReason, Target, fixture::*, plan,
        routes,
    };

    fn wanted(web: u32, size: DynoSize) -> AppWanted {
        let scale = |quantity| Scale { quantity, size };
        AppWanted {
            target: Some(Target {
                release: release(1),
                version: ReleaseVersion::FIRST,
                is_served: true,
            }),
            formation: BTreeMap::from([(ProcessType::web(), scale(web)), ("worker".parse().unwrap(), scale(1))]),
            ..blank()
        }
    }

    fn up(name: &str) -> Dyno {
        let dyno = dyno(name, 1, starting(0));
        Dyno {
            state: up_at(&dyno, 0),
            size: DynoSize::Eco,
            container: Some(container_of(&dyno)),
            ..dyno
        }
    }

    #[test]
    fn eco_apps_sleep_by_themselves_and_others_when_told_to() {
        let half_an_hour = Some(Duration::from_mins(30));
        assert_eq!(wanted(1, DynoSize::Eco).sleep_after(), half_an_hour);
        assert_eq!(wanted(0, DynoSize::Eco).sleep_after(), None, "nothing could wake it");
        assert_eq!(wanted(1, DynoSize::Basic).sleep_after(), None);
        let mut mixed = wanted(1, DynoSize::Eco);
        let worker = "worker".parse().unwrap();
        mixed.formation.get_mut(&worker).unwrap().size = DynoSize::Basic;
        assert_eq!(mixed.sleep_after(), None);
        mixed.formation.get_mut(&worker).unwrap().quantity = 0;
        assert_eq!(mixed.sleep_after(), half_an_hour, "what does not run has no say");
        let hour = Some(Duration::from_hours(1));
        for size in [DynoSize::Eco, DynoSize::PerformanceL] {
            let mut told = wanted(1, size);
            told.routing.sleep_after = hour;
            assert_eq!(routes(&told, &[]).routing.sleep_after, hour);
        }
    }

    #[test]
    fn an_app_that_sleeps_stops_everything_and_starts_nothing() {
        let mut app = wanted(1, DynoSize::Eco);
        app.is_asleep = true;
        let dynos = [up("web.1"), up("worker.1")];
        let stops = dynos.each_ref().map(|dyno| Step::Stop {
            dyno: dyno.id,
            why: StopReason::Idle,
        });
        assert_eq!(plan(&app, &dynos, at(0)), stops);
        assert_eq!(routes(&app, &dynos).state, RouteState::Asleep);
        assert_eq!(plan(&app, &[], at(0)), []);
        app.is_asleep = false;
        let [web, worker] = dynos;
        let stopping = |dyno: Dyno| Dyno {
            state: DynoState::Stopping {
                since: at(0),
                why: StopReason::Idle,
            },
            ..dyno
        };
        // It wakes before its dynos are gone: web starts beside them, the worker after them.
        let steps = plan(&app, &[stopping(web), stopping(worker)], at(0));
        assert!(
            matches!(&steps[..], [Step::Start { name, .. }, Step::Terminate(_), Step::Terminate(_)] if name.to_string() == "web.1")
        );
        assert_eq!(routes(&app, &[]).state, RouteState::Booting);
    }

    #[test]
    fn what_may_not_sleep_goes_on_though_it_was_said_to() {
        let mut app = wanted(1, DynoSize::Eco);
        let dynos = [up("web.1"), up("worker.1")];
        let half_an_hour = 30 * 60;
        assert!(!app.may_sleep(&dynos, at(half_an_hour - 1)), "its dynos are too young");
        assert!(app.may_sleep(&dynos, at(half_an_hour)));
        app.routing = Routing {
            sleep_after: Some(Duration::from_secs(1)),
            ..Routing::default()
        };
        assert!(app.may_sleep(&dynos, at(1)) && !app.may_sleep(&dynos, at(-1)));
        app.is_asleep = true;
        assert!(!app.may_sleep(&dynos, at(half_an_hour)), "it sleeps");
        if let Some(target) = &mut app.target {
            target.is_served = false;
        }
        assert!(!app.is_sleeping(), "a deploy is brought to its end");
        app.is_asleep = false;
        assert!(!app.may_sleep(&dynos, at(half_an_hour)));
        let mut resized = wanted(1, DynoSize::Standard1X);
        resized.is_asleep = true;
        assert!(!resized.is_sleeping());
    }
}
