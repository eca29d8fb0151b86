//! The way of an add-on to a newer version of its server, in the shape of Heroku's data API.

use serde::{Deserialize, Serialize};

/// `POST /client/v11/databases/{addon}/upgrade/run`, and what comes before it
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct NewAddonUpgrade {
    /// The newest, where nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// `GET /client/v11/databases/{addon}/upgrade/wait_status`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonUpgradeStatus {
    /// It has come to nothing.
    #[serde(rename = "error?")]
    pub is_failed: bool,
    pub message: String,
    #[serde(rename = "waiting?")]
    pub is_waiting: bool,
}
