//! Which dynos an app's requests may go to.

use crate::{App, AppName, AppWanted, Dyno, DynoName, Endpoint, Hostname, Id};

/// One app in the router's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRoutes {
    pub app: Id<App>,
    pub name: AppName,
    pub hostnames: Vec<Hostname>,
    pub state: RouteState,
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
    let _ = dynos;
    AppRoutes {
        app: wanted.app,
        name: wanted.name.clone(),
        hostnames: wanted.hostnames.clone(),
        state: RouteState::Blank,
    }
}
