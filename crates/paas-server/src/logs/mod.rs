//! An app's log: dyno, router and platform lines on disk, which outlive the containers they came from.
//!
//! * Lines live in files, never in Postgres: `logs/<app>/<first id>.log`, one line of text per line of log.
//! * A line has an id, counted from 1 per app without a gap; ids order lines, times need not.
//! * What was stored of a dyno's output, and what was not, is known from the log itself ([`record::Mark`]): after a restart, its
//!   output resumes without a line lost or stored twice.
//! * A crash can tear the last line only. A torn line is cut off when the app's log is next opened.

mod collect;
mod filter;
mod journal;
mod read;
mod record;
mod segment;
mod store;

pub(crate) use collect::{Collector, Shared};
pub(crate) use filter::Filter;
pub(crate) use read::Tail;
pub(crate) use record::Stored;
pub(crate) use store::{Limits, LogError, LogStore, causes};

#[cfg(test)]
mod tests;
