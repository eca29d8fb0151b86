//! Doors that anybody can come to: so many may be inside at once who have not said who they are.

use std::{
    future::poll_fn,
    io,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

use crate::platform::Platform;

const MOST_STRANGERS: usize = 64;
/// After an error of the system: no more files, for one.
const PAUSE: Duration = Duration::from_millis(100);

/// What listens.
pub(crate) trait Door {
    type Stream: Send + 'static;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Self::Stream>>;
}

/// Lets people in until the platform stops. Whoever is known gives the place of a stranger back.
pub(crate) async fn welcome<D: Door, F>(
    platform: &Platform,
    door: &D,
    serve: impl Fn(D::Stream, OwnedSemaphorePermit) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let strangers = Arc::new(Semaphore::new(MOST_STRANGERS));
    let accept = async || {
        let stranger = Arc::clone(&strangers).acquire_owned().await.map_err(io::Error::other)?;
        Ok((poll_fn(|cx| door.poll_accept(cx)).await?, stranger))
    };
    while let Some(accepted) = platform.stop.run_until_cancelled(accept()).await {
        match accepted {
            Ok((stream, stranger)) => drop(platform.tracker.spawn(serve(stream, stranger))),
            Err(error) => {
                let error: io::Error = error;
                tracing::warn!(%error, "somebody could not be let in");
                sleep(PAUSE).await;
            }
        }
    }
}

impl Door for TcpListener {
    type Stream = TcpStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        Poll::Ready(ready!(self.poll_accept(cx)).map(|(stream, _)| stream))
    }
}

impl Door for UnixListener {
    type Stream = UnixStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<UnixStream>> {
        Poll::Ready(ready!(self.poll_accept(cx)).map(|(stream, _)| stream))
    }
}
