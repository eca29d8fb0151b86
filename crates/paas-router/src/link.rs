//! One connection to a dyno.
//!
//! It has no task of its own: it moves while the request that holds it is polled, and lies still in a pool. So nothing is
//! handed from task to task for a request, and nobody is woken but the task of the client's connection. Where request and
//! response have to move independently of each other, it is [detached](Link::detach) before it is used.
//!
//! ```text
//!          a body to send, an upgrade, a response that is not plain
//! Direct ────────────────────────────────────────────────────────────▶ hyper
//! ```
//!
//! It begins without hyper ([`crate::direct`]). Once it needs hyper, it has hyper until its end.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use hyper::client::conn::{
    http1::{Builder, Connection, SendRequest},
    http2,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use crate::{
    body::RequestBody,
    direct::{Answer, Direct},
    dyno_body::{self, DynoBody, Part},
    dyno_io::DynoIo,
    flow::Alarm,
    greeting::{Greeted, Greeting},
};

/// hyper's own default is 400 KB for each connection.
const BUFFER_BYTES: usize = 64 * 1024;
/// Room for a head as large as Heroku allows, with the dynos of an app that has sent one too large for the usual buffers.
const ROOMY_BUFFER_BYTES: usize = 1024 * 1024;
/// Of headers; hyper has room for 100 without being asked, and more costs it time for each response.
const ROOMY_HEADERS: usize = 1024;
/// What one head over HTTP/2 may be; costs nothing before it comes.
const HEADER_LIST_BYTES: u32 = 512 * 1024;

/// The same windows as towards clients.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

pub(crate) struct Link {
    sender: Sender,
    /// `None` without hyper, when a task drives it, or when it is over.
    driver: Option<Box<Driver>>,
    /// Takes the largest heads that are allowed.
    pub(crate) is_roomy: bool,
    /// For whoever holds the connection: it is armed once, and not for each request.
    pub(crate) timer: Alarm,
}

enum Sender {
    Direct(Direct),
    Http1(SendRequest<RequestBody>),
    /// gRPC, whose servers speak nothing else. Others use the same connection at the same time.
    Http2(http2::SendRequest<RequestBody>, Greeting),
    /// It is closed.
    Nobody,
}

/// A request without a response.
pub(crate) struct Failure {
    /// What may be sent again: when nothing of it reached the dyno, or else when that was asked for.
    pub(crate) request: Option<Request<RequestBody>>,
    pub(crate) is_sent: bool,
    /// What hyper says; without it, the dyno closed or broke off.
    pub(crate) error: Option<hyper::Error>,
}

/// The streams of a connection, in tasks that a stop waits for.
#[derive(Clone)]
struct Tasks(TaskTracker);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

type Driver = Connection<TokioIo<DynoIo>, RequestBody>;

impl Link {
    pub(crate) fn open(stream: TcpStream, is_roomy: bool) -> Self {
        // Only a hint: a socket without it is slower.
        let _ = stream.set_nodelay(true);
        Self::over(Sender::Direct(Direct::new(stream)), is_roomy)
    }

