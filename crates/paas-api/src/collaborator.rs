//! Who may work on an app.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AppRef, Time};

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
