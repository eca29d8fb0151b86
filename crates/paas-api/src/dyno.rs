//! A dyno.

use std::{collections::BTreeMap, fmt};

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

/// `POST /apps/{app}/dynos`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewDyno {
    /// Whether somebody will talk to it, at the `attach_url` of the answer; else it talks into the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach: Option<bool>,
    pub command: String,
    /// On top of the config vars. Numbers (`COLUMNS`) and booleans are taken as their text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, EnvValue>>,
    /// Streams instead of a terminal, for programs that talk to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_no_tty: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// In seconds; a day at most, which is also what it is when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_live: Option<u64>,
    /// The first part of its name; `run` when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
}

/// The value of a variable, as clients send it. `Debug` does not show it: it may be a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EnvValue {
    Text(String),
    Number(i64),
    Boolean(bool),
    Nothing,
}

/// `POST /apps/{app}/dynos/{dyno}/actions/exec`: a program beside what the dyno runs. Heroku has an SSH server for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewExec {
    /// A shell when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, EnvValue>>,
    /// Streams instead of a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_no_tty: Option<bool>,
}

/// `POST /apps/{app}/dynos/{dyno}/actions/forward`: connections to where the dyno can connect to, itself first of all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewForward {}

/// Where a stream to or beside a dyno is waiting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendezvous {
    /// The dyno.
    pub name: String,
    /// A path of the API, and a permission of its own: see [`rendezvous`](crate::rendezvous).
    pub attach_path: String,
}

impl EnvValue {
    /// The text of it; `None` for `null`.
    pub fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(number) => Some(number.to_string()),
            Self::Boolean(boolean) => Some(boolean.to_string()),
            Self::Nothing => None,
        }
    }
}

impl fmt::Debug for EnvValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnvValue(…)")
    }
}

impl From<String> for EnvValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
