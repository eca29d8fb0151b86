//! An OAuth client: a program that acts for people.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Secret, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthClient {
    pub created_at: Time,
    pub id: Uuid,
    pub ignores_delinquent: Option<bool>,
    pub name: String,
    pub redirect_uri: String,
    pub secret: Secret,
    pub updated_at: Time,
}

/// `POST /oauth/clients`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOauthClient {
    pub name: String,
    pub redirect_uri: String,
}

/// `PATCH /oauth/clients/{id}`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OauthClientUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
}
