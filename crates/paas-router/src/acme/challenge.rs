//! How a name is validated (RFC 8555 §8, RFC 8737).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use instant_acme::ChallengeType;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use sha2::{Digest, Sha256};

use super::AcmeError;
use crate::feed::Challenge;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChallengeKind {
    Http01,
    TlsAlpn01,
    Dns01,
}

/// The validation of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// As it was ordered: `*.example.com` for a wildcard.
    pub name: String,
    pub state: ValidationState,
    /// Ways to validate it; one is enough.
    pub offers: Vec<Offer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidationState {
    /// Put a challenge in place and say [`ready`](super::Authority::ready).
    Wanted,
    /// The authority was told: leave the challenge in place.
    Told,
    Valid,
}

/// One challenge of the authority's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub kind: ChallengeKind,
    pub token: String,
    /// The token and the thumbprint of our account's key.
    pub key_authorization: String,
}

impl ChallengeKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Dns01 => "dns-01",
        }
    }
}

impl ChallengeKind {
    pub(super) fn of(kind: &ChallengeType) -> Option<Self> {
        match kind {
            ChallengeType::Http01 => Some(Self::Http01),
            ChallengeType::TlsAlpn01 => Some(Self::TlsAlpn01),
            ChallengeType::Dns01 => Some(Self::Dns01),
            _ => None,
        }
    }
}

impl From<ChallengeKind> for ChallengeType {
    fn from(kind: ChallengeKind) -> Self {
        match kind {
            ChallengeKind::Http01 => Self::Http01,
            ChallengeKind::TlsAlpn01 => Self::TlsAlpn01,
            ChallengeKind::Dns01 => Self::Dns01,
        }
    }
}

impl Validation {
    pub fn is_wildcard(&self) -> bool {
        self.name.starts_with("*.")
    }

    pub fn offer(&self, kind: ChallengeKind) -> Option<&Offer> {
        self.offers.iter().find(|offer| offer.kind == kind)
    }

    /// Where the TXT record of DNS-01 belongs. A name and its wildcard share it, with a value for each.
    pub fn dns_record(&self) -> String {
        let name = self.name.strip_prefix("*.").unwrap_or(&self.name);
        format!("_acme-challenge.{name}")
    }
}

impl Offer {
    /// What the router answers on the plain port.
    pub fn http_challenge(&self) -> Challenge {
        Challenge::Http01 {
            token: self.token.clone(),
            key_authorization: self.key_authorization.clone(),
        }
    }

    /// What the router answers to a handshake for `acme-tls/1`: made anew, with a new key, at every call.
    pub fn alpn_challenge(&self, name: &str) -> Result<Challenge, AcmeError> {
        let key = KeyPair::generate().map_err(AcmeError::Key)?;
        let mut params = CertificateParams::new([name.to_owned()]).map_err(AcmeError::Key)?;
        params.distinguished_name = DistinguishedName::new();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(&self.digest())];
        let certificate = params.self_signed(&key).map_err(AcmeError::Key)?;
        Ok(Challenge::TlsAlpn01 {
            hostname: name.to_owned(),
            chain_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    /// The value of the TXT record at [`Validation::dns_record`].
    pub fn dns_value(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.digest())
    }

    fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.key_authorization.as_bytes()).into()
    }
}
