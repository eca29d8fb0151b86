//! The kept output of a container, resumable to the byte.

use std::cmp::Ordering;

use bollard::{errors::Error, query_parameters::LogsOptionsBuilder};
use bytes::Bytes;
use chrono::DateTime;
use futures_util::{
    StreamExt as _,
    future::ready,
    stream::{self, BoxStream},
};

use super::{
    DockerEngine,
    error::{self, Explain as _},
    run::to_output,
};
use crate::{ContainerId, EngineError, LogChunk, LogPosition, Output, OutputStream, Result};

const READING: &str = "reading the output of a container";

/// What was kept behind `after`, then what comes, until the container has ended.
pub(super) fn follow(
    engine: DockerEngine,
    id: ContainerId,
    after: Option<LogPosition>,
) -> BoxStream<'static, Result<LogChunk>> {
    // Whole seconds are all that the library can say; the reader drops what is too much.
    let since = after.map_or(0, |after| i32::try_from(after.at.timestamp()).unwrap_or(i32::MAX));
    let options = LogsOptionsBuilder::new()
        .follow(true)
        .stdout(true)
        .stderr(true)
        .timestamps(true)
        .since(since)
        .build();
    let said = engine.docker.logs(id.as_str(), Some(options));
    let mut reader = Reader::new(after);
    let read_from = engine.clone();
    let chunks = said
        // A container that is gone has said all that it will.
        .take_while(|said| ready(!matches!(said, Err(error) if error::status(error) == Some(404))))
        .filter_map(move |said| ready(reader.read(said, &read_from).transpose()));
    let end =
        stream::once(async move { engine.check_ended(&id).await }).filter_map(|ended| ready(ended.err().map(Err)));
    // Nothing comes after an error, so that a position is never skipped.
    let mut has_failed = false;
    chunks
        .chain(end)
        .take_while(move |chunk| ready(!std::mem::replace(&mut has_failed, chunk.is_err()) || chunk.is_ok()))
        .boxed()
}

impl DockerEngine {
    /// The end of the stream is the end of the output only if the container has ended; else dockerd has.
    async fn check_ended(&self, id: &ContainerId) -> Result<()> {
        match self.inspect_container(id.as_str()).await? {
            Some(container) if container.is_running() => Err(EngineError::Broken {
                doing: READING,
                source: "the stream ended before the container did".into(),
            }),
            _ => Ok(()),
        }
    }
}

/// Counts chunks, and drops those that are not behind the position to resume from.
struct Reader {
    /// Until it was passed. Afterwards nothing is dropped, even if the clock went back.
    after: Option<LogPosition>,
    last: Option<LogPosition>,
}

impl Reader {
    const fn new(after: Option<LogPosition>) -> Self {
        Self { after, last: None }
    }

    fn read(
        &mut self,
        said: Result<bollard::container::LogOutput, Error>,
        engine: &DockerEngine,
    ) -> Result<Option<LogChunk>> {
        let Output { stream, bytes } = to_output(said.explain(engine, READING)?);
        self.chunk(stream, &bytes).ok_or_else(|| EngineError::Broken {
            doing: READING,
            source: "a line without a time".into(),
        })
    }

    /// The chunk that a kept line is, if it is to be handed on. `None` when it makes no sense.
    #[expect(clippy::option_option, reason = "senseless and dropped are different things")]
    fn chunk(&mut self, stream: OutputStream, line: &Bytes) -> Option<Option<LogChunk>> {
        let space = line.iter().position(|byte| *byte == b' ')?;
        let at = std::str::from_utf8(&line[..space]).ok()?;
        let at = DateTime::parse_from_rfc3339(at).ok()?.to_utc();
        let position = LogPosition {
            at,
            ordinal: match self.last {
                Some(last) if last.at == at => last.ordinal + 1,
                _ => 1,
            },
        };
        self.last = Some(position);
        if let Some(after) = self.after {
            match position.cmp(&after) {
                Ordering::Less => return Some(None),
                Ordering::Equal => {
                    self.after = None;
                    return Some(None);
                }
                Ordering::Greater => self.after = None,
            }
        }
        let text = line.slice(space + 1..);
        let (bytes, is_partial) = match text.strip_suffix(b"\n") {
            Some(whole) => (text.slice(..whole.len()), false),
            None => (text, true),
        };
        Some(Some(LogChunk {
            position,
            stream,
            bytes,
            is_partial,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&str; 5] = [
        "2026-01-02T03:04:05.000000001Z one\n",
        "2026-01-02T03:04:05.000000001Z two\n",
        "2026-01-02T03:04:05.000000001Z three",
        "2026-01-02T03:04:05.000000002Z four\n",
        // The clock was set back.
        "2026-01-02T03:04:04.000000000Z five\n",
    ];

    fn read(after: Option<LogPosition>) -> Vec<LogChunk> {
        let mut reader = Reader::new(after);
        let chunks = LINES.map(|line| reader.chunk(OutputStream::Stdout, &Bytes::from_static(line.as_bytes())));
        chunks.into_iter().filter_map(Option::unwrap).collect()
    }

    #[test]
    fn resuming_after_any_chunk_gives_exactly_the_rest() {
        let all = read(None);
        assert_eq!(
            all.iter().map(|chunk| &chunk.bytes[..]).collect::<Vec<_>>(),
            [&b"one"[..], b"two", b"three", b"four", b"five"]
        );
        assert_eq!(
            all.iter().map(|chunk| chunk.is_partial).collect::<Vec<_>>(),
            [false, false, true, false, false]
        );
        for (index, chunk) in all.iter().enumerate().take(4) {
            assert_eq!(read(Some(chunk.position)), all[index + 1..]);
        }
    }

    #[test]
    fn a_position_that_was_rotated_away_resumes_at_the_next_chunk() {
        let gone = "2026-01-02T03:04:05.000000000Z#7".parse().unwrap();
        assert_eq!(read(Some(gone)), read(None));
    }

    #[test]
    fn a_line_without_a_time_is_no_chunk() {
        let mut reader = Reader::new(None);
        assert_eq!(
            reader.chunk(OutputStream::Stdout, &Bytes::from_static(b"hello there\n")),
            None
        );
    }
}
