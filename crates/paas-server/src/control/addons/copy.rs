//! What is in an add-on, copied into another one: a dump on its way to a restore, with nothing kept in between.
//!
//! Like a shell it belongs to a person's stream and ends with it. What breaks off is never taken for the end of a dump. Whether it
//! leaves the target as it was is its service's business: Postgres restores beside what is there and swaps the two, `MariaDB` fills
//! the original table by table after a trial beside it, and `MongoDB` replaces collection by collection. One thing at a time is put
//! into a server: `restore` holds a lock there.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use paas_engine::{ContainerId, Output, OutputStream};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::stream::{Pipe, into, out_of};
use crate::{
    control::beside::visitor,
    platform::Platform,
    rendezvous::{Invitation, Visitor},
    sessions::Session,
};

/// Pieces on their way.
const PIECES: usize = 16;
/// After so many bytes whoever waits is told how many there were.
const WORD_BYTES: u64 = 1024 * 1024;

/// A program that dumps, one that restores, and where they are.
pub(crate) struct Copy {
    pub(crate) from: (ContainerId, String),
    pub(crate) to: (ContainerId, String),
    pub(crate) invitation: Invitation,
    pub(crate) session: Session,
}

/// Copies for whoever comes.
pub(crate) fn copy(platform: &Arc<Platform>, copy: Copy) {
    let platform = Arc::clone(platform);
    platform.tracker.clone().spawn(async move {
        let Copy {
            from,
            to,
            mut invitation,
            session,
        } = copy;
        if let Some(visitor) = visitor(&platform, &mut invitation, &session).await {
            serve(&platform, (&from, &to), visitor, &session).await;
        }
    });
}

async fn serve(
    platform: &Platform,
    (from, to): (&(ContainerId, String), &(ContainerId, String)),
    visitor: Visitor,
    session: &Session,
) {
    let Visitor {
        stdin: _stdin,
        output,
        gone,
        exit,
        target: _,
    } = visitor;
    let transfer = Uuid::new_v4();
    let [dumping, restoring] = [from, to].map(|(container, script)| Pipe {
        engine: &platform.engine,
        container,
        script,
        transfer,
        cancel: &gone,
    });
    let (sink, pieces) = mpsc::channel(PIECES);
    let (tell, told) = oneshot::channel();
    let dump = async {
        let ended = out_of(dumping, sink).await;
        let trouble = ended.as_ref().err().map(|error| format!("{error:#}"));
        // Where nobody listens, the restore has ended before.
        let _ = tell.send(trouble);
        ended
    };
    let restore = into(restoring, source(pieces, told, output.clone()).boxed());
    let watch = async {
        tokio::select! {
            () = session.ended().cancelled() => {}
            () = platform.stop.cancelled() => {}
        }
        gone.cancel();
        std::future::pending::<()>().await;
    };
    let (dumped, restored) = tokio::select! {
        ended = async { tokio::join!(dump, restore) } => ended,
        () = watch => return,
    };
    // A dump that nobody takes any more complains of that, too: what the restore says is the reason.
    let trouble = match (restored, dumped) {
        (Err(error), _) | (Ok(()), Err(error)) => Some(format!("{error:#}")),
        (Ok(()), Ok(())) => None,
    };
    if let Some(trouble) = &trouble {
        let bytes = format!("{trouble}\n").into();
        let stream = OutputStream::Stderr;
        // Whoever has gone need not know.
        let _ = output.send(Output { stream, bytes }).await;
    }
    let _ = exit.send(i32::from(trouble.is_some()));
}

/// The pieces of a dump to its end, which is none when the dump did not succeed. Tells how many bytes have passed.
fn source(
    pieces: mpsc::Receiver<Bytes>,
    told: oneshot::Receiver<Option<String>>,
    output: mpsc::Sender<Output>,
) -> impl stream::Stream<Item = io::Result<Bytes>> + Send {
    struct State {
        pieces: mpsc::Receiver<Bytes>,
        told: Option<oneshot::Receiver<Option<String>>>,
        output: mpsc::Sender<Output>,
        passed: u64,
        said: u64,
    }
    let state = State {
        pieces,
        told: Some(told),
        output,
        passed: 0,
        said: 0,
    };
    stream::unfold(state, |mut state| async move {
        if let Some(piece) = state.pieces.recv().await {
            state.passed += piece.len() as u64;
            if state.passed >= state.said + WORD_BYTES {
                state.said = state.passed;
                let bytes = format!("{}\n", state.passed).into();
                let stream = OutputStream::Stdout;
                // A word that finds no room is not waited for.
                let _ = state.output.try_send(Output { stream, bytes });
            }
            return Some((Ok(piece), state));
        }
        let trouble = match state.told.take()?.await {
            Ok(None) => return None,
            Ok(Some(trouble)) => trouble,
            Err(_) => "the dump was broken off".to_owned(),
        };
        Some((Err(io::Error::other(trouble)), state))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out of a dump that says one word, and then ends so.
    async fn read(end: impl FnOnce(oneshot::Sender<Option<String>>)) -> Vec<Result<Bytes, String>> {
        let (sink, pieces) = mpsc::channel(PIECES);
        let (tell, told) = oneshot::channel();
        let (output, _words) = mpsc::channel(1);
        sink.send(Bytes::from("one")).await.unwrap();
        drop(sink);
        end(tell);
        let read = source(pieces, told, output).map(|piece| piece.map_err(|error| error.to_string()));
        read.collect().await
    }

    #[tokio::test]
    async fn only_a_dump_that_succeeded_has_an_end() {
        let one = || Ok(Bytes::from("one"));
        assert_eq!(read(|tell| tell.send(None).unwrap()).await, [one()]);
        let damaged = || "no such table".to_owned();
        let ended = read(|tell| tell.send(Some(damaged())).unwrap()).await;
        assert_eq!(ended, [one(), Err(damaged())]);
        assert_eq!(read(drop).await, [one(), Err("the dump was broken off".to_owned())]);
    }
}
