//! The archive of an add-on: copies of all that is in it (*bases*), and its log since, in *segments*. One base and the segments
//! that follow it without a gap lead to every moment after the base.
//!
//! ```text
//!            base                    base
//! segments    4   5   6   7   _   9   10  11
//!             └─── moments ───┘       └── moments ─▶
//! ```
//!
//! A moment is never reached over a gap: who asks for one there learns what there is instead.

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{BackupSchedule, NameError};

/// A segment of a log as Postgres names it: 24 digits for timeline and position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WalSegment {
    timeline: u32,
    number: u64,
}

/// One and the same cluster: its major version and what it was named by when it was made, `15-7710828948686417953`. After an upgrade it
/// is another one, whose segments are counted anew.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineageName(String);

/// A file of an archive. Its name says all there is to say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ArchiveFile {
    Base(ArchiveBase),
    Segment(ArchivedSegment),
}

/// A copy of all that was there at a moment: it has its end at `at`, and needs the log from `from` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArchiveBase {
    pub from: WalSegment,
    pub at: DateTime<Utc>,
}

/// A segment, and when the last of it was written: what was committed until then is in it, or in one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArchivedSegment {
    pub segment: WalSegment,
    pub at: DateTime<Utc>,
}

/// What there is of one and the same cluster, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    bases: Vec<ArchiveBase>,
    segments: Vec<ArchivedSegment>,
}

/// Moments that can be gone back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moments {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

/// How a moment is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Road<'a> {
    pub base: ArchiveBase,
    pub segments: &'a [ArchivedSegment],
}

const BASE: &str = "base";
const SEGMENT: &str = "Segment";
const LINEAGE: &str = "Lineage";
const LONGEST_LINEAGE: usize = 64;
const FILE: &str = "File of an archive";
/// Segments of 16 MB in 4 GB of log.
const SEGMENTS_PER_FILE: u64 = 256;
const NAME_LENGTH: usize = 24;

impl Lineage {
    /// A commit gets its time a moment before it gets its place in the log: one from before a moment may be in what was written so long
    /// after it.
    pub const SLACK: TimeDelta = TimeDelta::minutes(1);

    pub fn new(files: impl IntoIterator<Item = ArchiveFile>) -> Self {
        let mut lineage = Self::default();
        for file in files {
            match file {
                ArchiveFile::Base(base) => lineage.bases.push(base),
                ArchiveFile::Segment(segment) => lineage.segments.push(segment),
            }
        }
        lineage.bases.sort_unstable_by_key(|base| (base.at, base.from));
        lineage.segments.sort_unstable();
        // What was archived twice is the same.
        lineage.segments.dedup_by_key(|archived| archived.segment);
        lineage
    }

    pub fn bases(&self) -> &[ArchiveBase] {
        &self.bases
    }

    pub fn segments(&self) -> &[ArchivedSegment] {
        &self.segments
    }

    /// The time of the newest thing in it.
    pub fn newest(&self) -> Option<DateTime<Utc>> {
        let segment = self.segments.last().map(|archived| archived.at);
        let base = self.bases.last().map(|base| base.at);
        segment.max(base)
    }

    /// The moments that can be gone back to, in order; between two of these is a gap.
    pub fn moments(&self) -> Vec<Moments> {
        let mut all: Vec<Moments> = Vec::new();
        for base in &self.bases {
            let Some(to) = self.end_of(base) else { continue };
            match all.last_mut() {
                Some(last) if base.at <= last.to => last.to = last.to.max(to),
                _ => all.push(Moments { from: base.at, to }),
            }
        }
        all
    }

