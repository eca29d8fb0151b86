//! Why a call came to nothing.

use std::{io, path::PathBuf};

use thiserror::Error;

use super::{Problem, ProblemKind, transport::TransportError};

#[derive(Debug, Error)]
pub enum AcmeError {
    /// The authority answered, and refused.
    #[error(transparent)]
    Refused(Problem),
    /// No answer came: the authority, or the way to it, is down.
    #[error("the certificate authority at {url} does not answer: {words}")]
    Unreachable { url: String, words: String },
    #[error("the certificate authority gave an answer that makes no sense: {0}")]
    Answer(String),
    #[error("the certificate authority cannot do: {0}")]
    Unsupported(&'static str),
    #[error("the order cannot be finalized: not all of its names are validated")]
    NotReady,
    #[error("the order has no {kind} challenge for {name}")]
    NotOffered { name: String, kind: &'static str },
    #[error("the directory of a certificate authority is an https:// address, not {0}")]
    Scheme(String),
    #[error("read trusted certificates from {path}")]
    CaFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the machine trusts no certificate authority at all: install the package ca-certificates")]
    NoRoots,
    #[error("the key of the external account is not base64url")]
    ExternalAccount,
    #[error("the stored account cannot be read")]
    StoredAccount,
    #[error("the private key cannot be used: {0}")]
    Key(#[source] rcgen::Error),
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    #[error("set up TLS towards the certificate authority")]
    Tls(#[source] rustls::Error),
}

impl AcmeError {
    /// The authority is to blame, not the name: another authority could do better.
    pub fn is_authoritys_fault(&self) -> bool {
        match self {
            Self::Refused(problem) => problem.kind.is_authoritys_fault(),
            Self::Unreachable { .. } | Self::Answer(_) => true,
            _ => false,
        }
    }

    /// The authority does not know our account any more: connect again, which registers a new one.
    pub fn is_account_unknown(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.kind == ProblemKind::AccountUnknown)
    }

    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }
}

impl From<instant_acme::Error> for AcmeError {
    fn from(error: instant_acme::Error) -> Self {
        match error {
            instant_acme::Error::Api(problem) => Self::Refused(problem.into()),
            instant_acme::Error::Other(other) => match other.downcast::<TransportError>() {
                Ok(transport) => (*transport).into(),
                Err(other) => Self::Answer(other.to_string()),
            },
            instant_acme::Error::Unsupported(what) => Self::Unsupported(what),
            // The words of these are about shapes, not contents.
            other => Self::Answer(other.to_string()),
        }
    }
}

impl From<TransportError> for AcmeError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Refused(problem) => Self::Refused(problem),
            TransportError::NotConnected { url, words } | TransportError::Broken { url, words } => {
                Self::Unreachable { url, words }
            }
        }
    }
}
