//! What certificate authorities look for while they validate names.

use std::{collections::HashMap, sync::Arc};

use rustls::sign::CertifiedKey;

use crate::{feed::Challenge, tls};

#[derive(Default)]
pub(crate) struct Challenges {
    /// Key authorizations by token: HTTP-01.
    http: HashMap<String, String>,
    /// Certificates by hostname: TLS-ALPN-01.
    tls: HashMap<String, Arc<CertifiedKey>>,
}

impl Challenges {
    pub(crate) fn of(challenges: Vec<Challenge>) -> Self {
        let mut all = Self::default();
        for challenge in challenges {
            match challenge {
                Challenge::Http01 {
                    token,
                    key_authorization,
                } => {
                    all.http.insert(token, key_authorization);
                }
                Challenge::TlsAlpn01 {
                    hostname,
                    chain_pem,
                    key_pem,
                } => match tls::challenge_key(&chain_pem, &key_pem) {
                    Ok(key) => {
                        all.tls.insert(hostname, Arc::new(key));
                    }
                    Err(error) => tracing::error!(%error, hostname, "a challenge of the table cannot be used"),
                },
            }
        }
        all
    }

    pub(crate) fn key_authorization(&self, token: &str) -> Option<&str> {
        self.http.get(token).map(String::as_str)
    }

    pub(crate) fn certificate(&self, hostname: &str) -> Option<Arc<CertifiedKey>> {
        self.tls.get(hostname).cloned()
    }
}
