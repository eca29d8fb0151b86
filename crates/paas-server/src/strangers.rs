//! Doors that anybody can come to: so many may be inside at once who have not said who they are.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::platform::Platform;

pub(crate) const MOST_STRANGERS: usize = 64;
/// After an error of the system: no more files, for one.
const PAUSE: Duration = Duration::from_millis(100);

/// What listens.
pub(crate) trait Door {
    type Stream: Send + 'static;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Self::Stream>>;
}

/// The place of somebody who has not said who they are; given back when this is dropped.
pub(crate) struct Stranger {
    strangers: Arc<Strangers>,
    number: u64,
}

/// Who is inside, in the order they came in, and what sends them away.
#[derive(Default)]
struct Strangers(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    next: u64,
    waiting: BTreeMap<u64, CancellationToken>,
}

/// Lets people in until the platform stops. Whoever is known gives the place of a stranger back.
///
/// Nobody waits for a place: the newest gets that of the oldest. Who says nothing keeps nobody out who knows what to say.
pub(crate) async fn welcome<D: Door, F>(platform: &Platform, door: &D, serve: impl Fn(D::Stream, Stranger) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let strangers = Arc::new(Strangers::default());
    let accept = || poll_fn(|cx| door.poll_accept(cx));
    while let Some(accepted) = platform.stop.run_until_cancelled(accept()).await {
        match accepted {
            Ok(stream) => {
                let (stranger, sent_away) = strangers.admit();
                let serving = sent_away.run_until_cancelled_owned(serve(stream, stranger));
                platform.tracker.spawn(serving);
            }
            Err(error) => {
                tracing::warn!(%error, "somebody could not be let in");
                sleep(PAUSE).await;
            }
        }
    }
}

impl Strangers {
    /// A place, and what sends away who is there.
    fn admit(self: &Arc<Self>) -> (Stranger, CancellationToken) {
        let sent_away = CancellationToken::new();
        let mut inside = self.lock();
        if inside.waiting.len() >= MOST_STRANGERS
            && let Some((_, oldest)) = inside.waiting.pop_first()
        {
            oldest.cancel();
        }
        let number = inside.next;
        inside.next += 1;
        inside.waiting.insert(number, sent_away.clone());
        drop(inside);
        let strangers = Arc::clone(self);
        (Stranger { strangers, number }, sent_away)
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.strangers.lock().waiting.remove(&self.number);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stranger_gets_the_place_of_the_oldest_and_who_is_known_stays() {
        let strangers = Arc::new(Strangers::default());
        let (known, stays) = strangers.admit();
        drop(known);
        let mut inside: Vec<_> = (0..MOST_STRANGERS).map(|_| strangers.admit()).collect();
        let sent_away = |inside: &[(Stranger, CancellationToken)]| -> Vec<usize> {
            let inside = inside.iter().enumerate();
            inside
                .filter(|(_, (_, token))| token.is_cancelled())
                .map(|(at, _)| at)
                .collect()
        };
        assert!(sent_away(&inside).is_empty());
        for _ in 0..2 {
            inside.push(strangers.admit());
        }
        assert_eq!(sent_away(&inside), [0, 1]);
        // The third becomes known: there is a place for one more.
        drop(inside.remove(2).0);
        inside.push(strangers.admit());
        assert_eq!(sent_away(&inside), [0, 1]);
        assert!(!stays.is_cancelled());
    }
}
