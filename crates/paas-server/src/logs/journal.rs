//! The log of one app: its segments, the end of the last one, and the marks of its containers.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use paas_core::LogLine;
use tokio::sync::watch;

use super::{
    Limits, Stored,
    record::{self, Mark, Origin, Record},
    segment::{self, Segment},
};

/// A log is removed in steps of a segment: the more segments, the closer it stays to its limits.
const SEGMENTS: u64 = 8;

/// More containers than an app has at a time, and few enough that the header of a segment stays small.
const MAXIMUM_MARKS: usize = 256;

/// The log of one app. Opens itself when first used.
#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    limits: Limits,
    state: Mutex<State>,
    /// Counts appends: a follower that has seen this value has seen everything.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
enum State {
    Unread,
    Open(Files),
    /// The app was destroyed. Late lines of its dynos are dropped, so that its directory never comes back.
    Removed,
}

#[derive(Debug)]
struct Files {
    segments: Vec<Segment>,
    next_id: u64,
    last_at: Option<DateTime<Utc>>,
    marks: Vec<Mark>,
    /// The last segment, while it is being written to.
    file: Option<File>,
}

/// What a reader may read: everything that was whole at one moment.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) segments: Vec<Segment>,
    /// The id of the last line; 0 when there is none.
    pub(super) end: u64,
}

/// What an append did to the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Appended {
    ToOpenFile,
    OpenedFile,
}

impl Journal {
    pub(super) fn new(directory: PathBuf, limits: Limits) -> Self {
        Self {
            directory,
            limits,
            state: Mutex::new(State::Unread),
            changes: watch::Sender::new(0),
        }
    }

    /// Stores lines in one write. With a mark they are one chunk of a container's output: all of them or none.
    pub(super) fn append(&self, lines: &[LogLine], mark: Option<Mark>) -> io::Result<Appended> {
        let mut state = self.lock()?;
        let State::Open(files) = &mut *state else {
            return Ok(Appended::ToOpenFile);
        };
        let was_open = files.file.is_some();
        files.append(&self.directory, &self.limits, lines, mark)?;
        drop(state);
        self.changes.send_modify(|changes| *changes += 1);
        Ok(if was_open {
            Appended::ToOpenFile
        } else {
            Appended::OpenedFile
        })
    }

