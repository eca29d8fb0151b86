//! TLS towards clients, with the certificates of the table.

use std::{fmt, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

use crate::{feed::Certificate, shared::Shared};

#[derive(Debug, Error)]
pub(crate) enum TlsError {
    #[error("read the certificate's PEM")]
    Pem(#[source] pem::Error),
    #[error("use the certificate")]
    Certificate(#[source] rustls::Error),
}

/// TLS 1.2 and 1.3, HTTP/1.1; a client that asks for a name without a certificate gets no handshake.
pub(crate) fn acceptor(shared: Arc<Shared>) -> Result<TlsAcceptor, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(TableCertificates { shared }));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Reads chain and key, and makes sure that they belong together.
pub(crate) fn certified_key(certificate: &Certificate) -> Result<CertifiedKey, TlsError> {
    let chain = CertificateDer::pem_slice_iter(certificate.chain_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(TlsError::Pem)?;
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).map_err(TlsError::Pem)?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(TlsError::Certificate)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Looks in the table at each handshake: a new certificate serves from the next one on.
struct TableCertificates {
    shared: Arc<Shared>,
}

impl ResolvesServerCert for TableCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        self.shared.tables.current().certificate(&name)
    }
}

impl fmt::Debug for TableCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TableCertificates")
    }
}
