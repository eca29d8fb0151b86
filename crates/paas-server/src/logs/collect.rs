//! Follows the output of containers into the logs of their apps.
//!
//! Each container has one task. Chunks that are ready together are stored together, with the position of the last one as
//! their mark: whenever the task starts again, after an error of the engine's or after a restart of the server, it goes
//! on behind the last mark in the log. Nothing is remembered anywhere else.
//!
//! What the server of an add-on says goes into the log of each app that uses it, by the same marks.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use paas_core::{App, Id, LogLine, LogSource};
use paas_engine::{ContainerId, Engine, LogChunk, LogPosition};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{LogStore, store::causes};

/// As much as is stored in one write.
const BATCH_CHUNKS: usize = 256;

/// How long to wait after an engine or a disk that failed, doubled each time.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// Stores what containers say.
pub(crate) struct Collector {
    engine: Arc<dyn Engine>,
    logs: Arc<LogStore>,
    tracker: TaskTracker,
    stop: CancellationToken,
    followed: Mutex<HashMap<(ContainerId, Id<App>), Followed>>,
}

struct Followed {
    /// Of an add-on: an app may stop to use it while it runs.
    is_shared: bool,
    drained: CancellationToken,
    left: CancellationToken,
}

/// How an app sees what the server of an add-on says.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    /// Who speaks: `postgres.12345`
    pub(crate) process: String,
    /// What each line begins with: `[DATABASE] `
    pub(crate) prefix: String,
    /// Lines that begin so are the platform's own, and nobody's business.
    pub(crate) without: Vec<String>,
    /// What was said before is not for this app.
    pub(crate) since: DateTime<Utc>,
}

