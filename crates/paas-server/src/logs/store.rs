//! The logs of all apps.

use std::{
    collections::{HashMap, VecDeque},
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::Stream;
use paas_core::{App, Id, LogLine};
use paas_engine::{ContainerId, LogPosition};
use thiserror::Error;

use super::{
    Filter, Stored, Tail,
    journal::{Appended, Journal},
    read,
    record::{self, Mark},
};

/// How many logs are held open for writing; a thousand idle apps hold none.
const OPEN_FILES: usize = 64;

/// The logs of all apps: a directory for each.
#[derive(Debug)]
pub(crate) struct LogStore {
    directory: PathBuf,
    limits: Limits,
    journals: Mutex<HashMap<Id<App>, Arc<Journal>>>,
    /// Those with an open file, the one opened first in front.
    open: Mutex<VecDeque<Arc<Journal>>>,
}

/// How much of a log is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) bytes_per_app: u64,
    pub(crate) age: TimeDelta,
}

#[derive(Debug, Error)]
pub(crate) enum LogError {
    #[error("making the log directory {path}")]
    MakeDirectory { path: PathBuf, source: io::Error },
    #[error("writing the log of app {app}")]
    Write { app: Id<App>, source: io::Error },
    #[error("reading the log of app {app}")]
    Read { app: Id<App>, source: io::Error },
    #[error("removing the log of app {app}")]
    Remove { app: Id<App>, source: io::Error },
}

impl Default for Limits {
    /// Some ten times what Heroku keeps (1,500 lines, a week).
    fn default() -> Self {
        Self {
            bytes_per_app: 16 * 1024 * 1024,
            age: TimeDelta::days(30),
        }
    }
}

impl LogStore {
    pub(crate) fn open(directory: PathBuf, limits: Limits) -> Result<Self, LogError> {
        fs::create_dir_all(&directory).map_err(|source| LogError::MakeDirectory {
            path: directory.clone(),
            source,
        })?;
        Ok(Self {
            directory,
            limits,
            journals: Mutex::default(),
            open: Mutex::default(),
        })
    }

    /// Stores what the platform or the router says about an app.
    ///
    /// A line that cannot be stored is lost, and reported to the operator: no deploy and no request may fail because the
    /// disk is full.
    pub(crate) fn append(&self, app: Id<App>, lines: &[LogLine]) {
        if let Err(error) = self.write(app, lines, None) {
            tracing::error!(app.id = %app, lines = lines.len(), error = %causes(&error), "log lines are lost");
        }
    }

    /// Stores a chunk of a container's output: all of it or, with an error, nothing.
    pub(super) fn append_output(
        &self,
        app: Id<App>,
        lines: &[LogLine],
        container: &ContainerId,
        position: LogPosition,
    ) -> Result<(), LogError> {
        self.write(app, lines, Some(Mark::new(container, position)))
    }

    /// How far the output of a container has been stored.
    pub(super) fn position(&self, app: Id<App>, container: &ContainerId) -> Result<Option<LogPosition>, LogError> {
        let mark = self
            .journal(app)
            .mark(record::short(container))
            .map_err(|source| LogError::Read { app, source })?;
        Ok(mark.map(|mark| mark.position))
    }

    pub(super) fn forget(&self, app: Id<App>, container: &ContainerId) -> Result<(), LogError> {
        self.journal(app)
            .forget(record::short(container))
            .map_err(|source| LogError::Write { app, source })
    }

    /// The last `lines` lines that the filter accepts, oldest first, and where the log ended when they were read.
    pub(crate) async fn tail(&self, app: Id<App>, lines: usize, filter: &Filter) -> Result<Tail, LogError> {
        let (journal, filter) = (self.journal(app), filter.clone());
        tokio::task::spawn_blocking(move || read::tail(&journal, lines, &filter))
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(|source| LogError::Read { app, source })
    }

    /// The id of the last line; 0 when there is none.
    pub(crate) async fn end(&self, app: Id<App>) -> Result<u64, LogError> {
        let journal = self.journal(app);
        tokio::task::spawn_blocking(move || journal.view())
            .await
            .map_err(io::Error::other)
            .flatten()
            .map(|view| view.map_or(0, |view| view.end))
            .map_err(|source| LogError::Read { app, source })
    }

    /// Where the log of an app lies. Others may keep beside it what goes with it, in files that do not end in `.log`.
    pub(crate) fn directory(&self, app: Id<App>) -> PathBuf {
        self.directory.join(app.to_string())
    }

    /// The lines after the one with the id `after`, then live, until the log is removed.
    ///
    /// With the end of a [`Tail`], or the id of the last line that somebody has seen, no line falls between the two. Lines
    /// that have been removed meanwhile, because the log is at its limit, are passed over.
    pub(crate) fn follow(&self, app: Id<App>, after: u64, filter: Filter) -> impl Stream<Item = Stored> + Send + use<> {
        read::follow(self.journal(app), after, filter)
    }

    /// Removes the log of a destroyed app; whoever follows it comes to its end.
    pub(crate) async fn remove(&self, app: Id<App>) -> Result<(), LogError> {
        let journal = self.journal(app);
        tokio::task::spawn_blocking(move || journal.remove())
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(|source| LogError::Remove { app, source })
    }

    /// Removes lines that are older than the limit. Reads directories: call it now and then, off the async threads.
    pub(crate) fn prune(&self, now: DateTime<Utc>) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            if let Some(app) = name.to_str().and_then(|name| name.parse().ok()) {
                self.journal(app).prune(now)?;
            }
        }
        Ok(())
    }

    fn write(&self, app: Id<App>, lines: &[LogLine], mark: Option<Mark>) -> Result<(), LogError> {
        let journal = self.journal(app);
        let appended = journal
            .append(lines, mark)
            .map_err(|source| LogError::Write { app, source })?;
        if appended == Appended::OpenedFile {
            self.note_open(journal);
        }
        Ok(())
    }

    fn note_open(&self, journal: Arc<Journal>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|other| !Arc::ptr_eq(other, &journal));
        open.push_back(journal);
        let surplus = if open.len() > OPEN_FILES {
            open.pop_front()
        } else {
            None
        };
        drop(open);
        if let Some(journal) = surplus {
            journal.close_file();
        }
    }

    fn journal(&self, app: Id<App>) -> Arc<Journal> {
        let mut journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            journals
                .entry(app)
                .or_insert_with(|| Arc::new(Journal::new(self.directory(app), self.limits))),
        )
    }
}

/// An error with its causes, on one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
