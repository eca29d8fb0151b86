//! The rendezvous that Heroku's own client comes to: TLS on a port of its own, the secret as the first line, then bytes.
//!
//! The client names no host in its handshake, so there is one certificate for all: that of the host in `attach_url`.

use std::{
    net::SocketAddr,
    os::fd::AsFd as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::{Buf as _, BytesMut};
use paas_router::feed::Certificate;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    Host, SECRET_CHARACTERS,
    dialect::Dialect,
    pump::{Arrival, serve},
};
use crate::{
    control::RouterFeed,
    platform::Platform,
    strangers::{Stranger, welcome},
};

const GREETING: &[u8] = b"rendezvous\r\n";
/// The client throws the first piece away that it reads, whatever it is: the program's first words must not be in it.
const HOLD: Duration = Duration::from_millis(250);
/// For the handshake, and again for the secret.
const INTRODUCTION_LIMIT: Duration = Duration::from_secs(10);
/// A client that ends its secret with a line feed sends both at once.
const LINE_END_LIMIT: Duration = Duration::from_millis(50);

pub(crate) struct Listener {
    platform: Arc<Platform>,
    feed: Arc<RouterFeed>,
    socket: TcpListener,
    /// The configuration for the certificate of now.
    config: Mutex<Option<(Arc<Certificate>, Arc<ServerConfig>)>>,
}

impl Listener {
    pub(crate) async fn bind(platform: Arc<Platform>, feed: Arc<RouterFeed>) -> Result<Self> {
        let address = platform.settings.rendezvous;
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!(
                "listening on {address} for `heroku run`: does something else use the port? \
                 --rendezvous chooses another address"
            )
        })?;
        let port = listener
            .local_addr()
            .context("reading the rendezvous' own address")?
            .port();
        // A second listener in one process is a test's business, and serves no announced URL.
        let _ = platform.rendezvous.port.set(port);
        Ok(Self {
            platform,
            feed,
            socket: listener,
            config: Mutex::default(),
        })
    }

    pub(crate) fn address(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    pub(crate) async fn run(self) -> Result<()> {
        let listener = Arc::new(self);
        let serve = |stream, stranger| {
            let listener = Arc::clone(&listener);
            let stop = listener.platform.stop.clone();
            async move {
                stop.run_until_cancelled(listener.serve(stream, stranger)).await;
            }
        };
        welcome(&listener.platform, &listener.socket, serve).await;
        Ok(())
    }

    async fn serve(&self, stream: TcpStream, stranger: Stranger) {
        let Some(config) = self.config() else {
            tracing::warn!("a client of the rendezvous is sent away: there is no certificate yet");
            return;
        };
        // Keys that somebody types go at once.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let socket = stream.as_fd().try_clone_to_owned().ok();
        let handshake = TlsAcceptor::from(config).accept(stream);
        let Ok(Ok(mut stream)) = timeout(INTRODUCTION_LIMIT, handshake).await else {
            return;
        };
        let Ok(Some((secret, read))) = timeout(INTRODUCTION_LIMIT, introduction(&mut stream)).await else {
            return;
        };
        drop(stranger);
        let Some(host) = self.platform.rendezvous.find(&secret).filter(Host::is_program) else {
            // Whether a secret was never given out, or is used up, is nobody's business.
            let _ = stream.shutdown().await;
            return;
        };
        if stream.write_all(GREETING).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        let arrival = Arrival {
            stream,
            dialect: Dialect::Bytes,
            read,
            speak_at: Instant::now() + HOLD,
            socket,
            target: None,
        };
        serve(arrival, host, self.platform.rendezvous.limits).await;
    }

    /// TLS with the certificate of the host in our URLs.
    fn config(&self) -> Option<Arc<ServerConfig>> {
        let certificate = self.feed.certificate_of(&self.platform.settings.rendezvous_host())?;
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, config)) = &*config
            && Arc::ptr_eq(known, &certificate)
        {
            return Some(Arc::clone(config));
        }
        let made = configuration(&certificate)
            .map(Arc::new)
            .inspect_err(|error| tracing::error!(error = format!("{error:#}"), "the rendezvous has no certificate"));
        let made = made.ok()?;
        *config = Some((certificate, Arc::clone(&made)));
        Some(made)
    }
}

fn configuration(certificate: &Certificate) -> Result<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(certificate.chain_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .context("reading the certificate")?;
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).context("reading its key")?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth();
    config.with_single_cert(chain, key).context("using the certificate")
}

/// The secret, with a line end or without, and what came behind it. `None` when the client has gone.
async fn introduction(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, BytesMut)> {
    let mut buffer = BytesMut::with_capacity(4096);
    while buffer.len() < SECRET_CHARACTERS {
        if stream.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
    }
    let secret = buffer.split_to(SECRET_CHARACTERS);
    if buffer.is_empty()
        && let Ok(read) = timeout(LINE_END_LIMIT, stream.read_buf(&mut buffer)).await
        && read.ok()? == 0
    {
        return None;
    }
    for end in [b"\r\n".as_slice(), b"\n"] {
        if buffer.starts_with(end) {
            buffer.advance(end.len());
            break;
        }
    }
    Some((String::from_utf8(secret.to_vec()).ok()?, buffer))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn introduced(bytes: &[u8]) -> Option<(String, Vec<u8>)> {
        let (mut ours, mut theirs) = tokio::io::duplex(1024);
        theirs.write_all(bytes).await.unwrap();
        let (secret, rest) = introduction(&mut ours).await?;
        Some((secret, rest.to_vec()))
    }

    #[tokio::test]
    async fn a_secret_is_known_with_and_without_a_line_end() {
        let secret = "s".repeat(SECRET_CHARACTERS);
        for (end, rest) in [("", ""), ("\r\n", ""), ("\n", ""), ("\r\nls\n", "ls\n"), ("ls", "ls")] {
            let (read, behind) = introduced(format!("{secret}{end}").as_bytes()).await.unwrap();
            assert_eq!((read, behind), (secret.clone(), rest.as_bytes().to_vec()), "{end:?}");
        }
    }
}
