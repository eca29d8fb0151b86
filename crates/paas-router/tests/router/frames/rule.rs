//! What RFC 9113 says of each frame, after the cases of h2spec.

use super::wire::{
    ACK, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY,
    HEADERS, PADDED, PING, PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE, RST_STREAM, SETTINGS, STREAM_CLOSED, WHOLE,
    WINDOW_UPDATE, block, frame_of, post, pseudo, request, settings,
};

pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) section: &'static str,
    /// What follows preface and settings.
    pub(crate) frames: fn() -> Vec<u8>,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    /// The connection ends, with one of these codes if there is time to say so.
    Connection(&'static [u32]),
    /// Stream 1 ends with one of these codes, or is refused with 400, or the connection ends so.
    Stream(&'static [u32]),
    /// Nothing ends.
    Fine,
}

use Outcome::{Connection, Fine, Stream};

const fn rule(section: &'static str, name: &'static str, outcome: Outcome, frames: fn() -> Vec<u8>) -> Rule {
    Rule {
        name,
        section,
        frames,
        outcome,
    }
}

/// The head of a request without its end.
fn begun(stream: u32) -> Vec<u8> {
    frame_of(HEADERS, END_STREAM, stream, &block(&pseudo("GET", "/attack")))
}

fn reset(stream: u32) -> Vec<u8> {
    frame_of(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

fn wider(stream: u32, by: u32) -> Vec<u8> {
    frame_of(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

fn with_body(length: &str, pieces: &[&str]) -> Vec<u8> {
    let mut frames = post(1, &[("content-length", length)]);
    for (index, piece) in pieces.iter().enumerate() {
        let is_last = index + 1 == pieces.len();
        frames.extend(frame_of(DATA, u8::from(is_last), 1, piece.as_bytes()));
    }
    frames
}

pub(crate) const RULES: &[Rule] = &[
    rule("4.1", "a frame of an unknown type", Fine, || {
        frame_of(0xbb, 0xff, 0, b"x")
    }),
    rule("4.1", "undefined flags", Fine, || frame_of(PING, 0xfe, 0, &[0; 8])),
    rule("4.1", "the reserved bit", Fine, || frame_of(PING, 0, 1 << 31, &[0; 8])),
    rule("4.2", "DATA too long", Stream(&[FRAME_SIZE_ERROR]), || {
        [post(1, &[]), frame_of(DATA, END_STREAM, 1, &[0; 1 << 20])].concat()
    }),
    rule("4.2", "HEADERS too long", Connection(&[FRAME_SIZE_ERROR]), || {
        frame_of(HEADERS, WHOLE, 1, &[0; 1 << 20])
    }),
    rule(
        "4.3",
        "a header block that is none",
        Connection(&[COMPRESSION_ERROR]),
        || frame_of(HEADERS, WHOLE, 1, &[0xff; 6]),
    ),
    rule(
        "4.3",
        "an index behind the table",
        Connection(&[COMPRESSION_ERROR]),
        || frame_of(HEADERS, WHOLE, 1, &[0xbf]),
    ),
    rule(
        "4.3",
        "the size of the table is raised above ours",
        Connection(&[COMPRESSION_ERROR]),
        || frame_of(HEADERS, WHOLE, 1, &[0x3f, 0xe1, 0xff, 0xff, 0xff, 0x0f]),
    ),
    rule(
        "4.3",
        "PRIORITY in a header block",
        Connection(&[PROTOCOL_ERROR]),
        || [begun(1), frame_of(PRIORITY, 0, 1, &[0, 0, 0, 0, 255])].concat(),
    ),
    rule(
        "4.3",
        "another stream in a header block",
        Connection(&[PROTOCOL_ERROR]),
        || [begun(1), request(3, "/attack")].concat(),
    ),
    rule("5.1", "DATA on an idle stream", Connection(&[PROTOCOL_ERROR]), || {
        frame_of(DATA, END_STREAM, 1, b"x")
    }),
    rule(
        "5.1",
        "RST_STREAM on an idle stream",
        Connection(&[PROTOCOL_ERROR]),
        || reset(1),
    ),
    rule(
        "5.1",
        "WINDOW_UPDATE on an idle stream",
        Connection(&[PROTOCOL_ERROR]),
        || wider(1, 100),
    ),
    rule(
        "5.1",
        "CONTINUATION on an idle stream",
        Connection(&[PROTOCOL_ERROR]),
        || frame_of(CONTINUATION, END_HEADERS, 1, &block(&pseudo("GET", "/attack"))),
    ),
    rule(
        "5.1",
        "DATA after the end",
        Connection(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        || [request(1, "/ok"), frame_of(DATA, END_STREAM, 1, b"x")].concat(),
    ),
    rule(
        "5.1",
        "HEADERS after the end",
        Connection(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        || [request(1, "/ok"), request(1, "/attack")].concat(),
    ),
    rule(
        "5.1",
        "CONTINUATION after the end",
        Connection(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        || [request(1, "/ok"), frame_of(CONTINUATION, END_HEADERS, 1, &[0x82])].concat(),
    ),
    rule(
        "5.1",
        "HEADERS after a reset",
        Connection(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        || [post(1, &[]), reset(1), request(1, "/attack")].concat(),
    ),
    rule("5.1.1", "an even stream", Connection(&[PROTOCOL_ERROR]), || {
        request(2, "/attack")
    }),
    rule(
        "5.1.1",
        "a smaller stream than before",
        Connection(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        || [request(5, "/ok"), request(3, "/attack")].concat(),
    ),
    rule(
        "5.5",
        "an unknown frame in a header block",
        Connection(&[PROTOCOL_ERROR]),
        || {
            [
                begun(1),
                frame_of(0xbb, 0, 1, b"x"),
                frame_of(CONTINUATION, END_HEADERS, 1, b""),
            ]
            .concat()
        },
    ),
    rule("6.1", "DATA on stream 0", Connection(&[PROTOCOL_ERROR]), || {
        frame_of(DATA, 0, 0, b"x")
    }),
    rule("6.1", "more padding than DATA", Connection(&[PROTOCOL_ERROR]), || {
        [post(1, &[]), frame_of(DATA, PADDED | END_STREAM, 1, &[9, 0, 0])].concat()
    }),
    rule("6.2", "HEADERS on stream 0", Connection(&[PROTOCOL_ERROR]), || {
        request(0, "/attack")
    }),
    rule(
        "6.2",
        "more padding than HEADERS",
        Connection(&[PROTOCOL_ERROR]),
        || frame_of(HEADERS, PADDED | WHOLE, 1, &[200, 0x82, 0x84]),
    ),
    rule("6.3", "PRIORITY on stream 0", Connection(&[PROTOCOL_ERROR]), || {
        frame_of(PRIORITY, 0, 0, &[0, 0, 0, 0, 255])
    }),
    rule("6.3", "a short PRIORITY", Stream(&[FRAME_SIZE_ERROR]), || {
        [post(1, &[]), frame_of(PRIORITY, 0, 1, &[0; 4])].concat()
    }),
    rule("6.4", "RST_STREAM on stream 0", Connection(&[PROTOCOL_ERROR]), || {
        reset(0)
    }),
    rule("6.4", "a short RST_STREAM", Connection(&[FRAME_SIZE_ERROR]), || {
        [post(1, &[]), frame_of(RST_STREAM, 0, 1, &[0; 3])].concat()
    }),
    rule(
        "6.5",
        "an answer to SETTINGS that says something",
        Connection(&[FRAME_SIZE_ERROR]),
        || frame_of(SETTINGS, ACK, 0, &[0; 6]),
    ),
    rule("6.5", "SETTINGS on a stream", Connection(&[PROTOCOL_ERROR]), || {
        frame_of(SETTINGS, 0, 1, &[0; 6])
    }),
    rule("6.5", "SETTINGS of five bytes", Connection(&[FRAME_SIZE_ERROR]), || {
        frame_of(SETTINGS, 0, 0, &[0; 5])
    }),
    rule("6.5.2", "ENABLE_PUSH of 2", Connection(&[PROTOCOL_ERROR]), || {
        settings(&[(2, 2)])
    }),
    rule("6.5.2", "a window of 2³¹", Connection(&[FLOW_CONTROL_ERROR]), || {
        settings(&[(4, 1 << 31)])
    }),
    rule("6.5.2", "frames of 16383", Connection(&[PROTOCOL_ERROR]), || {
        settings(&[(5, 16_383)])
    }),
    rule("6.5.2", "frames of 2²⁴", Connection(&[PROTOCOL_ERROR]), || {
        settings(&[(5, 1 << 24)])
    }),
    rule("6.5.2", "an unknown setting", Fine, || settings(&[(0xff, 1)])),
    rule("6.5.2", "extended CONNECT of 2", Fine, || settings(&[(9, 2)])),
    rule("6.6", "PUSH_PROMISE of a client", Connection(&[PROTOCOL_ERROR]), || {
        let promise = [&[0, 0, 0, 2][..], &block(&pseudo("GET", "/attack"))].concat();
        [post(1, &[]), frame_of(PUSH_PROMISE, END_HEADERS, 1, &promise)].concat()
    }),
    rule("6.7", "an answer to no PING", Fine, || frame_of(PING, ACK, 0, &[7; 8])),
    rule("6.7", "PING on a stream", Connection(&[PROTOCOL_ERROR]), || {
        frame_of(PING, 0, 1, &[0; 8])
    }),
    rule("6.7", "a short PING", Connection(&[FRAME_SIZE_ERROR]), || {
        frame_of(PING, 0, 0, &[0; 6])
    }),
    rule("6.8", "GOAWAY on a stream", Connection(&[PROTOCOL_ERROR]), || {
        frame_of(GOAWAY, 0, 1, &[0; 8])
    }),
    rule(
        "6.9",
        "a window that does not grow",
        Connection(&[PROTOCOL_ERROR]),
        || wider(0, 0),
    ),
    rule(
        "6.9",
        "a stream's window that does not grow",
        Stream(&[PROTOCOL_ERROR]),
        || [post(1, &[]), wider(1, 0)].concat(),
    ),
    rule("6.9", "a short WINDOW_UPDATE", Connection(&[FRAME_SIZE_ERROR]), || {
        frame_of(WINDOW_UPDATE, 0, 0, &[0; 3])
    }),
    rule(
        "6.9.1",
        "a window beyond 2³¹",
        Connection(&[FLOW_CONTROL_ERROR]),
        || [wider(0, 0x7fff_ffff), wider(0, 0x7fff_ffff)].concat(),
    ),
    rule(
        "6.9.1",
        "a stream's window beyond 2³¹",
        Stream(&[FLOW_CONTROL_ERROR]),
        || [post(1, &[]), wider(1, 0x7fff_ffff), wider(1, 0x7fff_ffff)].concat(),
    ),
    rule(
        "6.9.2",
        "a window setting that makes a window too wide",
        Stream(&[FLOW_CONTROL_ERROR]),
        || [post(1, &[]), wider(1, 0x7fff_0000), settings(&[(4, 0x7fff_ffff)])].concat(),
    ),
    rule(
        "6.10",
        "CONTINUATION after the last",
        Connection(&[PROTOCOL_ERROR]),
        || [post(1, &[]), frame_of(CONTINUATION, END_HEADERS, 1, &[0x82])].concat(),
    ),
    rule(
        "6.10",
        "CONTINUATION on stream 0",
        Connection(&[PROTOCOL_ERROR]),
        || [begun(1), frame_of(CONTINUATION, END_HEADERS, 0, b"")].concat(),
    ),
    rule("6.10", "DATA in a header block", Connection(&[PROTOCOL_ERROR]), || {
        [begun(1), frame_of(DATA, 0, 1, b"x")].concat()
    }),
    rule("7", "an unknown code in a reset", Fine, || {
        [post(1, &[]), frame_of(RST_STREAM, 0, 1, &0xff_u32.to_be_bytes())].concat()
    }),
    rule(
        "8.1",
        "a second HEADERS that is not the last",
        Stream(&[PROTOCOL_ERROR]),
        || [post(1, &[]), frame_of(HEADERS, END_HEADERS, 1, &block(&[("x", "y")]))].concat(),
    ),
    // Malformed by the letter. h2 leaves it away, so that no dyno gets it, and serves the request.
    rule("8.1", "a pseudo-header in trailers", Fine, || {
        let head = frame_of(HEADERS, END_HEADERS, 1, &block(&pseudo("POST", "/ok")));
        [head, frame_of(HEADERS, WHOLE, 1, &block(&[(":path", "/attack")]))].concat()
    }),
    rule(
        "8.1.1",
        "a body shorter than its length",
        Stream(&[PROTOCOL_ERROR]),
        || with_body("9", &["abc"]),
    ),
    rule(
        "8.1.1",
        "a body longer than its length",
        Stream(&[PROTOCOL_ERROR]),
        || with_body("2", &["abc"]),
    ),
    rule(
        "8.1.1",
        "pieces longer than their length",
        Stream(&[PROTOCOL_ERROR]),
        || with_body("4", &["abc", "def"]),
    ),
    rule("8.1.1", "a length without a body", Stream(&[PROTOCOL_ERROR]), || {
        let fields = [&pseudo("POST", "/attack")[..], &[("content-length", "5")]].concat();
        frame_of(HEADERS, WHOLE, 1, &block(&fields))
    }),
];
