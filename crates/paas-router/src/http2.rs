//! HTTP/2 towards clients (RFC 9113), on h2 itself: so that a stream that nobody reads can be timed, and reset, alone.
//!
//! All streams of a connection live in the connection's task. What a client can make it hold is bounded: [`STREAMS`] heads of
//! [`HEADER_LIST_BYTES`], [`CONNECTION_WINDOW`] of bodies that no dyno has taken yet, and [`SEND_BYTES`] for each stream on
//! the way back. h2 itself ends connections that reset streams in a hurry (CVE-2023-44487, CVE-2025-8671) or that never end a
//! head (RUSTSEC-2024-0332); what else asks for nothing is counted ([`crate::frames`]). No frame but a request keeps an idle
//! connection open.

use std::{future::poll_fn, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use h2::{
    Reason, RecvStream, SendStream,
    server::{Builder, SendResponse},
};
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, DATE, EXPECT},
};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
    task::yield_now,
    time::{Instant, sleep, timeout},
};

use crate::{
    body::{ClientBody, Http2Body, ResponseBody},
    date, extended,
    proxy::Client,
};

/// The least that RFC 9113 §6.5.2 recommends is 100.
const STREAMS: u32 = 128;
const HEADER_LIST_BYTES: u32 = 64 * 1024;
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
const SEND_BYTES: usize = 64 * 1024;
/// How long a client may take to hear that an idle connection ends.
const GOODBYE: Duration = Duration::from_secs(5);

/// Serves a connection until its end.
pub(crate) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, client: Client) {
    let shared = client.shared.clone();
    let limits = &shared.limits;
    let handshake = builder().handshake::<_, Bytes>(stream);
    let Ok(Ok(mut connection)) = timeout(limits.head, handshake).await else {
        return;
    };
    let mut streams = FuturesUnordered::new();
    let mut clock = std::pin::pin!(sleep(limits.tick));
    let mut idle_since = Instant::now();
    let (mut ends_at, mut is_calmed) = (None, false);
    loop {
        tokio::select! {
            biased;
            // Streams first: what they have written is flushed when the connection is polled next.
            Some(()) = streams.next(), if !streams.is_empty() => idle_since = Instant::now(),
            // How a connection ended is in the records of its last requests.
            accepted = poll_fn(|cx| {
                let accepted = connection.poll_accept(cx);
                if accepted.is_ready() || is_calmed || !client.verdict.is_flooded() {
                    return accepted;
                }
                is_calmed = true;
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                connection.poll_accept(cx)
            }) => match accepted {
                Some(Ok((request, respond))) => streams.push(answer(&client, request, respond)),
                Some(Err(_)) | None => return,
            },
            () = &mut clock => {
                let now = Instant::now();
                clock.as_mut().reset(now + limits.tick);
                let is_idle = streams.is_empty();
                if shared.abort.is_cancelled() || (is_idle && ends_at.is_some_and(|ends_at| ends_at <= now)) {
                    return;
                }
                if ends_at.is_none() && (shared.is_stopping() || (is_idle && idle_since + limits.client_idle <= now)) {
                    connection.graceful_shutdown();
                    ends_at = Some(now + GOODBYE);
                }
            }
        }
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST_BYTES)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BYTES)
        .enable_connect_protocol();
    builder
}

/// One request, to the end of its response. Dropped, or returned from early, the client was gone.
async fn answer(client: &Client, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let is_head = request.method() == Method::HEAD;
    let expectation = request.headers().contains_key(EXPECT).then(|| Arc::new(Notify::new()));
    let (request, tunnel) = match extended::protocol(&request) {
        Some(protocol) => {
            let (request, tunnel) = extended::accept(request, protocol);
            (request, Some(tunnel))
        }
        None => (Http2Body::of(request, expectation.clone()), None),
    };
    let Some(mut response) = respond_to(client, request, &mut respond, expectation).await else {
        return;
    };
    let tunnel = tunnel.filter(|_| extended::answer(&mut response));
    let (parts, mut body) = response.into_parts();
    let mut head = Response::from_parts(parts, ());
    let headers = head.headers_mut();
    // For HTTP/1 clients only (RFC 9113 §8.2.2).
    headers.remove(CONNECTION);
    if !headers.contains_key(DATE) {
        headers.insert(DATE, date::now());
    }
    if let Some(length) = body.size_hint().exact()
        && length > 0
        && !headers.contains_key(CONTENT_LENGTH)
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let is_bare = tunnel.is_none() && (is_head || body.is_end_stream());
    let Ok(mut stream) = respond.send_response(head, is_bare) else {
        return;
    };
    if let Some(tunnel) = tunnel {
        return tunnel.run(stream).await;
    }
    if !is_bare && let Err(reason) = send(&mut body, &mut stream, client).await {
        // A reset takes back whatever was not written yet: the connection gets a turn first.
        yield_now().await;
        stream.send_reset(reason);
    }
}

/// The response, or `None` when the client does not want it any more.
async fn respond_to(
    client: &Client,
    request: Request<ClientBody>,
    respond: &mut SendResponse<Bytes>,
    mut expectation: Option<Arc<Notify>>,
) -> Option<Response<ResponseBody>> {
    let mut handling = std::pin::pin!(client.handle(request));
    loop {
        let wanted = async {
            match &expectation {
                Some(wanted) => wanted.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            response = &mut handling => return Some(response),
            _ = poll_fn(|cx| respond.poll_reset(cx)) => return None,
            () = wanted => {
                let mut go_on = Response::new(());
                *go_on.status_mut() = StatusCode::CONTINUE;
                respond.send_informational(go_on).ok()?;
                expectation = None;
            }
        }
    }
}

/// Passes a body on as fast as the client takes it.
async fn send(body: &mut ResponseBody, stream: &mut SendStream<Bytes>, client: &Client) -> Result<(), Reason> {
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            _ = poll_fn(|cx| stream.poll_reset(cx)) => return Ok(()),
        };
        let is_last = body.is_end_stream();
        let frame = match frame {
            None => return stream.send_data(Bytes::new(), true).map_err(|error| reason(&error)),
            Some(Err(_)) => return Err(Reason::INTERNAL_ERROR),
            Some(Ok(frame)) => frame,
        };
        match frame.into_data() {
            Ok(data) => send_data(data, is_last, stream, client).await.inspect_err(|reason| {
                if *reason == Reason::CANCEL {
                    body.stall();
                }
            })?,
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    return stream.send_trailers(trailers).map_err(|error| reason(&error));
                }
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Waits for the client's window, as long as a client may take nothing.
async fn send_data(
    mut data: Bytes,
    is_last: bool,
    stream: &mut SendStream<Bytes>,
    client: &Client,
) -> Result<(), Reason> {
    if data.is_empty() && is_last {
        return stream.send_data(data, true).map_err(|error| reason(&error));
    }
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        while stream.capacity() == 0 {
            let room = poll_fn(|cx| stream.poll_capacity(cx));
            let room = if client.verdict.is_patient() {
                room.await
            } else {
                let idle = client.shared.limits.idle;
                timeout(idle, room).await.map_err(|_| Reason::CANCEL)?
            };
            room.ok_or(Reason::INTERNAL_ERROR)?.map_err(|error| reason(&error))?;
        }
        let piece = data.split_to(stream.capacity().min(data.len()));
        let is_end = is_last && data.is_empty();
        stream.send_data(piece, is_end).map_err(|error| reason(&error))?;
    }
    Ok(())
}

/// What is told to a client that is there no more hardly matters.
fn reason(error: &h2::Error) -> Reason {
    error.reason().unwrap_or(Reason::INTERNAL_ERROR)
}
