//! Services: what add-ons there are.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{NamedRef, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonService {
    pub cli_plugin_name: Option<String>,
    pub created_at: Time,
    pub human_name: String,
    pub id: Uuid,
    pub name: String,
    /// `ga`
    pub state: String,
    pub supported_generations: Vec<NamedRef>,
    pub supports_multiple_installations: bool,
    pub supports_sharing: bool,
    pub updated_at: Time,
}
