//! The table as it crosses the socket.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use paas_core::{AppRoutes, Backend, RouteState, Routing};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Exposure;

/// Everything that the router knows about the world, whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub apps: Vec<AppEntry>,
    /// Hosts of the platform itself: they win over an app's.
    pub platform_hosts: Vec<PlatformHost>,
    /// Shared, so that a table costs no copy of them, and compares them by their address first.
    pub certificates: Vec<Arc<Certificate>>,
    /// What certificate authorities are shown while they validate a name.
    pub challenges: Vec<Challenge>,
    #[serde(default)]
    pub exposures: Vec<Exposure>,
}

/// One app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppEntry {
    pub app: Uuid,
    pub name: String,
    pub hostnames: Vec<String>,
    pub state: AppState,
    pub policy: Policy,
}

/// [`Routing`], on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub https_redirect: bool,
    pub hsts: Option<Duration>,
    pub session_affinity: bool,
    pub response_timeout: Option<Duration>,
    pub idle_timeout: Option<Duration>,
    pub boot_timeout: Option<Duration>,
    pub error_page: Option<String>,
    pub maintenance_page: Option<String>,
    pub sleep_after: Option<Duration>,
}

/// [`RouteState`], on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AppState {
    Blank,
    Maintenance,
    NoWeb,
    Crashed,
    Booting,
    Asleep,
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

/// What a certificate authority asks a name to show (RFC 8555 §8.3, RFC 8737).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Challenge {
    /// `http://<any host>/.well-known/acme-challenge/<token>` answers with the key authorization.
    Http01 { token: String, key_authorization: String },
    /// A handshake that offers `acme-tls/1` for the name gets this certificate.
    TlsAlpn01 {
        hostname: String,
        chain_pem: String,
        key_pem: String,
    },
}

/// A certificate and its key, as PEM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Names that it serves; `*.example.com` stands for one label, and `*` for all that no other certificate is for, and
    /// for clients that ask for none.
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

impl fmt::Debug for Challenge {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http01 { token, .. } => f.debug_struct("Http01").field("token", token).finish_non_exhaustive(),
            Self::TlsAlpn01 { hostname, .. } => f
                .debug_struct("TlsAlpn01")
                .field("hostname", hostname)
                .finish_non_exhaustive(),
        }
    }
}

impl From<&AppRoutes> for AppEntry {
    fn from(routes: &AppRoutes) -> Self {
        Self {
            app: *routes.app.as_uuid(),
            name: routes.name.to_string(),
            hostnames: routes.hostnames.iter().map(ToString::to_string).collect(),
            state: (&routes.state).into(),
            policy: (&routes.routing).into(),
        }
    }
}

impl From<&Routing> for Policy {
    fn from(routing: &Routing) -> Self {
        let Routing {
            https_redirect,
            hsts,
            session_affinity,
            response_timeout,
            idle_timeout,
            boot_timeout,
            error_page,
            maintenance_page,
            sleep_after,
        } = routing.clone();
        Self {
            https_redirect,
            hsts,
            session_affinity,
            response_timeout,
            idle_timeout,
            boot_timeout,
            error_page,
            maintenance_page,
            sleep_after,
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
            RouteState::Asleep => Self::Asleep,
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
