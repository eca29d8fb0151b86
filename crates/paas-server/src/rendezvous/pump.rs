//! One connection: bytes both ways, bounded, until either side has gone.

use std::{
    future::pending,
    os::fd::{AsFd, OwnedFd},
    pin::pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::BytesMut;
use futures_util::{StreamExt as _, stream};
use paas_engine::{Input, Output};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Host, Invited, Limits, Target, Visitor,
    dialect::{Dialect, Ear, Heard, Mouth},
};

/// How many pieces wait on their way, either way; what is beyond them waits where it comes from.
const PIECES: usize = 8;
const PIECE_BYTES: usize = 16 * 1024;
/// After an end-of-input character in a piece of its own, and after one at the end of more: the line may be slow just there.
const HOLD_INPUT: Duration = Duration::from_millis(100);
const HOLD_INPUT_BEHIND_MORE: Duration = Duration::from_secs(2);
const HOLD_OUTPUT: Duration = Duration::from_millis(100);
/// Proxies close what is silent for 55 s.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long a person has to read the last words.
const LINGER: Duration = Duration::from_secs(10);
/// How soon it shows that a person has gone whose input nobody reads.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A connection that was introduced.
pub(super) struct Arrival<S> {
    pub(super) stream: S,
    pub(super) dialect: Dialect,
    /// What came behind the introduction.
    pub(super) read: BytesMut,
    /// Nothing is said before.
    pub(super) speak_at: Instant,
    /// The socket, where there is one to look at.
    pub(super) socket: Option<OwnedFd>,
    pub(super) target: Option<Target>,
}

/// Serves an upgraded request of the API.
pub(crate) async fn receive<S>(stream: S, host: Host, target: Option<Target>, limits: Limits)
where
    S: AsyncRead + AsyncWrite + Send,
{
    let arrival = Arrival {
        stream,
        dialect: Dialect::Frames,
        read: BytesMut::new(),
        speak_at: Instant::now(),
        socket: None,
        target,
    };
    serve(arrival, host, limits).await;
}

/// Brings a visitor to the host, and carries bytes to the end.
pub(super) async fn serve<S>(arrival: Arrival<S>, host: Host, limits: Limits)
where
    S: AsyncRead + AsyncWrite + Send,
{
    let Arrival {
        stream,
        dialect,
        read,
        speak_at,
        socket,
        target,
    } = arrival;
    let has_terminal = matches!(host.invited, Invited::Program { has_terminal: true });
    let (input, heard) = mpsc::channel::<Input>(PIECES);
    let (output, said) = mpsc::channel(PIECES);
    let (exit, ended) = oneshot::channel();
    let gone = CancellationToken::new();
    let stdin = stream::unfold(heard, |mut heard| async { Some((heard.recv().await?, heard)) });
    let visitor = Visitor {
        stdin: stdin.boxed(),
        output,
        gone: gone.clone(),
        exit,
        target,
    };
    if host.visitors.send(visitor).await.is_err() {
        return;
    }
    drop(host);

    let activity = Activity::new();
    let (source, sink) = split(stream);
    let listen = async {
        let mut listener = pin!(listen(source, read, Ear::new(dialect, has_terminal), input, &activity));
        tokio::select! {
            () = &mut listener => {}
            () = async {
                match &socket {
                    Some(socket) => peer_closed(socket).await,
                    None => pending().await,
                }
            } => {}
        }
    };
    let speak = async {
        sleep_until(speak_at).await;
        speak(sink, Mouth::new(dialect), said, ended, &activity).await
    };
    let mut listen = pin!(listen);
    let mut speak = pin!(speak);
    tokio::select! {
        // Whoever is sent away sees nothing more.
        biased;
        () = gone.cancelled() => {}
        // It was all said. What still comes is read, or else the system would throw away what is on its way to the person.
        all_said = &mut speak => if all_said {
            let _ = timeout(LINGER, listen).await;
        },
        () = &mut listen => {}
        () = activity.ceases_for(limits.idle) => tracing::debug!("nobody has said anything for too long"),
    }
    gone.cancel();
}

/// Hands on what the person says until there is nothing more to hear.
async fn listen<S: AsyncRead>(
    source: S,
    mut buffer: BytesMut,
    mut ear: Ear,
    input: mpsc::Sender<Input>,
    activity: &Activity,
) {
    let mut source = pin!(source);
    // `None` when nobody listens any longer; what comes is thrown away then.
    let mut input = Some(input);
    loop {
        let was_alone = buffer.len() == 1;
        let Ok(heard) = ear.hear(&mut buffer) else { return };
        for heard in heard {
            hand_on(heard, &mut input).await;
        }
        buffer.reserve(PIECE_BYTES);
        let read = if ear.is_holding() {
            let hold = if was_alone { HOLD_INPUT } else { HOLD_INPUT_BEHIND_MORE };
            let Ok(read) = timeout(hold, source.read_buf(&mut buffer)).await else {
                if let Some(end) = ear.release() {
                    hand_on(end, &mut input).await;
                }
                continue;
            };
            read
        } else {
            source.read_buf(&mut buffer).await
        };
        if !matches!(read, Ok(1..)) {
            return;
        }
        activity.happens();
    }
}

async fn hand_on(heard: Heard, input: &mut Option<mpsc::Sender<Input>>) {
    let is_over = match (heard, &*input) {
        (_, None) => return,
        (Heard::EndOfInput, _) => true,
        (Heard::Input(heard), Some(sender)) => sender.send(heard).await.is_err(),
    };
    if is_over {
        *input = None;
    }
}

/// Says what the program says, to its end; `false` when nobody listens.
async fn speak<S: AsyncWrite>(
    sink: S,
    mut mouth: Mouth,
    mut said: mpsc::Receiver<Output>,
    ended: oneshot::Receiver<i32>,
    activity: &Activity,
) -> bool {
    let mut sink = pin!(sink);
    loop {
        let pieces = tokio::select! {
            output = said.recv() => match output {
                Some(output) => {
                    activity.happens();
                    mouth.say(&output)
                }
                None => break,
            },
            () = sleep(HOLD_OUTPUT), if mouth.is_holding() => vec![mouth.release()],
            () = sleep(KEEP_ALIVE) => vec![mouth.keep_alive()],
        };
        for piece in pieces {
            if sink.write_all(&piece).await.is_err() || sink.flush().await.is_err() {
                return false;
            }
        }
    }
    let last = mouth.finish(ended.await.ok());
    sink.write_all(&last).await.is_ok() && sink.shutdown().await.is_ok()
}

/// Waits until the other side has closed a connection whose input may be stuck half-way: nobody would read its end.
pub(crate) async fn peer_closed(socket: &impl AsFd) {
    loop {
        sleep(LOOK_AGAIN).await;
        let mut looks = [PollFd::new(socket, PollFlags::RDHUP)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let has_closed = match poll(&mut looks, Some(&at_once)) {
            Ok(_) => looks[0]
                .revents()
                .intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR),
            Err(_) => true,
        };
        if has_closed {
            return;
        }
    }
}

/// When something was last said.
struct Activity(Mutex<Instant>);

impl Activity {
    fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    fn happens(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    async fn ceases_for(&self, limit: Duration) {
        loop {
            let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if last.elapsed() >= limit {
                return;
            }
            sleep_until(last + limit).await;
        }
    }
}
