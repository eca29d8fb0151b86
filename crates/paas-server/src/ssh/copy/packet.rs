//! The packets of SFTP, as bytes.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use russh::{ChannelMsg, ChannelReadHalf};

/// What OpenSSH takes.
pub(super) const LONGEST_PACKET: usize = 256 * 1024;
/// Clients have some dozens of requests on their way; who sends more than this waits for answers first.
const MOST_WAITING: usize = 4 * LONGEST_PACKET;

// Packet types (§3).
pub(super) const INIT: u8 = 1;
pub(super) const VERSION_IS: u8 = 2;
pub(super) const OPEN: u8 = 3;
pub(super) const CLOSE: u8 = 4;
pub(super) const READ: u8 = 5;
pub(super) const LSTAT: u8 = 7;
pub(super) const FSTAT: u8 = 8;
pub(super) const REALPATH: u8 = 16;
pub(super) const STAT: u8 = 17;
pub(super) const STATUS: u8 = 101;
pub(super) const HANDLE: u8 = 102;
pub(super) const DATA: u8 = 103;
pub(super) const NAME: u8 = 104;
pub(super) const ATTRS: u8 = 105;
pub(super) const EXTENDED: u8 = 200;
pub(super) const EXTENDED_REPLY: u8 = 201;

/// A packet that cannot be understood: the end of the channel.
pub(super) struct Nonsense;

/// How a request ended (§7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok = 0,
    EndOfFile = 1,
    NoSuchFile = 2,
    PermissionDenied = 3,
    Failure = 4,
    Unsupported = 8,
}

/// What the client asks for, one packet after the other.
pub(super) struct Requests {
    reader: ChannelReadHalf,
    received: BytesMut,
    /// They ask for nothing more, and wait for the answers.
    has_ended: bool,
}

impl Requests {
    pub(super) fn new(reader: ChannelReadHalf) -> Self {
        Self {
            reader,
            received: BytesMut::new(),
            has_ended: false,
        }
    }

    /// The next packet; `None` when there will be none.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(packet) = packet(&mut self.received).ok()? {
                return Some(packet);
            }
            if self.has_ended || !self.hear().await {
                return None;
            }
        }
    }

    /// Waits until the channel is closed.
    pub(super) async fn closed(&mut self) {
        while self.received.len() < MOST_WAITING {
            if !self.hear().await {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Takes in what comes next; `false` when the channel is closed.
    async fn hear(&mut self) -> bool {
        match self.reader.wait().await {
            Some(ChannelMsg::Data { data }) => self.received.extend_from_slice(&data),
            Some(ChannelMsg::Eof) => self.has_ended = true,
            Some(ChannelMsg::Close) | None => return false,
            Some(_) => {}
        }
        true
    }
}

/// The next packet that has come whole.
fn packet(received: &mut BytesMut) -> Result<Option<Bytes>, Nonsense> {
    let Some(length) = received.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if length > LONGEST_PACKET {
        return Err(Nonsense);
    }
    if received.len() < 4 + length {
        return Ok(None);
    }
    received.advance(4);
    Ok(Some(received.split_to(length).freeze()))
}

pub(super) fn take_bytes(packet: &mut Bytes) -> Result<Bytes, Nonsense> {
    let length = packet.try_get_u32().map_err(|_| Nonsense)? as usize;
    if packet.len() < length {
        return Err(Nonsense);
    }
    Ok(packet.split_to(length))
}

pub(super) fn text(packet: &mut Bytes) -> Result<String, Nonsense> {
    String::from_utf8(take_bytes(packet)?.to_vec()).map_err(|_| Nonsense)
}

pub(super) fn handle(packet: &mut Bytes) -> Result<u32, Nonsense> {
    let bytes = take_bytes(packet)?;
    Ok(u32::from_be_bytes(bytes.as_ref().try_into().map_err(|_| Nonsense)?))
}

pub(super) fn put_bytes(answer: &mut BytesMut, bytes: &[u8]) {
    // Nothing here is longer than a packet may be.
    answer.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    answer.put_slice(bytes);
}

pub(super) fn put_status(answer: &mut BytesMut, id: u32, status: Status) {
    answer.put_u8(STATUS);
    answer.put_u32(id);
    answer.put_u32(status as u32);
    put_bytes(answer, status.words().as_bytes());
    put_bytes(answer, b"en");
}

impl Status {
    const fn words(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::EndOfFile => "end of file",
            Self::NoSuchFile => "no such file in the dyno",
            Self::PermissionDenied => "not allowed: files can be read, where the dyno's own user may",
            Self::Failure => "that did not work: is it a file?",
            Self::Unsupported => "files can be read, and nothing else",
        }
    }
}
