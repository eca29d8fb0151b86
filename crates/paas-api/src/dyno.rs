//! A dyno.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AppRef, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dyno {
    pub app: AppRef,
    pub attach_url: Option<String>,
    pub command: String,
    pub created_at: Time,
    pub id: Uuid,
    pub name: String,
    pub release: ReleaseOfDyno,
    pub size: String,
    pub state: DynoState,
    pub r#type: String,
    pub updated_at: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseOfDyno {
    pub id: Uuid,
    pub version: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DynoState {
    Crashed,
    Down,
    Idle,
    Starting,
    Up,
}

impl DynoState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Crashed => "crashed",
            Self::Down => "down",
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Up => "up",
        }
    }
}

impl fmt::Display for DynoState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
