//! The router's end of the feed.

use std::{
    collections::VecDeque,
    future::pending,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream::FuturesUnordered};
use tokio::net::{UnixListener, UnixStream, unix::OwnedWriteHalf};
use tokio_util::{
    codec::{FramedRead, FramedWrite, LengthDelimitedCodec, LinesCodec},
    sync::CancellationToken,
};

use super::{FeederFrame, Hello, MAX_FRAME_BYTES, RouterFrame, codec};
use crate::{
    reports::Batch,
    router::{Addresses, RouterError},
    shared::Shared,
};

/// The feed socket, bound.
pub(crate) struct FeedServer {
    listener: UnixListener,
    path: PathBuf,
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
    pub(crate) async fn run(self, shared: Arc<Shared>, addresses: Addresses, stop: CancellationToken) {
        // What is on its way: a feeder that breaks off leaves it to the next one.
        let mut outbox = VecDeque::new();
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

type Sink = FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>;

/// Serves one feeder until it goes away, or until the router ends; then it still gets what there is.
async fn serve(
    stream: UnixStream,
    shared: &Arc<Shared>,
    outbox: &mut VecDeque<Batch>,
    addresses: Addresses,
    stop: &CancellationToken,
) -> io::Result<()> {
    let (read_half, write_half) = stream.into_split();
    let mut frames = FramedRead::new(read_half, LinesCodec::new_with_max_length(MAX_FRAME_BYTES));
    let mut sink = FramedWrite::new(write_half, codec());
    let hello = Hello {
        pid: std::process::id(),
        version: shared.tables.current().version,
        http: addresses.http,
        https: addresses.https,
    };
    send(&mut sink, &RouterFrame::Hello(hello)).await?;
    let mut drains = FuturesUnordered::new();
    loop {
        send_reports(&mut sink, outbox).await?;
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
            () = shared.reports.ripe() => outbox.extend(shared.reports.take()),
            () = stop.cancelled() => break,
        }
    }
    outbox.extend(shared.reports.take());
    send_reports(&mut sink, outbox).await
}

fn read(frame: Option<Result<String, tokio_util::codec::LinesCodecError>>) -> io::Result<Option<FeederFrame>> {
    let Some(line) = frame else { return Ok(None) };
    let line = line.map_err(io::Error::other)?;
    // The parser's own words could quote a key.
    serde_json::from_str(&line)
        .map(Some)
        .map_err(|_| io::ErrorKind::InvalidData.into())
}

async fn send(sink: &mut Sink, frame: &RouterFrame) -> io::Result<()> {
    let bytes = postcard::to_stdvec(frame).map_err(io::Error::other)?;
    sink.send(Bytes::from(bytes)).await
}

async fn send_reports(sink: &mut Sink, outbox: &mut VecDeque<Batch>) -> io::Result<()> {
    while let Some(batch) = outbox.front() {
        sink.send(frame(batch).map_err(io::Error::other)?).await?;
        outbox.pop_front();
    }
    Ok(())
}

/// [`RouterFrame::Reports`] with reports that are encoded already.
fn frame(batch: &Batch) -> postcard::Result<Bytes> {
    let mut frame = postcard::to_stdvec(&RouterFrame::Reports(Vec::new()))?;
    // Its last byte says that there is none.
    frame.pop();
    let mut frame = postcard::to_extend(&batch.count, frame)?;
    frame.extend_from_slice(&batch.encoded);
    Ok(frame.into())
}
