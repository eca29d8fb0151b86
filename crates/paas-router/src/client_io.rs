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
    time::{Instant, Sleep, sleep_until},
};

use crate::framing::{Framing, Verdict};

/// hyper waits for a client that does not read for as long as it is connected; this does not (slow read attacks).
pub(crate) struct ClientIo<S> {
    stream: S,
    framing: Framing,
    verdict: Arc<Verdict>,
    idle: Duration,
    /// Since when the client takes nothing.
    stuck: Option<Instant>,
    /// Made when a write is stuck for the first time; rings early when another was stuck before, and sleeps on.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> ClientIo<S> {
    pub(crate) fn new(stream: S, verdict: Arc<Verdict>, idle: Duration) -> Self {
        Self {
            stream,
            framing: Framing::new(verdict.clone()),
            verdict,
            idle,
            stuck: None,
            timer: None,
        }
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
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientIo<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let this = &mut *self;
        if this.framing.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let passed = this.framing.feed(&buf.filled()[before..]);
        buf.set_filled(before + passed);
        if passed == 0 && this.framing.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ClientIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.timed(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.timed(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.timed(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
