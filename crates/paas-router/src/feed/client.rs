//! The control plane's end of the feed.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use paas_core::{Dyno, Id};
use thiserror::Error;
use tokio::{
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot, watch},
};
use tokio_util::{
    codec::{FramedRead, FramedWrite, LengthDelimitedCodec, LinesCodec},
    sync::CancellationToken,
    task::TaskTracker,
};

use super::{DrainOutcome, FeederFrame, Hello, Report, RouterFrame, Table, change::Sent, codec};

/// Frames on their way to the router; a full queue makes `publish` wait.
const QUEUED_FRAMES: usize = 16;
/// Reports that the control plane has not taken yet; those beyond are dropped and counted.
const QUEUED_REPORTS: usize = 10_000;

/// One connection to a router.
///
/// It never reconnects by itself. When the router goes away every method, and everything that waits in one, returns
/// [`FeedError::Disconnected`] and [`closed`](Self::closed) resolves: connect again, publish the table of now, and ask again
/// for the drains that are still wanted. A fresh router answers `Drained` at once for dynos that it never heard of.
#[derive(Clone)]
pub struct FeedClient {
    hello: Hello,
    frames: mpsc::Sender<FeederFrame>,
    published: Arc<tokio::sync::Mutex<Published>>,
    inbox: Arc<Inbox>,
}

/// The reports of one connection, in order.
pub struct Reports {
    reports: mpsc::Receiver<Report<'static>>,
}

#[derive(Debug, Error)]
pub enum FeedError {
    #[error("connect to the router at {path}")]
    Connect { path: PathBuf, source: io::Error },
    #[error("the router at {path} said something unexpected instead of hello")]
    Hello { path: PathBuf },
    #[error("the router closed the feed")]
    Disconnected,
}

/// What came from the router and who waits for it.
struct Inbox {
    applied: watch::Sender<u64>,
    drains: Mutex<Drains>,
    closed: CancellationToken,
}

/// What left over this connection.
struct Published {
    version: u64,
    /// `None` before the first table.
    sent: Option<Sent>,
}

/// Drains that were not answered yet, by their number.
#[derive(Default)]
struct Drains {
    asked: u64,
    waiting: HashMap<u64, oneshot::Sender<DrainOutcome>>,
}

impl FeedClient {
    /// Connects to the router behind `path` and takes the feed over from whoever had it. The connection lives on two tasks
    /// of `tracker` until every clone of the client is gone.
    pub async fn connect(path: &Path, tracker: &TaskTracker) -> Result<(Self, Reports), FeedError> {
        let stream = UnixStream::connect(path).await.map_err(|source| FeedError::Connect {
            path: path.to_owned(),
            source,
        })?;
        let (read, write) = stream.into_split();
        let mut incoming = FramedRead::new(read, codec());
        let Some(RouterFrame::Hello(hello)) = next_frame(&mut incoming).await else {
            return Err(FeedError::Hello { path: path.to_owned() });
        };
        let (frames, queued) = mpsc::channel(QUEUED_FRAMES);
        let (report, reports) = mpsc::channel(QUEUED_REPORTS);
        let inbox = Arc::new(Inbox {
            applied: watch::Sender::new(hello.version),
            drains: Mutex::default(),
            closed: CancellationToken::new(),
        });
        tracker.spawn(send(queued, write, inbox.closed.clone()));
        tracker.spawn(receive(incoming, inbox.clone(), report));
        let published = Arc::new(tokio::sync::Mutex::new(Published {
            version: hello.version,
            sent: None,
        }));
        let client = Self {
            hello,
            frames,
            published,
            inbox,
        };
        Ok((client, Reports { reports }))
    }

    /// What the router said of itself when this connection began.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Sends what is new in the table, which is nothing when the router was sent the same before, and returns the version
    /// that it got. It is not in force before [`applied`](Self::applied).
    pub async fn publish(&self, table: Table) -> Result<u64, FeedError> {
        // Held across the send, so that versions leave in the order in which they were counted.
        let mut published = self.published.lock().await;
        let Published { version: base, sent } = &mut *published;
        let version = *base + 1;
        match sent.as_ref().and_then(|sent| sent.change_to(&table)) {
            Some(change) if change.is_empty() => return Ok(*base),
            Some(change) => {
                let frame = FeederFrame::Change {
                    version,
                    base: *base,
                    change: change.clone(),
                };
                self.send(frame).await?;
                *base = version;
                // It leaves before its book-keeping. From whoever gives up here, the next table crosses whole.
                let mut known = sent.take().unwrap_or_default();
                tokio::task::yield_now().await;
                known.follow(&change, table);
                *sent = Some(known);
            }
            None => {
                let frame = FeederFrame::Table {
                    version,
                    table: table.clone(),
                };
                self.send(frame).await?;
                sent.get_or_insert_default().replace(table);
            }
        }
        *base = version;
        Ok(version)
    }

