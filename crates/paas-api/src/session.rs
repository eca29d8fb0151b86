//! A session: what a login in a browser made.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Time;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub created_at: Time,
    pub description: String,
    /// Seconds from now.
    pub expires_in: Option<i64>,
    pub id: Uuid,
    pub updated_at: Time,
}
