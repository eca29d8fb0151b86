//! What an add-on says of itself, in the shape of Heroku's data API.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Secret, Time};

/// `GET /redis/v0/databases/{addon}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataStore {
    pub addon_id: Uuid,
    pub created_at: Time,
    pub info: Vec<DataFact>,
    pub name: String,
    pub plan: String,
    /// Its address, password and all. `None` until it was provisioned.
    pub resource_url: Option<Secret>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFact {
    pub name: String,
    pub values: Vec<String>,
}

/// Whether it can be used yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitStatus {
    pub message: String,
    #[serde(rename = "waiting?")]
    pub is_waiting: bool,
}

/// `PUT /client/v11/databases/{addon}/reset`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct DatabaseReset {
    /// What to make in it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Vec<String>>,
}

/// What has happened, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub message: String,
}
