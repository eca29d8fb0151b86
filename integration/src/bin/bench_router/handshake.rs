//! TLS handshakes and nothing else: full, or resumed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Result;
use rustls::{
    ClientConfig, DigitallySignedStruct, HandshakeKind, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider,
        aws_lc_rs::{self, cipher_suite},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::task::TaskTracker;

use crate::{
    proxy::{HOST, Proxy},
    sample::{Sample, percentile},
};

const CLIENTS: usize = 16;
const SESSIONS: usize = 8;

/// One after the other on each of some clients, until time is up.
pub(crate) async fn run(proxy: &Proxy, resume: bool, seconds: u64) -> Result<Sample> {
    let outcome = Arc::new(Mutex::new((Vec::new(), 0)));
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(seconds);
    let address = proxy.address(true);
    let clients = TaskTracker::new();
    for _ in 0..CLIENTS {
        let outcome = outcome.clone();
        let connector = connector(resume)?;
        clients.spawn(async move {
            let mut is_first = true;
            while Instant::now() < deadline {
                let started = Instant::now();
                let connection = connect(&connector, address).await;
                let answered = match connection {
                    Ok(stream) => {
                        // The first has nothing to resume.
                        let kind = stream.get_ref().1.handshake_kind();
                        let is_right = is_first || (kind == Some(HandshakeKind::Resumed)) == resume;
                        close(stream).await.is_ok() && is_right
                    }
                    Err(_) => false,
                };
                let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                if answered {
                    outcome.0.push(started.elapsed());
                } else {
                    outcome.1 += 1;
                }
                is_first = false;
            }
        });
    }
    clients.close();
    clients.wait().await;
    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
    let (durations, failed) = &mut *outcome;
    durations.sort_unstable();
    Ok(Sample {
        requests: durations.len() as u64,
        elapsed: begun.elapsed(),
        p50: percentile(durations, 50),
        p99: percentile(durations, 99),
        failed: *failed,
        ..Sample::default()
    })
}

/// TLS 1.3, with the key exchanges of today's browsers, X25519MLKEM768, else X25519, and their order of ciphers.
pub(crate) fn connector(resume: bool) -> Result<TlsConnector> {
    let provider = CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything))
        .with_no_client_auth();
    config.resumption = if resume {
        Resumption::in_memory_sessions(SESSIONS)
    } else {
        Resumption::disabled()
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

pub(crate) async fn connect(connector: &TlsConnector, address: std::net::SocketAddr) -> Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(connector.connect(ServerName::try_from(HOST)?, stream).await?)
}

/// Says farewell and waits for the other side's: what a server sends after the handshake (tickets) is read, too.
async fn close(mut stream: TlsStream<TcpStream>) -> Result<()> {
    stream.shutdown().await?;
    // Not every server says it, too.
    let _ = stream.read_to_end(&mut Vec::new()).await;
    Ok(())
}

/// The cost of a check would be the client's, and it would be the same for all.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
