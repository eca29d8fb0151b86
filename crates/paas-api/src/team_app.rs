//! An app, seen from the team that owns it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{NamedRef, ResourceRef, Time, UserRef};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamApp {
    pub archived_at: Option<Time>,
    pub base_image_name: Option<String>,
    pub build_stack: NamedRef,
    pub buildpack_provided_description: Option<String>,
    pub buildpacks: Option<Vec<serde_json::Value>>,
    pub created_at: Time,
    pub current_build_architecture: Vec<String>,
    /// A text here, unlike in an app.
    pub generation: String,
    pub git_url: String,
    pub id: Uuid,
    pub internal_routing: Option<bool>,
    /// The caller was added to it, or owns it.
    pub joined: bool,
    pub locked: bool,
    pub maintenance: bool,
    pub name: String,
    pub owner: Option<UserRef>,
    pub region: NamedRef,
    pub released_at: Option<Time>,
    pub repo_size: Option<u64>,
    pub slug_size: Option<u64>,
    pub space: Option<NamedRef>,
    pub stack: NamedRef,
    pub team: Option<TeamOfApp>,
    pub updated_at: Time,
    pub web_url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamOfApp {
    pub name: String,
}

/// `POST /teams/apps`. Clients send more than this (`internal_routing`, `space`), which is ignored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewTeamApp {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Owned by the caller, not by a team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personal: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<ResourceRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<ResourceRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<ResourceRef>,
}

/// `PATCH /teams/apps/{app}`: one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeamAppUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// A team, an email address, or `~`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<ResourceRef>,
}
