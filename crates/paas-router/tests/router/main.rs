//! A router on real sockets, with little dynos behind it and a feeder beside it.

#![expect(clippy::unwrap_used, reason = "a fixture that cannot go on has failed its test")]

mod support;

mod balance;
mod code;
mod feed;
mod header;
mod pool;
mod response;
mod smuggling;
mod stop;
mod stream;
mod swap;
mod tls;
