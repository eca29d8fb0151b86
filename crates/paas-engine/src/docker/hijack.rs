//! Connections that Docker hands over: the streams of a container, or of a program in one, byte for byte.
//!
//! The library guesses from the first byte of a chunk whether output comes in frames. What a program says on a terminal may
//! begin with any byte, so these streams are read here, by what the container is known to have: with a terminal they are
//! raw, without one each piece has a head of eight bytes (Docker Engine API, *Attach to a container*, "Stream format").

use std::io;

use bollard::errors::Error;
use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use super::{DockerEngine, TIMEOUT};
use crate::{Output, OutputStream};

/// The largest head of an answer; Docker's have some hundred bytes.
const MAXIMUM_HEAD: usize = 16 * 1024;
/// Far more than ten thousand containers and images.
const MAXIMUM_BODY: usize = 256 * 1024 * 1024;
/// As much as is handed on at once.
const CHUNK_BYTES: usize = 32 * 1024;
/// `[stream, 0, 0, 0, length as u32]`
const FRAME_HEAD: usize = 8;
const STDERR: u8 = 2;

/// What a container says, and what it hears. Shutting the input down is the end of its input.
pub(super) struct Hijacked {
    pub(super) input: OwnedWriteHalf,
    pub(super) output: HijackedOutput,
}

pub(super) struct HijackedOutput {
    source: OwnedReadHalf,
    /// Read, and not yet handed on.
    buffer: BytesMut,
    framing: Framing,
}

enum Framing {
    Raw,
    Head,
    Payload { stream: OutputStream, left: usize },
}

impl DockerEngine {
    /// Posts `body` to `path`, and takes over the connection that Docker answers with.
    pub(super) async fn hijack(&self, path: &str, body: &str, has_terminal: bool) -> Result<Hijacked, Error> {
        let asking = async {
            let mut connection = UnixStream::connect(&self.address).await?;
            let request = format!(
                "POST /v{}{path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                self.docker.client_version(),
                body.len()
            );
            connection.write_all(request.as_bytes()).await?;
            let (status, rest) = answer(&mut connection).await?;
            // Without the two headers Docker would say 200; some versions do so with them.
            if !matches!(status, 101 | 200) {
                return Err(refusal(status, connection, rest).await);
            }
            let (source, input) = connection.into_split();
            let framing = if has_terminal { Framing::Raw } else { Framing::Head };
            let output = HijackedOutput {
                source,
                buffer: rest,
                framing,
            };
            Ok(Hijacked { input, output })
        };
        timeout(TIMEOUT, asking)
            .await
            .unwrap_or(Err(Error::RequestTimeoutError))
    }

    /// Gets `path`, whole. In HTTP/1.0, which has one end of an answer: that of the connection.
    pub(super) async fn ask(&self, path: &str) -> Result<BytesMut, Error> {
        let mut connection = UnixStream::connect(&self.address).await?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        let (status, mut body) = answer(&mut connection).await?;
        if status != 200 {
            return Err(refusal(status, connection, body).await);
        }
        while body.len() < MAXIMUM_BODY {
            if connection.read_buf(&mut body).await? == 0 {
                return Ok(body);
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "an answer without an end").into())
    }
}

