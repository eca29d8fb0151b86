//! Plans: how large an add-on is.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{NamedRef, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "these are the fields of Heroku's schema")]
pub struct Plan {
    pub addon_service: NamedRef,
    pub compliance: Option<Vec<String>>,
    pub created_at: Time,
    pub default: bool,
    pub description: String,
    pub human_name: String,
    pub id: Uuid,
    pub installable_inside_private_network: bool,
    pub installable_outside_private_network: bool,
    /// `heroku-postgresql:essential-0`
    pub name: String,
    pub price: Price,
    pub space_default: bool,
    /// `ga`
    pub state: String,
    pub updated_at: Time,
    pub visible: bool,
}

/// What it costs: nothing, on one's own machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    pub cents: u32,
    pub contract: bool,
    pub unit: String,
}
