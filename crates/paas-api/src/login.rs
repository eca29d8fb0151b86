//! A login that a browser finishes for a command.

use serde::{Deserialize, Serialize};

use crate::Secret;

/// `POST /auth`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewLogin {
    /// `Heroku CLI login from laptop`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Where each side goes on: two paths, and the secret of the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The page to open. Whoever knows it can finish the login, but does not get its token.
    pub browser_url: Secret,
    /// Answers when the login is finished; asked for with `token`.
    pub cli_url: String,
    pub token: Secret,
}

/// What became of a login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LoginResult {
    Done { access_token: Secret },
    Failed { error: String },
}
