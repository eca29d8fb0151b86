//! Attachments: which apps use an add-on.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AppRef, NamedRef, ResourceRef, Time};

/// The use that an app makes of an add-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonAttachment {
    pub addon: AddonOfAttachment,
    pub app: AppRef,
    /// Those that it sets in this app.
    pub config_vars: Vec<String>,
    pub created_at: Time,
    pub id: Uuid,
    pub log_input_url: Option<String>,
    pub name: String,
    pub namespace: Option<String>,
    pub updated_at: Time,
    pub web_url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonOfAttachment {
    pub app: AppRef,
    pub id: Uuid,
    pub name: String,
    pub plan: NamedRef,
}

/// `POST /addon-attachments`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAddonAttachment {
    pub addon: ResourceRef,
    pub app: ResourceRef,
    /// The app's name: the attachment of this name is replaced, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// `POST /actions/addon-attachments/resolve`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentQuestion {
    pub addon_attachment: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addon_service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
}