/// The status of the answer, and what was read behind its head.
async fn answer(connection: &mut UnixStream) -> io::Result<(u16, BytesMut)> {
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let mut buffer = BytesMut::new();
    loop {
        if let Some(end) = buffer.windows(4).position(|end| end == b"\r\n\r\n") {
            let head = buffer.split_to(end + 4);
            let head = String::from_utf8_lossy(&head);
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
            return Ok((status.ok_or_else(|| bad("an answer without a status"))?, buffer));
        }
        if buffer.len() > MAXIMUM_HEAD {
            return Err(bad("the head of an answer has no end"));
        }
        if connection.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Docker's own words: `{"message": "…"}`. It closes the connection behind them, or says nothing more.
async fn refusal(status: u16, mut connection: UnixStream, mut body: BytesMut) -> Error {
    let brief = std::time::Duration::from_secs(1);
    while body.len() < MAXIMUM_HEAD && !body.ends_with(b"}\n") {
        match timeout(brief, connection.read_buf(&mut body)).await {
            Ok(Ok(1..)) => {}
            _ => break,
        }
    }
    let text = String::from_utf8_lossy(&body);
    // A chunked body has a length before and behind: the object is what counts.
    let object = text.find('{').and_then(|start| text.get(start..=text.rfind('}')?));
    let message = object.and_then(message_of);
    Error::DockerResponseServerError {
        status_code: status,
        message: message.unwrap_or_else(|| text.trim().to_owned()),
    }
}

fn message_of(object: &str) -> Option<String> {
    let value = object.split_once("\"message\":\"")?.1;
    Some(value.rsplit_once("\"}")?.0.replace("\\\"", "\"").replace("\\n", "\n"))
}

impl HijackedOutput {
    /// What comes, until the other side has said all.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Output, Error>> {
        stream::try_unfold(self, |mut output| async move {
            Ok(output.next().await?.map(|next| (next, output)))
        })
    }

    async fn next(&mut self) -> io::Result<Option<Output>> {
        loop {
            if let Some(output) = self.take() {
                return Ok(Some(output));
            }
            self.buffer.reserve(CHUNK_BYTES);
            if self.source.read_buf(&mut self.buffer).await? == 0 {
                // Docker writes whole frames: one that breaks off is lost output, and no end.
                return if self.is_between_frames() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    /// Of a terminal nobody knows.
    fn is_between_frames(&self) -> bool {
        match self.framing {
            Framing::Raw => true,
            Framing::Head => self.buffer.is_empty(),
            Framing::Payload { left, .. } => left == 0,
        }
    }

    /// What can be handed on of what was read.
    fn take(&mut self) -> Option<Output> {
        loop {
            match self.framing {
                Framing::Raw => {
                    let bytes = some(&mut self.buffer, usize::MAX)?;
                    let stream = OutputStream::Stdout;
                    return Some(Output { stream, bytes });
                }
                Framing::Head => {
                    if self.buffer.len() < FRAME_HEAD {
                        return None;
                    }
                    let stream = match self.buffer[0] {
                        STDERR => OutputStream::Stderr,
                        _ => OutputStream::Stdout,
                    };
                    self.buffer.advance(FRAME_HEAD / 2);
                    let left = usize::try_from(self.buffer.get_u32()).unwrap_or(usize::MAX);
                    self.framing = Framing::Payload { stream, left };
                }
                Framing::Payload { left: 0, .. } => self.framing = Framing::Head,
                Framing::Payload { stream, left } => {
                    let bytes = some(&mut self.buffer, left)?;
                    let left = left - bytes.len();
                    self.framing = Framing::Payload { stream, left };
                    return Some(Output { stream, bytes });
                }
            }
        }
    }
}

fn some(buffer: &mut BytesMut, most: usize) -> Option<Bytes> {
    let length = buffer.len().min(most).min(CHUNK_BYTES);
    (length > 0).then(|| buffer.split_to(length).freeze())
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;

    /// What is read of these pieces.
    async fn read(framing: Framing, pieces: &[&[u8]]) -> Vec<(OutputStream, Vec<u8>)> {
        let mut said: Vec<(OutputStream, Vec<u8>)> = Vec::new();
        for Output { stream, bytes } in try_read(framing, pieces).await.unwrap() {
            match said.last_mut() {
                Some((last, text)) if *last == stream => text.extend_from_slice(&bytes),
                _ => said.push((stream, bytes.to_vec())),
            }
        }
        said
    }

    async fn try_read(framing: Framing, pieces: &[&[u8]]) -> Result<Vec<Output>, Error> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (source, _input) = ours.into_split();
        let output = HijackedOutput {
            source,
            buffer: BytesMut::new(),
            framing,
        };
        let write = async {
            let mut theirs = theirs;
            for piece in pieces {
                theirs.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (read, ()) = tokio::join!(output.into_stream().try_collect::<Vec<_>>(), write);
        read
    }

    #[tokio::test]
    async fn what_breaks_off_inside_a_frame_is_no_end() {
        for whole in [&b""[..], b"\x01\0\0\0\0\0\0\x01a", b"\x01\0\0\0\0\0\0\0"] {
            assert!(try_read(Framing::Head, &[whole]).await.is_ok(), "{whole:?}");
        }
        for cut in [&b"\x01\0\0"[..], b"\x01\0\0\0\0\0\0\x02", b"\x01\0\0\0\0\0\0\x02a"] {
            assert!(try_read(Framing::Head, &[cut]).await.is_err(), "{cut:?}");
        }
    }

    #[tokio::test]
    async fn a_terminal_may_say_any_byte() {
        let said = read(Framing::Raw, &[&[1, 0, 0], &[0, 0, 0, 0, 200, 2], b"x"]).await;
        assert_eq!(said, [(OutputStream::Stdout, vec![1, 0, 0, 0, 0, 0, 0, 200, 2, b'x'])]);
    }

    #[tokio::test]
    async fn frames_are_put_together_wherever_they_break() {
        let said = read(
            Framing::Head,
            &[&[1, 0, 0, 0, 0], &[0, 0, 3, b'a'], b"bc\x02\0\0\0\0\0\0\x02e", b"f"],
        )
        .await;
        assert_eq!(
            said,
            [
                (OutputStream::Stdout, b"abc".to_vec()),
                (OutputStream::Stderr, b"ef".to_vec())
            ]
        );
    }

    #[test]
    fn a_refusal_is_read_in_its_own_words() {
        assert_eq!(
            message_of(r#"{"message":"Container \"x\" is not running"}"#).as_deref(),
            Some("Container \"x\" is not running")
        );
    }
}
