//! One file of an app's log.
//!
//! It begins with the marks that held when it was begun (`# container@position`), so that the segments before it can be
//! removed without forgetting how far a quiet container's output was stored. Only the last segment is ever written to.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};

use super::record::{Mark, Origin, Record};

const MARK_PREFIX: &str = "# ";

/// A segment as its journal knows it.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) first_id: u64,
    /// How much of the file is whole: readers stop here.
    pub(super) bytes: u64,
    /// The time of its first line; `None` without a line.
    pub(super) started: Option<DateTime<Utc>>,
}

/// What the last segment of a journal says after a restart.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Where the last whole chunk ends; what follows is torn.
    pub(super) bytes: u64,
    /// How many lines there are up to there.
    pub(super) lines: u64,
    pub(super) marks: Vec<Mark>,
    pub(super) last_at: Option<DateTime<Utc>>,
}

impl Segment {
    pub(super) fn new(directory: &Path, first_id: u64) -> Self {
        Self {
            path: directory.join(format!("{first_id:020}.log")),
            first_id,
            bytes: 0,
            started: None,
        }
    }

    /// The segments of a directory, oldest first; none when there is no such directory.
    pub(super) fn list(directory: &Path) -> io::Result<Vec<Self>> {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut segments = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let first_id = name.to_str().and_then(|name| name.strip_suffix(".log")?.parse().ok());
            if let Some(first_id) = first_id {
                segments.push(Self {
                    path: entry.path(),
                    first_id,
                    bytes: entry.metadata()?.len(),
                    started: first_record(&entry.path())?.map(|record| record.stored.line.at),
                });
            }
        }
        segments.sort_by_key(|segment| segment.first_id);
        Ok(segments)
    }

    /// Reads the whole segment and finds where it is torn.
    pub(super) fn scan(&self) -> io::Result<Scan> {
        let mut scan = Scan::default();
        let mut reader = BufReader::new(File::open(&self.path)?);
        let mut line = Vec::new();
        let (mut read_bytes, mut read_lines) = (0_u64, 0_u64);
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)?;
            let Some(text) = line.strip_suffix(b"\n").and_then(|text| std::str::from_utf8(text).ok()) else {
                return Ok(scan);
            };
            read_bytes += length as u64;
            let mark = if let Some(mark) = text.strip_prefix(MARK_PREFIX) {
                let Some(mark) = Mark::parse(mark) else { return Ok(scan) };
                mark
            } else {
                let Some(record) = Record::parse(text).filter(|record| record.stored.id == self.first_id + read_lines)
                else {
                    return Ok(scan);
                };
                read_lines += 1;
                scan.last_at = Some(record.stored.line.at);
                match record.origin {
                    // Pieces without their last one are as torn as half a line: the chunk is read again.
                    Origin::Unfinished => continue,
                    Origin::Platform => {
                        (scan.bytes, scan.lines) = (read_bytes, read_lines);
                        continue;
                    }
                    Origin::Container(mark) => mark,
                }
            };
            (scan.bytes, scan.lines) = (read_bytes, read_lines);
            set_mark(&mut scan.marks, mark);
        }
    }
}

/// What a segment begins with.
pub(super) fn header(marks: &[Mark]) -> String {
    marks.iter().fold(String::new(), |header, mark| {
        header + MARK_PREFIX + &mark.to_string() + "\n"
    })
}

/// The records in a text of whole lines.
pub(super) fn records(text: &str) -> impl DoubleEndedIterator<Item = Record> {
    text.lines().filter_map(Record::parse)
}

/// Notes the newest mark of a container, as the last of all.
pub(super) fn set_mark(marks: &mut Vec<Mark>, mark: Mark) {
    marks.retain(|other| other.container != mark.container);
    marks.push(mark);
}

fn first_record(path: &Path) -> io::Result<Option<Record>> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        if !text.starts_with(MARK_PREFIX) {
            return Ok(Record::parse(text.trim_end_matches('\n')));
        }
    }
}
