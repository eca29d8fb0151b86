//! What the parser forgives: message framing that two servers could read in two ways.
//!
//! hyper takes bare line feeds, and a `Content-Length` beside a `Transfer-Encoding` vanishes before anybody can see it. Both
//! are how requests are smuggled (RFC 9112 §11.2), so the bytes are watched on their way to the parser. Only the shape of
//! messages is followed here; everything that hyper rejects by itself is left to it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
};

/// Heroku's limit for a request line and for a header line.
pub(crate) const MAX_LINE_BYTES: usize = 8192;
const MAX_NAME_BYTES: usize = 1000;
const MAX_HEADERS: u32 = 1000;
/// What hyper has room for without being asked; more costs it time for each request.
const USUAL_HEADERS: u32 = 100;
const MAX_METHOD_BYTES: usize = 127;
/// No request has this number: none is malformed.
const NONE: u32 = u32::MAX;

/// Follows the bytes of one client connection.
pub(crate) struct Framing {
    state: State,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    head: Head,
    heads: u32,
    /// A body turned out to be malformed: the parser gets nothing from there on.
    is_cut: bool,
    /// A head has more headers than the parser usually has room for.
    is_crowded: bool,
    verdict: Arc<Verdict>,
}

/// What a client turned out to speak by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    Http1,
    Http2,
    Ssh,
}

/// What was found on a connection, for the handler of its requests.
pub(crate) struct Verdict {
    /// The number of the first malformed request, counted from 0.
    malformed: AtomicU32,
    cause: AtomicU8,
    /// The connection became a tunnel: bytes have no shape any more.
    is_tunnel: AtomicBool,
    /// A [`Speech`].
    speech: AtomicU8,
    /// How many heads have come whole.
    heads: AtomicU32,
    /// The next byte begins a head.
    is_between: AtomicBool,
    /// How many responses have been handed to the connection, or given up.
    answered: AtomicU32,
    /// A head has more headers than usual, and is kept back until there is room for it.
    wants_room: AtomicBool,
    /// There is room.
    is_roomy: AtomicBool,
    /// Nothing is read, and nothing shut, while the connection is taken apart.
    is_frozen: AtomicBool,
    /// The client did not take what we had for it.
    pub(crate) stalled: AtomicBool,
    /// The client sends more frames than anybody needs.
    pub(crate) is_flooded: AtomicBool,
    /// This client may take as long as it likes.
    pub(crate) patient: AtomicBool,
}

/// How a request head is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Malformed {
    BareLineFeed = 1,
    LineTooLong = 2,
    TwoLengths = 3,
    Underscore = 4,
    MethodTooLong = 5,
    NameTooLong = 6,
    TooManyHeaders = 7,
}

#[derive(Clone, Copy)]
enum State {
    RequestLine,
    Headers,
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    Trailers,
    /// Past the first malformed byte: the connection ends with that request.
    Lost,
}

#[derive(Default)]
struct Head {
    headers: u32,
    content_length: Option<u64>,
    is_chunked: bool,
}

impl Framing {
    pub(crate) fn new(verdict: Arc<Verdict>) -> Self {
        Self {
            state: State::RequestLine,
            partial: Vec::new(),
            head: Head::default(),
            heads: 0,
            is_cut: false,
            is_crowded: false,
            verdict,
        }
    }

