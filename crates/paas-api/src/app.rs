//! An app.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{NamedRef, ResourceRef, Time, UserRef};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    pub acm: bool,
    pub archived_at: Option<Time>,
    pub base_image_name: Option<String>,
    pub build_stack: NamedRef,
    pub buildpack_provided_description: Option<String>,
    pub buildpacks: Option<Vec<serde_json::Value>>,
    pub created_at: Time,
    pub current_build_architecture: Vec<String>,
    /// Always `cedar`: a name with `fir` in it sends Heroku's CLI down another road.
    pub generation: NamedRef,
    pub git_url: String,
    pub id: Uuid,
    pub internal_routing: Option<bool>,
    pub maintenance: bool,
    pub name: String,
    pub organization: Option<NamedRef>,
    pub owner: UserRef,
    pub region: NamedRef,
    pub released_at: Option<Time>,
    /// Heroku's CLI crashes on `null` here, although the schema allows it.
    pub repo_size: Option<u64>,
    pub slug_size: Option<u64>,
    pub space: Option<NamedRef>,
    pub stack: NamedRef,
    pub team: Option<NamedRef>,
    pub updated_at: Time,
    pub web_url: Option<String>,
}

/// `POST /apps`. Clients send more than this (`kernel`, `locked`, `internal_routing`), which is ignored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewApp {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<ResourceRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<ResourceRef>,
}

/// `POST /filters/apps`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppFilter {
    #[serde(rename = "in")]
    pub within: AppIds,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppIds {
    pub id: Vec<Uuid>,
}

/// `PATCH /apps/{app}`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_stack: Option<ResourceRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
