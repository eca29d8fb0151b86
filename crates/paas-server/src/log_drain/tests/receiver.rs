//! Receivers of one test.

use std::{net::SocketAddr, path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, BufReader},
    net::TcpListener,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::LIMIT;

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A syslog server with one connection at a time.
pub(super) struct Syslog {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    connection: Option<BufReader<Box<dyn Socket>>>,
}

impl Syslog {
    pub(super) async fn bind() -> Self {
        Self::at(([127, 0, 0, 1], 0).into()).await
    }

    pub(super) async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            listener,
            tls: None,
            connection: None,
        }
    }

    /// With a certificate for 127.0.0.1 of an authority whose certificate goes into this folder.
    pub(super) async fn with_tls(authorities: &Path) -> Self {
        let authority_key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = authority.self_signed(&authority_key).unwrap();
        std::fs::write(authorities.join("receiver.crt"), root.pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let issuer = Issuer::new(authority, authority_key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        Self {
            tls: Some(Arc::new(config).into()),
            ..Self::bind().await
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "syslog+tls" } else { "syslog" };
        format!("{scheme}://{}", self.address)
    }

    /// Waits for a connection; one that ends during its handshake was none.
    pub(super) async fn accept(&mut self) {
        let accepted = timeout(LIMIT, async {
            loop {
                let (stream, _) = self.listener.accept().await.unwrap();
                let Some(tls) = &self.tls else {
                    return Box::new(stream) as Box<dyn Socket>;
                };
                if let Ok(stream) = tls.accept(stream).await {
                    return Box::new(stream) as Box<dyn Socket>;
                }
            }
        });
        self.connection = Some(BufReader::new(accepted.await.expect("a connection comes")));
    }

    /// The next frame, without its length.
    pub(super) async fn frame(&mut self) -> String {
        if self.connection.is_none() {
            self.accept().await;
        }
        let connection = self.connection.as_mut().unwrap();
        let read = async {
            let mut length = String::new();
            loop {
                match connection.read_u8().await.unwrap() {
                    b' ' => break,
                    digit => length.push(digit.into()),
                }
            }
            let mut frame = vec![0; length.parse().unwrap()];
            connection.read_exact(&mut frame).await.unwrap();
            String::from_utf8(frame).unwrap()
        };
        timeout(LIMIT, read).await.expect("a frame comes")
    }

    /// The message of the next frame.
    pub(super) async fn message(&mut self) -> String {
        let frame = self.frame().await;
        let (_, message) = frame.split_once(" - - ").unwrap();
        message.trim_end().to_owned()
    }

    /// Waits until the sender closes the connection.
    pub(super) async fn closed(&mut self) {
        let mut rest = Vec::new();
        let mut connection = self.connection.take().unwrap();
        let read = timeout(LIMIT, connection.read_to_end(&mut rest)).await;
        // A connection that was cut is closed too.
        let _ = read.expect("the connection is closed");
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }
}
