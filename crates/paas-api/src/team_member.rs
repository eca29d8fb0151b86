//! Who is in a team.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Time;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamMember {
    pub created_at: Time,
    pub email: String,
    pub federated: bool,
    pub id: Uuid,
    pub identity_provider: Option<serde_json::Value>,
    /// `admin`, `collaborator`, `member` or `viewer`.
    pub role: Option<String>,
    pub two_factor_authentication: bool,
    pub updated_at: Time,
    pub user: TeamMemberUser,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamMemberUser {
    pub email: String,
    pub id: Uuid,
    pub name: Option<String>,
}

/// `PUT`, `POST` and `PATCH /teams/{team}/members`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeamMemberUpdate {
    pub email: String,
    /// Nobody's identity is a provider's here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub federated: Option<bool>,
    pub role: String,
}
