//! A process type: the word left of the colon in a Procfile.

use std::{fmt, str::FromStr};

use crate::NameError;

/// The name of a kind of process: `web`, `worker`, `clock`; `^[A-Za-z0-9_-]+$`, at most 63 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessType(String);

impl ProcessType {
    /// The process type that the router sends requests to.
    pub fn web() -> Self {
        Self("web".to_owned())
    }

    /// The process type that runs before a release goes live, and never in the formation.
    pub fn release() -> Self {
        Self("release".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_web(&self) -> bool {
        self.0 == "web"
    }

    pub fn is_release(&self) -> bool {
        self.0 == "release"
    }
}

impl FromStr for ProcessType {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |rule| Err(NameError::new("Process type", rule));
        if text.is_empty() {
            return error("is missing");
        }
        if text.len() > 63 {
            return error("is too long (maximum is 63 characters)");
        }
        if !text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        {
            return error("can only contain letters, numbers, dashes, and underscores");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ProcessType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
