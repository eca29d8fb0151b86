//! A log session: a URL that an app's log can be read from.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Time;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSession {
    pub created_at: Time,
    pub id: Uuid,
    /// The URL itself is the permission: no credentials are sent to it.
    pub logplex_url: String,
    pub updated_at: Time,
}

/// `POST /apps/{app}/log-sessions`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewLogSession {
    /// A dyno name (`web.1`) or a process type (`web`): Heroku's CLI sends both here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dyno: Option<String>,
    /// The same, as the schema names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dyno_name: Option<String>,
    /// How many of the last lines; 100 when not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<u32>,
    /// `app` or `heroku`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail: Option<bool>,
    /// A process type, as the schema names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
}
