//! One file of a dyno, said by a program of it from its beginning to its end.
//!
//! Clients have many requests on their way, and do not ask in order: ssh2 asks for what a short answer left out behind 64 others.
//! So the last bytes are kept, and what lies between is passed over; only who jumps further than that begins anew from there.

use bytes::{Buf as _, BytesMut};
use paas_engine::{ExecSpec, Output, OutputStream};
use tokio::sync::mpsc;

use super::packet::Status;
use crate::ssh::program::{Admission, Running};

/// How far back, and how far ahead, one may ask: twice what ssh2 has on its way.
const REACH: usize = 4 * 1024 * 1024;
/// More is no size of a file.
const LONGEST_SIZE: usize = 256;

/// `$0` is the path; says what it is, and how many bytes long. What is neither file nor folder may have no end, or no beginning.
const LOOK: &str = r#"[ -e "$0" ] || exit 2; if [ -d "$0" ]; then echo folder; exit; fi; [ -f "$0" ] || exit 4
[ -r "$0" ] || exit 3; stat -L -c %s -- "$0""#;
/// From the byte with the number `$1` on, counted from 1.
const CONTENTS: &str = r#"exec tail -c "+$1" -- "$0""#;

pub(super) struct File {
    pub(super) path: String,
    reading: Option<Reading>,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    File(u64),
    Folder,
}

/// The program that says the file, and the last of what it said.
struct Reading {
    /// `None` when it has said all.
    program: Option<Running>,
    /// It has ended, and well.
    is_whole: bool,
    /// Where `kept` begins in the file.
    start: u64,
    kept: BytesMut,
}

impl File {
    pub(super) const fn new(path: String) -> Self {
        Self { path, reading: None }
    }

    /// As many bytes as were asked for, unless the file ends before.
    pub(super) async fn read(&mut self, admission: &Admission, offset: u64, length: usize) -> Result<&[u8], Status> {
        let reading = match self.reading.take() {
            Some(reading) if reading.reaches(offset) => reading,
            other => {
                if let Some(program) = other.and_then(|reading| reading.program) {
                    // Whoever jumps a lot has one program at a time all the same.
                    program.hang_up().await;
                }
                Reading::begin(admission, &self.path, offset)
            }
        };
        self.reading.insert(reading).read(offset, length).await
    }
}

impl Reading {
    fn begin(admission: &Admission, path: &str, offset: u64) -> Self {
        let from = offset.saturating_add(1).to_string();
        Self {
            program: Some(start(admission, ["/bin/sh", "-c", CONTENTS, path, &from])),
            is_whole: false,
            start: offset,
            kept: BytesMut::new(),
        }
    }

    fn end(&self) -> u64 {
        self.start.saturating_add(self.kept.len() as u64)
    }

    fn reaches(&self, offset: u64) -> bool {
        offset >= self.start && (self.is_whole || offset <= self.end().saturating_add(REACH as u64))
    }

    async fn read(&mut self, offset: u64, length: usize) -> Result<&[u8], Status> {
        self.read_to(offset.saturating_add(length as u64)).await;
        let behind = usize::try_from(offset - self.start).ok();
        match behind.and_then(|behind| self.kept.get(behind..)) {
            Some(piece) if !piece.is_empty() => Ok(&piece[..length.min(piece.len())]),
            _ if self.is_whole => Err(Status::EndOfFile),
            // Half a file must not look like a whole one.
            _ => Err(Status::Failure),
        }
    }

    async fn read_to(&mut self, end: u64) {
        while self.end() < end
            && let Some(program) = &mut self.program
        {
            match program.output.recv().await {
                Some(Output {
                    stream: OutputStream::Stdout,
                    bytes,
                }) => self.keep(&bytes),
                Some(_) => {}
                None => {
                    if let Some(program) = self.program.take() {
                        self.is_whole = program.ended().await == Some(0);
                    }
                }
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        let over = self.kept.len().saturating_sub(REACH);
        self.kept.advance(over);
        self.start += over as u64;
    }
}

pub(super) async fn look(admission: &Admission, path: &str) -> Result<Kind, Status> {
    if path.contains('\0') {
        return Err(Status::NoSuchFile);
    }
    let mut running = start(admission, ["/bin/sh", "-c", LOOK, path]);
    let mut said = Vec::new();
    while let Some(Output { stream, bytes }) = running.output.recv().await {
        if stream == OutputStream::Stdout && said.len() + bytes.len() <= LONGEST_SIZE {
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
