//! Credentials of an add-on besides its own: users of its server, with the rights that people grant them there.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};

use crate::{Addon, Id, NameError};

/// A user of an add-on's server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddonCredential {
    pub id: Id<AddonCredential>,
    pub addon: Id<Addon>,
    pub name: CredentialName,
    pub state: CredentialState,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// ```text
/// provisioning ─▶ active ◀─▶ rotating
///        └───────────┴──────────┴─────▶ revoking ─▶ gone
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialState {
    /// The server does not know it yet.
    Provisioning,
    Active,
    /// The server does not know its new password yet.
    Rotating,
    /// The server has to forget it.
    Revoking,
}

/// What a credential is called, which is also the name of its user: small letters, digits, underscores and dashes, a letter
/// first. Statements such as `grant select on orders to reader` name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialName(String);

const NAME: &str = "Name";
/// Postgres cuts longer names short.
const LONGEST_NAME: usize = 63;
/// What Postgres keeps for itself, and what an add-on's own credential is called.
const TAKEN: [&str; 8] = [
    "default",
    "postgres",
    "public",
    "none",
    "user",
    "current_user",
    "session_user",
    "current_role",
];

impl CredentialName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What attachments call it: `credential:reader`.
    pub fn namespace(&self) -> String {
        format!("credential:{self}")
    }
}

impl FromStr for CredentialName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
        let is_valid = text.len() <= LONGEST_NAME
            && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
            && text.bytes().all(is_word);
        if !is_valid {
            let rule = "must start with a letter and can only contain small letters, numbers, underscores and dashes";
            return Err(NameError::new(NAME, rule));
        }
        if TAKEN.contains(&text) || text.starts_with("pg_") {
            return Err(NameError::new(
                NAME,
                "must not be one that the database keeps for itself",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl CredentialState {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::Rotating => "rotating",
            Self::Revoking => "revoking",
        }
    }
}

impl FromStr for CredentialState {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        [Self::Provisioning, Self::Active, Self::Rotating, Self::Revoking]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(NameError::new(
                "State",
                "must be provisioning, active, rotating or revoking",
            ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_called_as_a_user_of_a_database_may_be() {
        for good in ["reader", "a", "my_app-2"] {
            let name: CredentialName = good.parse().unwrap();
            assert_eq!(name.namespace(), format!("credential:{good}"));
        }
        for bad in [
            "",
            "1a",
            "Reader",
            "a b",
            "a\"b",
            "a'b",
            "default",
            "postgres",
            "pg_monitor",
            "ä",
        ] {
            assert!(bad.parse::<CredentialName>().is_err(), "{bad:?}");
        }
        assert!("a".repeat(64).parse::<CredentialName>().is_err());
    }
}
