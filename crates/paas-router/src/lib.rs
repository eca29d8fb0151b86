//! The HTTP and TLS data plane: requests come in for hostnames and leave for dynos.
//!
//! The router holds one table in memory. The control plane feeds it whole, versioned tables over a unix socket and gets
//! back access records and answers ([`feed`]). The router asks nobody anything: it never sees a database, an engine or a
//! configuration file, and it goes on with its last table when nobody feeds it.
//!
//! Invariants, each with a test:
//!
//! - A request holds a backend *before* it checks that the backend still is in the table, so a dyno that was reported as
//!   drained never gets another byte (`backend.rs`).
//! - A connection to a dyno belongs to one dyno, container and address, and dies with its place in the table (`pool.rs`).
//! - Before the first table, nothing is routed anywhere.

pub mod acme;
pub mod certificate;
pub mod feed;

mod code;
mod probe;
mod router;
mod settings;

mod activity;
mod affinity;
mod backend;
mod body;
mod certificates;
mod challenges;
mod check;
mod client_io;
mod connect;
mod date;
mod direct;
mod dyno_body;
mod dyno_io;
mod exchange;
mod exposure;
mod exposures;
mod extended;
mod flow;
mod frames;
mod framing;
mod greeting;
mod guests;
mod header;
mod http1;
mod http2;
mod link;
mod listener;
mod pace;
mod page;
mod pool;
mod proxy;
mod proxy_protocol;
mod reports;
mod restriction;
mod rules;
mod shared;
mod shared_map;
mod ssh;
mod table;
mod tls;
mod tunnel;
mod visitor;
mod websocket;

pub use code::Code;
pub use paas_core::{Network, NotANetwork};
pub use probe::{ProbeLimits, answers, probe};
pub use router::{Addresses, Router, RouterError, raise_open_files, run};
pub use settings::{Limits, Settings};
