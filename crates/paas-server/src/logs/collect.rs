//! Follows the output of containers into the logs of their apps.
//!
//! Each container has one task. Chunks that are ready together are stored together, with the position of the last one as
//! their mark: whenever the task starts again, after an error of the engine's or after a restart of the server, it goes
//! on behind the last mark in the log. Nothing is remembered anywhere else.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use paas_core::{App, Id, LogLine, LogSource};
use paas_engine::{ContainerId, Engine, LogChunk};
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
    followed: Mutex<HashMap<ContainerId, Followed>>,
}

struct Followed {
    app: Id<App>,
    drained: CancellationToken,
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
        let drained = match self.lock().entry(container.clone()) {
            Entry::Occupied(_) => return,
            Entry::Vacant(entry) => {
                let drained = CancellationToken::new();
                let followed = Followed {
                    app,
                    drained: drained.clone(),
                };
                entry.insert(followed);
                drained
            }
        };
        let task = Task {
            engine: Arc::clone(&self.engine),
            logs: Arc::clone(&self.logs),
            app,
            container: container.clone(),
            process: process.to_owned(),
            retry_after: FIRST_RETRY,
        };
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            // Not drained when stopped: whoever waits for that must not take the rest of the output for stored.
            if stop.run_until_cancelled(task.run()).await.is_some() {
                drained.cancel();
            }
        });
    }

    /// Waits until all output of an ended container is stored: from then on the container may be removed.
    ///
    /// Returns at once for a container that is not followed. Waits for as long as the engine or the disk fails, so
    /// bound it where something else waits.
    pub(crate) async fn drained(&self, container: &ContainerId) {
        let drained = self.lock().get(container).map(|followed| followed.drained.clone());
        if let Some(drained) = drained {
            drained.cancelled().await;
        }
    }

    /// The container was removed: its place in the log need not be remembered any longer.
    pub(crate) fn forget(&self, container: &ContainerId) {
        let followed = self.lock().remove(container);
        if let Some(Followed { app, .. }) = followed
            && let Err(error) = self.logs.forget(app, container)
        {
            tracing::warn!(app.id = %app, error = %causes(&error), "a removed container is still in the log's marks");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ContainerId, Followed>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Task {
    engine: Arc<dyn Engine>,
    logs: Arc<LogStore>,
    app: Id<App>,
    container: ContainerId,
    process: String,
    retry_after: Duration,
}

impl Task {
    async fn run(mut self) {
        while let Err(error) = self.collect().await {
            tracing::warn!(
                app.id = %self.app,
                dyno.name = %self.process,
                error = %causes(&*error),
                "reading the output of a dyno again"
            );
            tokio::time::sleep(self.retry_after).await;
            self.retry_after = (self.retry_after * 2).min(LAST_RETRY);
        }
    }

    /// Stores everything from the last mark on, until the container has ended.
    async fn collect(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let after = self.logs.position(self.app, &self.container)?;
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
                if !(was_inside && chunk.bytes.is_empty()) {
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
            process: self.process.clone(),
            message: String::from_utf8_lossy(&chunk.bytes).into_owned(),
        }
    }
}
