//! How the hook and the server speak: frames of a type (one byte), a length (four bytes, big endian) and a payload.
//!
//! ```text
//! hook ─▶ server   Hello{json}                Source{tar bytes}…  SourceEnd
//! server ─▶ hook                Output… Ready                                Output{bytes}…  Accepted | Rejected
//! ```
//! The server may reject at any time; nothing follows that.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// No frame is larger; whoever announces a larger one is not ours.
pub(crate) const MAXIMUM_BYTES: usize = 256 * 1024;

const HEADER_BYTES: usize = 5;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    Hello(Vec<u8>),
    /// It is this push's turn.
    Ready,
    Source(Vec<u8>),
    SourceEnd,
    Output(Vec<u8>),
    /// The ref may move.
    Accepted,
    Rejected,
}

/// What the hook says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Which push this is: the server knows its app and its account.
    pub(crate) push: uuid::Uuid,
    pub(crate) reference: String,
    /// What the ref pointed at when the push began; `None` where there was no such ref.
    pub(crate) old_commit: Option<String>,
    pub(crate) commit: String,
    pub(crate) subject: String,
}

impl Frame {
    pub(crate) fn read_from(reader: &mut impl Read) -> io::Result<Self> {
        let mut header = [0; HEADER_BYTES];
        reader.read_exact(&mut header)?;
        let mut payload = vec![0; payload_bytes(header)?];
        reader.read_exact(&mut payload)?;
        Self::from_parts(header[0], payload)
    }

    pub(crate) fn write_to(&self, writer: &mut impl Write) -> io::Result<()> {
        let (header, payload) = self.to_parts()?;
        writer.write_all(&header)?;
        writer.write_all(payload)
    }

    pub(crate) async fn receive(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut header = [0; HEADER_BYTES];
        reader.read_exact(&mut header).await?;
        let mut payload = vec![0; payload_bytes(header)?];
        reader.read_exact(&mut payload).await?;
        Self::from_parts(header[0], payload)
    }

    pub(crate) async fn send(&self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let (header, payload) = self.to_parts()?;
        writer.write_all(&header).await?;
        writer.write_all(payload).await
    }

    fn to_parts(&self) -> io::Result<([u8; HEADER_BYTES], &[u8])> {
        let (kind, payload): (u8, &[u8]) = match self {
            Self::Hello(payload) => (1, payload),
            Self::Source(payload) => (2, payload),
            Self::SourceEnd => (3, &[]),
            Self::Output(payload) => (4, payload),
            Self::Accepted => (5, &[]),
            Self::Rejected => (6, &[]),
            Self::Ready => (7, &[]),
        };
        let length = u32::try_from(payload.len())
            .ok()
            .filter(|_| payload.len() <= MAXIMUM_BYTES)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "frame is too large"))?;
        let [a, b, c, d] = length.to_be_bytes();
        Ok(([kind, a, b, c, d], payload))
    }

    fn from_parts(kind: u8, payload: Vec<u8>) -> io::Result<Self> {
        match (kind, payload.is_empty()) {
            (1, _) => Ok(Self::Hello(payload)),
            (2, _) => Ok(Self::Source(payload)),
            (3, true) => Ok(Self::SourceEnd),
            (4, _) => Ok(Self::Output(payload)),
            (5, true) => Ok(Self::Accepted),
            (6, true) => Ok(Self::Rejected),
            (7, true) => Ok(Self::Ready),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "unknown frame")),
        }
    }
}

fn payload_bytes([_, a, b, c, d]: [u8; HEADER_BYTES]) -> io::Result<usize> {
    usize::try_from(u32::from_be_bytes([a, b, c, d]))
        .ok()
        .filter(|length| *length <= MAXIMUM_BYTES)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "frame is too large"))
}

/// Sends what is written to it as [`Frame::Source`].
pub(crate) struct SourceWriter<W>(pub(crate) W);

impl<W: Write> Write for SourceWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(MAXIMUM_BYTES)];
        Frame::Source(bytes.to_vec()).write_to(&mut self.0)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_arrive_as_they_were_sent_either_way() {
        let frames = [
            Frame::Hello(b"{}".to_vec()),
            Frame::Ready,
            Frame::Source(vec![7; MAXIMUM_BYTES]),
            Frame::SourceEnd,
            Frame::Output(Vec::new()),
            Frame::Accepted,
            Frame::Rejected,
        ];
        let mut blocking = Vec::new();
        let mut asynchronous = Vec::new();
        for frame in &frames {
            frame.write_to(&mut blocking).unwrap();
            frame.send(&mut asynchronous).await.unwrap();
        }
        assert_eq!(blocking, asynchronous);
        let (mut blocking, mut asynchronous) = (&blocking[..], &asynchronous[..]);
        for frame in frames {
            assert_eq!(Frame::read_from(&mut blocking).unwrap(), frame);
            assert_eq!(Frame::receive(&mut asynchronous).await.unwrap(), frame);
        }
    }

    #[test]
    fn what_is_no_frame_is_refused_before_it_is_read() {
        for bytes in [
            &[9, 0, 0, 0, 0][..],
            &[5, 0, 0, 0, 1, b'x'],
            &[2, 0xff, 0xff, 0xff, 0xff],
            &[2, 0, 0, 0, 5, b'x'],
            &[2, 0],
        ] {
            assert!(Frame::read_from(&mut &bytes[..]).is_err(), "{bytes:?}");
        }
        assert!(
            Frame::Output(vec![0; MAXIMUM_BYTES + 1])
                .write_to(&mut Vec::new())
                .is_err()
        );
    }
}
