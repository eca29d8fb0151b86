//! A switch of an app.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Time;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppFeature {
    pub created_at: Time,
    pub description: String,
    pub display_name: String,
    pub doc_url: String,
    pub enabled: bool,
    pub feedback_email: String,
    pub id: Uuid,
    pub name: String,
    /// `general`: shown by `features`; anything else by `labs`.
    pub state: String,
    pub updated_at: Time,
}

/// `PATCH /apps/{app}/features/{feature}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppFeatureUpdate {
    pub enabled: bool,
}
