//! Whether a dyno that is spoken to in HTTP/2 answers in it.
//!
//! A server of HTTP/1.1 takes the preface for a request, and refuses it in its own words or just closes. A server of HTTP/2
//! begins with `SETTINGS`, whatever it thinks of the request (RFC 9113 §3.4).

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Where the type is in the header of a frame.
const TYPE: usize = 3;
const SETTINGS: u8 = 4;

/// What was heard from the dyno, for all who use its connection.
#[derive(Clone, Default)]
pub(crate) struct Greeting(Arc<AtomicBool>);

impl Greeting {
    /// Whether the dyno has begun to speak HTTP/2.
    pub(crate) fn is_heard(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// A connection whose first bytes are looked at.
pub(crate) struct Greeted {
    stream: TcpStream,
    greeting: Greeting,
    read: usize,
}

impl Greeted {
    pub(crate) fn new(stream: TcpStream, greeting: Greeting) -> Self {
        let read = 0;
        Self { stream, greeting, read }
    }
}

impl AsyncRead for Greeted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if self.read <= TYPE {
            let read = &buf.filled()[before..];
            if read.get(TYPE - self.read) == Some(&SETTINGS) {
                self.greeting.0.store(true, Relaxed);
            }
            self.read += read.len();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Greeted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
