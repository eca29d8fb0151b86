//! The feed: how the control plane and the router talk.
//!
//! A unix socket (mode 0600) that the router listens on. What a feeder says is lines of JSON; what the router says is a
//! record for each request, and therefore binary: a length, and postcard. Both ends come from one build, so the shapes need
//! no versions of their own.
//!
//! ```text
//! feeder ── Table{version, …} ─▶ router        the whole table: first on each connection; a version is the feeder's count
//! feeder ── Change{version, base, …} ─▶        from then on, what is different from the table before it
//! feeder ── Drain{drain, dyno, within} ─▶      tell me when nothing of this dyno is left
//! router ── Hello{pid, version, …} ─▶ feeder   first frame of each connection
//! router ── Applied{version} ─▶ feeder         no request that comes from here on sees an older table
//! router ── Drained{drain, outcome} ─▶ feeder  the answer to each Drain, by its number
//! router ── Reports[Access, Refused, …] ─▶ feeder
//! ```
//!
//! One feeder at a time: a new connection replaces the old one, which is closed. The router keeps its table when the feeder
//! goes away. Frames of one connection are handled in order, so a `Drain` sees the `Table` before it, and a `Change` meets
//! the table that it was made for; a router that has another one closes the connection, and gets the next table whole.

mod access;
mod change;
mod client;
mod exposure;
mod server;
mod table;

pub use access::{AccessRecord, Protocol, Tls};
pub(crate) use change::{CertificateChange, Change};
pub use client::{FeedClient, FeedError, Reports};
pub use exposure::{Exposure, ExposureTls, ServerEntry};
pub(crate) use server::FeedServer;
pub use table::{AppEntry, AppState, BackendEntry, Certificate, Challenge, PlatformHost, Policy, Table};

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio_util::codec::LengthDelimitedCodec;
use uuid::Uuid;

/// The longest frame that either end accepts: a table of some ten thousand apps.
pub(crate) const MAX_FRAME_BYTES: usize = 64 * 1024 * 1024;

/// How the router's frames are told apart.
fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .max_frame_length(MAX_FRAME_BYTES)
        .new_codec()
}

/// What a feeder says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FeederFrame {
    Table { version: u64, table: Table },
    Change { version: u64, base: u64, change: Change },
    Drain { drain: u64, dyno: Uuid, within: Duration },
}

/// What a router says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum RouterFrame {
    Hello(Hello),
    Applied { version: u64 },
    Drained { drain: u64, outcome: DrainOutcome },
    Reports(Vec<Report<'static>>),
}

/// Who answers on the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub pid: u32,
    /// The table that the router has; 0 before its first.
    pub version: u64,
    pub http: SocketAddr,
    pub https: Option<SocketAddr>,
}

/// What became of the requests and tunnels of a dyno that left the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DrainOutcome {
    /// Nothing is in flight, and nothing will be.
    Drained,
    /// Time is up: tunnels (every upgraded connection) were closed, and this many requests go on without a limit.
    Unfinished { requests: usize },
    /// The dyno still is in the router's latest table: it cannot drain.
    StillRouted,
}

/// What a router tells without being asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Report<'a> {
    Access(AccessRecord<'a>),
    /// A dyno in the table took no connection: look at it again.
    Refused {
        #[serde(with = "chrono::serde::ts_microseconds")]
        at: DateTime<Utc>,
        dyno: Uuid,
        container: String,
    },
    /// A request waits for an app that sleeps. Said again while one does.
    Wake {
        app: Uuid,
    },
    /// An app whose policy lets it sleep had no request for that long, and has none in flight.
    Idle {
        app: Uuid,
    },
    /// So many reports were lost since the last one, because nobody took them in time.
    Dropped {
        count: u64,
    },
    /// Somebody came to an exposed add-on from an address that may not; so many more have since the last such report.
    TurnedAway {
        #[serde(with = "chrono::serde::ts_microseconds")]
        at: DateTime<Utc>,
        app: Uuid,
        /// The add-on's name.
        name: Cow<'a, str>,
        peer: IpAddr,
        more: u32,
    },
    /// The port of an exposed add-on cannot be had. Said once; it is tried again.
    NoPort {
        #[serde(with = "chrono::serde::ts_microseconds")]
        at: DateTime<Utc>,
        app: Uuid,
        /// The add-on's name.
        name: Cow<'a, str>,
        listen: SocketAddr,
        error: Cow<'a, str>,
    },
}
