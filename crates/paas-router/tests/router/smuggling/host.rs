//! Whose request it is, and what a client may tell the router to do with headers.

use super::attack::{Attack, get, passed, refused};

macro_rules! with_host {
    ($lines:expr) => {
        concat!("GET /attack HTTP/1.1\r\n", $lines, "\r\n\r\n")
    };
}

const SEEN: &str = "GET /attack HTTP/1.1\r\nhost: hello.test\r\n\r\n";

pub(crate) const ATTACKS: &[Attack] = &[
    refused("no host", "RFC 9112 §3.2", with_host!("X: a")),
    refused(
        "no host in HTTP/1.0",
        "RFC 9112 §3.2",
        "GET /attack HTTP/1.0\r\nX: a\r\n\r\n",
    ),
    refused(
        "two hosts",
        "RFC 9112 §3.2",
        with_host!("Host: hello.test\r\nHost: other.test"),
    ),
    refused(
        "the same host twice",
        "RFC 9112 §3.2",
        with_host!("Host: hello.test\r\nX: a\r\nHost: hello.test"),
    ),
    refused("an empty host", "RFC 9112 §3.2", with_host!("Host:")),
    refused("a port alone", "RFC 9112 §3.2", with_host!("Host: :80")),
    refused(
        "a host with a path",
        "PortSwigger Host",
        with_host!("Host: hello.test/x"),
    ),
    refused(
        "a host with a query",
        "PortSwigger Host",
        with_host!("Host: hello.test?x"),
    ),
    refused(
        "a host with a fragment",
        "PortSwigger Host",
        with_host!("Host: hello.test#x"),
    ),
    refused(
        "a host with a user",
        "PortSwigger Host",
        with_host!("Host: x@hello.test"),
    ),
    refused(
        "a host with a user behind",
        "PortSwigger Host",
        with_host!("Host: hello.test@x"),
    ),
    refused(
        "a host with a user for a port",
        "PortSwigger Host",
        with_host!("Host: hello.test:80@x"),
    ),
    refused(
        "a host with a scheme",
        "PortSwigger Host",
        with_host!("Host: http://hello.test"),
    ),
    refused("a host with a space", "http-garden", with_host!("Host: hello.test x")),
    refused("a host with a tab", "http-garden", with_host!("Host: hello.test\tx")),
    refused("a list of hosts", "http-garden", with_host!("Host: hello.test, x")),
    refused(
        "a host with a backslash",
        "http-garden",
        with_host!("Host: hello.test\\x"),
    ),
    refused("a host with a quote", "http-garden", with_host!("Host: hello.test\"x")),
    refused(
        "a host with markup",
        "http-garden",
        with_host!("Host: <b>hello.test</b>"),
    ),
    refused("a host with an escape", "http-garden", with_host!("Host: hello%2etest")),
    refused("a port of words", "http-garden", with_host!("Host: hello.test:80x")),
    refused("a negative port", "http-garden", with_host!("Host: hello.test:-80")),
    refused("two ports", "http-garden", with_host!("Host: hello.test:80:80")),
    refused("a port too long", "http-garden", with_host!("Host: hello.test:800000")),
    refused("a bracket alone", "http-garden", with_host!("Host: [::1")),
    refused("a name in brackets", "http-garden", with_host!("Host: [hello.test]")),
    refused("a wrapped host", "PortSwigger H-V", with_host!("Host:\r\n hello.test")),
    refused(
        "a space before the colon",
        "PortSwigger H-V",
        with_host!("Host : hello.test"),
    ),
    refused(
        "a target for another host",
        "RFC 9112 §3.2.2",
        "GET http://other.test/attack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "a target for another port",
        "RFC 9112 §3.2.2",
        "GET http://hello.test:81/attack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "a target with a user",
        "RFC 9110 §4.2.4",
        "GET http://x@hello.test/attack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    refused(
        "a whole target and no host",
        "RFC 9112 §3.2.2",
        "GET http://hello.test/attack HTTP/1.1\r\n\r\n",
    ),
    refused(
        "a target that is an authority",
        "RFC 9112 §3.2.3",
        "GET hello.test:80 HTTP/1.1\r\nHost: hello.test:80\r\n\r\n",
    ),
    refused(
        "a target of another scheme",
        "RFC 9112 §3.2.2",
        "GET ftp://hello.test/attack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
    ),
    passed(
        "a whole target",
        "RFC 9112 §3.2.2",
        "GET http://hello.test/attack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
        SEEN,
    ),
    passed(
        "a whole target without a path",
        "RFC 9112 §3.2.1",
        "GET http://hello.test?attack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
        "GET /?attack HTTP/1.1\r\nhost: hello.test\r\n\r\n",
    ),
    passed(
        "a path like an authority",
        "http-garden",
        "GET //other.test/attack HTTP/1.1\r\nHost: hello.test\r\n\r\n",
        "GET //other.test/attack HTTP/1.1\r\nhost: hello.test\r\n\r\n",
    ),
    // Hop by hop.
    passed(
        "h2c",
        "Bishop Fox: h2c smuggling",
        get!("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
        SEEN,
    ),
    passed(
        "h2c among others",
        "Bishop Fox: h2c smuggling",
        get!("Connection: Upgrade\r\nUpgrade: websocket, h2c"),
        SEEN,
    ),
    passed(
        "h2c in capitals, on two lines",
        "Bishop Fox: h2c smuggling",
        get!("Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: H2C"),
        SEEN,
    ),
    passed(
        "an upgrade that the connection does not name",
        "RFC 9110 §7.8",
        get!("Upgrade: websocket"),
        SEEN,
    ),
    passed(
        "an upgrade in HTTP/1.0",
        "RFC 9110 §7.8",
        "GET /attack HTTP/1.0\r\nHost: hello.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        SEEN,
    ),
    passed(
        "end-to-end headers are not the connection's",
        "Edmundson: hop-by-hop header abuse",
        get!("Connection: keep-alive, Cookie, Authorization, Host\r\nCookie: a\r\nAuthorization: b"),
        "GET /attack HTTP/1.1\r\nhost: hello.test\r\nauthorization: b\r\ncookie: a\r\n\r\n",
    ),
    passed(
        "a header of the connection",
        "RFC 9110 §7.6.1",
        get!(
            "Connection: keep-alive, X-Mine\r\nX-Mine: a\r\nKeep-Alive: timeout=9\r\nProxy-Connection: keep-alive\r\nTE: gzip"
        ),
        SEEN,
    ),
    passed(
        "a connection that names the coding",
        "http-garden",
        concat!(
            "POST /attack HTTP/1.1\r\nHost: hello.test\r\nConnection: Transfer-Encoding\r\n",
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        ),
        "POST /attack HTTP/1.1\r\nhost: hello.test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ),
    passed(
        "a connection that names the length",
        "http-garden",
        concat!(
            "POST /attack HTTP/1.1\r\nHost: hello.test\r\nConnection: Content-Length\r\n",
            "Content-Length: 5\r\n\r\nabcde"
        ),
        "POST /attack HTTP/1.1\r\nhost: hello.test\r\ncontent-length: 5\r\n\r\nabcde",
    ),
];
