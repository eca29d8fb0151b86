//! Files out of a dyno: as much of SFTP (draft-ietf-secsh-filexfer-02) as a client needs that reads them.
//!
//! Files are read by programs of the dyno, as its own user: what they may not read nobody gets. Clients ask for one piece after
//! the other and do not wait in between, so a file is read once, from its beginning; whoever jumps begins anew from there.

use std::collections::HashMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use paas_engine::{ExecSpec, Output, OutputStream};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, server::Msg};
use tokio::sync::mpsc;

use super::program::{Admission, Running};

/// Of a packet, and of a piece of a file; what OpenSSH takes.
const LONGEST_PACKET: usize = 256 * 1024;
const MOST_FILES: usize = 16;
/// More is no size of a file.
const LONGEST_ANSWER: usize = 256;
const VERSION: u32 = 3;

// Packet types (§3).
const INIT: u8 = 1;
const VERSION_IS: u8 = 2;
const OPEN: u8 = 3;
const CLOSE: u8 = 4;
const READ: u8 = 5;
const LSTAT: u8 = 7;
const FSTAT: u8 = 8;
const REALPATH: u8 = 16;
const STAT: u8 = 17;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;

/// Of an `OPEN` (§6.3).
const FOR_READING: u32 = 1;
/// Which attributes come (§5).
const HAS_SIZE: u32 = 1;
const HAS_PERMISSIONS: u32 = 4;
const REGULAR_FILE: u32 = 0o100_644;
const FOLDER: u32 = 0o040_755;

/// `$0` is the path; says what it is, and how many bytes long.
const LOOK: &str = r#"[ -e "$0" ] || exit 2; if [ -d "$0" ]; then echo folder; exit; fi; [ -r "$0" ] || exit 3; stat -L -c %s -- "$0""#;
/// From the byte with the number `$1` on, counted from 1.
const CONTENTS: &str = r#"exec tail -c "+$1" -- "$0""#;

/// How a request ended (§7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Ok = 0,
    EndOfFile = 1,
    NoSuchFile = 2,
    PermissionDenied = 3,
    Failure = 4,
    Unsupported = 8,
}

/// A packet that cannot be understood: the end of the channel.
struct Nonsense;

struct File {
    path: String,
    /// Where the next byte of `source` belongs.
    position: u64,
    source: Option<Running>,
    /// What was read and not asked for yet.
    read: BytesMut,
}

#[derive(Clone, Copy)]
enum Kind {
    File(u64),
    Folder,
}

/// Answers until the channel ends.
pub(super) async fn serve(admission: &Admission, mut reader: ChannelReadHalf, writer: &ChannelWriteHalf<Msg>) {
    let mut files = Files {
        admission,
        open: HashMap::new(),
        next: 0,
    };
    let mut received = BytesMut::new();
    while let Some(message) = reader.wait().await {
        match message {
            ChannelMsg::Data { data } => received.extend_from_slice(&data),
            ChannelMsg::Eof | ChannelMsg::Close => return,
            _ => continue,
        }
        loop {
            let packet = match packet(&mut received) {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(Nonsense) => return,
            };
            let Ok(answer) = files.answer(packet).await else { return };
            let mut framed = BytesMut::with_capacity(answer.len() + 4);
            put_bytes(&mut framed, &answer);
            if writer.data_bytes(framed.freeze()).await.is_err() {
                return;
            }
        }
    }
}

struct Files<'a> {
    admission: &'a Admission,
    open: HashMap<u32, File>,
    next: u32,
}

