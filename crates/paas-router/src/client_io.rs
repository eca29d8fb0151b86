//! The byte stream of a client: watched on its way in, timed on its way out.

use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};
use tokio_rustls::server::TlsStream;

use crate::{
    frames::Frames,
    framing::{Framing, Speech, Verdict},
};

/// hyper waits for a client that does not read for as long as it is connected; this does not (slow read attacks).
pub(crate) struct ClientIo<S> {
    stream: S,
    shape: Shape,
    preface: Preface,
    /// Bytes that were read already.
    prefix: Vec<u8>,
    /// They have been followed, too.
    is_prefix_followed: bool,
    verdict: Arc<Verdict>,
    idle: Duration,
    /// Since when the client takes nothing.
    stuck: Option<Instant>,
    /// Made when a write is stuck for the first time; rings early when another was stuck before, and sleeps on.
    timer: Option<Pin<Box<Sleep>>>,
}

/// What is looked at on the way to the parser.
enum Shape {
    Http1(Framing),
    Http2(Frames),
}

/// A stream that can be given up: closed without waiting for the other side to take what was sent.
pub(crate) trait Abandon {
    /// Whether a shutdown says nothing that a close does not say.
    const CLOSES_SILENTLY: bool;

    /// What a client that does not read was sent stays in the kernel, megabytes of it, for as long as it likes to take: with
    /// no time to linger the close is a reset, and all of it is freed.
    fn abandon(&self);
}

impl Abandon for TcpStream {
    const CLOSES_SILENTLY: bool = true;

    fn abandon(&self) {
        // Without it the kernel gives up by itself, in minutes.
        let _ = self.set_zero_linger();
    }
}

impl Abandon for Box<TlsStream<TcpStream>> {
    /// The end of what was said has to be told from an end that somebody else made (RFC 8446 §6.1).
    const CLOSES_SILENTLY: bool = false;

    fn abandon(&self) {
        self.get_ref().0.abandon();
    }
}

/// Whether a client may begin with the preface of HTTP/2 (RFC 9113 §3.3, "prior knowledge"), or of SSH (RFC 4253 §4.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Preface {
    Awaited,
    /// Not any more.
    Past,
}

/// How the prefaces begin, and nothing else that is understood; of one length.
const PREFACES: [(&[u8; PREFACE_BYTES], Speech); 2] = [(b"PRI ", Speech::Http2), (b"SSH-", Speech::Ssh)];
const PREFACE_BYTES: usize = 4;

/// Whether these first bytes are the beginning of a preface, or more than that.
fn may_be_preface(read: &[u8]) -> bool {
    PREFACES
        .iter()
        .any(|(preface, _)| read.starts_with(*preface) || preface.starts_with(read))
}

impl<S> ClientIo<S> {
    /// A client that speaks HTTP/1, or perhaps HTTP/2 with prior knowledge.
    pub(crate) fn http1(stream: S, verdict: Arc<Verdict>, idle: Duration, may_know: bool) -> Self {
        let preface = if may_know { Preface::Awaited } else { Preface::Past };
        Self {
            stream,
            shape: Shape::Http1(Framing::new(verdict.clone())),
            preface,
            prefix: Vec::new(),
            is_prefix_followed: false,
            verdict,
            idle,
            stuck: None,
            timer: None,
        }
    }

    pub(crate) fn http2(stream: S, verdict: Arc<Verdict>, idle: Duration) -> Self {
        let mut this = Self::http1(stream, verdict, idle, false);
        this.shape = Shape::Http2(Frames::default());
        this
    }

    /// Goes on with another parser, which gets what the one before had not used.
    #[must_use]
    pub(crate) fn again(mut self, unused: &[u8]) -> Self {
        if !unused.is_empty() {
            self.prefix.splice(..0, unused.iter().copied());
            self.is_prefix_followed = true;
        }
        if let Shape::Http1(framing) = &mut self.shape {
            framing.rest();
        }
        self.timer = None;
        self.verdict.freeze(false);
        self
    }

    /// Whether there is something to parse without waiting for the client.
    pub(crate) fn has_prefix(&self) -> bool {
        !self.prefix.is_empty()
    }

    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    /// After the verdict says that this is HTTP/2: passes everything on, from the preface on.
    #[must_use]
    pub(crate) fn into_http2(mut self) -> Self {
        self.shape = Shape::Http2(Frames::default());
        self.preface = Preface::Past;
        self.is_prefix_followed = false;
        self
    }

