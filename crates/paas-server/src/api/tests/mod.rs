//! The API on a real database and an engine in memory, through its router, as a client would see it.

mod access;
mod addon;
mod buildpacks;
mod builds;
mod destroy;
mod disk;
mod feature;
mod fuzz;
mod latency;
mod log_drain;
mod login;
mod names;
mod oauth;
mod one_off;
mod people;
mod protocol;
mod refusal;
mod schema;
mod server;
mod shape;
mod slugs;
mod ssh;
mod story;
mod stream;
mod team;
mod webhook;
