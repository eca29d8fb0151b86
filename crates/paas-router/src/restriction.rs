//! What a dyno's response may not be (Dev Center, *HTTP Routing*, "Response limits"): H25 otherwise, and 502.

use http::{HeaderMap, HeaderName, HeaderValue, header::SET_COOKIE};
use hyper::ext::ReasonPhrase;

/// A cookie that a browser would not take either.
const MAX_COOKIE_BYTES: usize = 8192;
const MAX_STATUS_LINE_BYTES: usize = 8192;
const MAX_HEADER_LINE_BYTES: usize = 512 * 1024;

/// The limit that the head of a response breaks. Only what came over a connection with room for it can be a long line.
pub(crate) fn of_head(headers: &HeaderMap, reason: Option<&ReasonPhrase>, is_roomy: bool) -> Option<&'static str> {
    if reason.is_some_and(|reason| reason.as_bytes().len() > MAX_STATUS_LINE_BYTES) {
        return Some("oversized status line");
    }
    if is_roomy && headers.iter().any(|(name, value)| is_too_long(name, value)) {
        return Some("oversized header");
    }
    let mut cookies = headers.get_all(SET_COOKIE).iter();
    cookies
        .any(|cookie| cookie.len() > MAX_COOKIE_BYTES)
        .then_some("oversized cookie")
}

fn is_too_long(name: &HeaderName, value: &HeaderValue) -> bool {
    name.as_str().len() + value.len() > MAX_HEADER_LINE_BYTES
}

/// The limit that made hyper give up on a response; `None` for what is no HTTP at all.
pub(crate) fn of_error(error: &hyper::Error) -> Option<&'static str> {
    // hyper tells the two apart in its words alone.
    if error.is_parse_too_large() {
        Some("oversized header")
    } else if error.to_string().contains("content-length") {
        Some("invalid content length")
    } else {
        None
    }
}
