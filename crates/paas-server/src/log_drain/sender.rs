//! The task of one drain: lines out, again and again until they are taken.

use std::{pin::pin, sync::Arc, time::Duration};

use http::StatusCode;
use paas_core::{LogLine, LogSource};
use paas_store::log_drain::LogDrain;
use tokio::time::{Instant, sleep};

use super::{
    backlog::Backlog,
    error::DrainError,
    http::{Frames, HttpLink},
    place::PlaceFile,
    syslog::SyslogLink,
};
use crate::{
    outbound::{ConnectError, Connector},
    platform::Platform,
};

/// Lines of one request come together: as Logplex does it, which waits up to a second.
const LINGER: Duration = Duration::from_millis(500);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_mins(1);
/// How often a request is repeated that its receiver understands and does not want.
const REFUSALS: u32 = 10;
/// How often the app's log says that a drain is in trouble.
const TELL_EVERY: Duration = Duration::from_mins(10);

pub(super) struct Sender {
    platform: Arc<Platform>,
    connector: Connector,
    drain: LogDrain,
    backlog: Backlog,
    link: Link,
    told_at: Option<Instant>,
}

enum Link {
    Syslog(SyslogLink),
    Http(HttpLink),
}

/// What is sent of a batch, the same in every attempt.
enum Parcel {
    Lines(Vec<LogLine>),
    Frames(Frames),
}

impl Sender {
    pub(super) fn new(platform: Arc<Platform>, connector: Connector, drain: LogDrain, file: PlaceFile) -> Self {
        let logs = Arc::clone(&platform.logs);
        Self {
            backlog: Backlog::open(logs, drain.app, file, drain.starts_after),
            link: if drain.url.scheme.is_http() {
                Link::Http(HttpLink::new(platform.tracker.clone()))
            } else {
                Link::Syslog(SyslogLink::default())
            },
            platform,
            connector,
            drain,
            told_at: None,
        }
    }

    /// Goes on until it is dropped.
    pub(super) async fn run(mut self) {
        loop {
            let now = self.platform.clock.now();
            let linger = match self.link {
                Link::Http(_) => LINGER,
                Link::Syslog(_) => Duration::ZERO,
            };
            let next = {
                let mut next = pin!(self.backlog.next(linger, now));
                loop {
                    tokio::select! {
                        biased;
                        () = self.link.closed() => {}
                        next = &mut next => break next,
                    }
                }
            };
            let batch = match next {
                Ok(Some(batch)) => batch,
                // Of an app that is destroyed, whose drains are about to end; or one that could not be read.
                Ok(None) => {
                    sleep(LAST_RETRY).await;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(app.id = %self.drain.app, error = %crate::logs::causes(&error), "a log drain cannot read its log; trying again");
                    sleep(LAST_RETRY).await;
                    continue;
                }
            };
            let lines = batch.to_send(self.platform.clock.now());
            if self.send(lines).await {
                self.backlog.delivered(&batch);
            } else {
                self.backlog.pass_over(&batch);
            }
        }
    }

    /// Whether the lines were delivered; if not, they never will be.
    async fn send(&mut self, lines: Vec<LogLine>) -> bool {
        let parcel = match self.link {
            Link::Syslog(_) => Parcel::Lines(lines),
            Link::Http(_) => Parcel::Frames(Frames::new(&lines)),
        };
        let mut retry_after = FIRST_RETRY;
        let mut refusals = 0;
        loop {
            let Err(error) = self.attempt(&parcel).await else {
                return true;
            };
            self.tell(&error);
            if is_final(&error) {
                refusals += 1;
            }
            if refusals >= REFUSALS {
                return false;
            }
            sleep(jittered(retry_after)).await;
            retry_after = (retry_after * 2).min(LAST_RETRY);
            if self.backlog.is_overflowing().await {
                return false;
            }
        }
    }

    async fn attempt(&mut self, parcel: &Parcel) -> Result<(), DrainError> {
        match (&mut self.link, parcel) {
            (Link::Syslog(link), Parcel::Lines(lines)) => link.deliver(&self.connector, &self.drain, lines).await,
            (Link::Http(link), Parcel::Frames(frames)) => link.deliver(&self.connector, &self.drain, frames).await,
            (Link::Syslog(_), Parcel::Frames(_)) | (Link::Http(_), Parcel::Lines(_)) => Ok(()),
        }
    }

    /// Says in the app's log that the drain is in trouble: now and then, because these lines are for the drain too.
    fn tell(&mut self, error: &DrainError) {
        let words = crate::logs::causes(error);
        tracing::debug!(app.id = %self.drain.app, drain = self.drain.token, error = words, "a log drain delivers nothing");
        if self.told_at.is_some_and(|told_at| told_at.elapsed() < TELL_EVERY) {
            return;
        }
        self.told_at = Some(Instant::now());
        let message = match error {
            DrainError::Connect(ConnectError::Certificate { target: _, source }) => {
                let place = self.drain.url.place();
                format!("Error L14 (certificate validation): error=\"{source}\" uri=\"{place}\"")
            }
            _ => format!(
                "Drain {} delivers nothing: {words}. Lines wait and will be sent again; the oldest are dropped when they are too many",
                self.drain.token
            ),
        };
        self.platform.log(self.drain.app, LogSource::Heroku, "logplex", message);
    }
}

impl Link {
    /// Waits until the receiver ends the connection.
    async fn closed(&mut self) {
        match self {
            Self::Syslog(link) => link.closed().await,
            // The next request finds out, and is repeated.
            Self::Http(_) => std::future::pending().await,
        }
    }
}

/// Whether the receiver says that these very lines are wrong. Credentials, limits and addresses may be put right meanwhile.
fn is_final(error: &DrainError) -> bool {
    let DrainError::Refused { status, .. } = error else {
        return false;
    };
    let passes = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    status.is_client_error() && !passes.contains(status)
}

/// Between half of it and all: many drains of one receiver do not come back in step.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}
