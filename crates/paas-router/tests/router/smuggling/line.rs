//! Lines, names, values, and the first line.

use super::attack::{Attack, Fate, broken, get, passed, post, refused};

const fn status(status: u16, name: &'static str, source: &'static str, payload: &'static str) -> Attack {
    Attack {
        name,
        source,
        payload,
        fate: Fate::Refused(status),
    }
}

pub(crate) const ATTACKS: &[Attack] = &[
    // Ends of lines.
    refused(
        "bare LF hides a length",
        "http-garden",
        post!("X: a\nContent-Length: 5", "abcde"),
    ),
    refused(
        "bare LF hides a coding",
        "smuggler: x-nout",
        post!("Content-Length: 5\r\nX: X\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    ),
    refused(
        "bare CR hides a coding",
        "smuggler: x-rout",
        post!("Content-Length: 5\r\nX: X\rTransfer-Encoding: chunked", "0\r\n\r\n"),
    ),
    refused("bare CR", "RFC 9112 §2.2", get!("X: a\rContent-Length: 5")),
    refused(
        "bare CR in a name",
        "smuggler: 0dspam",
        get!("Trans\rfer-Encoding: chunked"),
    ),
    refused("two CRs", "http-garden", get!("X: a\r")),
    refused(
        "the head ends with bare LFs",
        "http-garden",
        "GET /attack HTTP/1.1\r\nHost: hello.test\n\n",
    ),
    refused(
        "the head ends with CRLF and LF",
        "http-garden",
        "GET /attack HTTP/1.1\r\nHost: hello.test\r\n\n",
    ),
    refused(
        "the first line ends with LF",
        "http-garden",
        "GET /attack HTTP/1.1\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "LF in front",
        "http-garden",
        "\nGET /attack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "CR in front",
        "http-garden",
        "\rGET /attack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "a space in front",
        "http-garden",
        " GET /attack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    // Names and values.
    refused("NUL in a value", "RFC 9110 §5.5", get!("X: a\0b")),
    refused("NUL in a name", "http-garden", get!("X\0: a")),
    refused("vertical tab in a value", "http-garden", get!("X: a\x0bb")),
    refused("DEL in a value", "http-garden", get!("X: a\x7fb")),
    refused("escape in a value", "http-garden", get!("X: \x1b[2J")),
    refused(
        "space before the colon",
        "RFC 9112 §5.1",
        post!("Content-Length : 5", "abcde"),
    ),
    refused(
        "space before the coding's colon",
        "smuggler: space1",
        post!("Content-Length: 5\r\nTransfer-Encoding : chunked", "0\r\n\r\n"),
    ),
    refused(
        "tab before the colon",
        "smuggler: tabprefix2",
        post!("Content-Length: 5\r\nTransfer-Encoding\t:\tchunked", "0\r\n\r\n"),
    ),
    refused(
        "space in a name",
        "smuggler: spacejoin1",
        post!("Content-Length: 5\r\nTransfer Encoding: chunked", "0\r\n\r\n"),
    ),
    refused(
        "tab in a name",
        "http-garden",
        post!("Content-Length: 5\r\nTransfer-\tEncoding: chunked", "0\r\n\r\n"),
    ),
    refused(
        "space before a name",
        "smuggler: nameprefix1",
        post!("Content-Length: 5\r\n Transfer-Encoding: chunked", "0\r\n\r\n"),
    ),
    refused(
        "space before the first name",
        "PortSwigger H-V",
        "GET /attack HTTP/1.1\r\n Host: hello.test\r\n\r\n",
    ),
    refused(
        "a folded line",
        "RFC 9112 §5.2",
        get!("X: a\r\n Transfer-Encoding: chunked"),
    ),
    refused("a folded line of spaces", "http-garden", get!("X: a\r\n  ")),
    refused("no name", "http-garden", get!(": a")),
    refused("no colon", "http-garden", get!("Transfer-Encoding chunked")),
    refused(
        "a colon in place of a name",
        "http-garden",
        get!(":authority: hello.test"),
    ),
    refused(
        "a name in quotes",
        "http-garden",
        get!("\"Transfer-Encoding\": chunked"),
    ),
    refused("a name in brackets", "http-garden", get!("(X): a")),
    // The first line.
    refused("HTTP/0.9", "http-garden", "GET /attack\r\n"),
    refused(
        "HTTP/0.9 by name",
        "http-garden",
        "GET /attack HTTP/0.9\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "HTTP/1.2",
        "http-garden",
        "GET /attack HTTP/1.2\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "HTTP/1.10",
        "http-garden",
        "GET /attack HTTP/1.10\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "HTTP/01.1",
        "http-garden",
        "GET /attack HTTP/01.1\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "HTTP/2.0",
        "http-garden",
        "GET /attack HTTP/2.0\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "HTTP/9.9",
        "http-garden",
        "GET /attack HTTP/9.9\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "http/1.1",
        "RFC 9112 §2.3",
        "GET /attack http/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "a space behind the version",
        "http-garden",
        "GET /attack HTTP/1.1 \r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "two spaces",
        "http-garden",
        "GET  /attack  HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "tabs for spaces",
        "http-garden",
        "GET\t/attack\tHTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "a space in the target",
        "http-garden",
        "GET /attack /other HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "a request in the target",
        "http-garden",
        "GET /attack HTTP/1.1\rX: HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "NUL in the target",
        "http-garden",
        "GET /att\0ack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "no slash",
        "http-garden",
        "GET attack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    passed(
        "a fragment is for clients alone",
        "RFC 9112 §3.2",
        "GET /attack#fragment HTTP/1.1\r\nHost: hello.test\r\n\r\n",
        "GET /attack HTTP/1.1\r\nhost: hello.test\r\n\r\n",
    ),
    refused("no target", "http-garden", "GET HTTP/1.1\r\nHost: hello.test\r\n\r\n"),
    refused(
        "no method",
        "http-garden",
        " /attack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "a colon in the method",
        "http-garden",
        "GET: /attack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "an asterisk for a GET",
        "RFC 9112 §3.2.4",
        "GET * HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    broken(
        "the preface of HTTP/2 without its frames",
        "PortSwigger H2",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ),
    // Methods.
    refused(
        "CONNECT",
        "PortSwigger",
        "CONNECT hello.test:80 HTTP/1.1\r\nHost: hello.test:80\r\n\r\n",
    ),
    refused(
        "CONNECT elsewhere",
        "PortSwigger",
        "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "CONNECT with a path",
        "http-garden",
        "CONNECT /attack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    passed(
        "TRACE",
        "RFC 9110 §9.3.8",
        "TRACE /attack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
        "TRACE /attack HTTP/1.1\r\nhost: hello.test\r\n\r\n",
    ),
    passed(
        "a lower-case method is another method",
        "RFC 9110 §9.1",
        "get /attack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
        "get /attack HTTP/1.1\r\nhost: hello.test\r\n\r\n",
    ),
    passed(
        "OPTIONS of the whole server",
        "RFC 9112 §3.2.4",
        "OPTIONS * HTTP/1.1\r\nHost: hello.test\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: hello.test\r\n\r\n",
    ),
    passed(
        "empty lines in front",
        "RFC 9112 §2.2",
        "\r\n\r\nGET /attack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
        "GET /attack HTTP/1.1\r\nhost: hello.test\r\n\r\n",
    ),
    passed(
        "a path is not touched",
        "RFC 3986 §6",
        "GET /a/../b//%2e%2E/%2f;x=%0d%0a?y=%00&z HTTP/1.1\r\nHost: hello.test\r\n\r\n",
        "GET /a/../b//%2e%2E/%2f;x=%0d%0a?y=%00&z HTTP/1.1\r\nhost: hello.test\r\n\r\n",
    ),
    // Expectations.
    status(
        417,
        "an unknown expectation",
        "RFC 9110 §10.1.1",
        post!("Expect: miracles\r\nContent-Length: 5", "abcde"),
    ),
    status(
        417,
        "an expectation behind another word",
        "PortSwigger: HTTP/1.1 must die",
        post!("Expect: y 100-continue\r\nContent-Length: 5", "abcde"),
    ),
    status(
        417,
        "an expectation before another word",
        "PortSwigger: HTTP/1.1 must die",
        post!("Expect: 100-continue y\r\nContent-Length: 5", "abcde"),
    ),
    status(
        417,
        "two expectations",
        "PortSwigger: HTTP/1.1 must die",
        post!("Expect: 100-continue, x\r\nContent-Length: 5", "abcde"),
    ),
];