    /// Says how many of the bytes the parser may have.
    ///
    /// A malformed head is passed on, so that the handler can refuse it by its number. The head of a malformed body has
    /// been handled already: what the parser does not get cannot end that body, and the dyno knows that it is not whole.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> usize {
        let all = bytes.len();
        while !bytes.is_empty() {
            if matches!(self.state, State::Lost) || self.verdict.is_tunnel.load(Ordering::Relaxed) {
                return all;
            }
            let passed = all - bytes.len();
            bytes = match self.state {
                State::Body(left) => {
                    let (left, rest) = skip(left, bytes);
                    self.state = if left == 0 {
                        State::RequestLine
                    } else {
                        State::Body(left)
                    };
                    rest
                }
                State::ChunkData(left) => {
                    let (left, rest) = skip(left, bytes);
                    self.state = if left == 0 {
                        State::ChunkSize
                    } else {
                        State::ChunkData(left)
                    };
                    rest
                }
                _ => self.feed_line(bytes),
            };
            if self.is_cut {
                return passed;
            }
        }
        all
    }

    /// The parser has what was fed.
    pub(crate) fn publish(&self) {
        let is_between = matches!(self.state, State::RequestLine) && self.partial.is_empty();
        self.verdict.heads.store(self.heads, Ordering::Relaxed);
        self.verdict.is_between.store(is_between, Ordering::Relaxed);
    }

    /// Whether there are more headers than the parser has room for.
    pub(crate) fn wants_room(&self) -> bool {
        self.is_crowded
    }

    /// Gives back what is not needed between two requests.
    pub(crate) fn rest(&mut self) {
        if self.partial.is_empty() {
            self.partial = Vec::new();
        }
    }

    /// Whether a byte was kept from the parser: it must not wait for more.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Takes bytes up to the end of the line, or all of them when it is not among them.
    fn feed_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.partial.extend_from_slice(bytes);
            if self.partial.len() > MAX_LINE_BYTES {
                self.malformed(Malformed::LineTooLong);
            }
            return &[];
        };
        let (line, rest) = bytes.split_at(end + 1);
        if self.partial.is_empty() {
            self.line(line);
        } else {
            let mut whole = std::mem::take(&mut self.partial);
            whole.extend_from_slice(line);
            self.line(&whole);
            whole.clear();
            self.partial = whole;
        }
        rest
    }

    fn line(&mut self, line: &[u8]) {
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return self.malformed(Malformed::BareLineFeed);
        };
        if line.len() > MAX_LINE_BYTES {
            return self.malformed(Malformed::LineTooLong);
        }
        match self.state {
            // Empty lines before a request line are to be ignored (RFC 9112 §2.2).
            State::RequestLine if line.is_empty() => {}
            State::RequestLine if is_method_too_long(line) => self.malformed(Malformed::MethodTooLong),
            State::RequestLine => {
                self.head = Head::default();
                self.state = State::Headers;
            }
            State::Headers if line.is_empty() => self.end_of_head(),
            State::Headers => self.header(line),
            State::ChunkSize => match chunk_size(line) {
                // The line feed after a chunk's data is counted with it.
                Some(0) => self.state = State::Trailers,
                Some(size) => self.state = State::ChunkData(size.saturating_add(2)),
                None => self.malformed(Malformed::TwoLengths),
            },
            State::Trailers if line.is_empty() => self.state = State::RequestLine,
            State::Trailers | State::Body(_) | State::ChunkData(_) | State::Lost => {}
        }
    }

    fn header(&mut self, line: &[u8]) {
        self.head.headers += 1;
        self.is_crowded |= self.head.headers > USUAL_HEADERS;
        if self.head.headers > MAX_HEADERS {
            return self.malformed(Malformed::TooManyHeaders);
        }
        if line.len() > MAX_NAME_BYTES && memchr::memchr(b':', &line[..=MAX_NAME_BYTES]).is_none() {
            return self.malformed(Malformed::NameTooLong);
        }
        if !matches!(line[0], b'c' | b'C' | b't' | b'T') {
            return;
        }
        let Some(colon) = memchr::memchr(b':', line) else {
            return;
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        // CGI and its heirs (WSGI, Rack, PHP) read both in one variable: `CONTENT_LENGTH`.
        if name.eq_ignore_ascii_case(b"content_length") || name.eq_ignore_ascii_case(b"transfer_encoding") {
            self.malformed(Malformed::Underscore);
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value)
                .ok()
                .and_then(|value| value.trim().parse().ok());
            self.head.content_length = Some(length.unwrap_or(0));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.head.is_chunked = true;
        }
    }

    fn end_of_head(&mut self) {
        if self.head.is_chunked && self.head.content_length.is_some() {
            return self.malformed(Malformed::TwoLengths);
        }
        self.heads += 1;
        self.state = match self.head.content_length {
            _ if self.head.is_chunked => State::ChunkSize,
            Some(length) if length > 0 => State::Body(length),
            _ => State::RequestLine,
        };
    }

    fn malformed(&mut self, malformed: Malformed) {
        self.is_cut = matches!(self.state, State::ChunkSize | State::Trailers);
        self.state = State::Lost;
        self.partial = Vec::new();
        self.verdict.cause.store(malformed as u8, Ordering::Relaxed);
        self.verdict.malformed.store(self.heads, Ordering::Release);
    }
}

