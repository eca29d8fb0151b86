//! What is promised about an app's log.

use std::{path::Path, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use paas_core::{App, Id, LogLine, LogSource};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;

mod collect;
mod store;

const APP: Id<App> = Id::from_uuid(Uuid::from_u128(1));

fn open(directory: &Path) -> Arc<LogStore> {
    Arc::new(LogStore::open(directory.to_owned(), Limits::default()).unwrap())
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn line(process: &str, message: &str) -> LogLine {
    LogLine {
        at: at(0),
        source: LogSource::App,
        process: process.to_owned(),
        message: message.to_owned(),
    }
}

async fn messages(logs: &LogStore) -> Vec<String> {
    let tail = logs.tail(APP, usize::MAX, &Filter::default()).await.unwrap();
    // Ids count the lines, whatever happened to them.
    let ids: Vec<_> = tail.lines.iter().map(|stored| stored.id).collect();
    assert!(ids.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{ids:?}");
    assert_eq!(ids.last().copied().unwrap_or_default(), tail.end);
    tail.lines.into_iter().map(|stored| stored.line.message).collect()
}
