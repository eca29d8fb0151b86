//! Reading a log: its last lines, and whatever comes after them.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};

use futures_util::{Stream, stream};
use tokio::sync::watch;

use super::{
    Filter, Stored,
    journal::{Journal, View},
    segment::{self, Segment},
};

/// How much a follower reads at a time: many lines, and more than the longest of them.
const READ_BYTES: u64 = 256 * 1024;

/// The end of a log at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tail {
    pub(crate) lines: Vec<Stored>,
    /// The id of the last line of all, whether or not the filter accepts it: follow from here.
    pub(crate) end: u64,
}

pub(super) fn tail(journal: &Journal, count: usize, filter: &Filter) -> io::Result<Tail> {
    let View { segments, end } = journal.view()?.unwrap_or_default();
    let mut lines = VecDeque::new();
    for segment in segments.iter().rev() {
        if lines.len() >= count {
            break;
        }
        let (text, _) = read(segment, 0, segment.bytes)?.unwrap_or_default();
        segment::records(&text)
            .rev()
            .filter(|record| filter.accepts(&record.stored.line))
            .take(count - lines.len())
            .for_each(|record| lines.push_front(record.stored));
    }
    Ok(Tail {
        lines: lines.into(),
        end,
    })
}

pub(super) fn follow(journal: Arc<Journal>, after: u64, filter: Filter) -> impl Stream<Item = Stored> + Send + use<> {
    let follower = Follower {
        // Subscribed before the first read: no line falls into the gap.
        changes: journal.changes(),
        reader: Reader {
            journal,
            next_id: after.saturating_add(1),
            place: None,
        },
        filter,
        ready: VecDeque::new(),
    };
    stream::unfold(follower, |mut follower| async move {
        let stored = follower.next().await?;
        Some((stored, follower))
    })
}

struct Follower {
    changes: watch::Receiver<u64>,
    reader: Reader,
    filter: Filter,
    ready: VecDeque<Stored>,
}

/// Reads on where it stopped.
#[derive(Clone)]
struct Reader {
    journal: Arc<Journal>,
    next_id: u64,
    /// The segment that it is in, and how far.
    place: Option<(u64, u64)>,
}

enum Progress {
    Lines(Vec<Stored>),
    CaughtUp,
    Removed,
}

impl Follower {
    async fn next(&mut self) -> Option<Stored> {
        loop {
            if let Some(stored) = self.ready.pop_front() {
                return Some(stored);
            }
            self.changes.borrow_and_update();
            let mut reader = self.reader.clone();
            let read = tokio::task::spawn_blocking(move || (reader.read(), reader));
            let (progress, reader) = read.await.ok()?;
            self.reader = reader;
            match progress {
                Ok(Progress::Lines(lines)) => {
                    let accepted = lines.into_iter().filter(|stored| self.filter.accepts(&stored.line));
                    self.ready.extend(accepted);
                }
                Ok(Progress::CaughtUp) => self.changes.changed().await.ok()?,
                Ok(Progress::Removed) => return None,
                Err(error) => {
                    tracing::error!(%error, "a log cannot be read");
                    return None;
                }
            }
        }
    }
}

impl Reader {
    fn read(&mut self) -> io::Result<Progress> {
        loop {
            let Some(view) = self.journal.view()? else {
                return Ok(Progress::Removed);
            };
            // The segment with the next line, or the oldest one where that line has been removed.
            let index = view
                .segments
                .partition_point(|segment| segment.first_id <= self.next_id)
                .saturating_sub(1);
            let Some(segment) = view.segments.get(index) else {
                return Ok(Progress::CaughtUp);
            };
            let offset = match self.place {
                Some((first_id, offset)) if first_id == segment.first_id => offset,
                _ => 0,
            };
            if offset >= segment.bytes {
                let Some(next) = view.segments.get(index + 1) else {
                    return Ok(Progress::CaughtUp);
                };
                self.next_id = next.first_id;
                continue;
            }
            let Some((text, bytes)) = read(segment, offset, READ_BYTES.min(segment.bytes - offset))? else {
                continue;
            };
            if bytes == 0 {
                // Somebody else has cut the file: what is missing will not come back.
                return Ok(Progress::CaughtUp);
            }
            self.place = Some((segment.first_id, offset + bytes));
            let lines: Vec<_> = segment::records(&text)
                .map(|record| record.stored)
                .filter(|stored| stored.id >= self.next_id)
                .collect();
            if let Some(last) = lines.last() {
                self.next_id = last.id + 1;
                return Ok(Progress::Lines(lines));
            }
        }
    }
}

/// The whole lines of a part of a segment, and their length; `None` when the segment has been removed meanwhile.
fn read(segment: &Segment, offset: u64, bytes: u64) -> io::Result<Option<(String, u64)>> {
    let mut file = match File::open(&segment.path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut buffer = Vec::new();
    file.take(bytes).read_to_end(&mut buffer)?;
    let whole = buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let text = String::from_utf8_lossy(&buffer[..whole]).into_owned();
    Ok(Some((text, whole as u64)))
}
