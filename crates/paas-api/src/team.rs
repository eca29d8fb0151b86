//! Teams: people who own apps together.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{NamedRef, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    pub created_at: Time,
    pub credit_card_collections: bool,
    pub default: bool,
    pub enterprise_account: Option<NamedRef>,
    pub id: Uuid,
    pub identity_provider: Option<serde_json::Value>,
    pub membership_limit: Option<u32>,
    pub name: String,
    pub pipeline_cost_consent_at: Option<Time>,
    pub pipeline_cost_consent_user_email: Option<String>,
    pub provisioned_licenses: bool,
    /// What the caller is to it: `admin`, `collaborator`, `member` or `viewer`.
    pub role: Option<String>,
    /// Always `team`.
    pub r#type: String,
    pub updated_at: Time,
}

/// `POST /teams`. Clients also send an address and a credit card, which are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTeam {
    pub name: String,
}

/// `PATCH /teams/{team}`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeamUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
