//! A release.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AppRef, IdRef, ResourceRef, Time, UserRef};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub addon_plan_names: Vec<String>,
    pub app: AppRef,
    pub artifacts: Vec<Artifact>,
    pub created_at: Time,
    /// True for exactly one release of an app.
    pub current: bool,
    pub description: String,
    pub eligible_for_rollback: bool,
    pub id: Uuid,
    pub oci_image: Option<IdRef>,
    /// `null` when the release has no release phase.
    pub output_stream_url: Option<String>,
    pub slug: Option<IdRef>,
    pub status: ReleaseStatus,
    pub updated_at: Time,
    pub user: UserRef,
    pub version: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    pub id: Uuid,
    pub r#type: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReleaseStatus {
    Pending,
    Succeeded,
    Failed,
    Expired,
}

impl ReleaseStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for ReleaseStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `POST /apps/{app}/releases`: a rollback names a `release`, a new release of old code a `slug`. Exactly one of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewRelease {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ResourceRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slug: Option<ResourceRef>,
}
