//! Requests that HTTP/2 can carry and HTTP/1.1 would read differently (RFC 9113 §8.2, §8.3; Kettle, "HTTP/2: The Sequel is
//! Always Worse"; the dyno speaks HTTP/1.1).

pub(crate) struct Downgrade {
    pub(crate) name: &'static str,
    /// All headers of a `POST` with the body [`BODY`].
    pub(crate) fields: &'static [(&'static str, &'static str)],
    /// What the dyno gets; `None` when the request is refused, by a reset or with 400.
    pub(crate) seen: Option<&'static str>,
}

/// To a reader of chunks, the end of one message and the beginning of another.
pub(crate) const BODY: &str = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: hello.test\r\n\r\n";

const METHOD: (&str, &str) = (":method", "POST");
const SCHEME: (&str, &str) = (":scheme", "http");
const AUTHORITY: (&str, &str) = (":authority", "hello.test");
const PATH: (&str, &str) = (":path", "/attack");

macro_rules! with {
    ($name:expr, $($field:expr),* $(,)?) => {
        refused($name, &[METHOD, SCHEME, AUTHORITY, PATH, $($field),*])
    };
}

const fn refused(name: &'static str, fields: &'static [(&'static str, &'static str)]) -> Downgrade {
    let seen = None;
    Downgrade { name, fields, seen }
}

const fn passed(name: &'static str, fields: &'static [(&'static str, &'static str)], seen: &'static str) -> Downgrade {
    let seen = Some(seen);
    Downgrade { name, fields, seen }
}