    /// HTTP/2 with prior knowledge, in a task of its own.
    pub(crate) async fn open_http2(stream: TcpStream, tasks: &TaskTracker) -> hyper::Result<Self> {
        // Only a hint: a socket without it is slower.
        let _ = stream.set_nodelay(true);
        let greeting = Greeting::default();
        let (sender, connection) = http2::Builder::new(Tasks(tasks.clone()))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADER_LIST_BYTES)
            .handshake(TokioIo::new(Greeted::new(stream, greeting.clone())))
            .await?;
        // Whatever ends it is told to the requests that use it.
        tasks.spawn(async move { drop(connection.await) });
        Ok(Self::over(Sender::Http2(sender, greeting), true))
    }

    fn over(sender: Sender, is_roomy: bool) -> Self {
        Self {
            sender,
            driver: None,
            is_roomy,
            timer: Alarm::default(),
        }
    }

    /// Another link over the same connection; `None` when that is for one request at a time.
    pub(crate) fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http2(sender, greeting) => Some(Self::over(Sender::Http2(sender.clone(), greeting.clone()), true)),
            Sender::Direct(_) | Sender::Http1(_) | Sender::Nobody => None,
        }
    }

    /// Gives it a task of its own, for good: a request with a body goes on while nobody reads its response, and an upgrade
    /// outlives both.
    pub(crate) async fn detach(&mut self, tasks: &TaskTracker) {
        if let Some(stream) = self.take_stream() {
            self.use_hyper(DynoIo::new(stream)).await;
        }
        if let Some(driver) = self.driver.take() {
            // Whatever ends it is told to the request that uses it.
            tasks.spawn(async move { drop(driver.with_upgrades().await) });
        }
    }

    /// The socket of a connection without hyper.
    fn take_stream(&mut self) -> Option<TcpStream> {
        match std::mem::replace(&mut self.sender, Sender::Nobody) {
            Sender::Direct(direct) => Some(direct.into_stream()),
            other => {
                self.sender = other;
                None
            }
        }
    }

    /// If that fails, it is closed.
    async fn use_hyper(&mut self, io: DynoIo) {
        let mut builder = Builder::new();
        if self.is_roomy {
            builder.max_buf_size(ROOMY_BUFFER_BYTES).max_headers(ROOMY_HEADERS);
        } else {
            builder.max_buf_size(BUFFER_BYTES);
        }
        if let Ok((sender, connection)) = builder.handshake(TokioIo::new(io)).await {
            self.sender = Sender::Http1(sender);
            self.driver = Some(Box::new(connection));
        }
    }

    /// Waits for the head of a response. With `keep`, a request that may have been sent is given back, too.
    pub(crate) async fn send(
        &mut self,
        request: Request<RequestBody>,
        keep: bool,
    ) -> Result<Response<DynoBody>, Failure> {
        let Sender::Direct(direct) = &mut self.sender else {
            return self.send_by_hyper(request, keep).await;
        };
        match direct.ask(&request).await {
            Ok(Answer::Plain(response)) => Ok(response.map(DynoBody::Plain)),
            Ok(Answer::Other(read)) => {
                let is_over = Arc::new(AtomicBool::new(false));
                if let Some(stream) = self.take_stream() {
                    self.use_hyper(DynoIo::again(stream, read, is_over.clone())).await;
                }
                let response = self.send_by_hyper(request, keep).await;
                is_over.store(true, Relaxed);
                response
            }
            Err(unanswered) => Err(Failure {
                request: (keep || !unanswered.is_sent).then_some(request),
                is_sent: unanswered.is_sent,
                error: None,
            }),
        }
    }

    async fn send_by_hyper(
        &mut self,
        request: Request<RequestBody>,
        keep: bool,
    ) -> Result<Response<DynoBody>, Failure> {
        let copy = keep.then(|| copy_of(&request));
        let outcome = match &mut self.sender {
            Sender::Http1(sender) => {
                let mut response = std::pin::pin!(sender.try_send_request(request));
                poll_fn(|cx| {
                    if drive(&mut self.driver, cx).is_ready() {
                        return response.as_mut().poll(cx);
                    }
                    // It was driven just now, and will be when its socket is ready: it need not wake this task to be asked
                    // again.
                    response.as_mut().poll(&mut Context::from_waker(Waker::noop()))
                })
                .await
            }
            Sender::Http2(sender, _) => sender.try_send_request(request).await,
            Sender::Direct(_) | Sender::Nobody => {
                return Err(Failure {
                    request: Some(request),
                    is_sent: false,
                    error: None,
                });
            }
        };
        let response = outcome.map_err(|mut error| {
            let unsent = error.take_message();
            Failure {
                is_sent: unsent.is_none(),
                request: unsent.or(copy),
                error: Some(error.into_error()),
            }
        });
        Ok(response?.map(DynoBody::Hyper))
    }

    /// The next part of a response that came over this connection.
    pub(crate) fn poll_part(&mut self, body: &mut DynoBody, cx: &mut Context<'_>) -> Poll<Option<Part>> {
        if let (Sender::Direct(direct), DynoBody::Plain(body)) = (&mut self.sender, &mut *body) {
            return direct.poll_data(body, cx).map(|data| data.map(dyno_body::part));
        }
        if self.driver.is_some() {
            let part = body.poll(&mut Context::from_waker(Waker::noop()));
            if part.is_ready() {
                return part;
            }
            if drive(&mut self.driver, cx).is_pending() {
                return body.poll(&mut Context::from_waker(Waker::noop()));
            }
        }
        body.poll(cx)
    }

    /// Lets it notice what happened to it while nobody drove it.
    pub(crate) fn settle(&mut self) {
        let _ = drive(&mut self.driver, &mut Context::from_waker(Waker::noop()));
    }

    /// Whether the dyno speaks the protocol that it was spoken to in, as far as that can be told from here.
    pub(crate) fn is_understood(&self) -> bool {
        match &self.sender {
            Sender::Http2(_, greeting) => greeting.is_heard(),
            Sender::Direct(_) | Sender::Http1(_) | Sender::Nobody => true,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Direct(direct) => direct.is_closed(),
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender, _) => sender.is_closed(),
            Sender::Nobody => true,
        }
    }

    /// Whether it is done with its last request.
    pub(crate) fn is_ready(&self) -> bool {
        match &self.sender {
            Sender::Direct(_) => true,
            Sender::Http1(sender) => sender.is_ready(),
            Sender::Http2(sender, _) => sender.is_ready(),
            Sender::Nobody => false,
        }
    }
}

/// Its head; only what has no body is sent twice.
fn copy_of(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::empty());
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    copy
}

/// Ready when somebody else drives the connection, or nobody has to any more.
fn drive(driver: &mut Option<Box<Driver>>, cx: &mut Context<'_>) -> Poll<()> {
    if let Some(connection) = driver {
        if Pin::new(connection.as_mut()).poll(cx).is_pending() {
            return Poll::Pending;
        }
        *driver = None;
    }
    Poll::Ready(())
}
