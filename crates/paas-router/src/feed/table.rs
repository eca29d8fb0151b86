//! The table as it crosses the socket.

use std::{fmt, net::SocketAddr};

use paas_core::{AppRoutes, Backend, RouteState};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Everything that the router knows about the world, whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub apps: Vec<AppEntry>,
    /// Hosts of the platform itself: they win over an app's.
    pub platform_hosts: Vec<PlatformHost>,
    pub certificates: Vec<Certificate>,
}

/// One app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppEntry {
    pub app: Uuid,
    pub name: String,
    pub hostnames: Vec<String>,
    pub state: AppState,
}

/// [`RouteState`], on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AppState {
    Blank,
    Maintenance,
    NoWeb,
    Crashed,
    Booting,
    Serving(Vec<BackendEntry>),
}

/// A dyno that takes requests: the address counts only together with the container that was seen to hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendEntry {
    pub dyno: Uuid,
    /// `web.1`
    pub name: String,
    pub container: String,
    pub address: SocketAddr,
}

/// A host of the platform and the listener behind it, for example `git.example.com` on `127.0.0.1:5050`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformHost {
    pub hostname: String,
    pub address: SocketAddr,
}

/// A certificate and its key, as PEM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Names that it serves; `*.example.com` stands for one label.
    pub hostnames: Vec<String>,
    /// Leaf first.
    pub chain_pem: String,
    pub key_pem: String,
}

impl fmt::Debug for Certificate {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("hostnames", &self.hostnames)
            .finish_non_exhaustive()
    }
}

impl From<&AppRoutes> for AppEntry {
    fn from(routes: &AppRoutes) -> Self {
        Self {
            app: *routes.app.as_uuid(),
            name: routes.name.to_string(),
            hostnames: routes.hostnames.iter().map(ToString::to_string).collect(),
            state: (&routes.state).into(),
        }
    }
}

impl From<&RouteState> for AppState {
    fn from(state: &RouteState) -> Self {
        match state {
            RouteState::Blank => Self::Blank,
            RouteState::Maintenance => Self::Maintenance,
            RouteState::NoWeb => Self::NoWeb,
            RouteState::Crashed => Self::Crashed,
            RouteState::Booting => Self::Booting,
            RouteState::Serving(backends) => Self::Serving(backends.iter().map(Into::into).collect()),
        }
    }
}

impl From<&Backend> for BackendEntry {
    fn from(backend: &Backend) -> Self {
        Self {
            dyno: *backend.dyno.as_uuid(),
            name: backend.name.to_string(),
            container: backend.endpoint.container.clone(),
            address: backend.endpoint.address,
        }
    }
}
