//! A stack: what dynos start from.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Time;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    pub created_at: Time,
    pub default: bool,
    pub id: Uuid,
    pub name: String,
    /// `public`, `beta` or `deprecated`.
    pub state: String,
    pub updated_at: Time,
}
