//! HTTP/2 by the byte: frames as they come to mind, right or wrong.

use std::collections::BTreeMap;

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use crate::support::{DEADLINE, World};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
/// A whole request without a body.
pub(crate) const WHOLE: u8 = END_STREAM | END_HEADERS;

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const STREAM_CLOSED: u32 = 5;
pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const COMPRESSION_ERROR: u32 = 9;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// No header of an answer is put into the table of the decoder that we do not have, and nothing is pushed.
const OUR_SETTINGS: &[(u16, u32)] = &[(1, 0), (2, 0)];
const PROBE: &[u8; 8] = b"is alive";

/// One connection.
pub(crate) struct Wire {
    reader: Reader,
    write: OwnedWriteHalf,
    pub(crate) heard: Heard,
}

struct Reader {
    read: OwnedReadHalf,
    unread: BytesMut,
}

/// What the router has said so far.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) statuses: BTreeMap<u32, u16>,
    pub(crate) resets: BTreeMap<u32, u32>,
    /// Bytes of bodies.
    pub(crate) bytes: BTreeMap<u32, usize>,
    pub(crate) ended: Vec<u32>,
    pub(crate) goaway: Option<u32>,
    pub(crate) settings: Vec<(u16, u32)>,
    pub(crate) is_closed: bool,
    is_answered: bool,
}

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Wire {
    /// With preface and settings.
    pub(crate) async fn open(world: &World) -> Self {
        let mut wire = Self::silent(world).await;
        wire.send(PREFACE).await;
        wire.send(&settings(OUR_SETTINGS)).await;
        wire
    }

    /// Without a byte.
    pub(crate) async fn silent(world: &World) -> Self {
        let stream = TcpStream::connect(world.addresses.http).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (read, write) = stream.into_split();
        let heard = Heard::default();
        let unread = BytesMut::new();
        Self {
            reader: Reader { read, unread },
            write,
            heard,
        }
    }

    /// The router may have closed already, and that is for the test to find out by what it reads.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(DEADLINE, self.write.write_all(bytes)).await, Ok(Ok(())))
    }

    /// Sends the same bytes until the router has enough of them, or `times` times. Reads meanwhile: who does not is stuck.
    pub(crate) async fn flood(&mut self, times: usize, mut next: impl FnMut(usize) -> Vec<u8>) -> usize {
        let Self { reader, write, heard } = self;
        let writing = async {
            for time in 0..times {
                if !matches!(timeout(DEADLINE, write.write_all(&next(time))).await, Ok(Ok(()))) {
                    return time;
                }
            }
            times
        };
        let mut writing = std::pin::pin!(writing);
        loop {
            tokio::select! {
                sent = &mut writing => return sent,
                frame = reader.frame(), if !heard.is_closed => heard.take(frame),
            }
        }
    }

    /// Reads until this is true of what was heard.
    pub(crate) async fn until(&mut self, mut is_enough: impl FnMut(&Heard) -> bool) -> &Heard {
        while !is_enough(&self.heard) && !self.heard.is_closed {
            let frame = timeout(DEADLINE, self.reader.frame()).await;
            self.heard
                .take(frame.unwrap_or_else(|_| panic!("in time, after {:?}", self.heard)));
        }
        &self.heard
    }

    /// Reads until the router closes the connection.
    pub(crate) async fn until_closed(&mut self) -> &Heard {
        self.until(|_| false).await
    }

    /// Reads until the router closes the connection, whatever it says there.
    pub(crate) async fn drain(&mut self) {
        let reading = async {
            let mut bytes = Vec::new();
            // A reset is an end, too.
            let _ = self.reader.read.read_to_end(&mut bytes).await;
        };
        timeout(DEADLINE, reading).await.expect("the router closes");
    }

    /// Reads until the router has answered, with whatever, what was sent before; or has closed.
    pub(crate) async fn settle(&mut self) -> &Heard {
        self.heard.is_answered = false;
        self.send(&frame_of(PING, 0, 0, PROBE)).await;
        self.until(|heard| heard.is_answered).await
    }

    /// The status of a stream, if it is not reset before.
    pub(crate) async fn status(&mut self, stream: u32) -> Option<u16> {
        self.until(|heard| heard.statuses.contains_key(&stream) || heard.resets.contains_key(&stream))
            .await;
        self.heard.statuses.get(&stream).copied()
    }

    /// Whether a whole request of an honest client still is served here.
    pub(crate) async fn get(&mut self, stream: u32, path: &str) -> Option<u16> {
        self.send(&request(stream, path)).await;
        self.status(stream).await
    }
}

