//! What a team's apps can do beside what all apps can.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Time;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamFeature {
    pub created_at: Time,
    pub description: String,
    pub display_name: String,
    pub doc_url: String,
    pub enabled: bool,
    pub feedback_email: String,
    pub id: Uuid,
    pub name: String,
    pub state: String,
    pub updated_at: Time,
}
