//! What a certificate says, and whether a chain and a key that somebody brought can be served.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rustls::{
    InconsistentKeys, RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use thiserror::Error;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// What a leaf says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// DNS names, in lower case; `*.example.com` for a wildcard.
    pub names: Vec<String>,
    pub not_before: DateTime<Utc>,
    pub not_after: DateTime<Utc>,
    /// `CN=www.example.com, O=Example`; empty for most certificates of today.
    pub subject: String,
    pub issuer: String,
    /// In hexadecimal, with colons.
    pub serial: String,
    pub is_self_signed: bool,
}

/// Why a chain and a key cannot be served. The words are for whoever brought them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PairError {
    #[error("there is no certificate in it; a PEM file begins with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    #[error("the file of the certificate has a private key in it; give chain and key in two files")]
    KeyInChain,
    #[error("there is no private key in it; a PEM file begins with -----BEGIN PRIVATE KEY-----")]
    NoKey,
    #[error("the private key has a passphrase; take it off with: openssl pkey -in FILE -out FILE.plain")]
    EncryptedKey,
    #[error("certificate {position} of the chain cannot be read: {words}")]
    Unreadable { position: usize, words: String },
    #[error("the private key cannot be used; RSA of 2048 bits or more, ECDSA P-256 and P-384, and Ed25519 can")]
    Key,
    #[error("the private key does not belong to the certificate; find the key that its request was made with")]
    Mismatch,
    #[error(
        "certificate {position} of the chain was issued by \"{issuer}\", but \"{next}\" follows; put the server's \
         certificate first, and after each certificate the one of its issuer"
    )]
    Order {
        position: usize,
        issuer: String,
        next: String,
    },
    #[error("the chain does not hold: {0}; fetch the intermediate certificates from the issuer again")]
    Chain(String),
    #[error("the certificate expired on {}; ask its issuer for a new one", .0.format("%Y-%m-%d %H:%M UTC"))]
    Expired(DateTime<Utc>),
    #[error("the certificate is not valid before {}; wait, or set the clock right", .0.format("%Y-%m-%d %H:%M UTC"))]
    NotYetValid(DateTime<Utc>),
    #[error("the certificate names no host; ask its issuer for one with subject alternative names")]
    NoNames,
    #[error("the certificate does not cover {hostname}, only {}", .names.join(", "))]
    Name { hostname: String, names: Vec<String> },
}

impl CertificateFacts {
    /// Whether the certificate is good for a name; `*` stands for one label (RFC 6125 §6.4.3).
    pub fn covers(&self, hostname: &str) -> bool {
        let hostname = hostname.to_ascii_lowercase();
        let wildcard = hostname.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        self.names
            .iter()
            .any(|name| *name == hostname || Some(name) == wildcard.as_ref())
    }
}

/// Reads the first certificate of a chain.
pub fn certificate_facts(chain_pem: &str) -> Result<CertificateFacts, PairError> {
    let chain = chain(chain_pem)?;
    let leaf = parse(&chain, 0)?;
    facts(&leaf)
}

/// Makes sure that chain and key can be served to browsers now, for `hostname` when there is one.
pub fn check_pair(
    chain_pem: &str,
    key_pem: &str,
    hostname: Option<&str>,
    now: DateTime<Utc>,
) -> Result<CertificateFacts, PairError> {
    // What is stored as the chain is shown to people.
    if chain_pem.contains("PRIVATE KEY-----") {
        return Err(PairError::KeyInChain);
    }
    let chain = chain(chain_pem)?;
    let facts = facts(&parse(&chain, 0)?)?;
    check_key(&chain, key_pem)?;
    check_order(&chain)?;
    if now < facts.not_before {
        return Err(PairError::NotYetValid(facts.not_before));
    }
    if now > facts.not_after {
        return Err(PairError::Expired(facts.not_after));
    }
    check_signatures(&chain, now)?;
    if facts.names.is_empty() {
        return Err(PairError::NoNames);
    }
    match hostname {
        Some(hostname) if !facts.covers(hostname) => Err(PairError::Name {
            hostname: hostname.to_owned(),
            names: facts.names,
        }),
        _ => Ok(facts),
    }
}

fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, PairError> {
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        chain.push(certificate.map_err(|error| PairError::Unreadable {
            position: chain.len() + 1,
            words: error.to_string(),
        })?);
    }
    if chain.is_empty() {
        return Err(PairError::NoCertificate);
    }
    Ok(chain)
}

fn parse<'a>(chain: &'a [CertificateDer<'static>], index: usize) -> Result<X509Certificate<'a>, PairError> {
    let unreadable = |words| PairError::Unreadable {
        position: index + 1,
        words,
    };
    match X509Certificate::from_der(&chain[index]) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(unreadable("something follows it".to_owned())),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

fn facts(leaf: &X509Certificate<'_>) -> Result<CertificateFacts, PairError> {
    let unreadable = |words: &str| PairError::Unreadable {
        position: 1,
        words: words.to_owned(),
    };
    let alternative = leaf
        .subject_alternative_name()
        .map_err(|error| unreadable(&error.to_string()))?;
    let names = alternative.map_or(&[][..], |names| &names.value.general_names);
    let names = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let time = |time: x509_parser::time::ASN1Time| {
        DateTime::from_timestamp(time.timestamp(), 0).ok_or_else(|| unreadable("its dates make no sense"))
    };
    Ok(CertificateFacts {
        names: names.collect(),
        not_before: time(leaf.validity().not_before)?,
        not_after: time(leaf.validity().not_after)?,
        subject: leaf.subject().to_string(),
        issuer: leaf.issuer().to_string(),
        serial: leaf.raw_serial_as_string(),
        is_self_signed: leaf.subject().as_raw() == leaf.issuer().as_raw(),
    })
}

fn check_key(chain: &[CertificateDer<'static>], pem: &str) -> Result<(), PairError> {
    if pem.contains("ENCRYPTED") {
        return Err(PairError::EncryptedKey);
    }
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| PairError::NoKey)?;
    match CertifiedKey::from_der(chain.to_vec(), key, &provider()) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(PairError::Mismatch),
        Err(_) => Err(PairError::Key),
    }
}

fn check_order(chain: &[CertificateDer<'static>]) -> Result<(), PairError> {
    for index in 1..chain.len() {
        let (issued, issuer) = (parse(chain, index - 1)?, parse(chain, index)?);
        if issued.issuer().as_raw() != issuer.subject().as_raw() {
            return Err(PairError::Order {
                position: index,
                issuer: issued.issuer().to_string(),
                next: issuer.subject().to_string(),
            });
        }
    }
    Ok(())
}

/// As a client does, with the end of the chain in the place of its root. A leaf alone has nothing to be checked with: its
/// issuer may be a root.
fn check_signatures(chain: &[CertificateDer<'static>], now: DateTime<Utc>) -> Result<(), PairError> {
    let broken = |error: rustls::Error| PairError::Chain(error.to_string());
    let [leaf, intermediates @ .., end] = chain else {
        return Ok(());
    };
    let mut roots = RootCertStore::empty();
    roots.add(end.clone()).map_err(broken)?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now.timestamp().try_into().unwrap_or_default()));
    let leaf = ParsedCertificate::try_from(leaf).map_err(broken)?;
    let algorithms = provider().signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&leaf, &roots, intermediates, now, algorithms).map_err(broken)
}

fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

#[cfg(test)]
mod tests;
