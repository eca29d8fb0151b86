//! A public SSH key.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Time;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub comment: String,
    pub created_at: Time,
    /// Of its owner.
    pub email: String,
    /// MD5 in colons.
    pub fingerprint: String,
    pub id: Uuid,
    pub public_key: String,
    pub updated_at: Time,
}

/// `POST /account/keys`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKey {
    pub public_key: String,
}
