//! A team: people who own apps together.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::NameError;

/// A unique team name, which is also the local part of the address that owns the team's apps:
/// `^[a-z][a-z0-9-]{0,58}[a-z0-9]$`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TeamName(String);

/// The domain of the addresses that own teams' apps. Heroku's clients know a team's app by it.
const MANAGER: &str = "@herokumanager.com";

impl TeamName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Who owns the team's apps, as clients see it: `acme@herokumanager.com`.
    pub fn address(&self) -> String {
        format!("{}{MANAGER}", self.0)
    }

    /// The name in such an address.
    pub fn of_address(text: &str) -> Option<&str> {
        text.strip_suffix(MANAGER)
    }
}

impl FromStr for TeamName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |rule| Err(NameError::new("Team name", rule));
        if text.len() < 2 {
            return error("is too short (minimum is 2 characters)");
        }
        if text.len() > 60 {
            return error("is too long (maximum is 60 characters)");
        }
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let bytes = text.as_bytes();
        if !bytes[0].is_ascii_lowercase() || bytes[bytes.len() - 1] == b'-' || !bytes.iter().copied().all(inner) {
            return error(
                "must start with a letter, end with a letter or digit and can only contain lowercase letters, numbers, and dashes",
            );
        }
        if Uuid::parse_str(text).is_ok() {
            return error("must not look like an id");
        }
        // `/teams/apps/{app}` and its like are other endpoints.
        if ["apps", "invitations", "permissions"].contains(&text) {
            return error("is reserved for the platform itself");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TeamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lowercase_words_with_dashes() {
        for good in ["ab", "acme-widgets", "t1", &"a".repeat(60)] {
            assert_eq!(good.parse::<TeamName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "a",
            "1a",
            "-a",
            "a-",
            "Acme",
            "a_b",
            "a.b",
            "é-team",
            &"a".repeat(61),
            "apps",
            "a3c1f0de-0000-4000-8000-000000000000",
        ] {
            assert!(bad.parse::<TeamName>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_team_owns_its_apps_by_an_address() {
        let name: TeamName = "acme".parse().unwrap();
        assert_eq!(name.address(), "acme@herokumanager.com");
    }
}
