//! A request without a body, sent to a dyno without a parser that keeps state.
//!
//! Nearly every response says in its head how long it is, and needs nothing that hyper keeps between two requests: buffers,
//! a channel to the task that asks, and a state for each direction. Such responses are read here, and nothing else is: when
//! what comes is of another kind (chunks, interim responses, an end by closing, anything malformed), nothing of it has been
//! used, and hyper reads it again from the beginning ([`Answer::Other`]). So there is one judge of what is odd.
//!
//! A connection in a pool is a socket and has no buffers.

use std::{
    cell::RefCell,
    future::poll_fn,
    io::{self, ErrorKind, Write},
    mem::MaybeUninit,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{BufMut, Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
};
use http_body::SizeHint;
use hyper::ext::ReasonPhrase;
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::TcpStream,
};
use tokio_util::io::poll_read_buf;

use crate::dyno_io::acknowledge;

/// As many as hyper has room for: with more, it says what is wrong.
const MAX_HEADERS: usize = 100;
/// A head that is longer is left to hyper.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Of what comes first, and of a body that is longer.
const PIECE_BYTES: usize = 16 * 1024;
const CHUNK_BYTES: usize = 64 * 1024;

thread_local! {
    /// What is written and read at once: no connection has to have buffers of its own.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch { out: Vec::new(), read: vec![0; PIECE_BYTES] });
}

struct Scratch {
    out: Vec<u8>,
    read: Vec<u8>,
}

/// A connection to a dyno on which no other kind of message has been exchanged.
pub(crate) struct Direct {
    stream: TcpStream,
    /// No request may follow the last one.
    is_spent: bool,
}

pub(crate) enum Answer {
    Plain(Response<PlainBody>),
    /// Not for us: all that has been read.
    Other(Bytes),
}

/// A request that got no answer.
pub(crate) struct Unanswered {
    /// Whether a byte of it can have reached the dyno.
    pub(crate) is_sent: bool,
}

/// A body whose length is known.
pub(crate) struct PlainBody {
    /// What came with the head.
    first: Option<Bytes>,
    /// What is still to come.
    left: u64,
}

enum Parsed {
    /// The head has not come whole.
    Part,
    Other,
    Plain {
        response: Response<PlainBody>,
        is_last: bool,
    },
}

impl Direct {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let is_spent = false;
        Self { stream, is_spent }
    }

    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Whether it cannot take another request. A dyno that says something without being asked is not listened to again.
    pub(crate) fn is_closed(&self) -> bool {
        let says_nothing =
            |outcome: io::Result<usize>| outcome.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        self.is_spent || !says_nothing(self.stream.try_read(&mut [0]))
    }

    /// Sends a head, and waits for the head of the response.
    pub(crate) async fn ask<B>(&mut self, request: &Request<B>) -> Result<Answer, Unanswered> {
        // Until the response has come whole.
        self.is_spent = true;
        self.write(request).await?;
        let mut held = Vec::new();
        let answer = poll_fn(|cx| self.poll_answer(cx, request.method(), &mut held)).await;
        answer.map_err(|_| Unanswered { is_sent: true })
    }

    async fn write<B>(&self, request: &Request<B>) -> Result<(), Unanswered> {
        let rest = SCRATCH.with_borrow_mut(|Scratch { out, .. }| {
            encode(request, out);
            match self.stream.try_write(out) {
                Ok(written) => Ok(out[written..].to_vec()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(out.clone()),
                Err(_) => Err(Unanswered { is_sent: false }),
            }
        })?;
        let mut rest = rest.as_slice();
        while !rest.is_empty() {
            let written = match self.stream.writable().await.and_then(|()| self.stream.try_write(rest)) {
                Ok(written) => written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(_) => return Err(Unanswered { is_sent: true }),
            };
            rest = &rest[written..];
        }
        Ok(())
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>, method: &Method, held: &mut Vec<u8>) -> Poll<io::Result<Answer>> {
        loop {
            let answer = SCRATCH.with_borrow_mut(|Scratch { read, .. }| {
                let mut piece = ReadBuf::new(read);
                ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
                let piece = piece.filled();
                let has_ended = piece.is_empty();
                if has_ended && held.is_empty() {
                    return Poll::Ready(Err(io::Error::from(ErrorKind::UnexpectedEof)));
                }
                let is_first = held.is_empty();
                // A head ends with a line: one that comes byte by byte is not read anew for each of them.
                let may_end = is_first || has_ended || piece.contains(&b'\n');
                if !is_first {
                    held.extend_from_slice(piece);
                }
                let all = if is_first { piece } else { held.as_slice() };
                let parsed = if may_end { parse(all, method) } else { Parsed::Part };
                let answer = match parsed {
                    Parsed::Plain { response, is_last } => {
                        self.is_spent = is_last;
                        Some(Answer::Plain(response))
                    }
                    Parsed::Part if !has_ended && all.len() < MAX_HEAD_BYTES => None,
                    Parsed::Part | Parsed::Other => Some(Answer::Other(Bytes::copy_from_slice(all))),
                };
                let is_whole = matches!(&answer, Some(Answer::Plain(response)) if response.body().left == 0);
                if !is_whole {
                    acknowledge(&self.stream, piece.len());
                }
                if is_first && answer.is_none() {
                    held.extend_from_slice(piece);
                }
                Poll::Ready(Ok(answer))
            });
            if let Some(answer) = ready!(answer)? {
                return Poll::Ready(Ok(answer));
            }
        }
    }

    /// What is next of the body of the last response; `None` at its end.
    pub(crate) fn poll_data(&mut self, body: &mut PlainBody, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if body.first.is_some() || body.left == 0 {
            return Poll::Ready(body.held());
        }
        // No buffer before there is something to put into it.
        ready!(self.stream.poll_read_ready(cx))?;
        let room = usize::try_from(body.left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        let mut chunk = BytesMut::with_capacity(room).limit(room);
        let read = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut chunk))?;
        if read == 0 {
            self.is_spent = true;
            return Poll::Ready(Some(Err(ErrorKind::UnexpectedEof.into())));
        }
        body.left -= read as u64;
        if body.left > 0 {
            acknowledge(&self.stream, read);
        }
        Poll::Ready(Some(Ok(chunk.into_inner().freeze())))
    }
}

