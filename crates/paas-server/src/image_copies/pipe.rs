//! Between streams of bytes and code that reads and writes files.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use futures_util::{StreamExt, stream};
use paas_engine::ByteStream;
use tokio::sync::mpsc;

/// Pieces on their way.
const QUEUED: usize = 8;

/// Where pieces go that a [`Reader`] reads. A feed that is dropped before [`Feed::finish`] has broken off: what was read until
/// then must not pass for the whole.
pub(super) struct Feed(mpsc::Sender<Piece>);

/// `None` is the end.
type Piece = Option<io::Result<Bytes>>;

pub(super) struct Reader {
    pieces: mpsc::Receiver<Piece>,
    piece: Bytes,
    has_ended: bool,
}

#[derive(Clone)]
pub(super) struct Writer(mpsc::Sender<io::Result<Bytes>>);

/// What is sent can be read.
pub(super) fn reader() -> (Feed, Reader) {
    let (sender, pieces) = mpsc::channel(QUEUED);
    let reader = Reader {
        pieces,
        piece: Bytes::new(),
        has_ended: false,
    };
    (Feed(sender), reader)
}

/// What is written comes out as a stream.
pub(super) fn writer() -> (Writer, ByteStream) {
    let (sender, pieces) = mpsc::channel(QUEUED);
    let stream = stream::unfold(pieces, |mut pieces| async move { Some((pieces.recv().await?, pieces)) });
    (Writer(sender), stream.boxed())
}

impl Feed {
    /// `false` when the reader went away, which says itself why.
    pub(super) async fn send(&self, piece: io::Result<Bytes>) -> bool {
        self.0.send(Some(piece)).await.is_ok()
    }

    pub(super) async fn finish(self) {
        let _ = self.0.send(None).await;
    }
}

impl Writer {
    /// The stream ends with this error.
    pub(super) fn fail(&self, error: io::Error) {
        // Whoever does not listen any more need not know.
        let _ = self.0.blocking_send(Err(error));
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.has_ended {
            match self.pieces.blocking_recv() {
                Some(Some(piece)) => self.piece = piece?,
                Some(None) => self.has_ended = true,
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it broke off")),
            }
        }
        let length = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
