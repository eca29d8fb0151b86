//! An app made of a source with an `app.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AppRef, BuildStatus, BuildSummary, BuildpackRef, ResourceRef, SourceBlob, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppSetup {
    pub app: AppRef,
    pub build: Option<BuildSummary>,
    pub created_at: Time,
    pub failure_message: Option<String>,
    pub id: Uuid,
    pub manifest_errors: Vec<String>,
    pub postdeploy: Option<Postdeploy>,
    pub resolved_success_url: Option<String>,
    pub status: BuildStatus,
    pub updated_at: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postdeploy {
    pub exit_code: i32,
    pub output: String,
}

/// `POST /app-setups`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAppSetup {
    #[serde(default)]
    pub app: SetupApp,
    #[serde(default)]
    pub overrides: SetupOverrides,
    pub source_blob: SourceBlob,
}

/// The app to make. Clients send more than this (`locked`, `organization`, `personal`, `space`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SetupApp {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub region: Option<ResourceRef>,
    #[serde(default)]
    pub stack: Option<ResourceRef>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SetupOverrides {
    #[serde(default)]
    pub buildpacks: Option<Vec<BuildpackRef>>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}
