//! One visitor: it does one kind of thing again and again, and says what went wrong.

use std::{fmt::Write as _, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Request, header::HOST};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::sleep,
};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::{client_async, tungstenite::Message};
use tokio_util::task::TaskTracker;

use crate::ledger::Ledger;

/// More than the buffers on the way hold.
const UPLOAD: usize = 1 << 20;
/// How many events `server.py` sends.
const EVENTS: usize = 20;
/// A conversation is longer than a change takes, and shorter than dynos are given to end.
const MESSAGES: usize = 20;
const MESSAGE_PAUSE: Duration = Duration::from_millis(200);

/// What visitors do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Http1,
    NewConnection,
    Http2,
    Upload1,
    Upload2,
    Events1,
    Events2,
    WebSocket,
}

/// Where it all is.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    /// The app's name without TLS, and with it.
    pub(crate) plain_host: String,
    pub(crate) host: String,
    /// For HTTP/1, and for HTTP/2.
    pub(crate) tls1: Arc<ClientConfig>,
    pub(crate) tls2: Arc<ClientConfig>,
    pub(crate) tracker: TaskTracker,
    pub(crate) ledger: Arc<Ledger>,
}

pub(crate) struct Visitor {
    kind: Kind,
    place: Place,
    kept1: Option<http1::SendRequest<Full<Bytes>>>,
    kept2: Option<http2::SendRequest<Full<Bytes>>>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Http1,
        Self::NewConnection,
        Self::Http2,
        Self::Upload1,
        Self::Upload2,
        Self::Events1,
        Self::Events2,
        Self::WebSocket,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1, kept",
            Self::NewConnection => "TLS, new connections",
            Self::Http2 => "HTTP/2, kept",
            Self::Upload1 => "uploads, HTTP/1.1",
            Self::Upload2 => "uploads, HTTP/2",
            Self::Events1 => "events, HTTP/1.1",
            Self::Events2 => "events, HTTP/2",
            Self::WebSocket => "WebSocket",
        }
    }

    /// How many do it at once, and how long each pauses.
    pub(crate) fn visitors(self) -> (usize, Duration) {
        match self {
            Self::Http1 | Self::Http2 => (4, Duration::from_millis(50)),
            Self::NewConnection => (2, Duration::from_millis(200)),
            Self::Upload1 | Self::Upload2 => (1, Duration::from_millis(500)),
            Self::Events1 | Self::Events2 | Self::WebSocket => (3, Duration::from_millis(100)),
        }
    }
}

impl Visitor {
    pub(crate) fn new(kind: Kind, place: Place) -> Self {
        Self {
            kind,
            place,
            kept1: None,
            kept2: None,
        }
    }

    pub(crate) fn note(&self, elapsed: Duration, failure: Option<String>) {
        self.place.ledger.note(self.kind, elapsed, failure);
    }

    /// Does it once. A connection that broke is not used again.
    pub(crate) async fn visit(&mut self) -> Result<()> {
        let outcome = match self.kind {
            Kind::Http1 => self.page(false).await,
            Kind::NewConnection => {
                self.kept1 = None;
                self.page(true).await
            }
            Kind::Http2 => self.page2().await,
            Kind::Upload1 | Kind::Upload2 => self.upload().await,
            Kind::Events1 | Kind::Events2 => self.events().await,
            Kind::WebSocket => self.talk().await,
        };
        if outcome.is_err() {
            (self.kept1, self.kept2) = (None, None);
        }
        outcome
    }

    async fn page(&mut self, has_tls: bool) -> Result<()> {
        let body = self.http1(has_tls, "GET", "/", Bytes::new()).await?;
        ensure!(body.starts_with(b"hello "), "got {:?}", String::from_utf8_lossy(&body));
        Ok(())
    }

    async fn page2(&mut self) -> Result<()> {
        let body = self.http2("GET", "/", Bytes::new()).await?;
        ensure!(body.starts_with(b"hello "), "got {:?}", String::from_utf8_lossy(&body));
        Ok(())
    }

