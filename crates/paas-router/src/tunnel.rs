//! A connection that became something else: a WebSocket, or any other upgrade.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy, copy_bidirectional, sink},
    sync::oneshot,
    time::timeout,
};

use crate::{
    backend::InFlight,
    code::Code,
    exchange::Exchange,
    extended::Extended,
    flow::{Alarm, Flow, Patience},
    shared::Shared,
    websocket::{Frames, GOING_AWAY},
};

/// How long a client may take to take a close frame.
const GOODBYE: Duration = Duration::from_secs(1);

/// A client that is about to have a tunnel.
pub(crate) enum Switch {
    Http1(OnUpgrade),
    Http2(oneshot::Receiver<Extended>),
}

/// The client's end of a tunnel.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

impl Switch {
    /// `None` when the client is gone.
    async fn made(self) -> Option<Box<dyn Duplex>> {
        Some(match self {
            Self::Http1(upgrade) => Box::new(TokioIo::new(upgrade.await.ok()?)),
            Self::Http2(extended) => Box::new(extended.await.ok()?),
        })
    }
}

/// Bytes both ways, until either side ends, both are silent too long, or the dyno has to go.
pub(crate) struct Tunnel {
    pub(crate) client: Switch,
    pub(crate) patience: Patience,
    pub(crate) in_flight: InFlight,
    pub(crate) exchange: Exchange,
    pub(crate) is_websocket: bool,
}

impl Tunnel {
    pub(crate) async fn run(self, dyno: OnUpgrade, shared: Arc<Shared>) {
        let Self {
            client,
            patience,
            in_flight,
            mut exchange,
            is_websocket,
        } = self;
        let (Some(client), Ok(dyno)) = tokio::join!(client.made(), dyno) else {
            // The client was gone before it had the 101.
            return;
        };
        let flow = Flow::open(patience, true);
        let sent = Arc::new(AtomicU64::new(0));
        let mut client = Watched::new(client, flow.clone());
        let mut dyno = Watched::new(TokioIo::new(dyno), flow.clone());
        dyno.bytes = sent.clone();
        client.frames = is_websocket.then(Frames::default);
        let mut timer = Alarm::default();
        let has_ended = tokio::select! {
            // However it ended, both sides know.
            _ = copy_bidirectional(&mut client, &mut dyno) => true,
            () = std::future::poll_fn(|cx| flow.poll_idle(&mut timer, cx)) => {
                exchange.fail(Code::H15);
                true
            }
            () = in_flight.backend().cut() => false,
            () = shared.abort.cancelled() => false,
        };
        if !has_ended && client.frames.as_ref().is_some_and(Frames::is_between) {
            // A client that does not hear it learns from the end of the connection.
            let _ = timeout(GOODBYE, say_goodbye(&mut client)).await;
        }
        exchange.finish();
        exchange.sent(usize::try_from(sent.load(Ordering::Relaxed)).unwrap_or(usize::MAX));
    }
}

/// Closes after the client has: what is sent before a close is lost when the client still sends.
async fn say_goodbye(client: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    client.write_all(&GOING_AWAY).await?;
    client.shutdown().await?;
    copy(client, &mut sink()).await.map(|_| ())
}

/// A stream whose bytes keep the flow alive.
pub(crate) struct Watched<S> {
    stream: S,
    flow: Arc<Flow>,
    bytes: Arc<AtomicU64>,
    /// The WebSocket frames that were written.
    frames: Option<Frames>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, flow: Arc<Flow>) -> Self {
        Self {
            stream,
            flow,
            bytes: Arc::default(),
            frames: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        self.flow.touch();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        if let Some(frames) = &mut self.frames {
            frames.feed(&bytes[..written]);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
