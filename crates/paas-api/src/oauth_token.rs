//! What an OAuth client gets for a code, or for a refresh token (RFC 6749 §5).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Secret;

/// The answer of `POST /oauth/token`, with Heroku's fields on top.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthToken {
    pub access_token: Secret,
    /// Seconds.
    pub expires_in: i64,
    pub refresh_token: Secret,
    pub scope: String,
    pub session_nonce: Option<String>,
    pub token_type: String,
    pub user_id: Uuid,
}

/// A refusal, as libraries for OAuth read it and as clients of this API do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthRefusal {
    pub error: String,
    pub error_description: String,
    pub id: String,
    pub message: String,
}
