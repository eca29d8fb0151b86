//! One connection to a dyno.
//!
//! It has no task of its own: it moves while the request that holds it is polled, and lies still in a pool. So nothing is
//! handed from task to task for a request, and nobody is woken but the task of the client's connection. Where request and
//! response have to move independently of each other, it is [detached](Link::detach) before it is used.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{Builder, Connection, SendRequest},
        http2,
    },
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use crate::{
    body::RequestBody,
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
    /// `None` when a task drives it, or when it is over.
    driver: Option<Box<Driver>>,
    /// Takes the largest heads that are allowed.
    pub(crate) is_roomy: bool,
    /// For whoever holds the connection: it is armed once, and not for each request.
    pub(crate) timer: Alarm,
}

enum Sender {
    Http1(SendRequest<RequestBody>),
    /// gRPC, whose servers speak nothing else. Others use the same connection at the same time.
    Http2(http2::SendRequest<RequestBody>, Greeting),
}

/// The streams of a connection, in tasks that a stop waits for.
#[derive(Clone)]
struct Tasks(TaskTracker);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

type Driver = Connection<TokioIo<TcpStream>, RequestBody>;

impl Link {
    pub(crate) async fn open(stream: TcpStream, is_roomy: bool) -> hyper::Result<Self> {
        // Only a hint: a socket without it is slower.
        let _ = stream.set_nodelay(true);
        let mut builder = Builder::new();
        if is_roomy {
            builder.max_buf_size(ROOMY_BUFFER_BYTES).max_headers(ROOMY_HEADERS);
        } else {
            builder.max_buf_size(BUFFER_BYTES);
        }
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        Ok(Self {
            sender: Sender::Http1(sender),
            driver: Some(Box::new(connection)),
            is_roomy,
            timer: Alarm::default(),
        })
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
        Ok(Self::over(sender, greeting))
    }

    fn over(sender: http2::SendRequest<RequestBody>, greeting: Greeting) -> Self {
        Self {
            sender: Sender::Http2(sender, greeting),
            driver: None,
            is_roomy: true,
            timer: Alarm::default(),
        }
    }

    /// Another link over the same connection; `None` when that is for one request at a time.
    pub(crate) fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender, greeting) => Some(Self::over(sender.clone(), greeting.clone())),
        }
    }

    /// Gives it a task of its own, for good: a request with a body goes on while nobody reads its response, and an upgrade
    /// outlives both.
    pub(crate) fn detach(&mut self, tasks: &TaskTracker) {
        if let Some(driver) = self.driver.take() {
            // Whatever ends it is told to the request that uses it.
            tasks.spawn(async move { drop(driver.with_upgrades().await) });
        }
    }

    pub(crate) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        let sender = match &mut self.sender {
            Sender::Http1(sender) => sender,
            Sender::Http2(sender, _) => return sender.try_send_request(request).await,
        };
        let mut response = std::pin::pin!(sender.try_send_request(request));
        poll_fn(|cx| {
            if drive(&mut self.driver, cx).is_ready() {
                return response.as_mut().poll(cx);
            }
            // It was driven just now, and will be when its socket is ready: it need not wake this task to be asked again.
            response.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
    }

    /// The next frame of a response that came over this connection.
    pub(crate) fn poll_frame(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<bytes::Bytes>>>> {
        if self.driver.is_some() {
            let frame = Pin::new(&mut *incoming).poll_frame(&mut Context::from_waker(Waker::noop()));
            if frame.is_ready() {
                return frame;
            }
            if drive(&mut self.driver, cx).is_pending() {
                return Pin::new(incoming).poll_frame(&mut Context::from_waker(Waker::noop()));
            }
        }
        Pin::new(incoming).poll_frame(cx)
    }

    /// Lets it notice what happened to it while nobody drove it.
    pub(crate) fn settle(&mut self) {
        let _ = drive(&mut self.driver, &mut Context::from_waker(Waker::noop()));
    }

    /// Whether the dyno speaks the protocol that it was spoken to in, as far as that can be told from here.
    pub(crate) fn is_understood(&self) -> bool {
        match &self.sender {
            Sender::Http1(_) => true,
            Sender::Http2(_, greeting) => greeting.is_heard(),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender, _) => sender.is_closed(),
        }
    }

    /// Whether it is done with its last request.
    pub(crate) fn is_ready(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_ready(),
            Sender::Http2(sender, _) => sender.is_ready(),
        }
    }
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
