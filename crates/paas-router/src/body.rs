//! Bodies on their way through: never collected, only watched.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use thiserror::Error;
use tokio::time::Instant;

use crate::{
    backend::InFlight,
    code::Code,
    exchange::Exchange,
    flow::{Flow, IdleTimer},
    framing::Verdict,
};

/// Why a body ended before its end.
#[derive(Debug, Error)]
pub(crate) enum BodyError {
    #[error("the other side broke off")]
    Broken(#[source] hyper::Error),
    #[error("no byte moved for too long")]
    Idle,
}

/// What the client sends, as the dyno gets it.
pub(crate) struct RequestBody {
    incoming: Option<Incoming>,
    flow: Arc<Flow>,
    timer: IdleTimer,
}

/// What the client gets: a page of ours, or what a dyno sends.
pub(crate) struct ResponseBody(Source);

enum Source {
    Page(Option<Bytes>),
    Dyno(Box<DynoResponse>),
}

/// A response in transit. It holds the dyno's connection until its end, and its place in flight until it is dropped.
pub(crate) struct DynoResponse {
    pub(crate) incoming: Incoming,
    pub(crate) flow: Arc<Flow>,
    pub(crate) verdict: Arc<Verdict>,
    pub(crate) timer: IdleTimer,
    /// Goes back to its pool at the end of the body; dropped before, it closes.
    pub(crate) connection: Option<SendRequest<RequestBody>>,
    pub(crate) exchange: Exchange,
    pub(crate) in_flight: InFlight,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, flow: Arc<Flow>) -> Self {
        let incoming = Some(incoming).filter(|incoming| !incoming.is_end_stream());
        let timer = IdleTimer::default();
        Self { incoming, flow, timer }
    }

    /// A body without a byte, for a request that is sent a second time.
    pub(crate) fn empty(flow: Arc<Flow>) -> Self {
        let timer = IdleTimer::default();
        Self {
            incoming: None,
            flow,
            timer,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            let Some(incoming) = &mut this.incoming else {
                return Poll::Ready(None);
            };
            match Pin::new(incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.flow.touch();
                    this.flow.await_client(false);
                    if this.incoming.as_ref().is_some_and(Body::is_end_stream) {
                        this.flow.end_request();
                    }
                    // Trailers are hop-by-hop unless both sides agreed on them (RFC 9110 §6.5.1).
                    if frame.is_data() {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    this.flow.client_gone();
                    this.incoming = None;
                    return Poll::Ready(Some(Err(BodyError::Broken(error))));
                }
                Poll::Ready(None) => {
                    this.flow.end_request();
                    this.incoming = None;
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    this.flow.await_client(true);
                    if this.flow.poll_idle(&mut this.timer, cx).is_pending() {
                        return Poll::Pending;
                    }
                    this.flow.client_idle();
                    this.incoming = None;
                    return Poll::Ready(Some(Err(BodyError::Idle)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl ResponseBody {
    pub(crate) fn page(bytes: Bytes) -> Self {
        Self(Source::Page(Some(bytes)))
    }

    pub(crate) fn empty() -> Self {
        Self(Source::Page(None))
    }

    pub(crate) fn dyno(mut response: DynoResponse) -> Self {
        if response.incoming.is_end_stream() {
            response.finish();
        }
        Self(Source::Dyno(Box::new(response)))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Source::Page(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Dyno(response) => response.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Page(bytes) => bytes.is_none(),
            Source::Dyno(response) => response.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Page(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Source::Dyno(response) => response.incoming.size_hint(),
        }
    }
}

impl DynoResponse {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.flow.touch();
                    if let Some(data) = frame.data_ref() {
                        self.exchange.sent(data.len());
                    }
                    if self.incoming.is_end_stream() {
                        self.finish();
                    }
                    if frame.is_data() {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.exchange.fail(self.flow.blame(Code::H18));
                    self.connection = None;
                    return Poll::Ready(Some(Err(BodyError::Broken(error))));
                }
                Poll::Ready(None) => {
                    self.finish();
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    if self.flow.poll_idle(&mut self.timer, cx).is_pending() {
                        return Poll::Pending;
                    }
                    self.exchange.fail(self.flow.blame(Code::H15));
                    self.connection = None;
                    return Poll::Ready(Some(Err(BodyError::Idle)));
                }
            }
        }
    }

    fn finish(&mut self) {
        self.exchange.finish();
        if let Some(connection) = self.connection.take()
            && self.flow.request_has_ended()
        {
            self.in_flight.backend().pool.put(connection, Instant::now());
        }
    }
}

impl Drop for DynoResponse {
    fn drop(&mut self) {
        if self.verdict.stalled.load(Ordering::Relaxed) {
            self.exchange.fail(Code::H28);
        }
    }
}
