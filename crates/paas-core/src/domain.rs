//! What an app answers to: names, and whole levels of names.

use std::{borrow::Cow, fmt, net::IpAddr, str::FromStr};

use idna::{
    AsciiDenyList,
    uts46::{DnsLength, Hyphens, Uts46},
};

use crate::{Hostname, NameError, registered_domain};

/// A name, or every name one label below it. Of two that take a hostname, the exact one wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DomainName {
    /// `www.example.com`
    Exact(Hostname),
    /// `*.example.com`: neither `example.com` nor `a.b.example.com` (as in certificates, RFC 6125 §6.4.3).
    Wildcard(Hostname),
}

const KIND: &str = "Domain name";

impl DomainName {
    /// The domain name that somebody typed: in any alphabet, in any case, with or without the dot at its end. It must be one
    /// that the DNS can delegate: no address, and more than one label.
    pub fn custom(text: &str) -> Result<Self, NameError> {
        let error = |rule| NameError::new(KIND, rule);
        let text = text.trim();
        if text.contains("://") || text.contains('/') {
            return Err(error(
                "must be the name alone, such as www.example.com: without https:// and without a path",
            ));
        }
        let unbracketed = text.trim_start_matches('[').trim_end_matches(']');
        if unbracketed.parse::<IpAddr>().is_ok() {
            return Err(error(
                "must be a name, not an IP address: add the name, and let its A record point to the address",
            ));
        }
        let name: Self = to_ascii(text)?.parse()?;
        let mut labels = name.base().as_str().rsplit('.');
        // The last label of a name is never a number (RFC 1123 §2.1); what ends in one is an address, written oddly.
        let last = labels.next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error("must not end in a number"));
        }
        if labels.next().is_none() {
            return Err(error("must have at least two labels, such as example.com"));
        }
        // Who took `*.co.uk` would keep everybody else's names from being added.
        let below = format!("x.{}", name.base());
        if name.is_wildcard() && registered_domain(&below) == below {
            return Err(error("must not take names that others register, such as *.co.uk does"));
        }
        Ok(name)
    }

    pub fn is_wildcard(&self) -> bool {
        matches!(self, Self::Wildcard(_))
    }

    /// The name itself, or what stands behind `*.`.
    pub fn base(&self) -> &Hostname {
        match self {
            Self::Exact(name) | Self::Wildcard(name) => name,
        }
    }

    /// Whether requests for this name are meant. A wildcard takes itself too, which is how certificates are matched.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Wildcard(base), Self::Exact(name)) => name.parent().is_some_and(|parent| parent == base.as_str()),
            _ => self == other,
        }
    }

    /// The only wildcard that takes this name too: `*.example.com` for `www.example.com`.
    pub fn wildcard_above(&self) -> Option<Self> {
        match self {
            Self::Exact(name) => name.parent()?.parse().ok().map(Self::Wildcard),
            Self::Wildcard(_) => None,
        }
    }
}

/// Unicode names become what the DNS knows them by (UTS 46, non-transitional): `bücher.example`, `xn--bcher-kva.example`.
fn to_ascii(text: &str) -> Result<Cow<'_, str>, NameError> {
    if text.is_ascii() {
        return Ok(Cow::Borrowed(text));
    }
    let (wildcard, name) = match text.strip_prefix("*.") {
        Some(name) => ("*.", name),
        None => ("", text),
    };
    let ascii = Uts46::new().to_ascii(
        name.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::CheckFirstLast,
        DnsLength::VerifyAllowRootDot,
    );
    let ascii = ascii.map_err(|_| NameError::new(KIND, "has letters that no domain name can have"))?;
    Ok(Cow::Owned(format!("{wildcard}{ascii}")))
}

impl From<Hostname> for DomainName {
    fn from(name: Hostname) -> Self {
        Self::Exact(name)
    }
}

impl FromStr for DomainName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("*.") {
            Some(base) => base.parse().map(Self::Wildcard),
            None => text.parse().map(Self::Exact),
        }
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => name.fmt(f),
            Self::Wildcard(base) => write!(f, "*.{base}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    #[test]
    fn a_typed_name_becomes_what_the_dns_knows() {
        for (typed, stored) in [
            ("www.example.com", "www.example.com"),
            (" WWW.Example.COM. ", "www.example.com"),
            ("*.Example.com", "*.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("*.BÜCHER.example", "*.xn--bcher-kva.example"),
            ("straße.de", "xn--strae-oqa.de"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            ("3com.com", "3com.com"),
        ] {
            assert_eq!(DomainName::custom(typed).unwrap().to_string(), stored, "{typed}");
        }
        for bad in [
            "",
            "*",
            "*.",
            "*.com",
            "*.co.uk",
            "a.*.example.com",
            "*.*.example.com",
            "www*.example.com",
            "localhost",
            "192.0.2.1",
            "2001:db8::1",
            "[2001:db8::1]",
            "example.1",
            "0x7f.1",
            "https://www.example.com",
            "www.example.com/path",
            "www.example.com:443",
            "a_b.example.com",
            "a b.example.com",
            "ü .example",
            "-ü.example",
        ] {
            assert!(DomainName::custom(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_wildcard_covers_one_label_and_itself() {
        let wildcard = name("*.example.com");
        assert!(wildcard.covers(&name("www.example.com")));
        assert!(wildcard.covers(&wildcard));
        for other in [
            "example.com",
            "a.b.example.com",
            "*.www.example.com",
            "www.example.org",
            "wwwexample.com",
        ] {
            assert!(!wildcard.covers(&name(other)), "{other}");
        }
        assert!(name("www.example.com").covers(&name("www.example.com")));
        assert!(!name("www.example.com").covers(&wildcard));
        assert_eq!(name("www.example.com").wildcard_above(), Some(wildcard.clone()));
        assert_eq!(wildcard.wildcard_above(), None);
        assert_eq!(name("localhost").wildcard_above(), None);
    }
}
