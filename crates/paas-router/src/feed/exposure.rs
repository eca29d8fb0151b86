//! Servers of add-ons that addresses outside may come to, as they cross the socket.

use std::net::SocketAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One add-on and its door. The router closes it at its end by itself: nobody has to be there to say so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    pub addon: Uuid,
    /// Whose log hears of strangers, and under which name.
    pub app: Uuid,
    pub name: String,
    pub listen: SocketAddr,
    /// `None` while its server does not run.
    pub server: Option<ServerEntry>,
    /// Networks, as `203.0.113.0/24`; nobody else comes in.
    pub allowed: Vec<String>,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub ends_at: DateTime<Utc>,
    pub tls: ExposureTls,
    /// As many connections at once.
    pub connections: u32,
}

/// The address counts only together with the container that was seen to hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerEntry {
    pub container: String,
    pub address: SocketAddr,
}

/// Who sees to it that nothing crosses the internet in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExposureTls {
    /// The server itself, once a client of PostgreSQL has asked for it; one that does not ask is sent away.
    Postgres,
    /// The router, with the platform's certificate; the server is spoken to in the clear on its own network.
    Router,
}
