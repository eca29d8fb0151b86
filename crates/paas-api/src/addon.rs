//! Add-ons: servers that apps use.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{AddonService, AppRef, EnvValue, Plan, Price, ResourceRef, Time};

/// An add-on. Its service and plan are always whole, whatever `Accept-Expansion` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addon {
    pub actions: Vec<Value>,
    pub addon_service: AddonService,
    pub app: AppRef,
    pub billed_price: Option<Price>,
    pub billing_entity: BillingEntity,
    /// Those that it sets in its own app.
    pub config_vars: Vec<String>,
    pub created_at: Time,
    pub id: Uuid,
    pub name: String,
    pub plan: Plan,
    pub provider_id: String,
    pub provision_message: Option<String>,
    /// `provisioning`, `provisioned`, `deprovisioned`.
    pub state: String,
    pub updated_at: Time,
    pub web_url: Option<String>,
}

/// Who pays for an add-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillingEntity {
    pub id: Uuid,
    pub name: String,
    /// `app` or `team`.
    pub r#type: String,
}

/// `POST /apps/{app}/addons`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAddon {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<AttachmentOfNewAddon>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `heroku-postgresql:essential-0`, or the service alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<ResourceRef>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentOfNewAddon {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// `PATCH /apps/{app}/addons/{addon}`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonUpdate {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<ResourceRef>,
}

/// `DELETE /apps/{app}/addons/{addon}`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonRemoval {
    /// Also while other apps use it.
    #[serde(default)]
    pub force: bool,
}

/// `POST /addons/{addon}/actions/client`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonClient {
    #[serde(default)]
    pub arguments: Vec<String>,
    /// As which of its users; its own unless it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, EnvValue>>,
    /// Streams instead of a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_no_tty: Option<bool>,
    /// `client` unless it says otherwise; `dump` writes what is in the add-on, `restore` reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

/// `POST /addons/{addon}/actions/copy`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonCopy {
    /// Name or id of the add-on whose content it gets.
    pub source: String,
}

/// `POST /actions/addons/resolve`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonQuestion {
    pub addon: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addon_service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
}
