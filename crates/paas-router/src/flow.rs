//! Whether bytes still move between a client and a dyno.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    code::Code,
    pace::{Floor, Pace},
};

/// Both directions of one request: they share one idle clock (Heroku: any byte either way resets it).
pub(crate) struct Flow {
    patience: Patience,
    opened: Instant,
    /// Milliseconds after `opened`.
    last_byte: AtomicU64,
    /// Milliseconds after `opened`, plus one; 0 while the client still sends.
    request_ended: AtomicU64,
    request_end: Notify,
    client_is_gone: AtomicBool,
    client_is_idle: AtomicBool,
    /// The dyno would take more of the request, and the client has not sent it.
    client_is_awaited: AtomicBool,
    /// The response has begun: from here on the two may talk as slowly as they like.
    is_answered: AtomicBool,
}

/// How long a request may take. Hosts of the platform have all the time there is: a push is as long as its build.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) first_byte: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    pub(crate) floor: Option<Floor>,
}

impl Patience {
    pub(crate) const ENDLESS: Self = Self {
        first_byte: None,
        idle: None,
        floor: None,
    };
}

/// A timer that is not set anew whenever its deadline moves: when it rings early, it sleeps on for the rest. A request that
/// gets its answer in time costs no timer at all.
#[derive(Default)]
pub(crate) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready when the deadline has passed.
    pub(crate) fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

impl Flow {
    pub(crate) fn open(patience: Patience, request_is_whole: bool) -> Arc<Self> {
        Arc::new(Self {
            patience,
            opened: Instant::now(),
            last_byte: AtomicU64::new(0),
            request_ended: AtomicU64::new(u64::from(request_is_whole)),
            request_end: Notify::new(),
            client_is_gone: AtomicBool::new(false),
            client_is_idle: AtomicBool::new(false),
            client_is_awaited: AtomicBool::new(false),
            is_answered: AtomicBool::new(false),
        })
    }

    /// A byte moved.
    pub(crate) fn touch(&self) {
        self.last_byte.store(self.elapsed(), Relaxed);
    }

    pub(crate) fn await_client(&self, is_awaited: bool) {
        self.client_is_awaited.store(is_awaited, Relaxed);
    }

    /// The request leaves for a dyno: from here on its clocks run, whatever it waited for until now.
    pub(crate) fn dispatch(&self) {
        self.touch();
        if self.request_has_ended() {
            self.request_ended.store(self.elapsed() + 1, Relaxed);
        }
    }

    /// The client has sent its whole request.
    pub(crate) fn end_request(&self) {
        self.touch();
        self.request_ended.store(self.elapsed() + 1, Relaxed);
        self.request_end.notify_one();
    }

    pub(crate) fn request_has_ended(&self) -> bool {
        self.request_ended.load(Relaxed) > 0
    }

    pub(crate) fn answer(&self) {
        self.is_answered.store(true, Relaxed);
    }

    /// Whether the client sends so slowly that it is as good as silent.
    pub(crate) fn is_too_slow(&self, pace: &Pace) -> bool {
        let floor = self.patience.floor.filter(|_| !self.is_answered.load(Relaxed));
        floor.is_some_and(|floor| pace.is_below(floor))
    }

    pub(crate) fn client_gone(&self) {
        self.client_is_gone.store(true, Relaxed);
    }

    pub(crate) fn client_idle(&self) {
        self.client_is_idle.store(true, Relaxed);
    }

    /// Whose fault a broken exchange is: the client's, or else `dyno`.
    pub(crate) fn blame(&self, dyno: Code) -> Code {
        if self.client_is_idle.load(Relaxed) {
            Code::H28
        } else if self.client_is_gone.load(Relaxed) {
            Code::H27
        } else {
            dyno
        }
    }

    /// Waits for the first byte of a response as long as the rules allow: 30 s from the end of the request, and until then
    /// as long as the client keeps sending.
    pub(crate) async fn first_byte<T>(&self, response: impl Future<Output = T>, alarm: &mut Alarm) -> Result<T, Code> {
        let mut response = std::pin::pin!(response);
        loop {
            let ended = self.request_ended.load(Relaxed);
            if ended > 0 {
                let Some(limit) = self.patience.first_byte else {
                    return Ok(response.await);
                };
                let deadline = self.opened + Duration::from_millis(ended - 1) + limit;
                return poll_fn(|cx| match response.as_mut().poll(cx) {
                    Poll::Ready(response) => Poll::Ready(Ok(response)),
                    Poll::Pending => alarm.poll(deadline, cx).map(|()| Err(Code::H12)),
                })
                .await;
            }
            let idle = async {
                match self.patience.idle {
                    Some(limit) => sleep_until(self.at(&self.last_byte) + limit).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                response = &mut response => return Ok(response),
                () = self.request_end.notified() => {}
                () = idle => {
                    if self.is_idle() && !self.request_has_ended() {
                        let awaits_client = self.client_is_awaited.load(Relaxed);
                        return Err(if awaits_client { Code::H28 } else { Code::H12 });
                    }
                }
            }
        }
    }

    /// Ready when no byte moved in either direction for the idle limit.
    pub(crate) fn poll_idle(&self, alarm: &mut Alarm, cx: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = self.patience.idle else {
            return Poll::Pending;
        };
        loop {
            ready!(alarm.poll(self.at(&self.last_byte) + limit, cx));
            if self.is_idle() {
                return Poll::Ready(());
            }
        }
    }

    fn is_idle(&self) -> bool {
        let limit = self.patience.idle;
        limit.is_some_and(|limit| self.at(&self.last_byte) + limit <= Instant::now())
    }

    fn at(&self, milliseconds: &AtomicU64) -> Instant {
        self.opened + Duration::from_millis(milliseconds.load(Relaxed))
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
