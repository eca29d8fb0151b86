//! Whose turn it is, and what is under way: deploys of one app queue, builds share the machine, and a release phase has one
//! task.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use paas_core::{App, Build, Id, Release};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::slots::Slots;
use crate::platform::Platform;

pub(crate) struct Turns {
    apps: Mutex<HashMap<Id<App>, Arc<tokio::sync::Mutex<()>>>>,
    pub(super) slots: Slots,
    builds: Mutex<HashMap<Id<Build>, Running>>,
    phases: watch::Sender<HashMap<Id<Release>, Running>>,
}

#[derive(Debug, Clone)]
struct Running {
    app: Id<App>,
    /// Ends the making of the slug, at the word of whoever wants it.
    cancel: CancellationToken,
    /// Ends all of it, because the app or this process ends.
    abandon: CancellationToken,
}

/// A build under way, for as long as this lives.
pub(super) struct BuildUnderWay {
    platform: Arc<Platform>,
    build: Id<Build>,
    pub(super) cancel: CancellationToken,
    pub(super) abandon: CancellationToken,
}

/// A release phase under way, for as long as this lives.
pub(super) struct PhaseUnderWay {
    platform: Arc<Platform>,
    release: Id<Release>,
    pub(super) abandon: CancellationToken,
}

impl Running {
    fn new(platform: &Platform, app: Id<App>) -> Self {
        let abandon = platform.stop.child_token();
        Self {
            app,
            cancel: abandon.child_token(),
            abandon,
        }
    }
}

impl Turns {
    pub(crate) fn new(concurrent_builds: usize) -> Self {
        Self {
            apps: Mutex::default(),
            slots: Slots::new(concurrent_builds),
            builds: Mutex::default(),
            phases: watch::Sender::default(),
        }
    }

    /// The builds that a task of this process works on.
    pub(super) fn running(&self) -> Vec<Id<Build>> {
        self.builds().keys().copied().collect()
    }

    /// Whether a task of this process works on the release phase of this release.
    pub(super) fn is_in_release_phase(&self, release: Id<Release>) -> bool {
        self.phases.borrow().contains_key(&release)
    }

    /// Whether anything is being built or released of an app.
    pub(super) fn is_busy(&self, app: Id<App>) -> bool {
        let is_of_app = |running: &Running| running.app == app;
        self.builds().values().any(is_of_app) || self.phases.borrow().values().any(is_of_app)
    }

    /// The apps of which anything is being built or released, but for one build.
    pub(super) fn busy(&self, but: Option<Id<Build>>) -> HashSet<Id<App>> {
        let builds = self.builds();
        let building = builds.iter().filter(|(build, _)| Some(**build) != but);
        let mut apps: HashSet<_> = building.map(|(_, running)| running.app).collect();
        apps.extend(self.phases.borrow().values().map(|running| running.app));
        apps
    }

    /// The app of a build that a task of this process works on.
    pub(super) fn app_of(&self, build: Id<Build>) -> Option<Id<App>> {
        self.builds().get(&build).map(|running| running.app)
    }

    /// Ends whatever is being built or released of an app that is being destroyed.
    pub(super) fn abandon(&self, app: Id<App>) {
        let builds = self.builds();
        let phases = self.phases.borrow();
        for running in builds
            .values()
            .chain(phases.values())
            .filter(|running| running.app == app)
        {
            running.abandon.cancel();
        }
    }

    /// Cancels a build; `false` when no task works on it.
    pub(super) fn cancel(&self, build: Id<Build>) -> bool {
        let builds = self.builds();
        let running = builds.get(&build);
        running.inspect(|running| running.cancel.cancel()).is_some()
    }

    pub(crate) fn app(&self, app: Id<App>) -> Arc<tokio::sync::Mutex<()>> {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        // A turn that nobody holds or waits for need not be remembered.
        apps.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(apps.entry(app).or_default())
    }

    fn builds(&self) -> std::sync::MutexGuard<'_, HashMap<Id<Build>, Running>> {
        self.builds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BuildUnderWay {
    pub(super) fn new(platform: &Arc<Platform>, app: Id<App>, build: Id<Build>) -> Self {
        let running = Running::new(platform, app);
        platform.turns.builds().insert(build, running.clone());
        Self {
            platform: Arc::clone(platform),
            build,
            cancel: running.cancel,
            abandon: running.abandon,
        }
    }
}

impl Drop for BuildUnderWay {
    fn drop(&mut self) {
        self.platform.turns.builds().remove(&self.build);
        // The end of its app may be waiting for it.
        self.platform.wake.notify_one();
    }
}

impl PhaseUnderWay {
    /// `None` when it is under way already.
    pub(super) fn new(platform: &Arc<Platform>, app: Id<App>, release: Id<Release>) -> Option<Self> {
        let running = Running::new(platform, app);
        let abandon = running.abandon.clone();
        let is_first = platform.turns.phases.send_if_modified(|phases| {
            let is_first = !phases.contains_key(&release);
            if is_first {
                phases.insert(release, running);
            }
            is_first
        });
        is_first.then(|| Self {
            platform: Arc::clone(platform),
            release,
            abandon,
        })
    }

    /// Waits for the turn of whoever has it.
    pub(super) async fn when_free(platform: &Arc<Platform>, app: Id<App>, release: Id<Release>) -> Self {
        let mut phases = platform.turns.phases.subscribe();
        loop {
            if let Some(phase) = Self::new(platform, app, release) {
                return phase;
            }
            // The sender is part of the platform, which is in hand.
            let _ = phases.wait_for(|phases| !phases.contains_key(&release)).await;
        }
    }
}

impl Drop for PhaseUnderWay {
    fn drop(&mut self) {
        self.platform.turns.phases.send_modify(|phases| {
            phases.remove(&self.release);
        });
        self.platform.wake.notify_one();
    }
}