impl Verdict {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            malformed: AtomicU32::new(NONE),
            cause: AtomicU8::new(0),
            is_tunnel: AtomicBool::new(false),
            speech: AtomicU8::new(Speech::Http1 as u8),
            heads: AtomicU32::new(0),
            is_between: AtomicBool::new(true),
            answered: AtomicU32::new(0),
            wants_room: AtomicBool::new(false),
            is_roomy: AtomicBool::new(false),
            is_frozen: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            is_flooded: AtomicBool::new(false),
            patient: AtomicBool::new(false),
        })
    }

    /// Whether a request, or one before it on its connection, was malformed.
    pub(crate) fn of(&self, request: u32) -> Option<Malformed> {
        if self.malformed.load(Ordering::Acquire) > request {
            return None;
        }
        match self.cause.load(Ordering::Relaxed) {
            1 => Some(Malformed::BareLineFeed),
            2 => Some(Malformed::LineTooLong),
            4 => Some(Malformed::Underscore),
            5 => Some(Malformed::MethodTooLong),
            6 => Some(Malformed::NameTooLong),
            7 => Some(Malformed::TooManyHeaders),
            _ => Some(Malformed::TwoLengths),
        }
    }

    pub(crate) fn is_patient(&self) -> bool {
        self.patient.load(Ordering::Relaxed)
    }

    pub(crate) fn is_flooded(&self) -> bool {
        self.is_flooded.load(Ordering::Relaxed)
    }

    pub(crate) fn becomes(&self, speech: Speech) {
        self.speech.store(speech as u8, Ordering::Relaxed);
    }

    /// Whether HTTP/1 is not what the client speaks.
    pub(crate) fn is_foreign(&self) -> bool {
        self.speech.load(Ordering::Relaxed) != Speech::Http1 as u8
    }

    pub(crate) fn is_ssh(&self) -> bool {
        self.speech.load(Ordering::Relaxed) == Speech::Ssh as u8
    }

    pub(crate) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn heads(&self) -> u32 {
        self.heads.load(Ordering::Relaxed)
    }

    /// Whether every head that came whole has had its answer.
    pub(crate) fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed) == self.heads()
    }

    pub(crate) fn is_between(&self) -> bool {
        self.is_between.load(Ordering::Relaxed)
    }

    pub(crate) fn ask_for_room(&self) {
        self.wants_room.store(true, Ordering::Relaxed);
    }

    pub(crate) fn wants_room(&self) -> bool {
        self.wants_room.load(Ordering::Relaxed)
    }

    pub(crate) fn make_room(&self) {
        self.is_roomy.store(true, Ordering::Relaxed);
        self.wants_room.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_roomy(&self) -> bool {
        self.is_roomy.load(Ordering::Relaxed)
    }

    pub(crate) fn freeze(&self, is_frozen: bool) {
        self.is_frozen.store(is_frozen, Ordering::Relaxed);
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.is_frozen.load(Ordering::Relaxed)
    }

    pub(crate) fn is_tunnel(&self) -> bool {
        self.is_tunnel.load(Ordering::Relaxed)
    }

    pub(crate) fn becomes_a_tunnel(&self) {
        self.is_tunnel.store(true, Ordering::Relaxed);
    }
}

impl Malformed {
    pub(crate) const fn cause(self) -> &'static str {
        match self {
            Self::BareLineFeed => "bare line feed",
            Self::LineTooLong => "line too long",
            Self::MethodTooLong => "method too long",
            Self::NameTooLong => "header name too long",
            Self::TooManyHeaders => "too many headers",
            Self::Underscore => "underscore in a framing header",
            Self::TwoLengths => "content-length with transfer-encoding",
        }
    }
}

fn skip(left: u64, bytes: &[u8]) -> (u64, &[u8]) {
    let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    (left - skipped as u64, &bytes[skipped..])
}

fn is_method_too_long(line: &[u8]) -> bool {
    line.len() > MAX_METHOD_BYTES && memchr::memchr(b' ', &line[..=MAX_METHOD_BYTES]).is_none()
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    u64::from_str_radix(std::str::from_utf8(&line[..digits]).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the bytes whole, and again one by one: the answer must not depend on how they arrive.
    fn malformed_at(bytes: &[u8]) -> Option<u32> {
        let answers = [bytes.len().max(1), 1].map(|size| {
            let verdict = Verdict::new();
            let mut framing = Framing::new(verdict.clone());
            for piece in bytes.chunks(size) {
                framing.feed(piece);
            }
            (0..9).find(|request| verdict.of(*request).is_some())
        });
        assert_eq!(answers[0], answers[1]);
        answers[0]
    }

    #[test]
    fn well_formed_requests_pass_in_any_order() {
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let sized = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n\n\n\n\n\n";
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n\n\n\n\r\n0\r\nT: x\r\n\r\n";
        let all = format!("{get}{sized}{chunked}\r\n{get}{chunked}{sized}{get}");
        assert_eq!(malformed_at(all.as_bytes()), None);
    }

    #[test]
    fn nothing_behind_a_malformed_chunk_reaches_the_parser() {
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (whole, rest) in [
            ("3\r\nabc\r\n", "3\nabc\r\n"),
            ("0\r\n", "\nGET /"),
            ("0\r\n", "T: x\n\r\n"),
            ("", "x\r\n"),
        ] {
            let bytes = format!("{head}{whole}{rest}");
            let mut framing = Framing::new(Verdict::new());
            assert_eq!(framing.feed(bytes.as_bytes()), bytes.len() - rest.len(), "{bytes:?}");
            assert!(framing.is_cut());
        }
    }

    #[test]
    fn the_first_malformed_request_is_named() {
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let both = "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        let bare = "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n";
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(9000));
        let headers = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(count));
        let name = |bytes: usize| format!("GET / HTTP/1.1\r\n{}: y\r\n\r\n", "x".repeat(bytes));
        let method = |bytes: usize| format!("{} / HTTP/1.1\r\n\r\n", "X".repeat(bytes));
        for good in [headers(1000), name(1000), method(127)] {
            assert_eq!(malformed_at(good.as_bytes()), None);
        }
        for bad in [headers(1001), name(1001), method(128)] {
            assert_eq!(malformed_at(bad.as_bytes()), Some(0));
        }
        assert_eq!(malformed_at(both.as_bytes()), Some(0));
        assert_eq!(malformed_at(format!("{get}{both}").as_bytes()), Some(1));
        assert_eq!(malformed_at(format!("{get}{get}{bare}").as_bytes()), Some(2));
        assert_eq!(malformed_at(long.as_bytes()), Some(0));
    }
}