    /// Waits until no new request sees a table older than `version`.
    pub async fn applied(&self, version: u64) -> Result<(), FeedError> {
        let mut applied = self.inbox.applied.subscribe();
        tokio::select! {
            reached = applied.wait_for(|applied| *applied >= version) => reached.map(|_| ()).map_err(|_| FeedError::Disconnected),
            () = self.inbox.closed.cancelled() => Err(FeedError::Disconnected),
        }
    }

    /// Waits until nothing of a dyno is in flight, at most `within`; then its tunnels are closed. Publish a table without
    /// the dyno first.
    pub async fn drained(&self, dyno: Id<Dyno>, within: Duration) -> Result<DrainOutcome, FeedError> {
        let (answer, answered) = oneshot::channel();
        let dyno = *dyno.as_uuid();
        let drain = self.inbox.drains().ask(answer);
        self.send(FeederFrame::Drain { drain, dyno, within }).await?;
        tokio::select! {
            outcome = answered => outcome.map_err(|_| FeedError::Disconnected),
            () = self.inbox.closed.cancelled() => Err(FeedError::Disconnected),
        }
    }

    /// Resolves when the router is gone, or another feeder took over.
    pub async fn closed(&self) {
        self.inbox.closed.cancelled().await;
    }

    async fn send(&self, frame: FeederFrame) -> Result<(), FeedError> {
        tokio::select! {
            sent = self.frames.send(frame) => sent.map_err(|_| FeedError::Disconnected),
            () = self.inbox.closed.cancelled() => Err(FeedError::Disconnected),
        }
    }
}

impl Reports {
    /// The next report; `None` when the connection is over.
    pub async fn next(&mut self) -> Option<Report<'static>> {
        self.reports.recv().await
    }
}

impl Inbox {
    fn drains(&self) -> MutexGuard<'_, Drains> {
        self.drains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drains {
    fn ask(&mut self, answer: oneshot::Sender<DrainOutcome>) -> u64 {
        self.asked += 1;
        self.waiting.insert(self.asked, answer);
        self.asked
    }
}

/// Writes frames until the last client is dropped or the connection breaks.
async fn send(mut queued: mpsc::Receiver<FeederFrame>, write: OwnedWriteHalf, closed: CancellationToken) {
    let mut lines = FramedWrite::new(write, LinesCodec::new());
    loop {
        let frame = tokio::select! {
            frame = queued.recv() => frame,
            () = closed.cancelled() => None,
        };
        let Some(frame) = frame else { break };
        let Ok(line) = serde_json::to_string(&frame) else {
            break;
        };
        if lines.send(line).await.is_err() {
            break;
        }
    }
    // The router sees the end of the stream and closes its side, which ends `receive`.
}

/// Hands out what the router says, and never waits for those who take it.
async fn receive(mut frames: Frames, inbox: Arc<Inbox>, reports: mpsc::Sender<Report<'static>>) {
    let _closed = inbox.closed.clone().drop_guard();
    let mut dropped = 0;
    while let Some(frame) = next_frame(&mut frames).await {
        match frame {
            RouterFrame::Hello(_) => {}
            RouterFrame::Applied { version } => {
                inbox.applied.send_replace(version);
            }
            RouterFrame::Drained { drain, outcome } => {
                if let Some(waiting) = inbox.drains().waiting.remove(&drain) {
                    // Whoever asked may have given up.
                    let _ = waiting.send(outcome);
                }
            }
            RouterFrame::Reports(batch) => {
                for report in batch {
                    if dropped > 0 && reports.try_send(Report::Dropped { count: dropped }).is_ok() {
                        dropped = 0;
                    }
                    if reports.try_send(report).is_err() {
                        dropped += 1;
                    }
                }
            }
        }
    }
}

type Frames = FramedRead<OwnedReadHalf, LengthDelimitedCodec>;

/// The next frame; `None` at the end, and after anything that is no frame.
async fn next_frame(frames: &mut Frames) -> Option<RouterFrame> {
    let frame = frames.next().await?.ok()?;
    postcard::from_bytes(&frame).ok()
}
