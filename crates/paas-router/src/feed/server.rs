//! The router's end of the feed.

use std::{
    future::pending,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::{
    SinkExt, StreamExt,
    stream::{FuturesUnordered, SplitSink, SplitStream},
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::mpsc,
};
use tokio_util::{
    codec::{Framed, LinesCodec},
    sync::CancellationToken,
};

use super::{FeederFrame, Hello, MAX_FRAME_BYTES, Report, RouterFrame};
use crate::{
    router::{Addresses, RouterError},
    shared::Shared,
};

/// Reports that are written at once.
const BATCH: usize = 256;

/// The feed socket, bound.
pub(crate) struct FeedServer {
    listener: UnixListener,
    path: PathBuf,
}

/// The reports, and those of them that are on their way: a feeder that breaks off leaves them to the next one.
struct Outbox {
    reports: mpsc::Receiver<Report>,
    batch: Vec<Report>,
}

impl FeedServer {
    /// Makes sure that no other router answers there.
    pub(crate) async fn check(path: &Path) -> Result<(), RouterError> {
        match UnixStream::connect(path).await {
            Ok(_) => Err(RouterError::AlreadyRunning { path: path.to_owned() }),
            Err(_) => Ok(()),
        }
    }

    /// Takes the path over, from whoever died with it.
    pub(crate) fn bind(path: PathBuf) -> Result<Self, RouterError> {
        match listen(&path) {
            Ok(listener) => Ok(Self { listener, path }),
            Err(source) => Err(RouterError::Feed { path, source }),
        }
    }

    /// Serves one feeder after the other; whoever comes last is the feeder.
    pub(crate) async fn run(
        self,
        shared: Arc<Shared>,
        reports: mpsc::Receiver<Report>,
        addresses: Addresses,
        stop: CancellationToken,
    ) {
        let mut outbox = Outbox {
            reports,
            batch: Vec::new(),
        };
        let mut next_feeder: Option<UnixStream> = None;
        loop {
            let feeder = next_feeder.take();
            let is_alone = feeder.is_none();
            let serving = async {
                match feeder {
                    Some(stream) => serve(stream, &shared, &mut outbox, addresses, &stop).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                served = serving => {
                    if let Err(error) = served {
                        tracing::info!(%error, "the feeder went away");
                    }
                    if stop.is_cancelled() {
                        break;
                    }
                }
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => next_feeder = Some(stream),
                    Err(error) => tracing::warn!(%error, "a feeder could not be accepted"),
                },
                () = stop.cancelled(), if is_alone => break,
            }
        }
        // It still is ours: a router that started meanwhile would have been answered here.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the feed socket could not be removed");
        }
    }
}

/// Listens under a name of our own first, so that the socket is never there with the wrong mode, and so that a stale one
/// is replaced in one step.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let mut own = path.as_os_str().to_owned();
    own.push(format!(".{}", std::process::id()));
    let own = PathBuf::from(own);
    match std::fs::remove_file(&own) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&own)?;
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&own, path)?;
    Ok(listener)
}

type Lines = Framed<UnixStream, LinesCodec>;

/// Serves one feeder until it goes away, or until the router ends; then it still gets what there is.
async fn serve(
    stream: UnixStream,
    shared: &Arc<Shared>,
    outbox: &mut Outbox,
    addresses: Addresses,
    stop: &CancellationToken,
) -> io::Result<()> {
    let lines = Framed::new(stream, LinesCodec::new_with_max_length(MAX_FRAME_BYTES));
    let (mut sink, mut frames): (_, SplitStream<Lines>) = lines.split();
    let hello = Hello {
        pid: std::process::id(),
        version: shared.tables.current().version,
        http: addresses.http,
        https: addresses.https,
    };
    send(&mut sink, &RouterFrame::Hello(hello)).await?;
    let mut drains = FuturesUnordered::new();
    loop {
        send_batch(&mut sink, shared, outbox).await?;
        tokio::select! {
            biased;
            frame = frames.next() => match read(frame)? {
                None => return Ok(()),
                Some(FeederFrame::Table { version, table }) => {
                    shared.tables.replace(version, table, &shared.limits);
                    send(&mut sink, &RouterFrame::Applied { version }).await?;
                }
                Some(FeederFrame::Change { version, base, change }) => {
                    if !shared.tables.change(version, base, change, &shared.limits) {
                        return Err(io::Error::other("a change of a table that is not in force"));
                    }
                    send(&mut sink, &RouterFrame::Applied { version }).await?;
                }
                Some(FeederFrame::Drain { drain, dyno, within }) => {
                    drains.push(async move { (drain, shared.tables.drain(dyno, within).await) });
                }
            },
            Some((drain, outcome)) = drains.next() => send(&mut sink, &RouterFrame::Drained { drain, outcome }).await?,
            _ = outbox.reports.recv_many(&mut outbox.batch, BATCH) => {}
            () = stop.cancelled() => break,
        }
    }
    while let Ok(report) = outbox.reports.try_recv() {
        outbox.batch.push(report);
    }
    send_batch(&mut sink, shared, outbox).await
}

fn read(frame: Option<Result<String, tokio_util::codec::LinesCodecError>>) -> io::Result<Option<FeederFrame>> {
    let Some(line) = frame else { return Ok(None) };
    let line = line.map_err(io::Error::other)?;
    // The parser's own words could quote a key.
    serde_json::from_str(&line)
        .map(Some)
        .map_err(|_| io::ErrorKind::InvalidData.into())
}

async fn send(sink: &mut SplitSink<Lines, String>, frame: &RouterFrame) -> io::Result<()> {
    let line = serde_json::to_string(frame).map_err(io::Error::other)?;
    sink.send(line).await.map_err(io::Error::other)
}

async fn send_batch(sink: &mut SplitSink<Lines, String>, shared: &Shared, outbox: &mut Outbox) -> io::Result<()> {
    let count = shared.reports.take_dropped();
    if count > 0 {
        send(sink, &RouterFrame::Report(Report::Dropped { count })).await?;
    }
    if outbox.batch.is_empty() {
        return Ok(());
    }
    for report in &outbox.batch {
        let line = serde_json::to_string(&RouterFrame::Report(report.clone())).map_err(io::Error::other)?;
        sink.feed(line).await.map_err(io::Error::other)?;
    }
    futures_util::SinkExt::<String>::flush(sink)
        .await
        .map_err(io::Error::other)?;
    outbox.batch.clear();
    Ok(())
}
