//! An offer of an app from one person to another.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AppRef, ResourceRef, Time, UserRef};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppTransfer {
    pub app: AppRef,
    pub created_at: Time,
    pub id: Uuid,
    pub owner: UserRef,
    pub recipient: UserRef,
    /// `pending`, `accepted` or `declined`.
    pub state: String,
    pub updated_at: Time,
}

/// `POST /account/app-transfers`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAppTransfer {
    pub app: ResourceRef,
    pub recipient: ResourceRef,
    /// This platform writes to nobody, so it is always silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<bool>,
}

/// `PATCH /account/app-transfers/{transfer}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppTransferUpdate {
    pub state: String,
}
