//! Bodies on their way through: never collected, only watched.

use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::RecvStream;
use http::{HeaderMap, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use thiserror::Error;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use crate::{
    backend::InFlight,
    code::Code,
    dyno_body::DynoBody,
    exchange::Exchange,
    extended::Extended,
    flow::{Alarm, Flow},
    framing::Verdict,
    header,
    link::Link,
    pace::Pace,
};

/// Why a body ended before its end.
#[derive(Debug, Error)]
pub(crate) enum BodyError {
    #[error("the other side broke off")]
    Http1(#[source] hyper::Error),
    #[error("the other side broke off")]
    Socket(#[source] io::Error),
    #[error("the other side broke off")]
    Http2(#[source] h2::Error),
    #[error("no byte moved for too long")]
    Idle,
    #[error("the client sends too slowly")]
    Slow,
}

/// What a client sends after a head.
pub(crate) enum ClientBody {
    Http1(Incoming),
    Http2(Http2Body),
    /// None: what comes is for a tunnel, if it comes to that.
    Extended(oneshot::Receiver<Extended>),
}

/// The data of an HTTP/2 stream.
pub(crate) struct Http2Body {
    stream: RecvStream,
    /// What `Content-Length` says; that it is true is seen to by h2.
    left: Option<u64>,
    is_at_trailers: bool,
    /// Told when somebody wants the body for the first time: the client expects to hear it.
    wanted: Option<Arc<Notify>>,
}

/// What the client sends, as the dyno gets it. Most requests have none, and it is moved about: it is small then.
pub(crate) struct RequestBody(Option<Box<Sending>>);

/// A body that has not ended.
struct Sending {
    incoming: ClientBody,
    flow: Arc<Flow>,
    timer: Alarm,
    pace: Pace,
}

/// What the client gets: a page of ours, or what a dyno sends.
pub(crate) struct ResponseBody {
    source: Source,
    answered: Option<Answered>,
}

/// Tells the connection that a response is in its hands.
struct Answered(Arc<Verdict>);

enum Source {
    Page(Option<Bytes>),
    Dyno(Box<DynoResponse>),
}

/// A response in transit. It holds the dyno's connection until its end, and its place in flight until it is dropped.
pub(crate) struct DynoResponse {
    pub(crate) incoming: DynoBody,
    pub(crate) flow: Arc<Flow>,
    pub(crate) verdict: Arc<Verdict>,
    pub(crate) timer: Alarm,
    /// Goes back to its pool at the end of the body; dropped before, it closes.
    pub(crate) connection: Option<Link>,
    /// Why the response breaks off after what has come of it.
    pub(crate) failure: Option<BodyError>,
    pub(crate) exchange: Exchange,
    pub(crate) in_flight: InFlight,
}

impl Http2Body {
    pub(crate) fn of(request: http::Request<RecvStream>, wanted: Option<Arc<Notify>>) -> http::Request<ClientBody> {
        let length = request.headers().get(CONTENT_LENGTH);
        let left = length.and_then(|length| length.to_str().ok()?.parse().ok());
        request.map(|stream| {
            ClientBody::Http2(Self {
                stream,
                left,
                is_at_trailers: false,
                wanted,
            })
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if let Some(wanted) = self.wanted.take() {
            wanted.notify_one();
        }
        if !self.is_at_trailers {
            match ready!(self.stream.poll_data(cx)?) {
                Some(data) => {
                    // The window opens as fast as the dyno takes what comes through it.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                None => self.is_at_trailers = true,
            }
        }
        let trailers = ready!(self.stream.poll_trailers(cx)?);
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Http1(incoming) => Pin::new(incoming).poll_frame(cx).map_err(BodyError::Http1),
            Self::Http2(body) => body.poll(cx).map_err(BodyError::Http2),
            Self::Extended(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(incoming) => incoming.is_end_stream(),
            Self::Http2(body) => body.stream.is_end_stream(),
            Self::Extended(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(incoming) => incoming.size_hint(),
            Self::Extended(_) => SizeHint::with_exact(0),
            Self::Http2(body) if body.stream.is_end_stream() => SizeHint::with_exact(0),
            Self::Http2(body) => body.left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl RequestBody {
    pub(crate) fn new(incoming: Option<ClientBody>, flow: &Arc<Flow>) -> Self {
        let Some(incoming) = incoming.filter(|incoming| !incoming.is_end_stream()) else {
            return Self::empty();
        };
        Self(Some(Box::new(Sending {
            incoming,
            flow: flow.clone(),
            timer: Alarm::default(),
            pace: Pace::default(),
        })))
    }

    /// A body without a byte.
    pub(crate) fn empty() -> Self {
        Self(None)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(sending) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let frame = ready!(sending.poll(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|sending| sending.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), |sending| sending.incoming.size_hint())
    }
}

impl Sending {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.flow.touch();
                self.flow.await_client(false);
                self.pace
                    .receive(frame.data_ref().map_or(0, Bytes::len), Instant::now());
                if self.flow.is_too_slow(&self.pace) {
                    self.flow.client_idle();
                    return Poll::Ready(Some(Err(BodyError::Slow)));
                }
                if self.incoming.is_end_stream() {
                    self.flow.end_request();
                }
                Poll::Ready(Some(Ok(without(header::trailers_to_dyno, frame))))
            }
            Poll::Ready(Some(Err(error))) => {
                self.flow.client_gone();
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                self.flow.end_request();
                Poll::Ready(None)
            }
            Poll::Pending => {
                self.flow.await_client(true);
                self.pace.wait(Instant::now());
                ready!(self.flow.poll_idle(&mut self.timer, cx));
                self.flow.client_idle();
                Poll::Ready(Some(Err(BodyError::Idle)))
            }
        }
    }
}

impl ResponseBody {
    pub(crate) fn page(bytes: Bytes) -> Self {
        Self::of(Source::Page(Some(bytes)))
    }

    pub(crate) fn empty() -> Self {
        Self::of(Source::Page(None))
    }

    pub(crate) fn dyno(mut response: DynoResponse) -> Self {
        response.flow.answer();
        if response.incoming.is_end_stream() {
            response.finish();
        }
        Self::of(Source::Dyno(Box::new(response)))
    }

    fn of(source: Source) -> Self {
        let answered = None;
        Self { source, answered }
    }

    /// For HTTP/1, where a connection has one response at a time.
    pub(crate) fn answers(&mut self, verdict: Arc<Verdict>) {
        self.answered = Some(Answered(verdict));
    }

    /// The client takes nothing more.
    pub(crate) fn stall(&mut self) {
        if let Source::Dyno(response) = &mut self.source {
            response.exchange.fail(Code::H28);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.source {
            Source::Page(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Dyno(response) => response.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Page(bytes) => bytes.is_none(),
            Source::Dyno(response) => response.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Page(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Source::Dyno(response) => response.incoming.size_hint(),
        }
    }
}

impl DynoResponse {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(error) = self.failure.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let frame = match &mut self.connection {
            Some(link) => link.poll_part(&mut self.incoming, cx),
            None => self.incoming.poll(cx),
        };
        match frame {
            Poll::Ready(Some(Ok(frame))) => {
                self.flow.touch();
                if let Some(data) = frame.data_ref() {
                    self.exchange.sent(data.len());
                }
                if self.incoming.is_end_stream() || frame.is_trailers() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(without(header::trailers_to_client, frame))))
            }
            Poll::Ready(Some(Err(error))) => {
                self.exchange.fail(self.flow.blame(Code::H18));
                self.connection = None;
                // It may have come together with what went before, which the client still is to get.
                self.failure = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(None) => {
                self.finish();
                Poll::Ready(None)
            }
            Poll::Pending => {
                if self.flow.poll_idle(&mut self.timer, cx).is_pending() {
                    return Poll::Pending;
                }
                self.exchange.fail(self.flow.blame(Code::H15));
                self.connection = None;
                Poll::Ready(Some(Err(BodyError::Idle)))
            }
        }
    }

    fn finish(&mut self) {
        self.exchange.finish();
        if let Some(mut connection) = self.connection.take()
            && self.flow.request_has_ended()
        {
            connection.timer = std::mem::take(&mut self.timer);
            self.in_flight.backend().pool.put(connection, Instant::now());
        }
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.0.answered();
    }
}

impl Drop for DynoResponse {
    fn drop(&mut self) {
        if self.verdict.stalled.load(Ordering::Relaxed) {
            self.exchange.fail(Code::H28);
        }
    }
}

/// Trailers without what they must not say. Whether they are passed on at all is agreed by `TE` and `Trailer`, which hyper
/// looks at for HTTP/1.1.
fn without(filter: impl FnOnce(&mut HeaderMap), mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        filter(trailers);
    }
    frame
}