    async fn upload(&mut self) -> Result<()> {
        let body = Bytes::from(vec![b'x'; UPLOAD]);
        let answer = match self.kind {
            Kind::Upload1 => self.http1(true, "POST", "/upload", body).await?,
            _ => self.http2("POST", "/upload", body).await?,
        };
        // SHA-256 of so many letters, in hexadecimal.
        ensure!(
            answer.len() == 64 && answer.iter().all(u8::is_ascii_hexdigit),
            "got {:?}",
            String::from_utf8_lossy(&answer)
        );
        Ok(())
    }

    async fn events(&mut self) -> Result<()> {
        let body = match self.kind {
            Kind::Events1 => self.http1(true, "GET", "/events", Bytes::new()).await?,
            _ => self.http2("GET", "/events", Bytes::new()).await?,
        };
        let mut expected = String::new();
        for number in 0..EVENTS {
            write!(expected, "data: {number}\n\n")?;
        }
        ensure!(body == expected, "got {:?}", String::from_utf8_lossy(&body));
        Ok(())
    }

    async fn talk(&mut self) -> Result<()> {
        let stream = self.connect(Some(&self.place.tls1)).await?;
        let url = format!("ws://{}/socket", self.place.host);
        let (mut socket, _) = client_async(url, stream)
            .await
            .context("the handshake of a WebSocket")?;
        for number in 0..MESSAGES {
            let sent = Message::text(format!("message {number}"));
            socket.send(sent.clone()).await.context("sending a message")?;
            match socket.next().await {
                Some(Ok(message)) if message == sent => {}
                other => bail!("message {number}: {other:?}"),
            }
            sleep(MESSAGE_PAUSE).await;
        }
        socket.close(None).await.context("closing a WebSocket")?;
        while let Some(message) = socket.next().await {
            message.context("the close of a WebSocket")?;
        }
        Ok(())
    }

    async fn http1(&mut self, has_tls: bool, method: &str, path: &str, body: Bytes) -> Result<Bytes> {
        let host = if has_tls {
            &self.place.host
        } else {
            &self.place.plain_host
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, host)
            .body(Full::new(body))?;
        let mut sender = match self.kept1.take() {
            Some(sender) => sender,
            None => {
                let stream = self.connect(has_tls.then_some(&self.place.tls1)).await?;
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
                self.place.tracker.spawn(async move {
                    // How it ends is told to its requests.
                    let _ = connection.await;
                });
                sender
            }
        };
        sender.ready().await.context("a kept connection was closed")?;
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        ensure!(
            parts.status == 200,
            "{}: {:?}",
            parts.status,
            String::from_utf8_lossy(&body)
        );
        self.kept1 = Some(sender);
        Ok(body)
    }

    async fn http2(&mut self, method: &str, path: &str, body: Bytes) -> Result<Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(format!("https://{}{path}", self.place.host))
            .body(Full::new(body))?;
        if self.kept2.is_none() {
            let stream = self.connect(Some(&self.place.tls2)).await?;
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
            self.place.tracker.spawn(async move {
                // How it ends is told to its requests.
                let _ = connection.await;
            });
            self.kept2 = Some(sender);
        }
        let sender = self.kept2.as_mut().context("a connection")?;
        sender.ready().await.context("a kept connection was closed")?;
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        ensure!(
            parts.status == 200,
            "{}: {:?}",
            parts.status,
            String::from_utf8_lossy(&body)
        );
        Ok(body)
    }

    async fn connect(&self, tls: Option<&Arc<ClientConfig>>) -> Result<Box<dyn Stream>> {
        let address = if tls.is_some() {
            self.place.https
        } else {
            self.place.http
        };
        let stream = TcpStream::connect(address).await.context("connecting")?;
        stream.set_nodelay(true)?;
        let Some(tls) = tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(self.place.host.clone())?;
        let stream = TlsConnector::from(tls.clone())
            .connect(name, stream)
            .await
            .context("the handshake of TLS")?;
        if let Some([leaf, ..]) = stream.get_ref().1.peer_certificates() {
            self.place.ledger.saw_certificate(leaf);
        }
        Ok(Box::new(stream))
    }
}
