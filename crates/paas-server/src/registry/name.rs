//! Names that come from outside: parsed before anything is done with them.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

use paas_core::ProcessType;

use super::error::RegistryError;

/// `sha256:` and 64 hexadecimal digits: the only kind that is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Digest(String);

/// What names a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    Digest(Digest),
    Tag(Tag),
}

/// `^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$` (Distribution Specification, *Pulling manifests*): never `.`, `..` or a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag(String);

const LONGEST_TAG: usize = 128;

impl Digest {
    /// Of the bytes that a hasher has seen.
    pub(super) fn of_hash(hash: &[u8]) -> Self {
        Self(hash.iter().fold(String::new(), |mut hex, byte| {
            // Writing into a text cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        }))
    }

    pub(crate) fn hex(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if hex.len() == 64 && hex.bytes().all(is_hex) {
            Ok(Self(hex.to_owned()))
        } else {
            Err(RegistryError::BadDigest)
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl Tag {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_first = text.bytes().next().is_some_and(is_word);
        if is_first && text.len() <= LONGEST_TAG && text.bytes().all(|byte| is_word(byte) || b".-".contains(&byte)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(RegistryError::BadTag)
        }
    }
}

impl FromStr for Reference {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(':') {
            text.parse().map(Self::Digest)
        } else {
            text.parse().map(Self::Tag)
        }
    }
}

/// A repository's second half is a process type.
pub(super) fn process_type(text: &str) -> Result<ProcessType, RegistryError> {
    text.parse().map_err(|_| RegistryError::BadName)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_leave_its_directory_is_a_name() {
        let hex = "0123456789abcdef".repeat(4);
        assert_eq!(format!("sha256:{hex}").parse::<Digest>().unwrap().hex(), hex);
        for bad in [
            hex.clone(),
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha512:{hex}{hex}"),
            "sha256:../../../etc/passwd".to_owned(),
            format!("sha256:{}/", &hex[1..]),
            String::new(),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
        assert!("v1.0-rc_1".parse::<Tag>().is_ok());
        for bad in ["", ".", "..", ".hidden", "a/b", "a\0", "-x", &"x".repeat(129), "ü"] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
    }
}