impl PlainBody {
    /// What came with the head; after that only the connection has more.
    pub(crate) fn held(&mut self) -> Option<io::Result<Bytes>> {
        match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => (self.left > 0).then(|| Err(ErrorKind::UnexpectedEof.into())),
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.left == 0
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left + self.first.as_ref().map_or(0, |first| first.len() as u64))
    }
}

/// A head as hyper writes it.
fn encode<B>(request: &Request<B>, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(request.method().as_str().as_bytes());
    out.push(b' ');
    match request.uri().path_and_query() {
        Some(target) => out.extend_from_slice(target.as_str().as_bytes()),
        // A vector takes everything.
        None => drop(write!(out, "{}", request.uri())),
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in request.headers() {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Reads the head of a response whose length is known, and takes what there is of the body.
fn parse(bytes: &[u8], method: &Method) -> Parsed {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let head_bytes = match config.parse_response_with_uninit_headers(&mut head, bytes, &mut fields) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) => return Parsed::Part,
        Err(_) => return Parsed::Other,
    };
    let status = head.code.and_then(|code| StatusCode::from_u16(code).ok());
    let (Some(status), Some(1)) = (status, head.version) else {
        return Parsed::Other;
    };
    if status.is_informational() {
        return Parsed::Other;
    }
    let copy = Bytes::copy_from_slice(bytes);
    let mut headers = HeaderMap::with_capacity(head.headers.len());
    let (mut length, mut is_last) = (None, false);
    for field in head.headers.iter() {
        let value = HeaderValue::from_maybe_shared(copy.slice(within(bytes, field.value)));
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(field.name.as_bytes()), value) else {
            return Parsed::Other;
        };
        if name == TRANSFER_ENCODING {
            return Parsed::Other;
        } else if name == CONTENT_LENGTH {
            match digits(field.value) {
                Some(number) if length.is_none() => length = Some(number),
                _ => return Parsed::Other,
            }
        } else if name == CONNECTION {
            is_last |= names_close(field.value);
        }
        headers.append(name, value);
    }
    let has_body = *method != Method::HEAD && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED;
    let length = match length {
        _ if !has_body => 0,
        Some(length) => length,
        None => return Parsed::Other,
    };
    let after = bytes.len() - head_bytes;
    let came = usize::try_from(length).unwrap_or(usize::MAX).min(after);
    // Whoever sends more than it said does not get another request.
    is_last |= after > came;
    let mut response = Response::new(PlainBody {
        first: (came > 0).then(|| copy.slice(head_bytes..head_bytes + came)),
        left: length - came as u64,
    });
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if let Some(reason) = head.reason.filter(|reason| Some(*reason) != status.canonical_reason()) {
        let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes()) else {
            return Parsed::Other;
        };
        response.extensions_mut().insert(reason);
    }
    Parsed::Plain { response, is_last }
}

/// Where a part of some bytes is.
fn within(all: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - all.as_ptr().addr();
    start..start + part.len()
}

fn digits(value: &[u8]) -> Option<u64> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| is_number)?.parse().ok()
}

fn names_close(value: &[u8]) -> bool {
    let mut tokens = value.split(|byte| *byte == b',');
    tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"))
}

