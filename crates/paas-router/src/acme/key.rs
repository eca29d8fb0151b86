//! The private key of a certificate.

use std::fmt;

use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use super::AcmeError;

/// A key for one certificate: made and stored before the certificate is asked for, so that a crash loses neither.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(String);

impl PrivateKey {
    /// ECDSA P-256.
    pub fn generate() -> Result<Self, AcmeError> {
        let pair = KeyPair::generate().map_err(AcmeError::Key)?;
        Ok(Self(pair.serialize_pem()))
    }

    /// What was given by [`PrivateKey::pem`].
    pub fn from_pem(pem: String) -> Self {
        Self(pem)
    }

    pub fn pem(&self) -> &str {
        &self.0
    }

    /// A request for a certificate of exactly these names (RFC 8555 §7.4), in DER.
    pub(super) fn request(&self, names: Vec<String>) -> Result<Vec<u8>, AcmeError> {
        let pair = KeyPair::from_pem(&self.0).map_err(AcmeError::Key)?;
        let mut params = CertificateParams::new(names).map_err(AcmeError::Key)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&pair).map_err(AcmeError::Key)?;
        Ok(request.der().to_vec())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}
