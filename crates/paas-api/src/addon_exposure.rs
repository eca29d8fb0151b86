//! Add-ons that addresses outside may come to. Heroku's nearest are trusted IP ranges, which a whole space has.

use serde::{Deserialize, Serialize};

use crate::{NamedRef, Secret, Time};

/// An exposure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonExposure {
    pub addon: NamedRef,
    /// Networks that may come.
    pub allow: Vec<String>,
    pub app: NamedRef,
    pub created_at: Time,
    /// From then on nobody may.
    pub expires_at: Time,
    pub host: String,
    pub port: u16,
    pub updated_at: Time,
    /// With the password; only to those who may see it, and never in lists.
    pub url: Option<Secret>,
}

/// `PUT /addons/{addon}/exposure`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAddonExposure {
    pub allow: Vec<String>,
    /// `30 days`, or a time; a week where nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}
