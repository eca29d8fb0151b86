//! How large a dyno can be.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::NamedRef;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DynoSize {
    pub architecture: String,
    pub can_autoscale: bool,
    pub compute: u32,
    /// `null`: a dyno here costs what the machine costs.
    pub cost: Option<serde_json::Value>,
    pub dedicated: bool,
    pub generation: NamedRef,
    pub id: Uuid,
    pub infrastructure_tier: String,
    /// In gigabytes.
    pub memory: f64,
    pub name: String,
    pub precise_dyno_units: f64,
    pub private_space_only: bool,
    pub product_dyno_tier: String,
}
