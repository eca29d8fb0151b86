//! The planner: what is wanted and what is seen become what to do next.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{
    App, AppName, DynoName, DynoSize, DynoState, Hostname, Id, ProcessType, Release, ReleaseVersion, Scale, StopReason,
};

/// All that is wanted of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppWanted {
    pub app: Id<App>,
    pub name: AppName,
    pub hostnames: Vec<Hostname>,
    pub maintenance: bool,
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
    /// The container of this attempt, as last seen; `None` when there is none.
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

/// The steps for one app, from its wanted state and its observed dynos alone.
pub fn plan(wanted: &AppWanted, dynos: &[Dyno], now: DateTime<Utc>) -> Vec<Step> {
    let _ = (wanted, dynos, now);
    Vec::new()
}
