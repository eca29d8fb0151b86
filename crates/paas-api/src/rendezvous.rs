//! Streams between a person and a dyno, over the API's own port.
//!
//! `GET /rendezvous/{secret}` with `Connection: Upgrade` and `Upgrade: rendezvous` is answered with 101; the secret is the
//! last segment of a dyno's `attach_url`, or comes whole as an `attach_path`, and is the permission. From then on either side
//! sends frames: one byte of kind, four of length (big-endian), and so many bytes.
//!
//! | Kind | From | Payload |
//! |---|---|---|
//! | 0 input | person | bytes |
//! | 1 end of input | person | none |
//! | 2 resize | person | columns and rows, two bytes each |
//! | 3 output | dyno | bytes: standard output, or all of a terminal |
//! | 4 error output | dyno | bytes |
//! | 5 exit | dyno | the exit code, four bytes; then the connection ends |
//! | 6 keep-alive | dyno | none: proxies close what is silent |
//!
//! A connection that ends without an exit was broken off. A person who ends it hangs up on the program (SIGHUP).
//!
//! Heroku's own client speaks another rendezvous: TLS on a port of its own, the secret as the first line, and bytes.

/// What the `Upgrade` header says.
pub const PROTOCOL: &str = "rendezvous";
/// The longest payload.
pub const LONGEST: usize = 64 * 1024;
const HEAD: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    Input(&'a [u8]),
    EndOfInput,
    Resize { columns: u16, rows: u16 },
    Output(&'a [u8]),
    ErrorOutput(&'a [u8]),
    Exit(i32),
    KeepAlive,
}

/// What came is no frame: the connection is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoFrame;

impl Frame<'_> {
    /// Appends the frame. Bytes beyond [`LONGEST`] go into further frames.
    pub fn write(self, buffer: &mut Vec<u8>) {
        let mut put = |kind: u8, payload: &[u8]| {
            buffer.push(kind);
            let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
            buffer.extend_from_slice(&length.to_be_bytes());
            buffer.extend_from_slice(payload);
        };
        match self {
            Self::Input(bytes) => bytes.chunks(LONGEST).for_each(|part| put(0, part)),
            Self::EndOfInput => put(1, &[]),
            Self::Resize { columns, rows } => {
                let [first, second] = columns.to_be_bytes();
                let [third, fourth] = rows.to_be_bytes();
                put(2, &[first, second, third, fourth]);
            }
            Self::Output(bytes) => bytes.chunks(LONGEST).for_each(|part| put(3, part)),
            Self::ErrorOutput(bytes) => bytes.chunks(LONGEST).for_each(|part| put(4, part)),
            Self::Exit(code) => put(5, &code.to_be_bytes()),
            Self::KeepAlive => put(6, &[]),
        }
    }

    /// The frame at the start of `buffer` and its length; `None` while it is not whole.
    pub fn read(buffer: &[u8]) -> Result<Option<(Frame<'_>, usize)>, NoFrame> {
        let Some((&[kind, a, b, c, d], rest)) = buffer.split_first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > LONGEST {
            return Err(NoFrame);
        }
        let Some(payload) = rest.get(..length) else {
            return Ok(None);
        };
        let frame = match (kind, payload) {
            (0, bytes) => Frame::Input(bytes),
            (1, []) => Frame::EndOfInput,
            (2, &[a, b, c, d]) => Frame::Resize {
                columns: u16::from_be_bytes([a, b]),
                rows: u16::from_be_bytes([c, d]),
            },
            (3, bytes) => Frame::Output(bytes),
            (4, bytes) => Frame::ErrorOutput(bytes),
            (5, &[a, b, c, d]) => Frame::Exit(i32::from_be_bytes([a, b, c, d])),
            (6, []) => Frame::KeepAlive,
            _ => return Err(NoFrame),
        };
        Ok(Some((frame, HEAD + length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_the_way() {
        let frames = [
            Frame::Input(b"ls\n"),
            Frame::EndOfInput,
            Frame::Resize { columns: 301, rows: 24 },
            Frame::Output(b""),
            Frame::ErrorOutput(b"no"),
            Frame::Exit(-1),
            Frame::KeepAlive,
        ];
        for frame in frames {
            let mut buffer = Vec::new();
            frame.write(&mut buffer);
            if frame == Frame::Output(b"") {
                assert!(buffer.is_empty());
                continue;
            }
            for cut in 0..buffer.len() {
                assert_eq!(Frame::read(&buffer[..cut]), Ok(None));
            }
            assert_eq!(Frame::read(&buffer), Ok(Some((frame, buffer.len()))));
        }
    }

    #[test]
    fn long_bytes_take_several_frames() {
        let bytes = vec![7; 2 * LONGEST + 1];
        let mut buffer = Vec::new();
        Frame::Input(&bytes).write(&mut buffer);
        let mut read = Vec::new();
        let mut rest = &buffer[..];
        while let Some((Frame::Input(part), length)) = Frame::read(rest).unwrap() {
            read.extend_from_slice(part);
            rest = &rest[length..];
        }
        assert!(rest.is_empty() && read == bytes);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        assert_eq!(Frame::read(&[7, 0, 0, 0, 0]), Err(NoFrame));
        assert_eq!(Frame::read(&[0, 255, 0, 0, 0]), Err(NoFrame));
        assert_eq!(Frame::read(&[1, 0, 0, 0, 1, 0]), Err(NoFrame));
        assert_eq!(Frame::read(&[5, 0, 0, 0, 1, 0]), Err(NoFrame));
    }
}
