//! The way of an add-on to a newer version of its server.
//!
//! ```text
//! trying ─▶ moving ─▶ starting ─▶ succeeded
//!    ├─ a dry run ───────────────────▲
//!    └────────┴──▶ failed, cancelled
//! ```
//!
//! While it is *trying*, its server serves, and a copy of what it holds is loaded into a scratch server of the other version. While it is
//! *moving*, nobody reaches it: what is on its volume is loaded onto another one. Then it *starts*, as what it has
//! become.

use std::{cmp::Ordering, str::FromStr};

use chrono::{DateTime, Utc};

use crate::{Addon, Id, NameError};

/// The last one of an add-on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddonUpgrade {
    pub addon: Id<Addon>,
    /// The version that it leads to.
    pub version: String,
    /// It ends before anything of the add-on is touched.
    pub is_dry_run: bool,
    pub state: UpgradeState,
    /// What came of it, or what is going on, for people.
    pub words: String,
    /// Whoever is at it is to stop.
    pub is_cancelled: bool,
    pub begun_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpgradeState {
    Trying,
    Moving,
    Starting,
    Succeeded,
    Failed,
    Cancelled,
}

impl AddonUpgrade {
    pub const fn is_over(&self) -> bool {
        self.ended_at.is_some()
    }
}

impl UpgradeState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trying => "trying",
            Self::Moving => "moving",
            Self::Starting => "starting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl FromStr for UpgradeState {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        [
            Self::Trying,
            Self::Moving,
            Self::Starting,
            Self::Succeeded,
            Self::Failed,
            Self::Cancelled,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or(NameError::new("State", "is none of an upgrade"))
    }
}

/// Which of two versions of a server is the newer one, number by number: 9.6 comes before 10.
pub fn compare_versions(one: &str, other: &str) -> Ordering {
    let numbers = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap_or(0)).collect() };
    numbers(one).cmp(&numbers(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_and_no_text() {
        for (older, newer) in [("9.6", "10"), ("15", "17"), ("7.0.9", "7.0.10"), ("10", "10.1")] {
            assert_eq!(compare_versions(older, newer), Ordering::Less);
            assert_eq!(compare_versions(newer, older), Ordering::Greater);
        }
        assert_eq!(compare_versions("17", "17"), Ordering::Equal);
    }

    #[test]
    fn a_state_is_read_as_it_is_written() {
        for state in [UpgradeState::Trying, UpgradeState::Moving, UpgradeState::Cancelled] {
            assert_eq!(state.as_str().parse::<UpgradeState>().unwrap(), state);
        }
        assert!("begun".parse::<UpgradeState>().is_err());
    }
}
