//! An app: the noun that everything else hangs on.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};

use crate::{Id, NameError};

/// An app as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    pub id: Id<App>,
    pub name: AppName,
    pub maintenance: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A unique app name: `^[a-z][a-z0-9-]{1,28}[a-z0-9]$` (Platform API schema, `app.name`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppName(String);

/// The stack of apps that bring images, or say how to build them (Dev Center, *Stacks*).
pub const CONTAINER_STACK: &str = "container";

/// The stack of apps that the buildpacks of a builder image build (Dev Center, *Cloud Native Buildpacks*).
pub const CNB_STACK: &str = "cnb";

/// Names that a host of the platform itself answers to.
const RESERVED: [&str; 6] = ["api", "dashboard", "git", "registry", "router", "www"];

impl AppName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AppName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |rule| Err(NameError::new("Name", rule));
        if text.len() < 3 {
            return error("is too short (minimum is 3 characters)");
        }
        if text.len() > 30 {
            return error("is too long (maximum is 30 characters)");
        }
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let bytes = text.as_bytes();
        if !bytes[0].is_ascii_lowercase() || bytes[bytes.len() - 1] == b'-' || !bytes.iter().copied().all(inner) {
            return error(
                "must start with a letter, end with a letter or digit and can only contain lowercase letters, numbers, and dashes",
            );
        }
        if RESERVED.contains(&text) {
            return error("is reserved for the platform itself");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_herokus_rule() {
        for good in ["abc", "quiet-river-12345", "a1b", &"a".repeat(30)] {
            assert_eq!(good.parse::<AppName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "ab",
            "1abc",
            "-abc",
            "abc-",
            "Abc",
            "a_c",
            "a.b",
            "a/b",
            "é-app",
            &"a".repeat(31),
            "git",
        ] {
            assert!(bad.parse::<AppName>().is_err(), "{bad:?} was accepted");
        }
    }
}
