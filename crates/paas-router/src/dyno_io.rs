//! The byte stream of a dyno, as hyper gets it.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes};
use rustix::net::sockopt;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// What is shorter than a segment may be a part of what the dyno has to say.
const SEGMENT_BYTES: usize = 1200;

/// Tells the dyno at once that a piece came, when more is to come.
///
/// Until it knows, the kernel of a dyno that writes in small pieces keeps the next one back (RFC 896), and ours waits 40 ms for
/// something to say it with (RFC 1122 §4.2.3.2). Servers that write a head and a body one after the other are many.
pub(crate) fn acknowledge(stream: &TcpStream, piece: usize) {
    if piece < SEGMENT_BYTES {
        // Only a hint: a socket without it is slower.
        let _ = sockopt::set_tcp_quickack(stream, true);
    }
}

pub(crate) struct DynoIo {
    stream: TcpStream,
    /// What had been read before hyper came.
    prefix: Bytes,
    sent: Option<Sent>,
}

/// A request went out before hyper came, which does not know it: what it writes is thrown away.
struct Sent {
    is_over: Arc<AtomicBool>,
    /// hyper takes for nonsense what it reads before it has written.
    has_written: bool,
    reader: Option<Waker>,
}

impl DynoIo {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            prefix: Bytes::new(),
            sent: None,
        }
    }

    /// A connection on which a request was sent, and this much of the response has come. hyper is to send the same request;
    /// that it has an answer is to be said in `is_over`.
    pub(crate) fn again(stream: TcpStream, prefix: Bytes, is_over: Arc<AtomicBool>) -> Self {
        Self {
            stream,
            prefix,
            sent: Some(Sent {
                is_over,
                has_written: false,
                reader: None,
            }),
        }
    }

    /// Whether what is written was sent before.
    fn is_sent(&mut self) -> bool {
        let Some(sent) = &mut self.sent else {
            return false;
        };
        if sent.is_over.load(Relaxed) {
            self.sent = None;
            return false;
        }
        sent.has_written = true;
        if let Some(reader) = sent.reader.take() {
            reader.wake();
        }
        true
    }
}

impl AsyncRead for DynoIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(sent) = &mut this.sent
            && !sent.has_written
        {
            sent.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if this.prefix.is_empty() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            acknowledge(&this.stream, buf.filled().len() - before);
            return Poll::Ready(Ok(()));
        }
        let taken = this.prefix.len().min(buf.remaining());
        buf.put_slice(&this.prefix[..taken]);
        this.prefix.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for DynoIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_sent() {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_sent() {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
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
