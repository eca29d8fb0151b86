//! How a chunked body is cut up ("Funky chunks", Weikop 2025; RUSTSEC-2021-0079; http-garden).

use super::attack::{Attack, broken, passed};

macro_rules! chunks {
    ($body:expr) => {
        concat!(
            "POST /attack HTTP/1.1\r\nHost: hello.test\r\nTransfer-Encoding: chunked\r\n\r\n",
            $body
        )
    };
}

const SEEN: &str =
    "POST /attack HTTP/1.1\r\nhost: hello.test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

pub(crate) const ATTACKS: &[Attack] = &[
    // Sizes.
    broken("plus sign", "RUSTSEC-2021-0078", chunks!("+3\r\nabc\r\n0\r\n\r\n")),
    broken("minus sign", "http-garden", chunks!("-3\r\nabc\r\n0\r\n\r\n")),
    broken("minus zero", "http-garden", chunks!("3\r\nabc\r\n-0\r\n\r\n")),
    broken("0x", "http-garden", chunks!("0x3\r\nabc\r\n0\r\n\r\n")),
    broken("0X", "http-garden", chunks!("0X3\r\nabc\r\n0\r\n\r\n")),
    broken("underscore", "http-garden", chunks!("0_3\r\nabc\r\n0\r\n\r\n")),
    broken("quotes", "http-garden", chunks!("\"3\"\r\nabc\r\n0\r\n\r\n")),
    broken("space in front", "http-garden", chunks!(" 3\r\nabc\r\n0\r\n\r\n")),
    broken("tab in front", "http-garden", chunks!("\t3\r\nabc\r\n0\r\n\r\n")),
    broken(
        "vertical tab behind",
        "http-garden",
        chunks!("3\x0b\r\nabc\r\n0\r\n\r\n"),
    ),
    broken("NUL behind", "http-garden", chunks!("3\0\r\nabc\r\n0\r\n\r\n")),
    broken("a letter behind", "http-garden", chunks!("3g\r\nabc\r\n0\r\n\r\n")),
    broken("a second number", "http-garden", chunks!("3 5\r\nabc\r\n0\r\n\r\n")),
    broken("empty", "http-garden", chunks!("\r\nabc\r\n0\r\n\r\n")),
    broken("a semicolon alone", "http-garden", chunks!(";\r\nabc\r\n0\r\n\r\n")),
    broken(
        "more than 64 bits",
        "RUSTSEC-2021-0079",
        chunks!("10000000000000003\r\nabc\r\n0\r\n\r\n"),
    ),
    broken(
        "far more than 64 bits",
        "RUSTSEC-2021-0079",
        chunks!("fffffffffffffffffffffff3\r\nabc\r\n0\r\n\r\n"),
    ),
    broken(
        "just 64 bits",
        "RUSTSEC-2021-0079",
        chunks!("ffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
    ),
    // Ends of lines.
    broken("bare LF after the size", "Funky chunks", chunks!("3\nabc\r\n0\r\n\r\n")),
    broken("bare CR after the size", "Funky chunks", chunks!("3\rabc\r\n0\r\n\r\n")),
    broken("bare LF after the data", "Funky chunks", chunks!("3\r\nabc\n0\r\n\r\n")),
    broken(
        "two CRs after the size",
        "http-garden",
        chunks!("3\r\r\nabc\r\n0\r\n\r\n"),
    ),
    broken(
        "nothing after the data",
        "Funky chunks: spill",
        chunks!("3\r\nabc0\r\n\r\n"),
    ),
    broken(
        "XX after the data",
        "Funky chunks: spill",
        chunks!("3\r\nabcXX0\r\n\r\n"),
    ),
    broken(
        "a longer chunk than its size",
        "Funky chunks: spill",
        chunks!("3\r\nabcdef\r\n0\r\n\r\n"),
    ),
    broken(
        "a shorter chunk than its size",
        "http-garden",
        chunks!("9\r\nabc\r\n0\r\n\r\n"),
    ),
    broken(
        "bare LF after the last size",
        "Funky chunks",
        chunks!("3\r\nabc\r\n0\n\r\n"),
    ),
    broken("bare LF at the end", "Funky chunks", chunks!("3\r\nabc\r\n0\r\n\n")),
    broken("bare LFs at the end", "Funky chunks", chunks!("3\r\nabc\r\n0\n\n")),
    // Extensions.
    broken(
        "bare LF in an extension",
        "Funky chunks: TERM.EXT",
        chunks!("3;a\nb\r\nabc\r\n0\r\n\r\n"),
    ),
    broken(
        "bare LF at the start of an extension",
        "Funky chunks: TERM.EXT",
        chunks!("3;\nabc\r\n0\r\n\r\n"),
    ),
    broken(
        "bare CR in an extension",
        "Funky chunks: EXT.TERM",
        chunks!("3;a\rb\r\nabc\r\n0\r\n\r\n"),
    ),
    broken(
        "bare LF in quotes",
        "Funky chunks: EXT.TERM",
        chunks!("3;a=\"\n\"\r\nabc\r\n0\r\n\r\n"),
    ),
    broken(
        "line end in quotes",
        "http-garden",
        chunks!("3;a=\"\r\nabc\r\n\"\r\n0\r\n\r\n"),
    ),
    // Trailers.
    broken(
        "bare LF in a trailer",
        "http-garden",
        chunks!("3\r\nabc\r\n0\r\nX: a\nY: b\r\n\r\n"),
    ),
    broken(
        "space before a trailer's colon",
        "http-garden",
        chunks!("3\r\nabc\r\n0\r\nX : a\r\n\r\n"),
    ),
    broken(
        "a wrapped trailer",
        "http-garden",
        chunks!("3\r\nabc\r\n0\r\nX: a\r\n b\r\n\r\n"),
    ),
    broken(
        "NUL in a trailer",
        "http-garden",
        chunks!("3\r\nabc\r\n0\r\nX: a\0\r\n\r\n"),
    ),
    broken(
        "a request for a trailer",
        "http-garden",
        chunks!("3\r\nabc\r\n0\r\nGET /smuggled HTTP/1.1\r\n\r\n"),
    ),
    // In order.
    passed("plain", "RFC 9112 §7.1", chunks!("3\r\nabc\r\n0\r\n\r\n"), SEEN),
    passed(
        "leading zeros",
        "RFC 9112 §7.1",
        chunks!("003\r\nabc\r\n000\r\n\r\n"),
        SEEN,
    ),
    passed(
        "an extension",
        "RFC 9112 §7.1.1",
        chunks!("3;a=b;c=\"d\"\r\nabc\r\n0;e\r\n\r\n"),
        SEEN,
    ),
    passed(
        "spaces before an extension",
        "RFC 9112 §7.1.1",
        chunks!("3 ;a=b\r\nabc\r\n0\r\n\r\n"),
        SEEN,
    ),
    passed(
        "a trailer that would frame",
        "RFC 9110 §6.5.1",
        chunks!("3\r\nabc\r\n0\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n"),
        SEEN,
    ),
    passed(
        "a trailer that would route",
        "RFC 9110 §6.5.1",
        chunks!("3\r\nabc\r\n0\r\nHost: other.test\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n"),
        SEEN,
    ),
    passed(
        "trailers that would frame, route and speak for the client, announced",
        "RFC 9110 §6.5.1",
        concat!(
            "POST /attack HTTP/1.1\r\nHost: hello.test\r\nTE: trailers\r\nConnection: te\r\n",
            "Trailer: x-ok, host, cookie, content-length, transfer-encoding, x-forwarded-for, authorization, connection\r\n",
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Ok: a\r\nHost: other.test\r\nCookie: a=b\r\n",
            "Content-Length: 99\r\nTransfer-Encoding: chunked\r\nX-Forwarded-For: 1.1.1.1\r\nAuthorization: b\r\n",
            "Connection: close\r\n\r\n"
        ),
        concat!(
            "POST /attack HTTP/1.1\r\nhost: hello.test\r\n",
            "trailer: x-ok, host, cookie, content-length, transfer-encoding, x-forwarded-for, authorization, connection\r\n",
            "te: trailers\r\nconnection: te\r\ntransfer-encoding: chunked\r\n\r\n",
            "3\r\nabc\r\n0\r\nx-ok: a\r\n\r\n"
        ),
    ),
];
