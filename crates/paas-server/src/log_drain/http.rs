//! HTTPS in Logplex's framing: each batch is a request with a number, and delivered when it is answered 2xx.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use paas_core::{LogLine, logplex_frame};
use paas_store::log_drain::LogDrain;
use tokio::time::timeout;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use uuid::Uuid;

use super::error::DrainError;
use crate::outbound::{Connector, Target, basic};

/// From the first byte of a request to the last of its answer.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// The rest of a longer answer is not waited for: the connection is closed.
const LONGEST_ANSWER: usize = 64 * 1024;
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/logplex-1");
/// Receivers tell Heroku's lines by it.
const USER_AGENT: HeaderValue = HeaderValue::from_static("Logplex/v72");
const MESSAGE_COUNT: HeaderName = HeaderName::from_static("logplex-msg-count");
const FRAME_ID: HeaderName = HeaderName::from_static("logplex-frame-id");
const DRAIN_TOKEN: HeaderName = HeaderName::from_static("logplex-drain-token");

pub(super) struct HttpLink {
    tracker: TaskTracker,
    connection: Option<Connection>,
}

/// The body of a request, and the number by which a receiver knows it when it comes again.
#[derive(Clone)]
pub(super) struct Frames {
    body: Bytes,
    count: usize,
    id: Uuid,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Its task ends with it.
    _task: DropGuard,
}

impl Frames {
    pub(super) fn new(lines: &[LogLine]) -> Self {
        let body: String = lines.iter().map(logplex_frame).collect();
        Self {
            body: body.into(),
            count: lines.len(),
            id: Uuid::new_v4(),
        }
    }
}

impl HttpLink {
    pub(super) fn new(tracker: TaskTracker) -> Self {
        Self {
            tracker,
            connection: None,
        }
    }

    pub(super) async fn deliver(
        &mut self,
        connector: &Connector,
        drain: &LogDrain,
        frames: &Frames,
    ) -> Result<(), DrainError> {
        // The receiver may close an idle connection at any moment (RFC 9112 §9.3.1): then a new one, at once.
        if let Some(connection) = self.connection.take() {
            match self.exchange(connection, drain, frames).await {
                Err(DrainError::Broken { .. }) => {}
                answered => return answered,
            }
        }
        let connection = self.connect(connector, drain).await?;
        self.exchange(connection, drain, frames).await
    }

    async fn connect(&self, connector: &Connector, drain: &LogDrain) -> Result<Connection, DrainError> {
        let socket = connector.connect(&Target::from(&drain.url)).await?;
        let broken = |error: hyper::Error| DrainError::Broken {
            place: drain.url.place(),
            source: error.into(),
        };
        let (sender, driver) = http1::handshake(TokioIo::new(socket)).await.map_err(broken)?;
        let ended = CancellationToken::new();
        let task = ended.clone().drop_guard();
        self.tracker.spawn(async move {
            // Errors come out of the request that they break.
            let _ = ended.run_until_cancelled(driver).await;
        });
        Ok(Connection { sender, _task: task })
    }

    async fn exchange(
        &mut self,
        mut connection: Connection,
        drain: &LogDrain,
        frames: &Frames,
    ) -> Result<(), DrainError> {
        let place = || drain.url.place();
        let request = request(drain, frames);
        let exchange = async {
            connection.sender.ready().await?;
            let response = connection.sender.send_request(request).await?;
            let (head, mut body) = response.into_parts();
            let mut bytes = 0;
            while let Some(frame) = body.frame().await {
                bytes += frame?.data_ref().map_or(0, Bytes::len);
                if bytes > LONGEST_ANSWER {
                    return Ok((head.status, false));
                }
            }
            Ok((head.status, true))
        };
        let answered: Result<_, hyper::Error> = match timeout(REQUEST_LIMIT, exchange).await {
            Ok(answered) => answered,
            Err(_) => {
                return Err(DrainError::Silent {
                    place: place(),
                    limit: REQUEST_LIMIT,
                });
            }
        };
        let (status, is_whole) = answered.map_err(|error| DrainError::Broken {
            place: place(),
            source: error.into(),
        })?;
        if is_whole {
            self.connection = Some(connection);
        }
        if status.is_success() {
            Ok(())
        } else {
            Err(DrainError::Refused { place: place(), status })
        }
    }
}

fn request(drain: &LogDrain, frames: &Frames) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(frames.body.clone()));
    *request.method_mut() = http::Method::POST;
    // Checked when the drain was made.
    *request.uri_mut() = drain.url.target().parse().unwrap_or_default();
    let text = |value: &str| HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""));
    let headers = request.headers_mut();
    headers.insert(header::HOST, text(&drain.url.authority()));
    headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
    headers.insert(header::USER_AGENT, USER_AGENT);
    headers.insert(MESSAGE_COUNT, frames.count.into());
    headers.insert(FRAME_ID, text(&frames.id.simple().to_string()));
    headers.insert(DRAIN_TOKEN, text(&drain.token));
    if let Some(user_info) = drain.url.user_info() {
        headers.insert(header::AUTHORIZATION, basic(user_info));
    }
    request
}