    /// After the verdict says that this is not HTTP at all: the stream, and what was read of it.
    pub(crate) fn into_parts(self) -> (S, Vec<u8>) {
        (self.stream, self.prefix)
    }
}

impl<S: Abandon> ClientIo<S> {
    fn written(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let (Shape::Http2(frames), Poll::Ready(Ok(bytes))) = (&mut self.shape, &outcome) {
            frames.send(*bytes);
        }
        self.timed(cx, outcome)
    }

    fn timed<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stuck = None;
            return outcome;
        }
        let deadline = *self.stuck.get_or_insert_with(Instant::now) + self.idle;
        loop {
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
            if Instant::now() >= deadline {
                break;
            }
        }
        if self.verdict.patient.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        self.verdict.stalled.store(true, Ordering::Relaxed);
        self.stream.abandon();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientIo<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let this = &mut *self;
        // Whoever froze it looks after each poll, and needs no waking.
        if this.verdict.is_frozen() || this.verdict.wants_room() {
            return Poll::Pending;
        }
        let is_followed = this.is_prefix_followed && !this.prefix.is_empty();
        if matches!(&this.shape, Shape::Http1(framing) if framing.is_cut()) {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        ready!(this.poll_bytes(cx, buf))?;
        if this.preface == Preface::Awaited {
            ready!(this.poll_preface(cx, buf, before))?;
        }
        let framing = match &mut this.shape {
            Shape::Http1(framing) => framing,
            Shape::Http2(frames) => {
                if frames.receive(&buf.filled()[before..]) {
                    return Poll::Ready(Ok(()));
                }
                // Nothing more is read from here on. The driver looks, and says goodbye.
                this.verdict.is_flooded.store(true, Ordering::Relaxed);
                this.verdict.freeze(true);
                buf.set_filled(before);
                return Poll::Pending;
            }
        };
        if is_followed {
            framing.publish();
            return Poll::Ready(Ok(()));
        }
        let passed = framing.feed(&buf.filled()[before..]);
        if framing.wants_room() && !this.verdict.is_roomy() {
            this.verdict.ask_for_room();
            this.prefix = buf.filled()[before..before + passed].to_vec();
            this.is_prefix_followed = true;
            buf.set_filled(before);
            return Poll::Pending;
        }
        framing.publish();
        buf.set_filled(before + passed);
        if passed == 0 && framing.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> ClientIo<S> {
    fn poll_bytes(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let taken = self.prefix.len().min(buf.remaining());
        buf.put_slice(&self.prefix[..taken]);
        self.prefix.drain(..taken);
        if self.prefix.is_empty() {
            self.prefix = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Looks at the first bytes, and keeps them when they are not for HTTP/1. The driver looks after each poll.
    fn poll_preface(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>, before: usize) -> Poll<io::Result<()>> {
        let read = &buf.filled()[before..];
        if read.is_empty() || !may_be_preface(read) {
            self.preface = Preface::Past;
            return Poll::Ready(Ok(()));
        }
        let mut read = read.to_vec();
        buf.set_filled(before);
        while read.len() < PREFACE_BYTES && may_be_preface(&read) {
            let mut more = [0; PREFACE_BYTES];
            let mut more = ReadBuf::new(&mut more);
            let has_ended = match Pin::new(&mut self.stream).poll_read(cx, &mut more)? {
                Poll::Ready(()) => more.filled().is_empty(),
                Poll::Pending => {
                    self.prefix = read;
                    return Poll::Pending;
                }
            };
            if has_ended {
                break;
            }
            read.extend_from_slice(more.filled());
        }
        self.prefix = read;
        let spoken = PREFACES.iter().find(|(preface, _)| self.prefix.starts_with(*preface));
        if let Some((_, speech)) = spoken {
            self.verdict.becomes(*speech);
            return Poll::Pending;
        }
        self.preface = Preface::Past;
        self.poll_bytes(cx, buf)
    }
}

impl<S: AsyncWrite + Abandon + Unpin> AsyncWrite for ClientIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.timed(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever shuts a connection drops it next, which says the same with one call less; but for a tunnel, which may go on
        // in the other direction.
        let is_closed_next = S::CLOSES_SILENTLY && !self.verdict.is_tunnel();
        if self.verdict.is_frozen() || is_closed_next {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
