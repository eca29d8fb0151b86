//! A log drain: where else an app's log goes.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AppRef, Time};

/// A drain. `Debug` shows no URL: it may hold a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogDrain {
    /// The add-on that made it.
    pub addon: Option<AddonOfDrain>,
    pub app: Option<AppRef>,
    pub created_at: Time,
    /// With `?extended=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended: Option<ExtendedLogDrain>,
    pub id: Uuid,
    /// `d.` and a UUID: what a receiver knows the drain by.
    pub token: String,
    pub updated_at: Time,
    pub url: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonOfDrain {
    pub id: Uuid,
    pub name: String,
    pub app: AppRef,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendedLogDrain {
    pub drain_id: Uuid,
}

/// `POST /apps/{app}/log-drains`
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewLogDrain {
    pub url: String,
}

impl std::fmt::Debug for LogDrain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogDrain").field("id", &self.id).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for NewLogDrain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewLogDrain").finish_non_exhaustive()
    }
}
