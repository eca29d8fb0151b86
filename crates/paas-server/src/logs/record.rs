//! One stored line, and how it is written down.
//!
//! ```text
//! 17 2026-01-02T03:04:05.000000+00:00 app web.1 3f2a…@2026-01-02T03:04:05.000000001Z#1 listening on port 5000
//! id at                               source process mark                              message
//! ```
//! The mark is `-` for lines that did not come from a container, and `+` for a piece of a chunk whose last piece, which
//! carries the mark, follows. A reader can `grep` these files; nobody else writes them.

use std::{borrow::Cow, fmt};

use chrono::{DateTime, SecondsFormat, Utc};
use paas_core::{LogLine, LogSource};
use paas_engine::{ContainerId, LogPosition};

/// Longer lines are split, as Logplex does.
pub(super) const MAXIMUM_MESSAGE_BYTES: usize = 10_000;

/// A line of an app's log, with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Counted from 1 per app, without a gap: good as the id of a server-sent event.
    pub(crate) id: u64,
    pub(crate) line: LogLine,
}

/// How far a container's output has been stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// The end of the container's id.
    pub(super) container: String,
    pub(super) position: LogPosition,
}

/// Where a stored piece came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Platform,
    /// The chunk that this piece belongs to ends with a later piece.
    Unfinished,
    Container(Mark),
}

/// A parsed line of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) stored: Stored,
    pub(super) origin: Origin,
}

impl Mark {
    pub(super) fn new(container: &ContainerId, position: LogPosition) -> Self {
        Self {
            container: short(container).to_owned(),
            position,
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (container, position) = text.split_once('@')?;
        Some(Self {
            container: container.to_owned(),
            position: position.parse().ok()?,
        })
    }
}

/// As much of a container's id as tells it from all others: 80 of its 256 random bits.
pub(super) fn short(container: &ContainerId) -> &str {
    let id = container.as_str();
    id.get(id.len().saturating_sub(20)..).unwrap_or(id)
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.container, self.position)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => f.write_str("-"),
            Self::Unfinished => f.write_str("+"),
            Self::Container(mark) => mark.fmt(f),
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stored { id, line } = &self.stored;
        let LogLine {
            at,
            source,
            process,
            message,
        } = line;
        let at = at.to_rfc3339_opts(SecondsFormat::Micros, false);
        writeln!(f, "{id} {at} {source} {process} {} {message}", self.origin)
    }
}

impl Record {
    /// Reads one line, without its line feed. `None` when it is not one of ours, such as a torn one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.splitn(6, ' ');
        let id = words.next()?.parse().ok()?;
        let at = DateTime::parse_from_rfc3339(words.next()?).ok()?.with_timezone(&Utc);
        let source = match words.next()? {
            "app" => LogSource::App,
            "heroku" => LogSource::Heroku,
            _ => return None,
        };
        let process = words.next()?.to_owned();
        let origin = match words.next()? {
            "-" => Origin::Platform,
            "+" => Origin::Unfinished,
            mark => Origin::Container(Mark::parse(mark)?),
        };
        let message = words.next()?.to_owned();
        Some(Self {
            stored: Stored {
                id,
                line: LogLine {
                    at,
                    source,
                    process,
                    message,
                },
            },
            origin,
        })
    }
}

/// A process name as one word.
pub(super) fn clean_process(process: &str) -> Cow<'_, str> {
    if !process.is_empty() && !process.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Cow::Borrowed(process);
    }
    let clean: String = process
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control())
        .collect();
    Cow::Owned(if clean.is_empty() { "_".to_owned() } else { clean })
}

/// The pieces that a message is stored as: one per line in it, none longer than Logplex allows, at least one. Colours
/// stay, as on Heroku; what would break a line or a terminal's line does not.
pub(super) fn pieces(message: &str) -> Vec<String> {
    let message = message.strip_suffix('\n').unwrap_or(message);
    let mut pieces = Vec::new();
    for line in message.split('\n') {
        let clean: String = line.chars().filter(|c| !matches!(c, '\0' | '\r')).collect();
        let mut rest = clean.as_str();
        while rest.len() > MAXIMUM_MESSAGE_BYTES {
            let (piece, more) = rest.split_at(rest.floor_char_boundary(MAXIMUM_MESSAGE_BYTES));
            pieces.push(piece.to_owned());
            rest = more;
        }
        pieces.push(rest.to_owned());
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = |origin| Record {
            stored: Stored {
                id: 17,
                line: LogLine {
                    at: DateTime::from_timestamp_micros(1_767_323_045_000_001).unwrap(),
                    source: LogSource::App,
                    process: "web.1".to_owned(),
                    message: " \u{1b}[31mred\u{1b}[0m  ünï - @ ".to_owned(),
                },
            },
            origin,
        };
        for origin in [
            Origin::Platform,
            Origin::Unfinished,
            Origin::Container(Mark::new(
                &ContainerId::new("c0ffee"),
                "2026-01-02T03:04:05.000000009Z#12".parse().unwrap(),
            )),
        ] {
            let record = record(origin);
            let text = record.to_string();
            assert_eq!(Record::parse(text.strip_suffix('\n').unwrap()), Some(record));
        }
    }

    #[test]
    fn what_is_not_a_record_is_not_read_as_one() {
        for text in [
            "",
            "17",
            "\0\0\0",
            "17 2026-01-02T03:04:05Z app web.1",
            "17 then app web.1 - x",
        ] {
            assert_eq!(Record::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_long_line_is_split_and_a_text_of_lines_is_taken_apart() {
        assert_eq!(pieces(""), [""]);
        assert_eq!(pieces("one\r\ntwo\n"), ["one", "two"]);
        let long = format!(
            "{}é{}",
            "x".repeat(MAXIMUM_MESSAGE_BYTES - 1),
            "y".repeat(MAXIMUM_MESSAGE_BYTES)
        );
        let split = pieces(&long);
        assert_eq!(split.concat(), long);
        assert!(split.iter().all(|piece| piece.len() <= MAXIMUM_MESSAGE_BYTES));
        assert_eq!(split.len(), 3);
    }
}
