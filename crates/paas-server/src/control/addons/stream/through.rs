//! A dump on its way to a restore, with nothing kept in between.

use std::io;

use anyhow::Result;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::{mpsc, oneshot};

use super::{PIECES, Pipe, into, out_of};

/// Lets one program read what another one writes. The end of what it reads is the end of a dump that has succeeded, and nothing else.
/// Tells how many bytes have passed.
pub(crate) async fn through(from: Pipe<'_>, to: Pipe<'_>, passed: impl FnMut(u64) + Send + 'static) -> Result<()> {
    let (sink, pieces) = mpsc::channel(PIECES);
    let (tell, told) = oneshot::channel();
    let dump = async {
        let ended = out_of(from, sink).await;
        let trouble = ended.as_ref().err().map(|error| format!("{error:#}"));
        // Where nobody listens, the restore has ended before.
        let _ = tell.send(trouble);
        ended
    };
    let restore = into(to, source(pieces, told, passed).boxed());
    let (dumped, restored) = tokio::join!(dump, restore);
    // A dump that nobody takes any more complains of that, too: what the restore says is the reason.
    restored.and(dumped)
}

/// The pieces of a dump to its end, which is none when the dump did not succeed.
fn source(
    pieces: mpsc::Receiver<Bytes>,
    told: oneshot::Receiver<Option<String>>,
    tell: impl FnMut(u64) + Send + 'static,
) -> impl stream::Stream<Item = io::Result<Bytes>> + Send {
    struct State<T> {
        pieces: mpsc::Receiver<Bytes>,
        told: Option<oneshot::Receiver<Option<String>>>,
        tell: T,
        passed: u64,
    }
    let state = State {
        pieces,
        told: Some(told),
        tell,
        passed: 0,
    };
    stream::unfold(state, |mut state| async move {
        if let Some(piece) = state.pieces.recv().await {
            state.passed += piece.len() as u64;
            (state.tell)(state.passed);
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
        sink.send(Bytes::from("one")).await.unwrap();
        drop(sink);
        end(tell);
        let read = source(pieces, told, |_| {}).map(|piece| piece.map_err(|error| error.to_string()));
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
