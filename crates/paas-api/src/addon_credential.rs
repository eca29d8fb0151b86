//! Credentials of an add-on, in the shape of Heroku's data API.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Secret;

/// A user of an add-on's server; the add-on's own is called `default`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonCredential {
    /// Users and passwords: one, as nobody keeps two at a time here.
    pub credentials: Vec<CredentialUser>,
    pub database: String,
    pub host: String,
    pub name: String,
    pub port: u16,
    /// `active`, or what it is on its way to.
    pub state: String,
    pub uuid: Uuid,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialUser {
    pub password: Secret,
    pub state: String,
    pub user: String,
}

/// `POST /postgres/v0/databases/{addon}/credentials`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCredential {
    pub name: String,
}

/// `POST /postgres/v0/databases/{addon}/credentials/{name}/credentials_rotation`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRotation {
    /// There is no grace here either way: connections that are there stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced: Option<bool>,
}

/// `GET /addons/{addon}/config/{namespace}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonConfig {
    pub name: String,
    pub value: Option<Secret>,
}