    /// The newest base before a moment from which an unbroken log leads to it.
    pub fn road_to(&self, moment: DateTime<Utc>) -> Option<Road<'_>> {
        let leads = |base: &&ArchiveBase| base.at <= moment && self.end_of(base).is_some_and(|end| end >= moment);
        let base = *self.bases.iter().rfind(leads)?;
        let run = self.run_of(&base);
        let behind = run.iter().position(|archived| archived.at > moment + Self::SLACK);
        Some(Road {
            base,
            segments: &run[..behind.map_or(run.len(), |last| last + 1)],
        })
    }

    /// Since when everything can be gone back to, without a gap until now.
    pub fn earliest(&self) -> Option<DateTime<Utc>> {
        let mut unbroken = self.bases.iter().filter(|base| self.is_unbroken_since(base));
        unbroken.next().map(|base| base.at)
    }

    /// Whether what comes now will follow the newest base without a gap.
    pub fn is_whole(&self) -> bool {
        self.bases.last().is_some_and(|base| self.is_unbroken_since(base))
    }

    /// Whether the log since the newest base does not reach this segment, which its server keeps no more: what comes now does not follow
    /// what is there.
    pub fn lacks(&self, segment: WalSegment) -> bool {
        let is_needed = self.bases.last().is_some_and(|base| base.from <= segment);
        is_needed && self.segments.last().is_none_or(|last| last.segment < segment)
    }

    /// Whether another base is to be made: there is none from which the log leads on, or it is the time of day for one. Where nothing
    /// was written since the last, that one is as good.
    pub fn is_base_due(&self, schedule: &BackupSchedule, now: DateTime<Utc>) -> bool {
        let Some(newest) = self.bases.last() else { return true };
        let is_old = newest.at < schedule.last_due(now);
        let has_news = self.segments.last().is_some_and(|last| last.at > newest.at);
        !self.is_whole() || (is_old && has_news)
    }

    /// What no moment of the window needs any more. Nothing is added to a lineage that is `over`.
    pub fn surplus(&self, is_over: bool, window: TimeDelta, now: DateTime<Utc>) -> Vec<ArchiveFile> {
        let begin = now - window;
        let bases = self.bases.iter().copied().map(ArchiveFile::Base);
        let segments = self.segments.iter().copied().map(ArchiveFile::Segment);
        if is_over && self.newest().is_none_or(|newest| newest < begin) {
            return bases.chain(segments).collect();
        }
        let kept = self.bases.iter().rfind(|base| base.at <= begin);
        let Some(oldest) = kept.or(self.bases.first()) else {
            return Vec::new();
        };
        let first = self
            .bases
            .iter()
            .filter(|base| base.at >= oldest.at)
            .map(|base| base.from)
            .min();
        let bases = bases.filter(|file| matches!(file, ArchiveFile::Base(base) if base.at < oldest.at));
        let segments = segments.filter(
            |file| matches!(file, ArchiveFile::Segment(archived) if first.is_some_and(|first| archived.segment < first)),
        );
        bases.chain(segments).collect()
    }

    /// The segments that follow a base without a gap.
    fn run_of(&self, base: &ArchiveBase) -> &[ArchivedSegment] {
        let rest = self.since(base);
        let length = rest
            .iter()
            .zip(base.from.number..)
            .take_while(|(archived, number)| {
                archived.segment.timeline == base.from.timeline && archived.segment.number == *number
            })
            .count();
        &rest[..length]
    }

    fn since(&self, base: &ArchiveBase) -> &[ArchivedSegment] {
        let first = self.segments.partition_point(|archived| archived.segment < base.from);
        &self.segments[first..]
    }

    fn is_unbroken_since(&self, base: &ArchiveBase) -> bool {
        self.run_of(base).len() == self.since(base).len()
    }

    /// Until when it leads. A base alone leads nowhere: the log of the time in which it was made belongs to it.
    fn end_of(&self, base: &ArchiveBase) -> Option<DateTime<Utc>> {
        let last = self.run_of(base).last()?;
        (last.at >= base.at).then_some(last.at)
    }
}

impl FromStr for LineageName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if text.is_empty() || text.len() > LONGEST_LINEAGE || !text.bytes().all(is_word) {
            return Err(NameError::new(LINEAGE, "must be made of letters, digits and dashes"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl LineageName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a server of this version wrote it: no other one reads it.
    pub fn is_of(&self, version: &str) -> bool {
        let rest = self.0.strip_prefix(version);
        rest.is_some_and(|rest| rest.starts_with('-'))
    }
}

impl fmt::Display for LineageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for WalSegment {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let odd = NameError::new(SEGMENT, "must be named by 24 hexadecimal digits");
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
        if text.len() != NAME_LENGTH || !text.bytes().all(is_digit) {
            return Err(odd);
        }
        let part = |from: usize| u32::from_str_radix(&text[from..from + 8], 16).map(u64::from);
        let (Ok(timeline), Ok(file), Ok(number)) = (part(0), part(8), part(16)) else {
            return Err(odd);
        };
        let timeline = u32::try_from(timeline).unwrap_or_default();
        if number >= SEGMENTS_PER_FILE {
            return Err(odd);
        }
        Ok(Self {
            timeline,
            number: file * SEGMENTS_PER_FILE + number,
        })
    }
}

impl fmt::Display for WalSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, number) = (self.number / SEGMENTS_PER_FILE, self.number % SEGMENTS_PER_FILE);
        write!(f, "{:08X}{file:08X}{number:08X}", self.timeline)
    }
}

impl FromStr for ArchiveFile {
    type Err = NameError;

    /// `base.000000010000000000000004.1795316400000`, with milliseconds; a segment is named without the first word.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let odd = || NameError::new(FILE, "must be named by a segment and a time");
        let (kind, rest) = match text.strip_prefix(BASE) {
            Some(rest) => (BASE, rest.strip_prefix('.').ok_or_else(odd)?),
            None => (SEGMENT, text),
        };
        let (segment, at) = rest.split_once('.').ok_or_else(odd)?;
        let segment = segment.parse()?;
        let at = at
            .parse()
            .ok()
            .and_then(DateTime::from_timestamp_millis)
            .ok_or_else(odd)?;
        Ok(if kind == BASE {
            Self::Base(ArchiveBase { from: segment, at })
        } else {
            Self::Segment(ArchivedSegment { segment, at })
        })
    }
}

impl fmt::Display for ArchiveFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base(ArchiveBase { from, at }) => write!(f, "{BASE}.{from}.{}", at.timestamp_millis()),
            Self::Segment(ArchivedSegment { segment, at }) => write!(f, "{segment}.{}", at.timestamp_millis()),
        }
    }
}

#[cfg(test)]
mod tests;
