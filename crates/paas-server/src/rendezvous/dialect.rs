//! The two ways to say the same: bytes as Heroku's own client sends and expects them, and our frames.

use bytes::{Buf as _, Bytes, BytesMut};
use paas_api::rendezvous::Frame;
use paas_engine::{Input, Output, OutputStream, TerminalSize};

/// What a terminal, and Heroku's client without one, says at the end of its input.
const END_OF_TRANSMISSION: u8 = 4;
/// U+FFFF: with `--exit-code` Heroku's client lets the shell say it, and the exit status, behind the program's own words.
const MARK: [u8; 3] = [0xef, 0xbf, 0xbf];
/// The line with the mark is shorter.
const LONGEST_LINE: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Heroku's.
    Bytes,
    /// `paas_api::rendezvous`
    Frames,
}

/// What came from the person.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Input(Input),
    EndOfInput,
}

/// The connection cannot be understood any longer.
#[derive(Debug)]
pub(super) struct Nonsense;

/// Understands what comes.
pub(super) struct Ear {
    dialect: Dialect,
    has_terminal: bool,
    /// A last byte that is the end of the input, unless more comes.
    is_holding: bool,
}

/// Says what there is to say, in pieces that must arrive as such.
pub(super) struct Mouth {
    dialect: Dialect,
    /// The start of a line that must arrive in one piece.
    held: Vec<u8>,
}

impl Ear {
    pub(super) const fn new(dialect: Dialect, has_terminal: bool) -> Self {
        Self {
            dialect,
            has_terminal,
            is_holding: false,
        }
    }

    /// Whether [`Self::release`] is to be called should nothing more come for a while.
    pub(super) const fn is_holding(&self) -> bool {
        self.is_holding
    }

    /// Nothing more came: what was held is what it looked like.
    pub(super) fn release(&mut self) -> Option<Heard> {
        std::mem::take(&mut self.is_holding).then_some(Heard::EndOfInput)
    }

    /// Takes what can be understood from the buffer.
    pub(super) fn hear(&mut self, buffer: &mut BytesMut) -> Result<Vec<Heard>, Nonsense> {
        match self.dialect {
            Dialect::Bytes => Ok(self.hear_bytes(buffer)),
            Dialect::Frames => self.hear_frames(buffer),
        }
    }

    /// Without a terminal, a byte of 4 at the end is the end of the input: the client says it when its own input has ended,
    /// and nothing after it.
    fn hear_bytes(&mut self, buffer: &mut BytesMut) -> Vec<Heard> {
        let mut heard = Vec::new();
        if buffer.is_empty() {
            return heard;
        }
        let bytes = |bytes| Heard::Input(Input::Bytes(bytes));
        if std::mem::take(&mut self.is_holding) {
            heard.push(bytes(Bytes::from_static(&[END_OF_TRANSMISSION])));
        }
        if !self.has_terminal && buffer.last() == Some(&END_OF_TRANSMISSION) {
            self.is_holding = true;
            buffer.truncate(buffer.len() - 1);
        }
        if !buffer.is_empty() {
            heard.push(bytes(buffer.split().freeze()));
        }
        heard
    }

    fn hear_frames(&mut self, buffer: &mut BytesMut) -> Result<Vec<Heard>, Nonsense> {
        let mut heard = Vec::new();
        loop {
            let Some((frame, length)) = Frame::read(buffer).map_err(|_| Nonsense)? else {
                return Ok(heard);
            };
            match frame {
                Frame::Input(bytes) => heard.push(Heard::Input(Input::Bytes(Bytes::copy_from_slice(bytes)))),
                Frame::EndOfInput if self.has_terminal => {
                    heard.push(Heard::Input(Input::Bytes(Bytes::from_static(&[END_OF_TRANSMISSION]))));
                }
                Frame::EndOfInput => heard.push(Heard::EndOfInput),
                Frame::Resize { columns, rows } => {
                    heard.push(Heard::Input(Input::Resize(TerminalSize { columns, rows })));
                }
                Frame::KeepAlive => {}
                Frame::Output(_) | Frame::ErrorOutput(_) | Frame::Exit(_) => return Err(Nonsense),
            }
            buffer.advance(length);
        }
    }
}