impl Collector {
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        logs: Arc<LogStore>,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self {
            engine,
            logs,
            tracker,
            stop,
            followed: Mutex::default(),
        }
    }

    /// Follows a container that was started, as `app[process]`, to its end. Calling it again changes nothing.
    pub(crate) fn follow(&self, app: Id<App>, container: &ContainerId, process: &str) {
        let how = Shared {
            process: process.to_owned(),
            prefix: String::new(),
            without: Vec::new(),
            since: DateTime::<Utc>::MIN_UTC,
        };
        self.begin(app, container, how, false);
    }

    /// Follows the server of an add-on for one of its apps.
    pub(crate) fn share(&self, app: Id<App>, container: &ContainerId, how: Shared) {
        self.begin(app, container, how, true);
    }

    pub(crate) fn is_followed(&self, app: Id<App>, container: &ContainerId) -> bool {
        self.lock().contains_key(&(container.clone(), app))
    }

    /// Follows the servers of add-ons for these apps alone: all others use them no more.
    pub(crate) fn share_no_others(&self, wanted: &HashSet<(ContainerId, Id<App>)>) {
        let mut followed = self.lock();
        let left = followed.extract_if(|key, followed| followed.is_shared && !wanted.contains(key));
        for (_, followed) in left {
            followed.left.cancel();
        }
    }

    fn begin(&self, app: Id<App>, container: &ContainerId, how: Shared, is_shared: bool) {
        let (drained, left) = match self.lock().entry((container.clone(), app)) {
            Entry::Occupied(_) => return,
            Entry::Vacant(entry) => {
                let (drained, left) = (CancellationToken::new(), self.stop.child_token());
                let followed = Followed {
                    is_shared,
                    drained: drained.clone(),
                    left: left.clone(),
                };
                entry.insert(followed);
                (drained, left)
            }
        };
        let task = Task {
            engine: Arc::clone(&self.engine),
            logs: Arc::clone(&self.logs),
            app,
            container: container.clone(),
            how,
            retry_after: FIRST_RETRY,
        };
        let (logs, container, stop) = (Arc::clone(&self.logs), container.clone(), self.stop.clone());
        self.tracker.spawn(async move {
            tokio::select! {
                // First: who has left hears no more, also of what has come meanwhile.
                biased;
                // Not drained when stopped: whoever waits for that must not take the rest of the output for stored.
                () = left.cancelled() => {}
                () = task.run() => drained.cancel(),
            }
            if left.is_cancelled() && !stop.is_cancelled() {
                // Nothing is written any more that would bring it back.
                let_go(&logs, app, &container);
            }
        });
    }

    /// Waits until all output of an ended container is stored: from then on the container may be removed.
    ///
    /// Returns at once for a container that is not followed. Waits for as long as the engine or the disk fails, so
    /// bound it where something else waits.
    pub(crate) async fn drained(&self, container: &ContainerId) {
        let drained: Vec<_> = {
            let followed = self.lock();
            let of_it = followed.iter().filter(|((one, _), _)| one == container);
            of_it.map(|(_, followed)| followed.drained.clone()).collect()
        };
        for drained in drained {
            drained.cancelled().await;
        }
    }

    /// The container was removed: its place in the log need not be remembered any longer.
    pub(crate) fn forget(&self, container: &ContainerId) {
        let mut followed = self.lock();
        let removed: Vec<_> = followed.extract_if(|(one, _), _| one == container).collect();
        drop(followed);
        for ((_, app), _) in removed {
            let_go(&self.logs, app, container);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(ContainerId, Id<App>), Followed>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn let_go(logs: &LogStore, app: Id<App>, container: &ContainerId) {
    if let Err(error) = logs.forget(app, container) {
        tracing::warn!(app.id = %app, error = %causes(&error), "a removed container is still in the log's marks");
    }
}

struct Task {
    engine: Arc<dyn Engine>,
    logs: Arc<LogStore>,
    app: Id<App>,
    container: ContainerId,
    how: Shared,
    retry_after: Duration,
}

impl Task {
    async fn run(mut self) {
        while let Err(error) = self.collect().await {
            tracing::warn!(
                app.id = %self.app,
                dyno.name = %self.how.process,
                error = %causes(&*error),
                "reading the output of a dyno again"
            );
            tokio::time::sleep(self.retry_after).await;
            self.retry_after = (self.retry_after * 2).min(LAST_RETRY);
        }
    }

    /// Stores everything from the last mark on, until the container has ended.
    async fn collect(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let since = LogPosition {
            at: self.how.since,
            ordinal: 0,
        };
        let since = (self.how.since > DateTime::<Utc>::MIN_UTC).then_some(since);
        let after = self.logs.position(self.app, &self.container)?.or(since);
        let mut batches = self.engine.logs(&self.container, after).ready_chunks(BATCH_CHUNKS);
        // Pieces of a long line end with an empty chunk where the line ends just there: that is no empty line.
        let mut is_inside = HashMap::new();
        while let Some(batch) = batches.next().await {
            let mut lines = Vec::new();
            let mut position = None;
            let mut failure = None;
            for chunk in batch {
                let chunk = match chunk {
                    Ok(chunk) => chunk,
                    Err(error) => {
                        failure = Some(error);
                        break;
                    }
                };
                position = Some(chunk.position);
                let was_inside = is_inside.insert(chunk.stream, chunk.is_partial).unwrap_or(false);
                let is_no_line = was_inside && chunk.bytes.is_empty();
                if !is_no_line && !self.is_left_out(&chunk) {
                    lines.push(self.line(&chunk));
                }
            }
            if let (Some(position), false) = (position, lines.is_empty()) {
                self.logs.append_output(self.app, &lines, &self.container, position)?;
                self.retry_after = FIRST_RETRY;
            }
            if let Some(error) = failure {
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn line(&self, chunk: &LogChunk) -> LogLine {
        LogLine {
            at: chunk.position.at,
            source: LogSource::App,
            process: self.how.process.clone(),
            message: format!("{}{}", self.how.prefix, String::from_utf8_lossy(&chunk.bytes)),
        }
    }

    fn is_left_out(&self, chunk: &LogChunk) -> bool {
        let mut beginnings = self.how.without.iter();
        beginnings.any(|beginning| chunk.bytes.starts_with(beginning.as_bytes()))
    }
}
