//! A dyno: a named slot of one release, with the state last seen.

use std::{fmt, net::SocketAddr, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{NameError, ProcessType};

/// The name of a slot: `web.1`, `worker.2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DynoName {
    pub process_type: ProcessType,
    /// From 1 for the formation; a random number for one-off dynos.
    pub index: u32,
}

/// Where a web dyno answers: an address, and the container that was seen to hold it. An address alone is never trusted,
/// because an engine hands it out again at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub container: String,
    pub address: SocketAddr,
}

/// ```text
/// starting{since} ─port answers / process stays─▶ up{endpoint};  60 s or exit ─▶ crashed{at, code, oom, retry_at}
/// surplus, replaced, scaled down ─▶ stopping{since, why} ─gone─▶ (no row)
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DynoState {
    Starting {
        since: DateTime<Utc>,
    },
    Up {
        since: DateTime<Utc>,
        /// For web dynos only: other process types answer nobody.
        endpoint: Option<Endpoint>,
    },
    Crashed(Crash),
    Stopping {
        since: DateTime<Utc>,
        why: StopReason,
    },
}

/// How a dyno ended without being asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    pub at: DateTime<Utc>,
    /// `None` when the container vanished without a trace.
    pub exit_code: Option<i32>,
    /// The memory quota was exceeded (R15).
    pub out_of_memory: bool,
    /// It did not bind `$PORT` in time (R10).
    pub boot_timeout: bool,
    pub retry_at: DateTime<Utc>,
}

/// Why a dyno is being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The formation wants fewer.
    ScaledDown,
    /// A newer release, size or restart took its slot.
    Replaced,
    /// Its release failed, or was overtaken before it served.
    Abandoned,
    /// The app has no release to run any more, or is being destroyed.
    Unwanted,
    /// Nobody asked for its app for a while.
    Idle,
}

impl DynoState {
    /// The word on the wire. A dyno that is being stopped is `down` to those who ask.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Starting { .. } => "starting",
            Self::Up { .. } => "up",
            Self::Crashed(_) => "crashed",
            Self::Stopping { .. } => "down",
        }
    }

    pub const fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }

    pub const fn is_stopping(&self) -> bool {
        matches!(self, Self::Stopping { .. })
    }

    /// When this state began.
    pub const fn since(&self) -> DateTime<Utc> {
        match self {
            Self::Starting { since } | Self::Up { since, .. } | Self::Stopping { since, .. } => *since,
            Self::Crashed(crash) => crash.at,
        }
    }
}

impl StopReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ScaledDown => "scaled_down",
            Self::Replaced => "replaced",
            Self::Abandoned => "abandoned",
            Self::Unwanted => "unwanted",
            Self::Idle => "idle",
        }
    }
}

/// When a crashed dyno starts again: at once, then after 10 s, 20 s, 40 s … up to 10 min.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff;

impl Backoff {
    /// A dyno that stayed up this long has forgotten its earlier crashes.
    pub const RESET_AFTER: TimeDelta = TimeDelta::minutes(5);
    const FIRST: TimeDelta = TimeDelta::seconds(10);
    const CEILING: TimeDelta = TimeDelta::minutes(10);

    /// How long to wait after the `failures`-th crash in a row, counted from 1.
    pub fn after(failures: u32) -> TimeDelta {
        match failures {
            0 | 1 => TimeDelta::zero(),
            more => {
                let doublings = (more - 2).min(10);
                (Self::FIRST * 2_i32.pow(doublings)).min(Self::CEILING)
            }
        }
    }
}

impl FromStr for DynoName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || NameError::new("Dyno", "must be a name such as web.1");
        let (process_type, index) = text.rsplit_once('.').ok_or_else(error)?;
        Ok(Self {
            process_type: process_type.parse()?,
            index: index.parse().map_err(|_| error())?,
        })
    }
}

impl fmt::Display for DynoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.process_type, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_starts_at_once_and_ends_at_ten_minutes() {
        let seconds: Vec<_> = (1..=9).map(|failures| Backoff::after(failures).num_seconds()).collect();
        assert_eq!(seconds, [0, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(Backoff::after(u32::MAX), TimeDelta::minutes(10));
    }
}
