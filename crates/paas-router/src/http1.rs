//! HTTP/1 towards clients: hyper while bytes move, and nothing but the socket while they do not.
//!
//! ```text
//!             bytes
//! wait ────────────────▶ hyper ──▶ end, HTTP/2 by prior knowledge, or SSH
//!   ▲                      │
//!   └── nothing for a tick ┘
//! ```
//!
//! A connection goes back to waiting only when every head that came has had its whole answer and no byte has come since; what
//! hyper had read and not used goes along. So no byte is lost, and 10,000 idle connections are 10,000 sockets.
//!
//! The clock is looked at now and then, and not with each request: limits of a connection are exact to a tick. The first
//! looks come soon, because most connections that will say nothing more are young.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    Request,
    body::Incoming,
    server::conn::http1::{self, Parts},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};
use tokio_rustls::server::TlsStream;

use crate::{
    body::ClientBody,
    client_io::{Abandon, ClientIo},
    framing::Verdict,
    http2,
    proxy::Client,
    settings::Limits,
    ssh,
};

/// Also the limit of a request head.
const BUFFER_BYTES: usize = 64 * 1024;
/// For a head that has more than hyper's usual 100; a few more than allowed, so that the handler says no and not hyper.
const ROOMY_HEADERS: usize = 1024;

const FIRST_LOOK: Duration = Duration::from_millis(20);

/// What a client connection is made of.
pub(crate) trait ClientStream: AsyncRead + AsyncWrite + Abandon + Unpin + Send + 'static {
    /// Whether the socket has something since it was last found empty.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// How a time with hyper ended.
enum End<S> {
    Closed,
    /// The client says nothing; or it says more than hyper was made for.
    Again(ClientIo<S>),
    Http2(ClientIo<S>),
    Ssh(ClientIo<S>),
}

/// What a look at a connection found.
enum Look {
    Busy,
    /// Nothing was asked since the last look, and nothing is being asked.
    Idle,
    /// A head has taken too long.
    SlowHead,
}

/// Serves a connection until its end.
pub(crate) async fn serve<S: ClientStream>(mut stream: ClientIo<S>, client: Client) {
    let mut clock = std::pin::pin!(sleep(FIRST_LOOK));
    loop {
        if !stream.has_prefix() && !wait(&stream, &client, clock.as_mut()).await {
            return;
        }
        // In a box, so that a connection that waits does not keep the place.
        stream = match Box::pin(talk(stream, &client, clock.as_mut())).await {
            End::Closed => return,
            End::Again(stream) => stream,
            End::Http2(stream) => return Box::pin(http2::serve(stream, client)).await,
            End::Ssh(stream) => return Box::pin(ssh::hand_over(stream, &client.shared)).await,
        };
    }
}

/// Waits for a client to say something; `false` when it is time to close.
async fn wait<S: ClientStream>(stream: &ClientIo<S>, client: &Client, mut clock: Pin<&mut Sleep>) -> bool {
    let mut readable = std::pin::pin!(poll_fn(|cx| stream.stream().poll_readable(cx)));
    let shared = &client.shared;
    let since = Instant::now();
    tokio::select! {
        biased;
        readable = &mut readable => return readable.is_ok(),
        () = &mut clock => {}
    }
    // Only those that wait for long have to be told of a stop: it costs a lock that all share.
    clock.as_mut().reset(since + shared.limits.client_idle);
    let is_readable = tokio::select! {
        biased;
        readable = &mut readable => readable.is_ok(),
        () = shared.stop.cancelled() => false,
        () = shared.guests.asked_to_leave() => false,
        () = &mut clock => false,
    };
    clock.reset(Instant::now() + FIRST_LOOK);
    is_readable
}

