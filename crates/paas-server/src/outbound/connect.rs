//! Connections to addresses that were checked, with TLS that is verified.

use std::{
    fmt, fs, io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use paas_core::{DrainHost, DrainUrl};
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

use super::Policy;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A connection, with or without TLS.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// What to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// For people.
    pub(crate) scheme: &'static str,
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) is_tls: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    Name(String),
    Address(IpAddr),
}

/// Why there is no connection, in words for people: nothing secret of an address is in them.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    #[error("{target} has no address")]
    Resolve { target: Target, source: io::Error },
    #[error("{target}: {address} {reason}")]
    Closed {
        target: Target,
        address: IpAddr,
        reason: String,
    },
    #[error("no connection to {target}")]
    Connect { target: Target, source: io::Error },
    #[error("{source}")]
    Certificate { target: Target, source: io::Error },
    #[error("{target} does not answer within {} seconds", limit.as_secs())]
    Silent { target: Target, limit: Duration },
}

/// Connects, for one purpose.
#[derive(Clone)]
pub(crate) struct Connector {
    policy: Policy,
    tls: Arc<ClientConfig>,
}

impl Connector {
    /// Trusts what this machine trusts, and the extra authorities that builds and dynos trust too.
    pub(crate) fn new(policy: Policy, extra_authorities: &Path) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(certificates_in(extra_authorities));
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            policy,
            tls: Arc::new(tls),
        })
    }

    pub(crate) const fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(crate) async fn connect(&self, target: &Target) -> Result<Box<dyn Socket>, ConnectError> {
        let connecting = timeout(CONNECT_LIMIT, self.connect_slowly(target)).await;
        connecting.unwrap_or_else(|_| {
            Err(ConnectError::Silent {
                target: target.clone(),
                limit: CONNECT_LIMIT,
            })
        })
    }

    async fn connect_slowly(&self, target: &Target) -> Result<Box<dyn Socket>, ConnectError> {
        let failed = |source| ConnectError::Connect {
            target: target.clone(),
            source,
        };
        let stream = self.connect_tcp(target).await?;
        if !target.is_tls {
            return Ok(Box::new(stream));
        }
        let name = match &target.host {
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|error| failed(io::Error::other(error)))?,
            Host::Address(address) => ServerName::from(*address),
        };
        match TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(source) if is_about_certificate(&source) => Err(ConnectError::Certificate {
                target: target.clone(),
                source,
            }),
            Err(source) => Err(failed(source)),
        }
    }

    async fn connect_tcp(&self, target: &Target) -> Result<TcpStream, ConnectError> {
        let mut last = io::Error::other("its name leads to no address");
        for address in addresses(&self.policy, target).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // What is written is written whole.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(ConnectError::Connect {
            target: target.clone(),
            source: last,
        })
    }
}

/// Those that may be connected to: at least one, where the name has any.
pub(crate) async fn addresses(policy: &Policy, target: &Target) -> Result<Vec<SocketAddr>, ConnectError> {
    let found: Vec<_> = match &target.host {
        Host::Address(address) => vec![(*address, target.port).into()],
        Host::Name(name) => {
            let found = lookup_host((name.as_str(), target.port)).await;
            let found = found.map_err(|source| ConnectError::Resolve {
                target: target.clone(),
                source,
            })?;
            found.collect()
        }
    };
    let mut open = Vec::with_capacity(found.len());
    let mut closed = None;
    for address in found {
        match policy.closed(address.ip()) {
            None => open.push(address),
            Some(reason) => closed = Some((address.ip(), reason)),
        }
    }
    match closed {
        Some((address, reason)) if open.is_empty() => Err(ConnectError::Closed {
            target: target.clone(),
            address,
            reason,
        }),
        _ => Ok(open),
    }
}

impl From<&DrainUrl> for Target {
    fn from(url: &DrainUrl) -> Self {
        Self {
            scheme: url.scheme.as_str(),
            host: match &url.host {
                DrainHost::Name(name) => Host::Name(name.as_str().to_owned()),
                DrainHost::Address(address) => Host::Address(*address),
            },
            port: url.port,
            is_tls: url.scheme.is_encrypted(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, port) = (self.scheme, self.port);
        match &self.host {
            Host::Name(name) => write!(f, "{scheme}://{name}:{port}"),
            Host::Address(address) => write!(f, "{scheme}://{}", SocketAddr::from((*address, port))),
        }
    }
}

fn is_about_certificate(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// The certificates in a folder; what cannot be read as one is not.
fn certificates_in(folder: &Path) -> Vec<CertificateDer<'static>> {
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
