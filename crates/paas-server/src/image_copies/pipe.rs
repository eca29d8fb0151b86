//! Between streams of bytes and code that reads and writes files.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use futures_util::{StreamExt, stream};
use paas_engine::ByteStream;
use tokio::sync::mpsc;

/// Pieces on their way.
const QUEUED: usize = 8;

pub(super) struct Reader {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

#[derive(Clone)]
pub(super) struct Writer(mpsc::Sender<io::Result<Bytes>>);

/// What is sent can be read.
pub(super) fn reader() -> (mpsc::Sender<io::Result<Bytes>>, Reader) {
    let (sender, pieces) = mpsc::channel(QUEUED);
    let reader = Reader {
        pieces,
        piece: Bytes::new(),
    };
    (sender, reader)
}

/// What is written comes out as a stream.
pub(super) fn writer() -> (Writer, ByteStream) {
    let (sender, pieces) = mpsc::channel(QUEUED);
    let stream = stream::unfold(pieces, |mut pieces| async move { Some((pieces.recv().await?, pieces)) });
    (Writer(sender), stream.boxed())
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
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
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
