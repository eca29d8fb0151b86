//! A router on real sockets, with little dynos behind it and a feeder beside it.

#![expect(clippy::unwrap_used, reason = "a fixture that cannot go on has failed its test")]

mod support;

mod affinity;
mod balance;
mod change;
mod code;
mod exposures;
mod extended;
mod feed;
mod frames;
mod grpc;
mod header;
mod hold;
mod http2;
mod idle;
mod pool;
mod proxies;
mod response;
mod rules;
mod smuggling;
mod ssh;
mod stop;
mod stream;
mod swap;
mod tls;
mod trailer;
mod wrong_app;
