//! Where the router listens, and how long it waits.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    time::Duration,
};

use paas_core::Network;

use crate::pace::Floor;

/// What a router needs to start.
#[derive(Debug)]
pub struct Settings {
    pub http: SocketAddr,
    /// TLS, with the certificates of the table.
    pub https: Option<SocketAddr>,
    /// Sockets that listen already: each takes the place of the address above that it has. Clients wait in them while no
    /// router runs, so that an upgrade refuses nobody.
    pub inherited: Vec<TcpListener>,
    /// The feed socket; made with mode 0600, removed at a clean end.
    pub socket: PathBuf,
    /// Proxies in front of the router whose `X-Forwarded` headers, and introductions, are believed.
    pub trusted_proxies: Vec<Network>,
    /// They introduce each connection by the PROXY protocol. From anybody else none is expected.
    pub proxy_protocol: bool,
    /// Where connections go whose client speaks SSH on the HTTP port; nowhere without it.
    pub ssh: Option<PathBuf>,
    pub limits: Limits,
}

/// Heroku's numbers (Dev Center, *HTTP Routing*) unless said otherwise. Tests make them small.
#[derive(Debug, Clone)]
pub struct Limits {
    /// A TCP connect to a dyno: then another dyno, then H19.
    pub connect: Duration,
    /// From the end of the request to the first byte of the response: H12.
    pub first_byte: Duration,
    /// No byte in either direction: H15 when the dyno is silent, H28 when the client is.
    pub idle: Duration,
    /// How long a request waits for a booting dyno (H20), or for one that takes connections again (H99).
    pub boot: Duration,
    /// How many requests of an app may wait for a response, for each of its dynos: H11.
    pub backlog: usize,
    /// Ours: how often the router looks for apps that nobody asks for.
    pub look: Duration,
    /// How many dynos one request tries.
    pub tries: usize,
    /// A dyno that took no connection gets no request for this long, while others do.
    pub quarantine: Duration,
    /// Ours: when every dyno of an app refuses, a request waits this long for a better table before H19 or H21. A dyno
    /// that was killed is out of the table well within it.
    pub swap: Duration,
    /// How long an unused connection to a dyno is kept.
    pub keep_alive: Duration,
    /// Client connections; at most three quarters of the files that may be open, so that some are left for dynos.
    pub connections: usize,
    /// Ours: as many from one address, or one /64: a house or a small company behind it has fewer, and many addresses are
    /// needed to take all. Loopback and trusted proxies stand for others, and have no limit.
    pub connections_per_address: u32,
    /// How long a client may keep a connection without a request.
    pub client_idle: Duration,
    /// Ours: how long a client may take to send the head of a request once it has begun, or the handshake before it.
    pub head: Duration,
    /// Ours: how often a connection is looked at. One without a request keeps its socket only.
    pub tick: Duration,
    /// Ours: a request body that a dyno waits for has to come at this many bytes in a second, on average ...
    pub body_floor: u32,
    /// Ours: ... once the dyno has waited this long in all.
    pub body_grace: Duration,
    /// Ours: how long a connection to an exposed add-on may be silent.
    pub exposure_idle: Duration,
    /// How long requests and tunnels get to end when the router is asked to stop.
    pub drain: Duration,
    /// Access records kept for a feeder that is away or slow; what is beyond is dropped and counted.
    pub records: usize,
}

impl Limits {
    pub(crate) fn floor(&self) -> Floor {
        Floor {
            bytes_per_second: self.body_floor,
            grace: self.body_grace,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(55),
            boot: Duration::from_secs(75),
            backlog: 200,
            look: Duration::from_secs(1),
            tries: 10,
            quarantine: Duration::from_secs(5),
            swap: Duration::from_secs(3),
            keep_alive: Duration::from_secs(90),
            connections: usize::MAX,
            connections_per_address: 2000,
            client_idle: Duration::from_mins(1),
            head: Duration::from_secs(20),
            tick: Duration::from_secs(1),
            body_floor: 100,
            body_grace: Duration::from_secs(30),
            exposure_idle: Duration::from_hours(1),
            drain: Duration::from_secs(30),
            records: 10_000,
        }
    }
}
