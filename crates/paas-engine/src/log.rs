//! What containers say.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use thiserror::Error;

/// A piece of a container's output, as the engine kept it: mostly one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// Where to resume: behind this chunk.
    pub position: LogPosition,
    pub stream: OutputStream,
    /// Without the line feed.
    pub bytes: Bytes,
    /// Whether the line goes on in the next chunk of the same stream.
    pub is_partial: bool,
}

/// A place in a container's output: a time to the nanosecond, and how many chunks of that very time came before and with
/// it. Written as `2026-01-02T03:04:05.123456789Z#1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    pub at: DateTime<Utc>,
    /// From 1. Pieces of one long line share their time.
    pub ordinal: u32,
}

/// What a running container said just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub stream: OutputStream,
    pub bytes: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputStream {
    /// Standard output, or both of them on a terminal.
    Stdout,
    Stderr,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no log position such as 2026-01-02T03:04:05.123456789Z#1")]
pub struct LogPositionError {
    text: String,
}

impl FromStr for LogPosition {
    type Err = LogPositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (at, ordinal) = text.split_once('#')?;
            Some(Self {
                at: DateTime::parse_from_rfc3339(at).ok()?.to_utc(),
                ordinal: ordinal.parse().ok()?,
            })
        };
        parse().ok_or_else(|| LogPositionError { text: text.to_owned() })
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.to_rfc3339_opts(SecondsFormat::Nanos, true);
        write!(f, "{at}#{}", self.ordinal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_being_written_down() {
        let text = "2026-01-02T03:04:05.000000009Z#12";
        let position: LogPosition = text.parse().unwrap();
        assert_eq!((position.at.timestamp_subsec_nanos(), position.ordinal), (9, 12));
        assert_eq!(position.to_string(), text);
        assert!("2026-01-02T03:04:05Z".parse::<LogPosition>().is_err());
    }
}