impl Heard {
    fn take(&mut self, frame: Option<Frame>) {
        let Some(frame) = frame else {
            self.is_closed = true;
            return;
        };
        let word = |at: usize| {
            let bytes = frame.payload.get(at..at + 4).expect("a whole number");
            u32::from_be_bytes(bytes.try_into().expect("four bytes"))
        };
        match frame.kind {
            HEADERS => {
                if let Some(status) = status(&frame.payload) {
                    self.statuses.insert(frame.stream, status);
                }
            }
            DATA => *self.bytes.entry(frame.stream).or_default() += frame.payload.len(),
            RST_STREAM => {
                self.resets.insert(frame.stream, word(0));
            }
            GOAWAY => self.goaway = Some(word(4)),
            PING if frame.flags & ACK != 0 && frame.payload == PROBE => self.is_answered = true,
            SETTINGS => self.settings.extend(
                frame
                    .payload
                    .as_chunks::<6>()
                    .0
                    .iter()
                    .map(|[a, b, c, d, e, f]| (u16::from_be_bytes([*a, *b]), u32::from_be_bytes([*c, *d, *e, *f]))),
            ),
            _ => {}
        }
        if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
            self.ended.push(frame.stream);
        }
    }
}

impl Reader {
    /// `None` at the end of the connection, however it ended. Dropped before its end, it has lost nothing.
    async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.whole() {
                return Some(frame);
            }
            if self.read.read_buf(&mut self.unread).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    fn whole(&mut self) -> Option<Frame> {
        let [a, b, c, kind, flags, stream @ ..] = *self.unread.first_chunk::<9>()?;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
        if self.unread.len() < 9 + length {
            return None;
        }
        let payload = self.unread.split_to(9 + length)[9..].to_vec();
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
            payload,
        })
    }
}

/// The status is the first header of every answer (RFC 9113 §8.3); nothing else is decoded (RFC 7541).
fn status(block: &[u8]) -> Option<u16> {
    const STATIC: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    let mut block = block;
    // Changes of the table's size come first.
    while let [0x20..=0x3f, rest @ ..] = block {
        block = rest;
    }
    match block {
        [index @ 0x88..=0x8e, ..] => Some(STATIC[usize::from(index - 0x88)]),
        // A literal with the name at index 8, with or without indexing; the value plain, or digits in Huffman's code.
        [0x48 | 0x08 | 0x18, length, value @ ..] => {
            let value = value.get(..usize::from(length & 0x7f))?;
            if length & 0x80 == 0 {
                std::str::from_utf8(value).ok()?.parse().ok()
            } else {
                digits(value).parse().ok()
            }
        }
        _ => None,
    }
}

/// `0` to `2` have five bits, the other digits six (RFC 7541, appendix B); a status has three of them.
fn digits(coded: &[u8]) -> String {
    let bits = coded.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
    let (mut left, mut text) = (coded.len() * 8, String::new());
    let next = |left: usize, length: usize| Some(bits >> left.checked_sub(length)? & ((1 << length) - 1));
    loop {
        let (digit, length) = match (next(left, 5), next(left, 6)) {
            (Some(five @ 0..=2), _) => (five, 5),
            (_, Some(six @ 0x19..=0x1f)) => (six - 0x19 + 3, 6),
            _ => return text,
        };
        text.push(char::from_digit(digit, 10).expect("a digit"));
        left -= length;
    }
}

pub(crate) fn frame_of(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

pub(crate) fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = settings
        .iter()
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    frame_of(SETTINGS, 0, 0, &payload)
}

/// A header block of literals that are never indexed and never coded: every byte is as it is written.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(text.len(), &mut block);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// With a prefix of seven bits (RFC 7541 §5.1).
fn integer(mut number: usize, block: &mut Vec<u8>) {
    if number < 127 {
        block.push(number.to_le_bytes()[0]);
        return;
    }
    block.push(127);
    number -= 127;
    while number >= 128 {
        block.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    block.push(number.to_le_bytes()[0]);
}

/// The headers that every request has.
pub(crate) fn pseudo<'a>(method: &'a str, path: &'a str) -> [(&'static str, &'a str); 4] {
    [
        (":method", method),
        (":scheme", "http"),
        (":authority", crate::support::HOST),
        (":path", path),
    ]
}

/// A whole `GET`.
pub(crate) fn request(stream: u32, path: &str) -> Vec<u8> {
    frame_of(HEADERS, WHOLE, stream, &block(&pseudo("GET", path)))
}

/// The head of a `POST` with these headers besides.
pub(crate) fn post(stream: u32, more: &[(&str, &str)]) -> Vec<u8> {
    let fields = [&pseudo("POST", "/attack"), more].concat();
    frame_of(HEADERS, END_HEADERS, stream, &block(&fields))
}
