//! One-off dynos: a command that runs once, beside the formation.
//!
//! They are never planned: nobody restarts them, and no release, scaling or restart touches them.
//!
//! ```text
//! starting{since} ─a client attached, or none is wanted─▶ up{since} ─ended, stopped, 24 h─▶ (no row)
//!     └─no client within 30 s (R13)─▶ (no row)
//! ```

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{App, DynoName, DynoSize, Id, ProcessType, Release, ReleaseVersion};

/// A one-off dyno, as it was asked for and last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOff {
    pub id: Id<OneOff>,
    pub app: Id<App>,
    pub name: DynoName,
    pub release: Id<Release>,
    pub version: ReleaseVersion,
    pub size: DynoSize,
    /// As it was typed: a process type is not yet replaced.
    pub command: String,
    /// Whether it talks to a person, or into the log.
    pub is_attached: bool,
    pub is_up: bool,
    /// Since when it is what it is.
    pub since: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    /// When it is stopped at the latest.
    pub expires_at: DateTime<Utc>,
}

impl OneOff {
    /// Heroku stops them after a day (Dev Center, *One-Off Dynos*, "Timeout").
    pub const LONGEST_LIFE: TimeDelta = TimeDelta::hours(24);
    /// How many an app may have at the same time (Dev Center, *Limits*).
    pub const MOST_OF_AN_APP: usize = 50;

    /// The name of their process type unless somebody says another.
    pub const PROCESS_TYPE: &str = "run";
}

/// The process type that a command begins with, if any: its image is what the command runs in.
pub fn process_type_of<'a>(command: &str, process_types: &'a BTreeMap<ProcessType, String>) -> Option<&'a ProcessType> {
    let first = command.split(char::is_whitespace).next().unwrap_or_default();
    process_types.keys().find(|name| name.as_str() == first)
}

/// What a command runs: a process type at its start stands for the command of the Procfile, and what follows is appended
/// (Dev Center, *The Procfile*: `heroku run worker --verbose`).
pub fn expand_command(command: &str, process_types: &BTreeMap<ProcessType, String>) -> String {
    let Some(known) = process_type_of(command, process_types) else {
        return command.to_owned();
    };
    let (meant, rest) = (&process_types[known], &command[known.as_str().len()..]);
    format!("{meant}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_type_stands_for_its_command() {
        let types = [("worker", "bin/work --fast"), ("web", "bin/serve")];
        let types = types
            .map(|(name, command)| (name.parse().unwrap(), command.to_owned()))
            .into();
        for (typed, run) in [
            ("worker", "bin/work --fast"),
            ("worker --verbose  x", "bin/work --fast --verbose  x"),
            ("worker ; echo $?", "bin/work --fast ; echo $?"),
            ("worker\nweb", "bin/work --fast\nweb"),
            ("worker; echo", "worker; echo"),
            ("bash", "bash"),
            ("echo web", "echo web"),
            ("", ""),
        ] {
            assert_eq!(expand_command(typed, &types), run, "{typed}");
        }
    }
}
