//! Which requests are refused before anybody looks where they go.
//!
//! Whatever a dyno could understand differently from the router is refused, not repaired: 400 and the connection closes.

use std::borrow::Cow;

use http::{
    Method, Request, StatusCode, Version,
    header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING},
};

use crate::framing::MAX_LINE_BYTES;

/// Why a request is refused; the words are the `cause` of H26.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) &'static str);

const EXPECTATION: Refusal = Refusal("unknown expectation");

impl Refusal {
    pub(crate) fn status(self) -> StatusCode {
        if self == EXPECTATION {
            StatusCode::EXPECTATION_FAILED
        } else {
            StatusCode::BAD_REQUEST
        }
    }
}

/// The hostname that a request is for, in lower case and without a port.
pub(crate) fn host<B>(request: &Request<B>) -> Result<Cow<'_, str>, Refusal> {
    if request.method() == Method::CONNECT {
        return Err(Refusal("method not allowed"));
    }
    transfer_encoding(request)?;
    if request.version() == Version::HTTP_2 {
        http2(request)?;
    }
    target(request)?;
    let malformed = Refusal("malformed host header");
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), request.uri().authority()) {
        (Some(host), authority) => {
            let host = host.to_str().map_err(|_| malformed)?;
            // The authority of an absolute-form target wins over Host by RFC 9112 §3.2.2; dynos differ in whether they know.
            if authority.is_some_and(|authority| !authority.as_str().eq_ignore_ascii_case(host)) {
                return Err(Refusal("host differs from request target"));
            }
            host
        }
        // HTTP/2 says `:authority` (RFC 9113 §8.3.1).
        (None, Some(authority)) if request.version() == Version::HTTP_2 => authority.as_str(),
        (None, _) => return Err(Refusal("missing host header")),
    };
    if hosts.next().is_some() {
        return Err(Refusal("multiple host headers"));
    }
    let expectations = request.headers().get_all(EXPECT);
    if !expectations
        .iter()
        .all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        return Err(EXPECTATION);
    }
    hostname(host).ok_or(malformed)
}

/// A path, a whole URL of HTTP, or the `*` of `OPTIONS` (RFC 9112 §3.2).
fn target<B>(request: &Request<B>) -> Result<(), Refusal> {
    let uri = request.uri();
    let is_known = match (uri.scheme_str(), uri.authority()) {
        (None, None) => uri.path() != "*" || request.method() == Method::OPTIONS,
        (Some("http" | "https"), Some(_)) => true,
        _ => false,
    };
    if is_known {
        Ok(())
    } else {
        Err(Refusal("malformed request target"))
    }
}

/// What the parser of HTTP/1.1 sees to by itself, or [`crate::framing`] does.
fn http2<B>(request: &Request<B>) -> Result<(), Refusal> {
    let headers = request.headers();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    if lengths.next().is_some() && lengths.next().is_some() {
        return Err(Refusal("multiple content-length headers"));
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(Refusal("unsupported transfer-encoding"));
    }
    if headers.contains_key("content_length") || headers.contains_key("transfer_encoding") {
        return Err(Refusal("underscore in a framing header"));
    }
    let is_long = |bytes: usize| bytes > MAX_LINE_BYTES;
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    if is_long(path.len())
        || headers
            .iter()
            .any(|(name, value)| is_long(name.as_str().len() + value.len()))
    {
        return Err(Refusal("line too long"));
    }
    if path.starts_with('/') || (path == "*" && request.method() == Method::OPTIONS) {
        Ok(())
    } else {
        Err(Refusal("malformed request target"))
    }
}

/// Only `chunked`, once (RFC 9112 §6.1): anything else is a known way to make two parsers disagree.
fn transfer_encoding<B>(request: &Request<B>) -> Result<(), Refusal> {
    let mut encodings = request.headers().get_all(TRANSFER_ENCODING).iter();
    let Some(encoding) = encodings.next() else {
        return Ok(());
    };
    if encodings.next().is_some() || !encoding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(Refusal("unsupported transfer-encoding"));
    }
    if request.version() < Version::HTTP_11 {
        return Err(Refusal("transfer-encoding in HTTP/1.0"));
    }
    Ok(())
}

/// `Hello.Example.com:8080` → `hello.example.com`; `None` for what is neither a name nor an address (RFC 3986 §3.2.2).
fn hostname(host: &str) -> Option<Cow<'_, str>> {
    let (name, port) = if host.starts_with('[') {
        let end = host.find(']')? + 1;
        (&host[..end], &host[end..])
    } else {
        host.find(':').map_or((host, ""), |colon| host.split_at(colon))
    };
    let port = match port.strip_prefix(':') {
        Some(digits) => digits,
        None if port.is_empty() => "",
        None => return None,
    };
    if port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let inner = name
        .strip_prefix('[')
        .map_or(Some(name), |name| name.strip_suffix(']'))?;
    let is_address = name.len() != inner.len();
    let allowed = |byte: u8| {
        if is_address {
            byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
        } else {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
        }
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if inner.is_empty() || name.is_empty() || name.len() > 255 || !inner.bytes().all(allowed) {
        return None;
    }
    Some(if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostnames_lose_their_port_and_their_case() {
        for (host, name) in [
            ("hello.example.com", "hello.example.com"),
            ("Hello.EXAMPLE.com:8080", "hello.example.com"),
            ("hello.localhost:", "hello.localhost"),
            ("hello.localhost.", "hello.localhost"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:80", "[::1]"),
        ] {
            assert_eq!(hostname(host).as_deref(), Some(name));
        }
        for host in [
            "", ":80", ".", "a b", "a/b", "a@b", "a:b", "a:80:90", "[::1", "[]", "[::1]x", "a,b", "a\\b", "a:123456",
        ] {
            assert_eq!(hostname(host), None, "{host:?}");
        }
    }
}
