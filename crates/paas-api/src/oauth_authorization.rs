//! An authorization: a token, and what it is for.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{IdRef, NamedRef, Secret, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// The token is whole only in the answer that created it; afterwards the server itself no longer knows it.
    pub access_token: Option<AccessToken>,
    pub client: Option<NamedRef>,
    pub created_at: Time,
    pub description: String,
    pub grant: Option<IdRef>,
    pub id: Uuid,
    pub refresh_token: Option<AccessToken>,
    pub scope: Vec<String>,
    pub session: Option<IdRef>,
    pub updated_at: Time,
    pub user: AuthorizationUser,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// Seconds from now; `null` for a token that does not expire.
    pub expires_in: Option<i64>,
    pub id: Uuid,
    pub token: Secret,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationUser {
    pub email: String,
    pub full_name: Option<String>,
    pub id: Uuid,
}

/// `POST /oauth/authorizations`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewAuthorization {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Vec<String>>,
}
