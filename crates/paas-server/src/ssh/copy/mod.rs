//! Files out of a dyno: as much of SFTP (draft-ietf-secsh-filexfer-02) as a client needs that reads them.
//!
//! Files are read by programs of the dyno, as its own user: what they may not read nobody gets.

mod file;
mod packet;

use std::collections::HashMap;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use russh::{ChannelReadHalf, ChannelWriteHalf, server::Msg};

use self::{
    file::{File, Kind, look},
    packet::{Nonsense, Requests, Status, handle, put_bytes, put_status, take_bytes, text},
};
use super::program::Admission;

/// Each keeps a part of its file in memory. Clients that copy folders copy one file after the other.
const MOST_FILES: usize = 4;
/// Of a file, at once; what OpenSSH gives.
const LONGEST_PIECE: usize = packet::LONGEST_PACKET - 1024;
const VERSION: u32 = 3;
/// Who does not ask for these takes us for a server that sends less than it may (OpenSSH, `PROTOCOL`, 4.8).
const LIMITS: &[u8] = b"limits@openssh.com";

/// Of an `OPEN` (§6.3).
const FOR_READING: u32 = 1;
/// Which attributes come (§5).
const HAS_SIZE: u32 = 1;
const HAS_PERMISSIONS: u32 = 4;
const REGULAR_FILE: u32 = 0o100_644;
const FOLDER: u32 = 0o040_755;

/// Answers until the channel ends.
pub(super) async fn serve(admission: &Admission, reader: ChannelReadHalf, writer: &ChannelWriteHalf<Msg>) {
    let mut requests = Requests::new(reader);
    let mut files = Files {
        admission,
        open: HashMap::new(),
        next: 0,
    };
    while let Some(request) = requests.next().await {
        let answered = async {
            let Ok(answer) = files.answer(request).await else {
                return false;
            };
            let mut framed = BytesMut::with_capacity(answer.len() + 4);
            put_bytes(&mut framed, &answer);
            writer.data_bytes(framed.freeze()).await.is_ok()
        };
        let may_go_on = tokio::select! {
            answered = answered => answered,
            // They may have gone without taking their answer.
            () = requests.closed() => false,
        };
        if !may_go_on {
            return;
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
        if kind == packet::INIT {
            answer.put_u8(packet::VERSION_IS);
            answer.put_u32(VERSION);
            put_bytes(&mut answer, LIMITS);
            put_bytes(&mut answer, b"1");
            return Ok(answer);
        }
        let ended = match kind {
            packet::OPEN => {
                let path = text(&mut packet)?;
                let flags = packet.try_get_u32().map_err(|_| Nonsense)?;
                self.open(id, path, flags, &mut answer).await
            }
            packet::CLOSE => {
                let handle = handle(&mut packet)?;
                self.open.remove(&handle).map(|_| Status::Ok).ok_or(Status::Failure)
            }
            packet::READ => {
                let handle = handle(&mut packet)?;
                let offset = packet.try_get_u64().map_err(|_| Nonsense)?;
                let length = packet.try_get_u32().map_err(|_| Nonsense)? as usize;
                self.read(id, handle, offset, length, &mut answer).await
            }
            packet::STAT | packet::LSTAT => {
                let path = text(&mut packet)?;
                self.look(id, path, &mut answer).await
            }
            packet::FSTAT => {
                let handle = handle(&mut packet)?;
                match self.open.get(&handle).map(|file| file.path.clone()) {
                    Some(path) => self.look(id, path, &mut answer).await,
                    None => Err(Status::Failure),
                }
            }
            packet::REALPATH => {
                let path = text(&mut packet)?;
                answer.put_u8(packet::NAME);
                answer.put_u32(id);
                answer.put_u32(1);
                // Programs of a dyno begin in its home: a path that begins nowhere begins there for them, too.
                put_bytes(&mut answer, path.as_bytes());
                put_bytes(&mut answer, path.as_bytes());
                answer.put_u32(0);
                Ok(Status::Ok)
            }
            packet::EXTENDED if take_bytes(&mut packet)? == LIMITS => {
                answer.put_u8(packet::EXTENDED_REPLY);
                answer.put_u32(id);
                // The longest packet, piece to read and piece to write, and how many files; 0 says nothing.
                for limit in [packet::LONGEST_PACKET, LONGEST_PIECE, 0, MOST_FILES] {
                    answer.put_u64(limit as u64);
                }
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
        self.open.insert(number, File::new(path));
        answer.put_u8(packet::HANDLE);
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
        let piece = file.read(self.admission, offset, length.min(LONGEST_PIECE)).await?;
        answer.put_u8(packet::DATA);
        answer.put_u32(id);
        put_bytes(answer, piece);
        Ok(Status::Ok)
    }

    async fn look(&mut self, id: u32, path: String, answer: &mut BytesMut) -> Result<Status, Status> {
        let (size, permissions) = match look(self.admission, &path).await? {
            Kind::File(size) => (size, REGULAR_FILE),
            Kind::Folder => (0, FOLDER),
        };
        answer.put_u8(packet::ATTRS);
        answer.put_u32(id);
        answer.put_u32(HAS_SIZE | HAS_PERMISSIONS);
        answer.put_u64(size);
        answer.put_u32(permissions);
        Ok(Status::Ok)
    }
}
