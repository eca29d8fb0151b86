//! Who may work on an app.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AppRef, ResourceRef, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collaborator {
    pub app: AppRef,
    pub created_at: Time,
    pub id: Uuid,
    pub permissions: Vec<Permission>,
    /// `admin`, `collaborator`, `member` or `owner`.
    pub role: Option<String>,
    pub updated_at: Time,
    pub user: CollaboratorUser,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollaboratorUser {
    pub email: String,
    pub federated: bool,
    pub id: Uuid,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    pub description: String,
    pub name: String,
}

/// `POST /apps/{app}/collaborators` and `POST /teams/apps/{app}/collaborators`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCollaborator {
    /// Only for the apps of teams; the collaborators of a person's app have all that collaborators can have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<String>>,
    /// This platform writes to nobody, so it is always silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<bool>,
    /// An email address, an account's id, or `~`.
    pub user: ResourceRef,
}

/// `PATCH /teams/apps/{app}/collaborators/{collaborator}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollaboratorUpdate {
    pub permissions: Vec<String>,
}
