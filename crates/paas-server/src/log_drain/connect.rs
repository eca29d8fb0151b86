//! Connections to receivers: to an address that was checked, with TLS that is verified.

use std::{fs, io, net::IpAddr, path::Path, sync::Arc, time::Duration};

use paas_core::{ClosedAddress, DrainHost, DrainUrl, check_drain_address};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::config::Settings;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Why lines were not delivered, in words for the app's people: nothing secret of the drain is in them.
#[derive(Debug, Error)]
pub(super) enum DrainError {
    #[error("{place} has no address")]
    Resolve { place: String, source: io::Error },
    #[error("{place}: {address} {reason}")]
    Closed {
        place: String,
        address: IpAddr,
        reason: String,
    },
    #[error("no connection to {place}")]
    Connect { place: String, source: io::Error },
    #[error("{source}")]
    Certificate { place: String, source: io::Error },
    #[error("{place} takes nothing within {} seconds", limit.as_secs())]
    Silent { place: String, limit: Duration },
    #[error("the connection to {place} broke")]
    Broken {
        place: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{place} answers {status}")]
    Refused { place: String, status: http::StatusCode },
}

/// A connection, with or without TLS.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// Connects drains.
#[derive(Clone)]
pub(super) struct Connector {
    settings: Settings,
    tls: Arc<ClientConfig>,
}

/// Why no drain of this platform may lead to an address; `None` when one may.
pub(crate) fn is_closed(address: IpAddr, settings: &Settings) -> Option<String> {
    let is_of_another_app = match address.to_canonical() {
        IpAddr::V4(address) => settings.network_pool.addresses().contains(address),
        IpAddr::V6(_) => false,
    };
    if is_of_another_app {
        return Some("is inside of the apps' own networks: use the app's name".to_owned());
    }
    let checked: Result<(), ClosedAddress> = check_drain_address(address, settings.local_drains);
    checked.err().map(|closed| closed.to_string())
}

impl Connector {
    /// Trusts what this machine trusts, and the extra authorities that builds and dynos trust too.
    pub(super) fn new(settings: &Settings) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(extra_authorities(&settings.extra_ca));
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            settings: settings.clone(),
            tls: Arc::new(tls),
        })
    }

    pub(super) async fn connect(&self, url: &DrainUrl) -> Result<Box<dyn Socket>, DrainError> {
        let connecting = timeout(CONNECT_LIMIT, self.connect_slowly(url)).await;
        connecting.unwrap_or_else(|_| {
            Err(DrainError::Silent {
                place: url.place(),
                limit: CONNECT_LIMIT,
            })
        })
    }

    async fn connect_slowly(&self, url: &DrainUrl) -> Result<Box<dyn Socket>, DrainError> {
        let stream = self.connect_tcp(url).await?;
        if !url.scheme.is_encrypted() {
            return Ok(Box::new(stream));
        }
        let name = match &url.host {
            DrainHost::Name(name) => ServerName::try_from(name.as_str().to_owned())
                .expect("a hostname is a DNS name that a certificate can have"),
            DrainHost::Address(address) => ServerName::from(*address),
        };
        match TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(source) if is_about_certificate(&source) => Err(DrainError::Certificate {
                place: url.place(),
                source,
            }),
            Err(source) => Err(DrainError::Connect {
                place: url.place(),
                source,
            }),
        }
    }

    async fn connect_tcp(&self, url: &DrainUrl) -> Result<TcpStream, DrainError> {
        let addresses: Vec<_> = match &url.host {
            DrainHost::Address(address) => vec![(*address, url.port).into()],
            DrainHost::Name(name) => lookup_host((name.as_str(), url.port))
                .await
                .map_err(|source| DrainError::Resolve {
                    place: url.place(),
                    source,
                })?
                .collect(),
        };
        let mut last = io::Error::other("its name leads to no address");
        for address in addresses {
            // Checked here and not before: a name may lead elsewhere the next time.
            if let Some(reason) = is_closed(address.ip(), &self.settings) {
                return Err(DrainError::Closed {
                    place: url.place(),
                    address: address.ip(),
                    reason,
                });
            }
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // Lines are written in batches already.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(DrainError::Connect {
            place: url.place(),
            source: last,
        })
    }
}

fn is_about_certificate(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// The certificates in a folder; what cannot be read as one is not.
fn extra_authorities(folder: &Path) -> Vec<CertificateDer<'static>> {
    let files = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let files = files.filter_map(|file| fs::read(file.path()).ok());
    files
        .flat_map(|pem| {
            CertificateDer::pem_slice_iter(&pem)
                .filter_map(Result::ok)
                .collect::<Vec<_>>()
        })
        .collect()
}