/// Lets hyper parse and answer, as long as there is something to do.
async fn talk<S: ClientStream>(stream: ClientIo<S>, client: &Client, mut clock: Pin<&mut Sleep>) -> End<S> {
    let (shared, verdict) = (&client.shared, &client.verdict);
    let service = service_fn(|request: Request<Incoming>| async {
        let mut response = client.handle(request.map(ClientBody::Http1)).await;
        response.body_mut().answers(verdict.clone());
        Ok::<_, Infallible>(response)
    });
    let mut builder = http1::Builder::new();
    builder.max_buf_size(BUFFER_BYTES);
    if verdict.is_roomy() {
        builder.max_headers(ROOMY_HEADERS);
    }
    let mut connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut watch = Watch::new(verdict);
    let mut is_stopping = false;
    loop {
        let ended = poll_fn(|cx| {
            // How a connection ended is in the record of its last request.
            if Pin::new(&mut connection).poll(cx).is_ready() {
                return Poll::Ready(true);
            }
            if verdict.is_foreign() || (verdict.wants_room() && verdict.is_answered() && !verdict.is_frozen()) {
                return Poll::Ready(false);
            }
            clock.as_mut().poll(cx).map(|()| false)
        })
        .await;
        if ended && !verdict.is_frozen() {
            return End::Closed;
        }
        let is_untouched = watch.is_untouched();
        if ended || (is_untouched && (verdict.is_foreign() || verdict.wants_room())) {
            return apart(connection.into_parts(), verdict);
        }
        if verdict.wants_room() && verdict.is_answered() {
            verdict.freeze(true);
            Pin::new(&mut connection).graceful_shutdown();
            continue;
        }
        clock.as_mut().reset(Instant::now() + watch.pause(&shared.limits));
        if shared.abort.is_cancelled() {
            return End::Closed;
        }
        if shared.is_stopping() && !is_stopping {
            is_stopping = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        match watch.look(&shared.limits) {
            _ if is_stopping || verdict.is_frozen() => {}
            Look::Busy => {}
            Look::SlowHead => return End::Closed,
            // Nothing was written by this parser, so there is nothing to flush.
            Look::Idle if is_untouched => return apart(connection.into_parts(), verdict),
            Look::Idle => {
                verdict.freeze(true);
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    }
}

/// Takes hyper away. It has written all that it was given; what it had read goes to the next one.
fn apart<S, H>(parts: Option<Parts<TokioIo<ClientIo<S>>, H>>, verdict: &Verdict) -> End<S> {
    let Some(parts) = parts else {
        return End::Closed;
    };
    let stream = parts.io.into_inner();
    if verdict.is_ssh() {
        return End::Ssh(stream);
    }
    if verdict.is_foreign() {
        return End::Http2(stream.into_http2());
    }
    if verdict.wants_room() {
        verdict.make_room();
    }
    End::Again(stream.again(&parts.read_buf))
}

/// What a connection looked like when the clock was looked at.
struct Watch<'a> {
    verdict: &'a Verdict,
    heads_at_start: u32,
    heads: u32,
    /// Since when there is the beginning of a head.
    partial_since: Option<Instant>,
    pause: Duration,
}

impl<'a> Watch<'a> {
    fn new(verdict: &'a Verdict) -> Self {
        let heads = verdict.heads();
        Self {
            verdict,
            heads_at_start: heads,
            heads,
            partial_since: None,
            pause: FIRST_LOOK,
        }
    }

    /// Until the next look: longer and longer, up to a tick.
    fn pause(&mut self, limits: &Limits) -> Duration {
        self.pause = (self.pause * 2).min(limits.tick);
        self.pause
    }

    /// Whether no request has come whole.
    fn is_untouched(&self) -> bool {
        self.verdict.heads() == self.heads_at_start && self.verdict.is_answered()
    }

    fn look(&mut self, limits: &Limits) -> Look {
        let heads = std::mem::replace(&mut self.heads, self.verdict.heads());
        let is_quiet = heads == self.heads && self.verdict.is_answered();
        if !is_quiet || self.verdict.is_between() {
            self.partial_since = None;
            return if is_quiet { Look::Idle } else { Look::Busy };
        }
        let since = *self.partial_since.get_or_insert_with(Instant::now);
        if since.elapsed() < limits.head {
            Look::Busy
        } else {
            Look::SlowHead
        }
    }
}

impl ClientStream for TcpStream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(cx)
    }
}

impl ClientStream for Box<TlsStream<TcpStream>> {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (stream, tls) = self.get_ref();
        // A request may have come with the end of the handshake, and is in no socket any more.
        if !tls.wants_read() {
            return Poll::Ready(Ok(()));
        }
        stream.poll_read_ready(cx)
    }
}
