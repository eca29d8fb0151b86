//! A build: one attempt to turn a source into a slug.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::{App, Id, Slug};

/// One attempt to turn a source into a slug. Ends once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    pub id: Id<Build>,
    pub app: Id<App>,
    pub commit: Option<String>,
    pub status: BuildStatus,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// ```text
/// pending ─▶ succeeded{slug} | failed{why}
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildStatus {
    Pending,
    Succeeded { slug: Id<Slug> },
    Failed { why: BuildFailure },
}

/// Why a build ended without a slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildFailure {
    /// The source or the build itself was at fault; the build's log says how.
    Rejected,
    /// The server that ran the build ended before the build did.
    LeaseExpired,
    Cancelled,
}

impl BuildStatus {
    /// The word on the wire.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } => "failed",
        }
    }
}

impl BuildFailure {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::LeaseExpired => "lease_expired",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for BuildFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
