//! A stream of HTTP/2 that is a tunnel (RFC 8441): a WebSocket among other requests of one connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use h2::{RecvStream, SendStream, ext::Protocol};
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
};

use crate::body::ClientBody;

/// What is written at once.
const PIECE_BYTES: usize = 16 * 1024;

/// Both directions of a stream.
pub(crate) struct Extended {
    receive: RecvStream,
    send: SendStream<Bytes>,
    unread: Bytes,
    /// Dropped with it, and so the connection knows how long it lasts.
    _end: oneshot::Sender<()>,
}

/// The connection's side of a stream that may become a tunnel.
pub(crate) struct Pending {
    receive: RecvStream,
    give: oneshot::Sender<Extended>,
}

/// The protocol that a request wants to go on with.
pub(crate) fn protocol(request: &Request<RecvStream>) -> Option<HeaderValue> {
    let protocol = request.extensions().get::<Protocol>()?;
    HeaderValue::from_str(protocol.as_str()).ok()
}

/// Turns an extended CONNECT into what a dyno understands: a GET that asks for an upgrade.
pub(crate) fn accept(request: Request<RecvStream>, protocol: HeaderValue) -> (Request<ClientBody>, Pending) {
    let (mut parts, receive) = request.into_parts();
    parts.method = Method::GET;
    if protocol == "websocket" {
        // HTTP/2 needs no proof that the server means it (RFC 8441 §5.1); HTTP/1.1 does, and the dyno checks the form.
        let key = BASE64_STANDARD.encode(rand::random::<[u8; 16]>());
        if let Ok(key) = HeaderValue::try_from(key) {
            parts.headers.insert(SEC_WEBSOCKET_KEY, key);
        }
    }
    parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    parts.headers.insert(UPGRADE, protocol);
    let (give, take) = oneshot::channel();
    let request = Request::from_parts(parts, ClientBody::Extended(take));
    (request, Pending { receive, give })
}

/// Turns the answer to such a request into that of HTTP/2; `true` when the tunnel stands.
pub(crate) fn answer<B>(response: &mut Response<B>) -> bool {
    let has_switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if has_switched {
        *response.status_mut() = StatusCode::OK;
    } else if response.status().is_success() {
        // To this client it would mean that the tunnel stands.
        *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
    }
    for name in [UPGRADE, SEC_WEBSOCKET_ACCEPT] {
        response.headers_mut().remove(name);
    }
    has_switched
}

impl Pending {
    /// Hands the stream to its tunnel, and waits until that is over.
    pub(crate) async fn run(self, send: SendStream<Bytes>) {
        let (end, ended) = oneshot::channel();
        let extended = Extended {
            receive: self.receive,
            send,
            unread: Bytes::new(),
            _end: end,
        };
        if self.give.send(extended).is_ok() {
            // An error is the end, too.
            let _ = ended.await;
        }
    }
}

impl AsyncRead for Extended {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.receive.poll_data(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                Some(Ok(data)) => self.unread = data,
            }
        }
        let length = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread.split_to(length));
        // The window opens as fast as the dyno takes what comes through it.
        let _ = self.receive.flow_control().release_capacity(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Extended {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wanted = bytes.len().min(PIECE_BYTES);
        self.send.reserve_capacity(wanted);
        while self.send.capacity() == 0 {
            match ready!(self.send.poll_capacity(cx)) {
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Some(capacity) => capacity.map_err(broken)?,
            };
        }
        let length = wanted.min(self.send.capacity());
        let piece = Bytes::copy_from_slice(&bytes[..length]);
        self.send.send_data(piece, false).map_err(broken)?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection writes by itself.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.send.send_data(Bytes::new(), true).map_err(broken))
    }
}

fn broken(error: h2::Error) -> io::Error {
    io::Error::other(error)
}
