//! How long a message is: `Content-Length` and `Transfer-Encoding` in all the ways in which servers have read them.

use super::attack::{Attack, broken, get, passed, post, refused};

/// What one server takes for the whole body, and another for its first bytes.
macro_rules! chunked {
    ($headers:expr) => {
        post!($headers, "0\r\n\r\n")
    };
}

pub(crate) const ATTACKS: &[Attack] = &[
    // Both.
    refused(
        "length, then chunked",
        "PortSwigger CL.TE",
        chunked!("Content-Length: 5\r\nTransfer-Encoding: chunked"),
    ),
    refused(
        "chunked, then length",
        "PortSwigger TE.CL",
        chunked!("Transfer-Encoding: chunked\r\nContent-Length: 5"),
    ),
    refused(
        "length 0 and chunked",
        "PortSwigger 0.CL",
        chunked!("Content-Length: 0\r\nTransfer-Encoding: chunked"),
    ),
    refused(
        "chunked with a length that covers the canary",
        "PortSwigger TE.CL",
        chunked!("Transfer-Encoding: chunked\r\nContent-Length: 70"),
    ),
    refused(
        "both, in odd case",
        "smuggler: sarcasm",
        chunked!("cOnTeNt-LeNgTh: 5\r\nTrAnSFer-EnCODinG: cHuNkeD"),
    ),
    refused(
        "both, other headers between",
        "http-garden",
        chunked!("Content-Length: 5\r\nX: a\r\nY: b\r\nTransfer-Encoding: chunked"),
    ),
    refused(
        "both in a GET",
        "RUSTSEC-2020-0008",
        concat!(
            "GET /attack HTTP/1.1\r\nHost: hello.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "0\r\n\r\n"
        ),
    ),
    refused(
        "length and an unknown coding",
        "smuggler: lazygrep",
        chunked!("Content-Length: 5\r\nTransfer-Encoding: chunk"),
    ),
    refused(
        "length and identity",
        "RFC 9112 §6.1",
        chunked!("Content-Length: 5\r\nTransfer-Encoding: identity"),
    ),
    refused(
        "length and an empty coding",
        "http-garden",
        chunked!("Content-Length: 5\r\nTransfer-Encoding:"),
    ),
    refused(
        "length and a coding by another name, as CGI joins them",
        "smuggler: underjoin1",
        chunked!("Content-Length: 5\r\nTransfer_Encoding: chunked"),
    ),
    refused(
        "a length by another name, as CGI joins them",
        "smuggler: underjoin1",
        post!("Content_Length: 5", "abcde"),
    ),
    // Transfer-Encoding.
    refused(
        "chunked twice",
        "RUSTSEC-2021-0020",
        chunked!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    ),
    refused(
        "chunked twice in a list",
        "RUSTSEC-2021-0020",
        chunked!("Transfer-Encoding: chunked, chunked"),
    ),
    refused(
        "chunked, then identity",
        "PortSwigger TE.TE",
        chunked!("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
    ),
    refused(
        "cow, then chunked",
        "smuggler: revdualchunk",
        chunked!("Transfer-Encoding: cow\r\nTransfer-Encoding: chunked"),
    ),
    refused(
        "identity, chunked",
        "PortSwigger TE.TE",
        chunked!("Transfer-Encoding: identity, chunked"),
    ),
    refused(
        "gzip, chunked",
        "RFC 9112 §6.1",
        chunked!("Transfer-Encoding: gzip, chunked"),
    ),
    refused(
        "chunked, identity",
        "PortSwigger TE.TE",
        chunked!("Transfer-Encoding: chunked, identity"),
    ),
    refused(
        "chunked, cow",
        "smuggler: commaCow",
        chunked!("Transfer-Encoding: chunked, cow"),
    ),
    refused(
        "cow, chunked",
        "smuggler: cowComma",
        chunked!("Transfer-Encoding: cow, chunked"),
    ),
    refused(
        "cow chunked bar",
        "smuggler: nested",
        chunked!("Transfer-Encoding: cow chunked bar"),
    ),
    refused("xchunked", "PortSwigger TE.TE", chunked!("Transfer-Encoding: xchunked")),
    refused("chunkedx", "http-garden", chunked!("Transfer-Encoding: chunkedx")),
    refused("chunk", "smuggler: lazygrep", chunked!("Transfer-Encoding: chunk")),
    refused("identity", "RFC 9112 §6.1", chunked!("Transfer-Encoding: identity")),
    refused("an empty coding", "http-garden", chunked!("Transfer-Encoding:")),
    refused("a comma behind", "http-garden", chunked!("Transfer-Encoding: chunked,")),
    refused(
        "a comma in front",
        "http-garden",
        chunked!("Transfer-Encoding: ,chunked"),
    ),
    refused(
        "a parameter",
        "http-garden",
        chunked!("Transfer-Encoding: chunked;q=0.5"),
    ),
    refused(
        "in quotes",
        "smuggler: quoted",
        chunked!("Transfer-Encoding: \"chunked\""),
    ),
    refused(
        "in apostrophes",
        "smuggler: aposed",
        chunked!("Transfer-Encoding: 'chunked'"),
    ),
    refused(
        "vertical tab in front",
        "smuggler: vertprefix1",
        chunked!("Transfer-Encoding:\x0bchunked"),
    ),
    refused(
        "NUL behind",
        "smuggler: endspace-00",
        chunked!("Transfer-Encoding: chunked\0"),
    ),
    refused(
        "carriage return behind",
        "smuggler: 0dsuffix",
        chunked!("Transfer-Encoding: chunked\r"),
    ),
    refused(
        "line wrapped",
        "smuggler: linewrapped1",
        chunked!("Transfer-Encoding:\r\n chunked"),
    ),
    refused(
        "line wrapped with a tab",
        "PortSwigger TE.TE",
        chunked!("Transfer-Encoding:\r\n\tchunked"),
    ),
    refused(
        "wrapped behind the coding",
        "http-garden",
        chunked!("Transfer-Encoding: chunked\r\n , identity"),
    ),
    refused(
        "in HTTP/1.0",
        "RFC 9112 §6.1",
        "POST /attack HTTP/1.0\r\nHost: hello.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    refused(
        "with a length in HTTP/1.0",
        "PortSwigger CL.TE",
        "POST /attack HTTP/1.0\r\nHost: hello.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    refused(
        "a kept HTTP/1.0 connection",
        "http-garden",
        "POST /attack HTTP/1.0\r\nHost: hello.test\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n\
         0\r\n\r\n",
    ),
    // Content-Length.
    refused(
        "two lengths",
        "PortSwigger CL.CL",
        post!("Content-Length: 5\r\nContent-Length: 6", "abcde"),
    ),
    refused(
        "length 0 and a length",
        "PortSwigger CL.CL",
        post!("Content-Length: 0\r\nContent-Length: 5", "abcde"),
    ),
    refused(
        "a list of lengths",
        "RFC 9112 §6.3",
        post!("Content-Length: 5, 6", "abcde"),
    ),
    refused(
        "a list of one length twice",
        "RFC 9112 §6.3",
        post!("Content-Length: 5, 5", "abcde"),
    ),
    refused(
        "a comma behind the length",
        "http-garden",
        post!("Content-Length: 5,", "abcde"),
    ),
    refused("a plus sign", "RUSTSEC-2021-0078", post!("Content-Length: +5", "abcde")),
    refused("a minus sign", "http-garden", post!("Content-Length: -5", "abcde")),
    refused("minus zero", "http-garden", post!("Content-Length: -0", "")),
    refused("hexadecimal", "http-garden", post!("Content-Length: 0x5", "abcde")),
    refused("octal", "http-garden", post!("Content-Length: 0o5", "abcde")),
    refused("a fraction", "http-garden", post!("Content-Length: 5.0", "abcde")),
    refused("an exponent", "http-garden", post!("Content-Length: 5e0", "abcde")),
    refused(
        "an underscore in the digits",
        "http-garden",
        post!("Content-Length: 0_5", "abcde"),
    ),
    refused(
        "a space in the digits",
        "http-garden",
        post!("Content-Length: 5 0", "abcde"),
    ),
    refused("quotes", "http-garden", post!("Content-Length: \"5\"", "abcde")),
    refused("an empty length", "http-garden", post!("Content-Length:", "abcde")),
    refused("a word", "http-garden", post!("Content-Length: five", "abcde")),
    refused("a parameter", "http-garden", post!("Content-Length: 5;x=y", "abcde")),
    refused(
        "more than 64 bits",
        "http-garden",
        post!("Content-Length: 18446744073709551621", "abcde"),
    ),
    refused(
        "far more than 64 bits",
        "http-garden",
        post!("Content-Length: 99999999999999999999999999", "abcde"),
    ),
    refused(
        "vertical tab behind",
        "http-garden",
        post!("Content-Length: 5\x0b", "abcde"),
    ),
    refused("NUL behind", "http-garden", post!("Content-Length: 5\0", "abcde")),
    refused(
        "a wrapped length",
        "http-garden",
        post!("Content-Length:\r\n 5", "abcde"),
    ),
    broken(
        "a length that reaches over the canary",
        "PortSwigger CL.0",
        post!("Content-Length: 5000", "abcde"),
    ),
    // In order.
    passed(
        "the same length twice",
        "RFC 9112 §6.3",
        post!("Content-Length: 5\r\nContent-Length: 5", "abcde"),
        "POST /attack HTTP/1.1\r\nhost: hello.test\r\ncontent-length: 5\r\n\r\nabcde",
    ),
    passed(
        "spaces and tabs around the length",
        "RFC 9110 §5.5",
        post!("Content-Length: \t 5 \t ", "abcde"),
        "POST /attack HTTP/1.1\r\nhost: hello.test\r\ncontent-length: 5\r\n\r\nabcde",
    ),
    passed(
        "a tab before the coding",
        "smuggler: tabprefix1",
        post!("Transfer-Encoding:\tchunked", "3\r\nabc\r\n0\r\n\r\n"),
        "POST /attack HTTP/1.1\r\nhost: hello.test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ),
    passed(
        "a tab behind the coding",
        "smuggler: tabsuffix",
        post!("TRANSFER-ENCODING: CHUNKED\t", "3\r\nabc\r\n0\r\n\r\n"),
        "POST /attack HTTP/1.1\r\nhost: hello.test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ),
    passed(
        "an encoding of the content",
        "smuggler: contentEnc",
        post!("Content-Length: 5\r\nContent-Encoding: chunked", "0\r\n\r\n"),
        "POST /attack HTTP/1.1\r\nhost: hello.test\r\ncontent-length: 5\r\ncontent-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    passed(
        "a body in a GET",
        "RUSTSEC-2020-0008",
        concat!(get!("Content-Length: 5"), "abcde"),
        "GET /attack HTTP/1.1\r\nhost: hello.test\r\ncontent-length: 5\r\n\r\nabcde",
    ),
    passed(
        "a chunked body in a GET",
        "RUSTSEC-2020-0008",
        concat!(get!("Transfer-Encoding: chunked"), "3\r\nabc\r\n0\r\n\r\n"),
        "GET /attack HTTP/1.1\r\nhost: hello.test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ),
    passed(
        "a body in a HEAD, a DELETE, an OPTIONS",
        "PortSwigger CL.0",
        "DELETE /attack HTTP/1.1\r\nHost: hello.test\r\nContent-Length: 5\r\n\r\nabcde",
        "DELETE /attack HTTP/1.1\r\nhost: hello.test\r\ncontent-length: 5\r\n\r\nabcde",
    ),
    passed(
        "no length at all",
        "PortSwigger CL.0",
        post!("X: y", ""),
        "POST /attack HTTP/1.1\r\nhost: hello.test\r\nx: y\r\n\r\n",
    ),
];
