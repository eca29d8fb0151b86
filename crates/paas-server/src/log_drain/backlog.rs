//! The lines that a drain has still to deliver, in batches.

use std::{pin::pin, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures_util::{FutureExt as _, StreamExt as _, stream::BoxStream};
use paas_core::{App, Id, LogLine, overflow_line};
use tokio::time::{Instant, timeout_at};

use super::place::{Place, PlaceFile};
use crate::logs::{Filter, LogError, LogStore, Stored};

/// How far a drain may be behind. Logplex keeps 1,024 lines; ours lie on the disk anyway.
pub(super) const BACKLOG_LINES: u64 = 10_000;
/// A batch is sent at this size, or when nothing more comes.
const BATCH_LINES: usize = 1000;
const BATCH_BYTES: usize = 100 * 1024;

pub(super) struct Backlog {
    logs: Arc<LogStore>,
    app: Id<App>,
    place: Place,
    file: PlaceFile,
    lines: Option<BoxStream<'static, Stored>>,
}

/// Lines that are delivered together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) lines: Vec<Stored>,
    /// Lines that are missing in front of these, and since when.
    pub(super) dropped: u64,
    pub(super) since: DateTime<Utc>,
}

impl Batch {
    /// The lines to send: first of all, what is missing.
    pub(super) fn to_send(&self, now: DateTime<Utc>) -> Vec<LogLine> {
        let overflow = (self.dropped > 0).then(|| overflow_line(self.dropped, self.since, now));
        let lines = self.lines.iter().map(|stored| stored.line.clone());
        overflow.into_iter().chain(lines).collect()
    }

    fn last(&self) -> Option<&Stored> {
        self.lines.last()
    }
}

impl Backlog {
    /// Goes on where the file says, else behind the line `starts_after`.
    pub(super) fn open(logs: Arc<LogStore>, app: Id<App>, file: PlaceFile, starts_after: u64) -> Self {
        let place = file.read().unwrap_or_else(|| Place {
            after: starts_after,
            ..Place::default()
        });
        Self {
            logs,
            app,
            place,
            file,
            lines: None,
        }
    }

    /// Waits for lines, and for more of them for as long as `linger`. `None` when the log was removed.
    pub(super) async fn next(&mut self, linger: Duration, now: DateTime<Utc>) -> Result<Option<Batch>, LogError> {
        self.pass_over_surplus().await?;
        self.save();
        let after = self.place.after;
        let (logs, app) = (&self.logs, self.app);
        let lines = self
            .lines
            .get_or_insert_with(|| logs.follow(app, after, Filter::default()).boxed());
        let Some(first) = lines.next().await else {
            self.lines = None;
            return Ok(None);
        };
        let mut bytes = first.line.message.len();
        let mut batch = vec![first];
        let deadline = Instant::now() + linger;
        while batch.len() < BATCH_LINES && bytes < BATCH_BYTES {
            // What is there already is taken, however late it is.
            let next = match lines.next().now_or_never() {
                Some(next) => next,
                None => match timeout_at(deadline, pin!(lines.next())).await {
                    Ok(next) => next,
                    Err(_) => break,
                },
            };
            let Some(next) = next else { break };
            bytes += next.line.message.len();
            batch.push(next);
        }
        let last = batch.last().map_or(after, |last| last.id);
        // Ids count the lines: what the log itself has removed before we came to it is missing too.
        let removed = (last - after).saturating_sub(batch.len() as u64);
        Ok(Some(Batch {
            lines: batch,
            dropped: self.place.dropped + removed,
            since: self.place.delivered_at.unwrap_or(now),
        }))
    }

    /// The batch was delivered.
    pub(super) fn delivered(&mut self, batch: &Batch) {
        if let Some(last) = batch.last() {
            self.place = Place {
                after: last.id,
                dropped: 0,
                delivered_at: Some(last.line.at),
            };
        }
        self.save();
    }

    /// The batch will never be delivered.
    pub(super) fn pass_over(&mut self, batch: &Batch) {
        if let Some(last) = batch.last() {
            self.place.after = last.id;
            self.place.dropped = batch.dropped + batch.lines.len() as u64;
        }
        self.save();
    }

    /// Whether so many lines came behind this batch that its turn is over.
    pub(super) async fn is_overflowing(&mut self) -> bool {
        let end = self.logs.end(self.app).await;
        end.is_ok_and(|end| end.saturating_sub(self.place.after) > BACKLOG_LINES)
    }

    /// Passes over what is more than a drain may be behind. Half of that: lines are missed seldom and many, rather than
    /// always and few.
    async fn pass_over_surplus(&mut self) -> Result<(), LogError> {
        let end = self.logs.end(self.app).await?;
        if end < self.place.after {
            // Another log lies there than the one that the place is of: all of it is news.
            self.place.after = 0;
            self.lines = None;
        }
        if end - self.place.after > BACKLOG_LINES {
            let after = end - BACKLOG_LINES / 2;
            self.place.dropped += after - self.place.after;
            self.place.after = after;
            self.lines = None;
        }
        Ok(())
    }

    fn save(&mut self) {
        if let Err(error) = self.file.save(&self.place) {
            tracing::debug!(app.id = %self.app, %error, "the place of a log drain could not be saved");
        }
    }
}
