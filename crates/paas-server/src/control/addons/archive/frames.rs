//! Files on a stream, each after a line that says what it is and how long.

use anyhow::{Result, ensure};
use bytes::{Bytes, BytesMut};
use thiserror::Error;
use tokio::sync::mpsc;

/// No line is that long.
const LONGEST_LINE: usize = 256;

/// The stream has ended where something was to come. Why it has, its program says.
#[derive(Debug, Error)]
#[error("its server broke off")]
pub(super) struct BrokeOff;

pub(super) struct Frames {
    pieces: mpsc::Receiver<Bytes>,
    waiting: BytesMut,
}

impl Frames {
    pub(super) fn new(pieces: mpsc::Receiver<Bytes>) -> Self {
        Self {
            pieces,
            waiting: BytesMut::new(),
        }
    }

    /// The next line, without its end. `None` at the end of the stream.
    pub(super) async fn line(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(end) = self.waiting.iter().position(|byte| *byte == b'\n') {
                let line = self.waiting.split_to(end + 1);
                return Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            ensure!(self.waiting.len() < LONGEST_LINE, "its server says what cannot be read");
            let Some(piece) = self.pieces.recv().await else {
                ensure!(self.waiting.is_empty(), BrokeOff);
                return Ok(None);
            };
            self.waiting.extend_from_slice(&piece);
        }
    }

    /// What comes next of so many bytes.
    pub(super) async fn piece(&mut self, most: u64) -> Result<Bytes> {
        let piece = self.rest().await;
        ensure!(piece.is_some() || most == 0, BrokeOff);
        let mut piece = piece.unwrap_or_default();
        if piece.len() as u64 > most {
            let behind = piece.split_off(usize::try_from(most)?);
            self.waiting.extend_from_slice(&behind);
        }
        Ok(piece)
    }

    /// What comes next, until all is read.
    pub(super) async fn rest(&mut self) -> Option<Bytes> {
        if self.waiting.is_empty() {
            return self.pieces.recv().await;
        }
        Some(self.waiting.split().freeze())
    }
}

/// How a program ended, and what became of what it wrote. Whoever takes no more ends the program, too: that comes first, and what the
/// program complains about where it was the one that ended.
pub(super) fn together<T>(ran: Result<()>, taken: Result<T>) -> Result<T> {
    match (ran, taken) {
        (Err(complaint), Ok(_)) => Err(complaint),
        (Err(complaint), Err(seen)) if seen.is::<BrokeOff>() => Err(complaint),
        (_, taken) => taken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn frames(pieces: &[&str]) -> Frames {
        let (sink, stream) = mpsc::channel(pieces.len());
        for piece in pieces {
            sink.send(Bytes::copy_from_slice(piece.as_bytes())).await.unwrap();
        }
        Frames::new(stream)
    }

    async fn read(frames: &mut Frames, mut left: u64) -> Result<String> {
        let mut all = String::new();
        while left > 0 {
            let piece = frames.piece(left).await?;
            left -= piece.len() as u64;
            all.push_str(std::str::from_utf8(&piece).unwrap());
        }
        Ok(all)
    }

    #[tokio::test]
    async fn files_come_out_however_they_were_cut() {
        for pieces in [
            &["one 5\nhellotwo 3\nbye"][..],
            &["one", " 5\nhe", "llo", "two 3", "\n", "b", "ye"],
        ] {
            let mut frames = frames(pieces).await;
            assert_eq!(frames.line().await.unwrap().unwrap(), "one 5");
            assert_eq!(read(&mut frames, 5).await.unwrap(), "hello");
            assert_eq!(frames.line().await.unwrap().unwrap(), "two 3");
            assert_eq!(read(&mut frames, 3).await.unwrap(), "bye");
            assert_eq!(frames.line().await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn what_breaks_off_is_no_end() {
        assert!(frames(&["one 5"]).await.line().await.is_err());
        let mut short = frames(&["one 5\nhe"]).await;
        short.line().await.unwrap();
        assert!(read(&mut short, 5).await.is_err());
        let endless = "x".repeat(LONGEST_LINE);
        assert!(frames(&[&endless]).await.line().await.is_err());
    }

    #[test]
    fn the_reason_is_told_and_not_what_follows_from_it() {
        let failed = |words: &'static str| Err::<(), _>(anyhow::Error::msg(words));
        let told = |ran, taken: Result<()>| together(ran, taken).map_err(|error| error.to_string());
        assert_eq!(told(Ok(()), Ok(())), Ok(()));
        assert_eq!(
            told(failed("no such table"), Err(BrokeOff.into())).unwrap_err(),
            "no such table"
        );
        assert_eq!(told(failed("no such table"), Ok(())).unwrap_err(), "no such table");
        assert_eq!(
            told(failed("it was broken off"), failed("the disk is full")).unwrap_err(),
            "the disk is full"
        );
        assert_eq!(told(Ok(()), Err(BrokeOff.into())).unwrap_err(), "its server broke off");
    }
}