impl Mouth {
    pub(super) const fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            held: Vec::new(),
        }
    }

    /// Whether [`Self::release`] is to be called should nothing more be said for a while.
    pub(super) const fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    pub(super) fn release(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// What to write; each piece by itself.
    pub(super) fn say(&mut self, output: &Output) -> Vec<Vec<u8>> {
        match self.dialect {
            Dialect::Frames => {
                let mut piece = Vec::with_capacity(output.bytes.len() + 8);
                match output.stream {
                    OutputStream::Stdout => Frame::Output(&output.bytes),
                    OutputStream::Stderr => Frame::ErrorOutput(&output.bytes),
                }
                .write(&mut piece);
                vec![piece]
            }
            Dialect::Bytes => self.say_bytes(&output.bytes),
        }
    }

    /// The client looks for the exit status in one piece of what it reads, and what is a piece to it is a TLS record to us: the
    /// line with the mark has one of its own.
    fn say_bytes(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.held);
        rest.extend_from_slice(bytes);
        let mut pieces = Vec::new();
        while let Some(start) = start_of_mark(&rest) {
            let line = rest.split_off(start);
            if !rest.is_empty() {
                pieces.push(rest);
            }
            match line.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    let mut line = line;
                    rest = line.split_off(end + 1);
                    pieces.push(line);
                }
                None if line.len() > LONGEST_LINE => {
                    pieces.push(line);
                    return pieces;
                }
                None => {
                    self.held = line;
                    return pieces;
                }
            }
        }
        if !rest.is_empty() {
            pieces.push(rest);
        }
        pieces
    }

    /// The last words.
    pub(super) fn finish(&mut self, exit: Option<i32>) -> Vec<u8> {
        let mut piece = self.release();
        if let (Dialect::Frames, Some(code)) = (self.dialect, exit) {
            Frame::Exit(code).write(&mut piece);
        }
        piece
    }

    /// What shows everybody on the way that this connection is in use.
    pub(super) fn keep_alive(&self) -> Vec<u8> {
        let mut piece = Vec::new();
        if self.dialect == Dialect::Frames {
            Frame::KeepAlive.write(&mut piece);
        }
        piece
    }
}

/// Where the mark begins, or may begin at the very end.
fn start_of_mark(bytes: &[u8]) -> Option<usize> {
    let whole = bytes.windows(MARK.len()).position(|window| window == MARK);
    whole.or_else(|| {
        let begun = (1..MARK.len()).rev().find(|length| bytes.ends_with(&MARK[..*length]));
        begun.map(|length| bytes.len() - length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(ear: &mut Ear, bytes: &[u8]) -> Vec<Heard> {
        ear.hear(&mut BytesMut::from(bytes)).unwrap()
    }

    fn input(bytes: &'static [u8]) -> Heard {
        Heard::Input(Input::Bytes(Bytes::from_static(bytes)))
    }

    #[test]
    fn only_the_last_byte_ends_the_input_of_heroku_s_client() {
        let mut ear = Ear::new(Dialect::Bytes, false);
        assert_eq!(hear(&mut ear, b"a\x04b"), [input(b"a\x04b")]);
        assert_eq!(hear(&mut ear, b"c\x04"), [input(b"c")]);
        assert!(ear.is_holding());
        assert_eq!(hear(&mut ear, b"d"), [input(b"\x04"), input(b"d")]);
        assert!(!ear.is_holding());
        assert_eq!(hear(&mut ear, b"\x04"), []);
        assert_eq!(ear.release(), Some(Heard::EndOfInput));
        assert_eq!(ear.release(), None);
    }

    #[test]
    fn a_terminal_makes_of_it_what_it_likes() {
        let mut ear = Ear::new(Dialect::Bytes, true);
        assert_eq!(hear(&mut ear, b"x\x04"), [input(b"x\x04")]);
        assert!(!ear.is_holding());
        let mut ear = Ear::new(Dialect::Frames, true);
        let mut frames = Vec::new();
        Frame::EndOfInput.write(&mut frames);
        assert_eq!(hear(&mut ear, &frames), [input(b"\x04")]);
    }

    #[test]
    fn frames_of_the_other_side_are_nonsense() {
        let mut ear = Ear::new(Dialect::Frames, false);
        let mut frames = Vec::new();
        Frame::Exit(0).write(&mut frames);
        assert!(ear.hear(&mut BytesMut::from(&frames[..])).is_err());
    }

    fn said(pieces: &[&[u8]]) -> Vec<String> {
        let mut mouth = Mouth::new(Dialect::Bytes);
        let mut said = Vec::new();
        for piece in pieces {
            let bytes = Bytes::copy_from_slice(piece);
            let stream = OutputStream::Stdout;
            said.extend(mouth.say(&Output { stream, bytes }));
        }
        said.push(mouth.finish(Some(3)));
        let text = |piece: Vec<u8>| String::from_utf8(piece).unwrap();
        said.into_iter().map(text).filter(|piece| !piece.is_empty()).collect()
    }

    #[test]
    fn the_exit_status_arrives_in_one_piece_wherever_the_output_breaks() {
        let whole = "héllo\n\u{ffff} heroku-command-exit-status: 3\nbye".as_bytes();
        let expected = ["héllo\n", "\u{ffff} heroku-command-exit-status: 3\n", "bye"];
        assert_eq!(said(&[whole]), expected);
        // Inside of the line and of the mark.
        for cut in 7..whole.len() - 3 {
            assert_eq!(said(&[&whole[..cut], &whole[cut..]]), expected, "{cut}");
        }
        assert_eq!(said(&["x\u{ffff}".as_bytes()]), ["x", "\u{ffff}"]);
        assert_eq!(said(&[b"plain"]), ["plain"]);
    }
}
