//! A build: one attempt to turn a source into a slug.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Buildpack, BuildpackRef, IdRef, Secret, Time, UserRef};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    pub app: IdRef,
    pub buildpacks: Option<Vec<Buildpack>>,
    pub created_at: Time,
    pub generation: String,
    pub id: Uuid,
    pub labs: BTreeMap<String, serde_json::Value>,
    /// Plain text, live until the build ends. The URL itself is the permission.
    pub output_stream_url: String,
    pub release: Option<IdRef>,
    pub slug: Option<IdRef>,
    pub source_blob: SourceBlob,
    pub stack: String,
    pub status: BuildStatus,
    pub updated_at: Time,
    pub user: UserRef,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BuildStatus {
    Pending,
    Succeeded,
    Failed,
}

impl BuildStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for BuildStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `POST /apps/{app}/images`: an image that is built already. Answered by the build that deploys it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewImage {
    /// As Docker writes it: `registry.example.com/team/app:1.0`.
    pub image: String,
    /// `web` when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_password: Option<Secret>,
}

/// Where the source of a build is, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceBlob {
    #[serde(default)]
    pub checksum: Option<String>,
    pub url: String,
    /// Usually a commit id.
    #[serde(default)]
    pub version: Option<String>,
    #[serde(default)]
    pub version_description: Option<String>,
}

/// `GET /apps/{app}/builds/{build}/result`: what older clients read when a build has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildResult {
    pub build: BuildSummary,
    /// 0 is success.
    pub exit_code: u8,
    pub lines: Vec<BuildLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildSummary {
    pub id: Uuid,
    pub output_stream_url: String,
    pub status: BuildStatus,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildLine {
    pub line: String,
    pub stream: String,
}

/// `POST /apps/{app}/builds`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewBuild {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buildpacks: Option<Vec<BuildpackRef>>,
    pub source_blob: SourceBlob,
}
