//! What Heroku's client asks its exec manager for, before it comes by SSH.

use serde::{Deserialize, Serialize};

/// A place for somebody with a key. No platform endpoint of Heroku's documents it; the client reads these fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecReservation {
    /// Where to come to, on port 80.
    pub tunnel_host: String,
    /// As whom.
    pub client_user: String,
    /// What the server proves itself with, as in `known_hosts`.
    pub proxy_public_key: String,
    pub dyno_ip: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewExecReservation {
    /// As in `authorized_keys`.
    pub client_key: String,
}

/// A dyno that one can come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservedDyno {
    pub dyno_name: String,
}
