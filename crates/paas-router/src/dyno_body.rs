//! The body of a dyno's response.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::{body::BodyError, direct::PlainBody};

pub(crate) enum DynoBody {
    /// Only its connection can read it.
    Plain(PlainBody),
    Hyper(Incoming),
}

pub(crate) type Part = Result<Frame<Bytes>, BodyError>;

/// A part of a plain body.
pub(crate) fn part(data: io::Result<Bytes>) -> Part {
    data.map(Frame::data).map_err(BodyError::Socket)
}

impl DynoBody {
    /// What has come of it already.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Part>> {
        match self {
            Self::Plain(body) => Poll::Ready(body.held().map(part)),
            Self::Hyper(incoming) => Pin::new(incoming).poll_frame(cx).map_err(BodyError::Http1),
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match self {
            Self::Plain(body) => body.is_end_stream(),
            Self::Hyper(incoming) => incoming.is_end_stream(),
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Plain(body) => body.size_hint(),
            Self::Hyper(incoming) => incoming.size_hint(),
        }
    }
}
