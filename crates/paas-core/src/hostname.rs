//! A hostname that a request can name.

use std::{fmt, str::FromStr};

use crate::NameError;

/// A DNS name in lower case without a trailing dot (RFC 1123 §2.1), at most 253 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hostname(String);

impl Hostname {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is left without the first label: `example.com` of `www.example.com`.
    pub fn parent(&self) -> Option<&str> {
        self.0.split_once('.').map(|(_, parent)| parent)
    }

    /// Whether it is a name below the other, at any depth.
    pub fn is_below(&self, other: &Self) -> bool {
        self.0
            .strip_suffix(&other.0)
            .is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
    }

    /// This name with one more label in front: `hello` + `example.com`.
    #[must_use]
    pub fn child(&self, label: &str) -> Self {
        Self(format!("{label}.{}", self.0))
    }
}

impl FromStr for Hostname {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if text.len() > 253 || !text.split('.').all(label) {
            return Err(NameError::new(
                "Domain name",
                "must be labels of letters, digits and dashes, joined by dots",
            ));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostnames_are_labels_joined_by_dots() {
        for (text, name) in [
            ("example.com", "example.com"),
            ("WWW.Example.COM.", "www.example.com"),
            ("localhost", "localhost"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("1.2.3.4", "1.2.3.4"),
        ] {
            assert_eq!(text.parse::<Hostname>().unwrap().as_str(), name);
        }
        let long_label = format!("{}.com", "a".repeat(64));
        let long_name = ["a"; 128].join(".");
        for bad in [
            "",
            ".",
            "a..b",
            ".a",
            "a.b..",
            "-a.b",
            "a-.b",
            "a_b.c",
            "bücher.example",
            "a b",
            "a/b",
            "*.a.b",
            "a:80",
            "a\n",
            &long_label,
            &long_name,
        ] {
            assert!(bad.parse::<Hostname>().is_err(), "{bad:?} was accepted");
        }
        assert!(
            ["a"; 127].join(".").parse::<Hostname>().is_ok(),
            "253 bytes are allowed"
        );
    }

    #[test]
    fn a_child_has_one_more_label() {
        let domain: Hostname = "example.com".parse().unwrap();
        let child = domain.child("hello");
        assert_eq!(child.as_str(), "hello.example.com");
        assert_eq!(child.parent(), Some("example.com"));
        assert!(child.is_below(&domain) && child.child("a").is_below(&domain));
        for other in ["example.com", "anexample.com", "example.org", "com"] {
            assert!(!other.parse::<Hostname>().unwrap().is_below(&domain), "{other}");
        }
    }
}