#[cfg(test)]
mod tests {
    use rustix::net::sockopt;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    fn plain(bytes: &str, method: &Method) -> Option<(Response<PlainBody>, bool)> {
        match parse(bytes.as_bytes(), method) {
            Parsed::Plain { response, is_last } => Some((response, is_last)),
            Parsed::Part | Parsed::Other => None,
        }
    }

    #[test]
    fn a_response_is_read_as_it_was_written() {
        let (mut response, is_last) = plain(
            "HTTP/1.1 200 Fine\r\nServer: x\r\nset-cookie: a\r\nSet-Cookie: b\r\ncontent-length: 5\r\n\r\nhel",
            &Method::GET,
        )
        .unwrap();
        assert!(!is_last);
        let body = response.body_mut();
        assert_eq!((body.first.take().as_deref(), body.left), (Some(&b"hel"[..]), 2));
        assert_eq!(response.extensions().get::<ReasonPhrase>().unwrap().as_bytes(), b"Fine");
        let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a", "b"]);
        assert_eq!(response.headers().len(), 4);
    }

    #[test]
    fn bodies_that_are_none_have_no_length() {
        for (status, method) in [(200, Method::HEAD), (204, Method::GET), (304, Method::GET)] {
            for length in ["", "Content-Length: 7\r\n"] {
                let (response, is_last) = plain(&format!("HTTP/1.1 {status} X\r\n{length}\r\n"), &method).unwrap();
                assert!(response.body().is_end_stream() && !is_last);
            }
        }
    }

    #[test]
    fn what_comes_after_the_end_ends_the_connection() {
        let close = "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok";
        let excess = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n";
        for text in [close, excess] {
            let (response, is_last) = plain(text, &Method::GET).unwrap();
            assert_eq!(response.body().first.as_deref(), Some(&b"ok"[..]));
            assert!(is_last, "{text}");
        }
    }

    #[test]
    fn whatever_is_not_plain_is_left_to_hyper() {
        for text in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 101 Switching Protocols\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok",
            "HTTP/1.1 204 X\r\nContent-Length: x\r\n\r\n",
            "SSH-2.0-OpenSSH\r\n",
        ] {
            assert!(matches!(parse(text.as_bytes(), &Method::GET), Parsed::Other), "{text}");
        }
        let many = "a: b\r\n".repeat(MAX_HEADERS);
        let many = format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 0\r\n\r\n");
        assert!(matches!(parse(many.as_bytes(), &Method::GET), Parsed::Other));
        assert!(matches!(parse(b"HTTP/1.1 200 OK\r\nConte", &Method::GET), Parsed::Part));
    }

    #[tokio::test]
    async fn a_dyno_that_writes_in_pieces_is_not_kept_waiting() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut dyno, _) = listener.accept().await.unwrap();
        let mut direct = Direct::new(stream);
        let request = Request::get("/").body(()).unwrap();
        let mut asked = [0; 64];
        // The kernel takes the connection for one that answers what it is asked, which it acknowledges with what it says next.
        // It forgets that where nothing was said for 40 ms, so it may take some more.
        let mut answers = 0;
        while answers < 3 || (answers < 1000 && sockopt::tcp_quickack(&direct.stream).unwrap()) {
            let whole = async {
                assert!(dyno.read(&mut asked).await.unwrap() > 0);
                dyno.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .await
                    .unwrap();
            };
            let (answer, ()) = tokio::join!(direct.ask(&request), whole);
            assert!(matches!(answer, Ok(Answer::Plain(response)) if response.body().left == 0));
            answers += 1;
        }
        assert!(
            !sockopt::tcp_quickack(&direct.stream).unwrap(),
            "it acknowledges all the same"
        );
        let head = async {
            assert!(dyno.read(&mut asked).await.unwrap() > 0);
            dyno.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
                .await
                .unwrap();
        };
        let (answer, ()) = tokio::join!(direct.ask(&request), head);
        assert!(matches!(answer, Ok(Answer::Plain(response)) if response.body().left == 2));
        assert!(sockopt::tcp_quickack(&direct.stream).unwrap());
    }

    #[test]
    fn a_request_is_written_as_hyper_writes_it() {
        let mut request = Request::get("/a?b=c").header("Host", "x.test").body(()).unwrap();
        request.headers_mut().append("x-a", HeaderValue::from_static("1"));
        request.headers_mut().append("x-a", HeaderValue::from_static("2"));
        let mut out = b"left over".to_vec();
        encode(&request, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "GET /a?b=c HTTP/1.1\r\nhost: x.test\r\nx-a: 1\r\nx-a: 2\r\n\r\n");
        *request.uri_mut() = "*".parse().unwrap();
        *request.method_mut() = Method::OPTIONS;
        let mut out = Vec::new();
        encode(&request, &mut out);
        assert!(out.starts_with(b"OPTIONS * HTTP/1.1\r\n"));
    }
}
