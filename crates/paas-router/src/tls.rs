//! TLS towards clients, with the certificates of the table.
//!
//! TLS 1.2 and 1.3; the hybrid X25519MLKEM768 comes first. No early data: it can be replayed. A session is resumed only for
//! the name that it was made for (RFC 6066 §3; rustls sees to it), and only while that name has a certificate.
//!
//! Of the ciphers AES-128 with SHA-256 comes first, as it does with browsers: processors have instructions for both, and a
//! handshake with SHA-384 takes a seventh longer. A client that prefers `ChaCha20` has none, and gets what it prefers.

use std::{fmt, io, sync::Arc};

use rustls::{
    CipherSuite, ProtocolVersion, ServerConfig, ServerConnection, SupportedCipherSuite,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{self, cipher_suite},
    },
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{self, ClientHello, ResolvesServerCert, ServerSessionMemoryCache},
    sign::CertifiedKey,
};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use crate::{feed::Tls, shared::Shared};

const HTTP_2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";
/// A certificate authority that validates a name (RFC 8737).
const ACME: &[u8] = b"acme-tls/1";
/// Sessions of TLS 1.2 clients that take no tickets; some hundred bytes each.
const SESSIONS: usize = 4096;
/// A client that comes back gets another one each time; one that wants more at once can say so (RFC 9149).
const TICKETS: usize = 1;
const TICKETS_ON_REQUEST: usize = 4;

/// All that rustls has, in our order.
const CIPHER_SUITES: [SupportedCipherSuite; 9] = [
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

#[derive(Debug, Error)]
pub(crate) enum TlsError {
    #[error("read the certificate's PEM")]
    Pem(#[source] pem::Error),
    #[error("use the certificate")]
    Certificate(#[source] rustls::Error),
}

/// What a client and the router agreed to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agreed {
    Http1,
    Http2,
    /// Nothing: the handshake was all that there is to see.
    Validation,
}

/// Shakes hands with clients.
#[derive(Clone)]
pub(crate) struct Acceptor {
    ours_first: Arc<ServerConfig>,
    /// For clients whose order of ciphers counts.
    theirs_first: Arc<ServerConfig>,
}

impl Acceptor {
    /// A client that asks for a name without a certificate gets no handshake, unless the table has a default one.
    pub(crate) fn new(shared: Arc<Shared>) -> Result<Self, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(TableCertificates { shared }));
        config.alpn_protocols = [HTTP_2, HTTP_1_1, ACME].map(<[u8]>::to_vec).to_vec();
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        config.send_tls13_tickets = TICKETS;
        config.max_tls13_tickets = TICKETS_ON_REQUEST;
        // A new key every six hours; a ticket is good for the current one and the one before.
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        let theirs_first = Arc::new(config.clone());
        config.ignore_client_order = true;
        let ours_first = Arc::new(config);
        Ok(Self {
            ours_first,
            theirs_first,
        })
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let hello = LazyConfigAcceptor::new(server::Acceptor::default(), stream).await?;
        let config = if prefers_chacha(hello.client_hello().cipher_suites()) {
            &self.theirs_first
        } else {
            &self.ours_first
        };
        hello.into_stream(config.clone()).await
    }
}

/// Reads chain and key, and makes sure that they belong together.
pub(crate) fn certified_key(chain_pem: &str, key_pem: &str) -> Result<CertifiedKey, TlsError> {
    let (chain, key) = read(chain_pem, key_pem)?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(TlsError::Certificate)
}

/// The same for a validation. Its certificate has a critical extension (RFC 8737 §3), so that nobody but an authority takes
/// it: also not whoever looks whether it has the key.
pub(crate) fn challenge_key(chain_pem: &str, key_pem: &str) -> Result<CertifiedKey, TlsError> {
    let (chain, key) = read(chain_pem, key_pem)?;
    let key = provider().key_provider.load_private_key(key);
    Ok(CertifiedKey::new(chain, key.map_err(TlsError::Certificate)?))
}

fn read(chain_pem: &str, key_pem: &str) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(TlsError::Pem)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(TlsError::Pem)?;
    Ok((chain, key))
}

/// What comes after a handshake.
pub(crate) fn agreed(connection: &ServerConnection) -> Agreed {
    match connection.alpn_protocol() {
        Some(HTTP_2) => Agreed::Http2,
        Some(ACME) => Agreed::Validation,
        _ => Agreed::Http1,
    }
}

pub(crate) fn version(connection: &ServerConnection) -> Tls {
    match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => Tls::V12,
        _ => Tls::V13,
    }
}

/// The name that the client asked for.
pub(crate) fn server_name(connection: &ServerConnection) -> Option<Box<str>> {
    let name = connection.server_name()?;
    Some(name.to_ascii_lowercase().into_boxed_str())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: CIPHER_SUITES.to_vec(),
        ..aws_lc_rs::default_provider()
    })
}

/// Whether the first cipher that a client offers is `ChaCha20`. The first of all may be none (RFC 8701).
fn prefers_chacha(offered: &[CipherSuite]) -> bool {
    let known = |offer: &&CipherSuite| CIPHER_SUITES.iter().any(|suite| suite.suite() == **offer);
    matches!(
        offered.iter().find(known),
        Some(
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        )
    )
}

/// Looks in the table at each handshake: a new certificate serves from the next one on.
struct TableCertificates {
    shared: Arc<Shared>,
}

impl ResolvesServerCert for TableCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let table = self.shared.tables.current();
        // Nothing but the validation can be agreed on (RFC 8737 §3), so it must not end with a certificate that is served.
        if is_validation(&hello) {
            return table.challenge_certificate(&name?);
        }
        table.certificate(name.as_deref())
    }
}

fn is_validation(hello: &ClientHello<'_>) -> bool {
    let offers = |protocol| {
        hello
            .alpn()
            .is_some_and(|mut offered| offered.any(|offer| offer == protocol))
    };
    offers(ACME) && !offers(HTTP_2) && !offers(HTTP_1_1)
}

impl fmt::Debug for TableCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TableCertificates")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_without_aes_is_one_that_offers_another_cipher_first() {
        use CipherSuite as Suite;
        let grease = Suite::from(0x0a0a);
        for (offered, prefers) in [
            (vec![], false),
            (
                vec![Suite::TLS13_AES_256_GCM_SHA384, Suite::TLS13_CHACHA20_POLY1305_SHA256],
                false,
            ),
            (
                vec![
                    grease,
                    Suite::TLS13_CHACHA20_POLY1305_SHA256,
                    Suite::TLS13_AES_128_GCM_SHA256,
                ],
                true,
            ),
        ] {
            assert_eq!(prefers_chacha(&offered), prefers, "{offered:?}");
        }
    }
}
