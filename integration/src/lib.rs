//! The harness of the story tests: a whole platform of real parts in a directory of its own.
//!
//! A story starts a [`Platform`] (the real `paasd`, embedded Postgres, router, Docker), makes an [`App`], and does to it what
//! a user does: writes files, `git push`, the command `paas`, requests through the router. Several platforms share one
//! Docker, so nothing here touches what does not carry the platform's own label. Dropping a platform takes all of it away.
//!
//! Everything here panics when the machinery itself breaks: a story has no other use for such an error.

mod abandoned;
mod alike;
mod answer;
mod app;
mod background;
mod binary;
mod bucket;
pub mod compatibility;
mod engine;
mod front;
mod heroku;
mod hostile;
mod hosts;
mod leftovers;
mod load;
mod load_connection;
mod node;
mod output;
mod own_engine;
mod pebble;
mod platform;
mod priority;
mod process;
mod python;
mod rsyslog;
mod server;
mod slot;
mod stalls;
mod terminal;
mod tiny;
mod tools;
mod visitor;
mod wait;

pub use alike::Both;
pub use answer::{Answer, download, request};
pub use app::App;
pub use background::Background;
pub use binary::binary;
pub use bucket::Bucket;
pub use engine::{Container, Engine};
pub use heroku::Heroku;
pub use hostile::{HOSTILE, Hostile};
pub use hosts::Hosts;
pub use load::{Failure, Load, Target, Traffic};
pub use node::Node;
pub use output::Output;
pub use own_engine::OwnEngine;
pub use pebble::{NameServer, Pebble, PebbleOptions, free_address};
pub use platform::{Options, Platform};
pub use process::{Process, processes};
pub use python::Python;
pub use rsyslog::Rsyslog;
pub use stalls::Stalls;
pub use terminal::Terminal;
pub use visitor::{Seen, Visit, Visitor, Visits};
pub use wait::{eventually, within};