    /// What can be read now; `None` when the app was destroyed.
    pub(super) fn view(&self) -> io::Result<Option<View>> {
        Ok(match &*self.lock()? {
            State::Open(files) => Some(View {
                segments: files.segments.clone(),
                end: files.next_id - 1,
            }),
            State::Unread | State::Removed => None,
        })
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn mark(&self, container: &str) -> io::Result<Option<Mark>> {
        Ok(match &*self.lock()? {
            State::Open(files) => files.marks.iter().find(|mark| mark.container == container).cloned(),
            State::Unread | State::Removed => None,
        })
    }

    /// The container is gone for good: nobody will ask for its mark again.
    pub(super) fn forget(&self, container: &str) -> io::Result<()> {
        if let State::Open(files) = &mut *self.lock()? {
            files.marks.retain(|mark| mark.container != container);
        }
        Ok(())
    }

    pub(super) fn close_file(&self) {
        if let State::Open(files) = &mut *self.guard() {
            files.file = None;
        }
    }

    /// Removes segments whose lines are all older than the limit.
    pub(super) fn prune(&self, now: DateTime<Utc>) -> io::Result<()> {
        let oldest = now - self.limits.age;
        if let State::Open(files) = &mut *self.lock()? {
            if files.last_at.is_some_and(|last| last < oldest) {
                files.rotate(&self.directory)?;
            }
            while files.segments.len() > 1 && files.segments[1].started.is_none_or(|started| started < oldest) {
                files.remove_oldest()?;
            }
        }
        Ok(())
    }

    /// Removes the log for good; followers end.
    pub(super) fn remove(&self) -> io::Result<()> {
        *self.guard() = State::Removed;
        self.changes.send_modify(|changes| *changes += 1);
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn lock(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.guard();
        if matches!(*state, State::Unread) {
            *state = State::Open(Files::open(&self.directory)?);
        }
        Ok(state)
    }

    fn guard(&self) -> MutexGuard<'_, State> {
        // What is in memory is changed only after a write has succeeded: a panic leaves it true.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    /// Reads what there is, and cuts off what a crash has torn.
    fn open(directory: &Path) -> io::Result<Self> {
        let mut files = Self {
            segments: Segment::list(directory)?,
            next_id: 1,
            last_at: None,
            marks: Vec::new(),
            file: None,
        };
        if let Some(last) = files.segments.last_mut() {
            let scan = last.scan()?;
            if scan.bytes < last.bytes {
                tracing::warn!(
                    path = %last.path.display(),
                    torn_bytes = last.bytes - scan.bytes,
                    "cut off the torn end of a log"
                );
                OpenOptions::new().write(true).open(&last.path)?.set_len(scan.bytes)?;
            }
            last.bytes = scan.bytes;
            if scan.lines == 0 {
                last.started = None;
            }
            files.next_id = last.first_id + scan.lines;
            files.last_at = scan.last_at;
            files.marks = scan.marks;
        }
        Ok(files)
    }

    fn append(&mut self, directory: &Path, limits: &Limits, lines: &[LogLine], mark: Option<Mark>) -> io::Result<()> {
        let (text, count) = self.text(lines, mark.as_ref());
        let Some(last) = lines.last() else { return Ok(()) };
        if self.is_full(limits, last.at) {
            self.rotate(directory)?;
        }
        self.write(directory, text.as_bytes())?;
        self.next_id += count;
        self.last_at = Some(last.at);
        if let Some(segment) = self.segments.last_mut() {
            segment.started.get_or_insert(lines[0].at);
        }
        if let Some(mark) = mark {
            segment::set_mark(&mut self.marks, mark);
            if self.marks.len() > MAXIMUM_MARKS {
                self.marks.remove(0);
            }
        }
        while self.segments.len() > 1 && self.bytes() > limits.bytes_per_app {
            self.remove_oldest()?;
        }
        Ok(())
    }

    /// The records of some lines, and how many they are.
    fn text(&self, lines: &[LogLine], mark: Option<&Mark>) -> (String, u64) {
        let pieces: Vec<_> = lines
            .iter()
            .flat_map(|line| {
                record::pieces(&line.message)
                    .into_iter()
                    .map(move |piece| (line, piece))
            })
            .collect();
        let count = pieces.len();
        let mut id = self.next_id;
        let mut text = String::new();
        for (number, (line, message)) in pieces.into_iter().enumerate() {
            let origin = match mark {
                None => Origin::Platform,
                Some(mark) if number + 1 == count => Origin::Container(mark.clone()),
                Some(_) => Origin::Unfinished,
            };
            let stored = Stored {
                id,
                line: LogLine {
                    at: line.at,
                    source: line.source,
                    process: record::clean_process(&line.process).into_owned(),
                    message,
                },
            };
            text.push_str(&Record { stored, origin }.to_string());
            id += 1;
        }
        (text, id - self.next_id)
    }

    fn is_full(&self, limits: &Limits, now: DateTime<Utc>) -> bool {
        self.segments.last().is_some_and(|segment| {
            let is_old = segment
                .started
                .is_some_and(|started| now - started > limits.age / i32::try_from(SEGMENTS).unwrap_or(1));
            segment.bytes >= limits.bytes_per_app / SEGMENTS || is_old
        })
    }

    /// Begins a new segment; the old one is synced, so that a power cut tears the last segment only.
    fn rotate(&mut self, directory: &Path) -> io::Result<()> {
        if self.segments.last().is_some_and(|segment| segment.started.is_none()) {
            return Ok(());
        }
        if let Some(segment) = self.segments.last() {
            File::open(&segment.path)?.sync_data()?;
        }
        self.file = None;
        self.begin_segment(directory)
    }

    fn begin_segment(&mut self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let mut segment = Segment::new(directory, self.next_id);
        let mut file = File::create(&segment.path)?;
        let header = segment::header(&self.marks);
        if let Err(error) = file.write_all(header.as_bytes()) {
            // A segment without its marks would repeat what a quiet container said: better no segment.
            let _ = fs::remove_file(&segment.path);
            return Err(error);
        }
        segment.bytes = header.len() as u64;
        self.segments.push(segment);
        self.file = None;
        Ok(())
    }

    fn write(&mut self, directory: &Path, bytes: &[u8]) -> io::Result<()> {
        if self.segments.is_empty() {
            self.begin_segment(directory)?;
        }
        let segment = self.segments.last_mut().expect("begun above");
        let file = if let Some(file) = &mut self.file {
            file
        } else {
            let file = OpenOptions::new().append(true).open(&segment.path)?;
            file.set_len(segment.bytes)?;
            self.file.insert(file)
        };
        if let Err(error) = file.write_all(bytes) {
            // A full disk takes half a line. Opening the file again cuts it off.
            self.file = None;
            return Err(error);
        }
        segment.bytes += bytes.len() as u64;
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    fn remove_oldest(&mut self) -> io::Result<()> {
        let segment = self.segments.remove(0);
        match fs::remove_file(&segment.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