pub(crate) const DOWNGRADES: &[Downgrade] = &[
    // Lengths.
    with!("H2.TE", ("transfer-encoding", "chunked")),
    with!(
        "H2.TE with a length",
        ("content-length", "49"),
        ("transfer-encoding", "chunked")
    ),
    with!("H2.CL too short", ("content-length", "0")),
    with!("H2.CL one short", ("content-length", "48")),
    with!("H2.CL too long", ("content-length", "50")),
    with!("two lengths", ("content-length", "49"), ("content-length", "0")),
    with!("a list of lengths", ("content-length", "49, 49")),
    with!("a signed length", ("content-length", "+49")),
    with!("a length in spaces", ("content-length", " 49")),
    with!("a length of 70 bits", ("content-length", "1180591620717411303471")),
    with!("a length with an underscore", ("content_length", "0")),
    with!("a coding with an underscore", ("transfer_encoding", "chunked")),
    // Of the connection.
    with!("connection", ("connection", "keep-alive")),
    with!("connection that names headers", ("connection", "x-forwarded-for")),
    with!("proxy-connection", ("proxy-connection", "keep-alive")),
    with!("keep-alive", ("keep-alive", "timeout=5")),
    with!("upgrade", ("upgrade", "websocket")),
    with!(
        "upgrade to h2c",
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA")
    ),
    with!("te other than trailers", ("te", "chunked")),
    with!("te with more than trailers", ("te", "trailers, chunked")),
    // Names.
    with!("a name in capitals", ("X-Upper", "a")),
    with!("an empty name", ("", "a")),
    with!("a space in a name", ("x y", "a")),
    with!("a colon in a name", ("x:y", "a")),
    with!("a line in a name", ("x: a\r\ntransfer-encoding", "chunked")),
    with!("a line feed in a name", ("x\ny", "a")),
    with!("NUL in a name", ("x\0y", "a")),
    with!("a space behind a coding", ("transfer-encoding ", "chunked")),
    with!("a tab before a coding", ("\ttransfer-encoding", "chunked")),
    // Values.
    with!("a line in a value", ("x", "a\r\ntransfer-encoding: chunked")),
    with!(
        "a request in a value",
        ("x", "a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: hello.test")
    ),
    with!("a line feed in a value", ("x", "a\nb: c")),
    with!("a carriage return in a value", ("x", "a\rb: c")),
    with!("NUL in a value", ("x", "a\0b")),
    // Pseudo-headers.
    with!("an unknown one", (":test", "a")),
    with!("one of answers", (":status", "200")),
    with!("a second path", (":path", "/smuggled")),
    with!("a second method", (":method", "GET")),
    with!("a second authority", (":authority", "other.test")),
    with!("a protocol without CONNECT", (":protocol", "websocket")),
    refused("one behind the others", &[METHOD, SCHEME, AUTHORITY, ("x", "y"), PATH]),
    refused("no method", &[SCHEME, AUTHORITY, PATH]),
    refused("no scheme", &[METHOD, AUTHORITY, PATH]),
    refused("no path", &[METHOD, SCHEME, AUTHORITY]),
    refused("no authority and no host", &[METHOD, SCHEME, PATH]),
    refused("an empty path", &[METHOD, SCHEME, AUTHORITY, (":path", "")]),
    refused("an empty method", &[(":method", ""), SCHEME, AUTHORITY, PATH]),
    refused(
        "a path without a slash",
        &[METHOD, SCHEME, AUTHORITY, (":path", "attack")],
    ),
    refused(
        "a path with a space",
        &[METHOD, SCHEME, AUTHORITY, (":path", "/attack HTTP/1.1")],
    ),
    refused(
        "a path with a request",
        &[
            METHOD,
            SCHEME,
            AUTHORITY,
            (":path", "/ HTTP/1.1\r\nHost: other.test\r\n\r\nGET /smuggled"),
        ],
    ),
    refused(
        "a path with a line feed",
        &[METHOD, SCHEME, AUTHORITY, (":path", "/att\nack")],
    ),
    refused("a path with NUL", &[METHOD, SCHEME, AUTHORITY, (":path", "/att\0ack")]),
    refused(
        "a path that is a URL",
        &[METHOD, SCHEME, AUTHORITY, (":path", "http://other.test/")],
    ),
    refused(
        "a method with a space",
        &[(":method", "GET / HTTP/1.1"), SCHEME, AUTHORITY, PATH],
    ),
    refused(
        "a method with a request",
        &[
            (":method", "GET /smuggled HTTP/1.1\r\nHost: hello.test\r\n\r\nPOST"),
            SCHEME,
            AUTHORITY,
            PATH,
        ],
    ),
    refused(
        "a scheme with a path",
        &[METHOD, (":scheme", "http://other.test/?"), AUTHORITY, PATH],
    ),
    refused(
        "a scheme with a line",
        &[METHOD, (":scheme", "http\r\nx: y"), AUTHORITY, PATH],
    ),
    refused(
        "an authority with a path",
        &[METHOD, SCHEME, (":authority", "hello.test/x"), PATH],
    ),
    refused(
        "an authority with a user",
        &[METHOD, SCHEME, (":authority", "x@hello.test"), PATH],
    ),
    refused(
        "an authority with a line",
        &[METHOD, SCHEME, (":authority", "hello.test\r\nx: y"), PATH],
    ),
    refused(
        "an authority with a space",
        &[METHOD, SCHEME, (":authority", "hello.test x"), PATH],
    ),
    refused("an empty authority", &[METHOD, SCHEME, (":authority", ""), PATH]),
    refused("a plain CONNECT", &[(":method", "CONNECT"), AUTHORITY]),
    refused(
        "CONNECT with a path",
        &[(":method", "CONNECT"), SCHEME, AUTHORITY, PATH],
    ),
    // Hosts.
    with!("a host that is another", ("host", "other.test")),
    with!("two hosts", ("host", "hello.test"), ("host", "hello.test")),
    refused("a bad host alone", &[METHOD, SCHEME, PATH, ("host", "hello.test/x")]),
    // In order.
    passed(
        "no length",
        &[METHOD, SCHEME, AUTHORITY, PATH],
        "POST /attack HTTP/1.1\r\nhost: hello.test\r\ntransfer-encoding: chunked\r\n\r\n\
         31\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: hello.test\r\n\r\n\r\n0\r\n\r\n",
    ),
    passed(
        "a length",
        &[METHOD, SCHEME, AUTHORITY, PATH, ("content-length", "49")],
        "POST /attack HTTP/1.1\r\ncontent-length: 49\r\nhost: hello.test\r\n\r\n\
         0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    passed(
        "a GET with a body",
        &[(":method", "GET"), SCHEME, AUTHORITY, PATH],
        "GET /attack HTTP/1.1\r\nhost: hello.test\r\ntransfer-encoding: chunked\r\n\r\n\
         31\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: hello.test\r\n\r\n\r\n0\r\n\r\n",
    ),
    passed(
        "the same host twice in other words",
        &[
            METHOD,
            SCHEME,
            AUTHORITY,
            PATH,
            ("content-length", "49"),
            ("host", "hello.test"),
        ],
        "POST /attack HTTP/1.1\r\ncontent-length: 49\r\nhost: hello.test\r\n\r\n\
         0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    passed(
        "a host alone",
        &[METHOD, SCHEME, PATH, ("content-length", "49"), ("host", "hello.test")],
        "POST /attack HTTP/1.1\r\ncontent-length: 49\r\nhost: hello.test\r\n\r\n\
         0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    passed(
        "cookies in crumbs",
        &[
            METHOD,
            SCHEME,
            AUTHORITY,
            PATH,
            ("content-length", "49"),
            ("cookie", "a=b"),
            ("cookie", "c=d"),
        ],
        "POST /attack HTTP/1.1\r\ncontent-length: 49\r\ncookie: a=b; c=d\r\nhost: hello.test\r\n\r\n\
         0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
];