impl Files<'_> {
    async fn answer(&mut self, mut packet: Bytes) -> Result<BytesMut, Nonsense> {
        let kind = packet.try_get_u8().map_err(|_| Nonsense)?;
        let id = packet.try_get_u32().map_err(|_| Nonsense)?;
        let mut answer = BytesMut::new();
        if kind == INIT {
            answer.put_u8(VERSION_IS);
            answer.put_u32(VERSION);
            return Ok(answer);
        }
        let ended = match kind {
            OPEN => {
                let path = text(&mut packet)?;
                let flags = packet.try_get_u32().map_err(|_| Nonsense)?;
                self.open(id, path, flags, &mut answer).await
            }
            CLOSE => {
                let handle = handle(&mut packet)?;
                self.open.remove(&handle).map(|_| Status::Ok).ok_or(Status::Failure)
            }
            READ => {
                let handle = handle(&mut packet)?;
                let offset = packet.try_get_u64().map_err(|_| Nonsense)?;
                let length = packet.try_get_u32().map_err(|_| Nonsense)? as usize;
                self.read(id, handle, offset, length, &mut answer).await
            }
            STAT | LSTAT => {
                let path = text(&mut packet)?;
                self.look(id, path, &mut answer).await
            }
            FSTAT => {
                let handle = handle(&mut packet)?;
                match self.open.get(&handle).map(|file| file.path.clone()) {
                    Some(path) => self.look(id, path, &mut answer).await,
                    None => Err(Status::Failure),
                }
            }
            REALPATH => {
                let path = text(&mut packet)?;
                answer.put_u8(NAME);
                answer.put_u32(id);
                answer.put_u32(1);
                // Programs of a dyno begin in its home: a path that begins nowhere begins there for them, too.
                put_bytes(&mut answer, path.as_bytes());
                put_bytes(&mut answer, path.as_bytes());
                answer.put_u32(0);
                Ok(Status::Ok)
            }
            _ => Err(Status::Unsupported),
        };
        if answer.is_empty() {
            let (Ok(status) | Err(status)) = ended;
            put_status(&mut answer, id, status);
        }
        Ok(answer)
    }

    async fn open(&mut self, id: u32, path: String, flags: u32, answer: &mut BytesMut) -> Result<Status, Status> {
        if flags != FOR_READING {
            return Err(Status::PermissionDenied);
        }
        if self.open.len() >= MOST_FILES {
            return Err(Status::Failure);
        }
        let Kind::File(_) = look(self.admission, &path).await? else {
            return Err(Status::Failure);
        };
        let number = self.next;
        self.next += 1;
        let file = File {
            path,
            position: 0,
            source: None,
            read: BytesMut::new(),
        };
        self.open.insert(number, file);
        answer.put_u8(HANDLE);
        answer.put_u32(id);
        put_bytes(answer, &number.to_be_bytes());
        Ok(Status::Ok)
    }

    async fn read(
        &mut self,
        id: u32,
        handle: u32,
        offset: u64,
        length: usize,
        answer: &mut BytesMut,
    ) -> Result<Status, Status> {
        let file = self.open.get_mut(&handle).ok_or(Status::Failure)?;
        let piece = file.read(self.admission, offset, length.min(LONGEST_PACKET - 64)).await;
        if piece.is_empty() {
            return Err(Status::EndOfFile);
        }
        answer.put_u8(DATA);
        answer.put_u32(id);
        put_bytes(answer, &piece);
        Ok(Status::Ok)
    }

    async fn look(&mut self, id: u32, path: String, answer: &mut BytesMut) -> Result<Status, Status> {
        let (size, permissions) = match look(self.admission, &path).await? {
            Kind::File(size) => (size, REGULAR_FILE),
            Kind::Folder => (0, FOLDER),
        };
        answer.put_u8(ATTRS);
        answer.put_u32(id);
        answer.put_u32(HAS_SIZE | HAS_PERMISSIONS);
        answer.put_u64(size);
        answer.put_u32(permissions);
        Ok(Status::Ok)
    }
}

impl File {
    /// As many bytes as were asked for, unless the file ends before.
    async fn read(&mut self, admission: &Admission, offset: u64, length: usize) -> Bytes {
        if offset != self.position || self.source.is_none() {
            self.position = offset;
            self.read.clear();
            let from = offset.saturating_add(1).to_string();
            self.source = Some(start(admission, ["/bin/sh", "-c", CONTENTS, &self.path, &from]));
        }
        if let Some(source) = &mut self.source {
            while self.read.len() < length
                && let Some(Output { stream, bytes }) = source.output.recv().await
            {
                if stream == OutputStream::Stdout {
                    self.read.extend_from_slice(&bytes);
                }
            }
        }
        let piece = self.read.split_to(length.min(self.read.len())).freeze();
        self.position += piece.len() as u64;
        piece
    }
}

async fn look(admission: &Admission, path: &str) -> Result<Kind, Status> {
    if path.contains('\0') {
        return Err(Status::NoSuchFile);
    }
    let mut running = start(admission, ["/bin/sh", "-c", LOOK, path]);
    let mut said = Vec::new();
    while let Some(Output { stream, bytes }) = running.output.recv().await {
        if stream == OutputStream::Stdout && said.len() + bytes.len() <= LONGEST_ANSWER {
            said.extend_from_slice(&bytes);
        }
    }
    match running.ended().await {
        Some(0) => {}
        Some(2) => return Err(Status::NoSuchFile),
        Some(3) => return Err(Status::PermissionDenied),
        _ => return Err(Status::Failure),
    }
    match String::from_utf8_lossy(&said).trim() {
        "folder" => Ok(Kind::Folder),
        size => size.parse().map(Kind::File).map_err(|_| Status::Failure),
    }
}

fn start<const N: usize>(admission: &Admission, command: [&str; N]) -> Running {
    // Nothing is said to it: its input ends at once.
    let (_, nothing) = mpsc::channel(1);
    let exec = ExecSpec {
        command: command.map(str::to_owned).to_vec(),
        ..ExecSpec::default()
    };
    admission.start(exec, nothing)
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

fn take_bytes(packet: &mut Bytes) -> Result<Bytes, Nonsense> {
    let length = packet.try_get_u32().map_err(|_| Nonsense)? as usize;
    if packet.len() < length {
        return Err(Nonsense);
    }
    Ok(packet.split_to(length))
}

fn text(packet: &mut Bytes) -> Result<String, Nonsense> {
    String::from_utf8(take_bytes(packet)?.to_vec()).map_err(|_| Nonsense)
}

fn handle(packet: &mut Bytes) -> Result<u32, Nonsense> {
    let bytes = take_bytes(packet)?;
    Ok(u32::from_be_bytes(bytes.as_ref().try_into().map_err(|_| Nonsense)?))
}

fn put_bytes(answer: &mut BytesMut, bytes: &[u8]) {
    // Nothing here is longer than a packet may be.
    answer.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    answer.put_slice(bytes);
}

fn put_status(answer: &mut BytesMut, id: u32, status: Status) {
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
