//! A release: code and config, numbered, immutable.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};

use crate::{App, Id, NameError, Slug};

/// A slug together with a complete snapshot of config. Only its status ever changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub id: Id<Release>,
    pub app: Id<App>,
    pub version: ReleaseVersion,
    pub slug: Option<Id<Slug>>,
    pub status: ReleaseStatus,
    pub description: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// ```text
/// pending ─▶ succeeded ─▶ expired (its image is gone)
///    └────▶ failed{why} ◀─ (boot) ┘
/// ```
/// A failed release keeps its number and is never current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseStatus {
    /// Its release phase has not ended.
    Pending,
    Succeeded,
    Failed {
        why: ReleaseFailure,
    },
    Expired,
}

/// Why a release never became, or did not stay, current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseFailure {
    /// The `release` process did not exit with status 0.
    ReleasePhase,
    /// Its web dynos did not boot while an older release was serving.
    Boot,
}

impl ReleaseStatus {
    /// The word on the wire.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Expired => "expired",
        }
    }
}

impl ReleaseFailure {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReleasePhase => "release_phase",
            Self::Boot => "boot",
        }
    }
}

/// The number of a release within its app, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReleaseVersion(u32);

impl ReleaseVersion {
    pub const FIRST: Self = Self(1);

    pub const fn new(number: u32) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    pub const fn number(self) -> u32 {
        self.0
    }

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl FromStr for ReleaseVersion {
    type Err = NameError;

    /// Reads `v42` and `42`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix('v')
            .unwrap_or(text)
            .parse()
            .ok()
            .and_then(Self::new)
            .ok_or(NameError::new("Release", "must be a version such as v42"))
    }
}

impl fmt::Display for ReleaseVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_and_without_their_letter() {
        for (text, number) in [("v1", 1), ("42", 42), ("v4294967295", u32::MAX)] {
            let version: ReleaseVersion = text.parse().unwrap();
            assert_eq!(version.number(), number);
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        for bad in [
            "",
            "v",
            "0",
            "v0",
            "vv1",
            "V1",
            "-1",
            "1.0",
            "v4294967296",
            " 1",
            "latest",
        ] {
            assert!(bad.parse::<ReleaseVersion>().is_err(), "{bad:?} was accepted");
        }
        assert_eq!(ReleaseVersion::FIRST.next().to_string(), "v2");
    }
}
