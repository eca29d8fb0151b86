//! What happens to headers on the way (Dev Center, *HTTP Routing*; RFC 9110 §7.6.1).

use std::{
    net::IpAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri, Version,
    header::{
        CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING,
        UPGRADE, VIA,
    },
    uri::{Authority, Scheme},
};
use uuid::Uuid;

use crate::visitor::{Visitor, X_FORWARDED_FOR, X_FORWARDED_PORT, X_FORWARDED_PROTO};

const X_REQUEST_START: HeaderName = HeaderName::from_static("x-request-start");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const OUR_VIA: HeaderValue = HeaderValue::from_static("1.1 paas");
const OUR_VIA_HTTP2: HeaderValue = HeaderValue::from_static("2.0 paas");

/// `Connection` may name headers that are only for the next hop, but not these: a client could make the router take away
/// what a dyno decides by ("hop-by-hop header abuse").
const END_TO_END: [&str; 22] = [
    "accept",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "forwarded",
    "host",
    "if-match",
    "if-none-match",
    "location",
    "origin",
    "range",
    "referer",
    "set-cookie",
    "user-agent",
    "vary",
    "via",
];

/// So many a request gets at most that it did not have, and usually has none of.
const ADDED_HEADERS: usize = 7;
/// An IPv4 address, a port, the time and an identifier.
const USUAL_VALUES: usize = 15 + 5 + 13 + 36;
const UNKNOWN: HeaderValue = HeaderValue::from_static("unknown");

/// The client as a dyno gets to know it.
pub(crate) struct Forwarded {
    pub(crate) visitor: Visitor,
    pub(crate) version: Version,
}

/// What the record of a request takes over from its headers.
pub(crate) struct Identity {
    pub(crate) request_id: HeaderValue,
    pub(crate) forwarded_for: HeaderValue,
}

/// Whether a request asks to turn its connection into something else. `h2c` is not passed on: it would let a client talk
/// past the router (RFC 9113 removed it).
pub(crate) fn wants_upgrade<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    request.version() == Version::HTTP_11
        && headers.contains_key(UPGRADE)
        && tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
        && !tokens(headers, &UPGRADE).any(|token| token.eq_ignore_ascii_case("h2c"))
}

/// Whether a 101 says that WebSocket frames follow.
pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    headers
        .get(UPGRADE)
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Whether a request is gRPC over HTTP/2; gRPC-Web is made for servers of HTTP/1.1, too.
pub(crate) fn is_grpc<B>(request: &Request<B>) -> bool {
    let is_it = |kind: &HeaderValue| {
        let rest = kind.as_bytes().strip_prefix(b"application/grpc");
        rest.is_some_and(|rest| rest.first().is_none_or(|next| matches!(next, b'+' | b';')))
    };
    request.version() == Version::HTTP_2 && request.headers().get(CONTENT_TYPE).is_some_and(is_it)
}

/// Turns what is meant for a dyno's HTTP/1.1 into HTTP/2, and gives the address with the host that was in a header.
pub(crate) fn to_http2(headers: &mut HeaderMap, uri: Uri) -> Uri {
    headers.remove(CONNECTION);
    let host = headers.remove(HOST);
    let mut parts = uri.into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    Uri::from_parts(parts).unwrap_or_default()
}

/// Turns the client's headers into those for the dyno.
pub(crate) fn to_dyno(headers: &mut HeaderMap, client: &Forwarded, upgrade: bool) -> Identity {
    // Grows once, and not step by step.
    headers.reserve(ADDED_HEADERS);
    let takes_trailers = !upgrade && headers.contains_key(TE) && takes_trailers(headers);
    strip_hop_by_hop(headers, upgrade, is_for_the_router);
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    if client.version == Version::HTTP_2 {
        join_cookies(headers);
    }

    let Visitor { address, port, tls } = client.visitor;
    let Values {
        forwarded_for,
        port,
        start,
        request_id,
    } = values(headers, address, port);
    headers.insert(X_FORWARDED_FOR, forwarded_for.clone());
    let protocol = if tls.is_used() { "https" } else { "http" };
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(protocol));
    headers.insert(X_FORWARDED_PORT, port);
    headers.insert(X_REQUEST_START, start);
    headers.insert(X_REQUEST_ID, request_id.clone());
    let is_http2 = client.version == Version::HTTP_2;
    headers.append(VIA, if is_http2 { OUR_VIA_HTTP2 } else { OUR_VIA });
    Identity {
        request_id,
        forwarded_for,
    }
}

/// Turns the dyno's headers into those for the client.
pub(crate) fn to_client(headers: &mut HeaderMap, upgrade: bool) {
    // With a transfer coding the length means nothing, and must not frame what we send (RFC 9112 §6.3).
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    strip_hop_by_hop(headers, upgrade, is_hop_by_hop);
    headers.append(VIA, OUR_VIA);
}

/// Takes away what was said to this side alone: the headers that `is_hops_own` knows, and those that `Connection` names.
fn strip_hop_by_hop(headers: &mut HeaderMap, upgrade: bool, is_hops_own: fn(&HeaderName) -> bool) {
    // Most have none. Names are looked at in one pass, because asking for each of them is a hash each.
    if !headers.keys().any(is_hops_own) {
        return;
    }
    let named: Vec<HeaderName> = tokens(headers, &CONNECTION)
        // What nearly every client says names no header, or one that goes anyway.
        .filter(|token| {
            !["close", "keep-alive", "upgrade"]
                .iter()
                .any(|word| token.eq_ignore_ascii_case(word))
        })
        .filter_map(|token| token.parse().ok())
        .filter(|name: &HeaderName| !is_end_to_end(name))
        .collect();
    for name in named {
        headers.remove(name);
    }
    let protocol = if upgrade { headers.remove(UPGRADE) } else { None };
    while let Some(name) = headers.keys().find(|name| is_hops_own(name)).cloned() {
        headers.remove(name);
    }
    if upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.extend(protocol.map(|protocol| (UPGRADE, protocol)));
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// `Expect` is answered by the router itself, when the dyno's connection takes the body.
fn is_for_the_router(name: &HeaderName) -> bool {
    is_hop_by_hop(name) || matches!(name.as_str(), "expect" | "http2-settings")
}

/// Whether the client wants what comes after a body (RFC 9110 §10.1.4).
fn takes_trailers(headers: &HeaderMap) -> bool {
    tokens(headers, &TE).any(|token| token.eq_ignore_ascii_case("trailers"))
}

/// Takes from the trailers of a request what a dyno could take for a header of the router's, or of the message's own.
pub(crate) fn trailers_to_dyno(trailers: &mut HeaderMap) {
    trailers_to_client(trailers);
    let is_ours = |name: &&HeaderName| is_end_to_end(name) || **name == EXPECT || **name == TE;
    let named: Vec<_> = trailers.keys().filter(is_ours).cloned().collect();
    for name in named {
        trailers.remove(name);
    }
}

/// Takes from the trailers of a response what frames or routes a message (RFC 9110 §6.5.1).
pub(crate) fn trailers_to_client(trailers: &mut HeaderMap) {
    strip_hop_by_hop(trailers, false, is_hop_by_hop);
    for name in [CONTENT_LENGTH, HOST, SET_COOKIE, TRAILER] {
        trailers.remove(name);
    }
}

/// HTTP/2 clients send one header for each cookie; HTTP/1.1 allows only one for all (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let joined = Bytes::from(crumbs.join(&b"; "[..]));
    if let Ok(joined) = HeaderValue::from_maybe_shared(joined) {
        headers.insert(COOKIE, joined);
    }
}

fn is_end_to_end(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-forwarded-")
        || name.starts_with("x-request-")
        || name.starts_with("x-real-")
        || name.starts_with("sec-")
        || END_TO_END.contains(&name)
}

/// The comma-separated words of a header that may come more than once.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

/// What a dyno is told of a request.
struct Values {
    forwarded_for: HeaderValue,
    port: HeaderValue,
    start: HeaderValue,
    request_id: HeaderValue,
}

/// Writes them into one piece of memory.
fn values(headers: &HeaderMap, peer: IpAddr, port: u16) -> Values {
    let mut text = Vec::with_capacity(USUAL_VALUES);
    forwarded_for(&mut text, headers, peer);
    let forwarded_for = text.len();
    append_number(&mut text, port.into());
    let port = text.len();
    append_number(&mut text, unix_milliseconds());
    let start = text.len();
    let claimed = claimed_id(headers);
    if claimed.is_none() {
        append_id(&mut text);
    }
    let text = Bytes::from(text);
    // Pieces of valid values stay valid; addresses, numbers and identifiers always are.
    let value = |range| HeaderValue::from_maybe_shared(text.slice(range)).unwrap_or(UNKNOWN);
    Values {
        forwarded_for: value(0..forwarded_for),
        port: value(forwarded_for..port),
        start: value(port..start),
        request_id: claimed.unwrap_or_else(|| value(start..text.len())),
    }
}

/// The client's address at the right of whatever the client claimed.
fn forwarded_for(text: &mut Vec<u8>, headers: &HeaderMap, peer: IpAddr) {
    for claimed in headers.get_all(X_FORWARDED_FOR) {
        if !claimed.is_empty() {
            text.extend_from_slice(claimed.as_bytes());
            text.extend_from_slice(b", ");
        }
    }
    append_address(text, peer);
}

fn append_number(text: &mut Vec<u8>, number: u64) {
    text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// As `Display` has it, without its machinery for the most common kind.
fn append_address(list: &mut Vec<u8>, address: IpAddr) {
    let IpAddr::V4(address) = address else {
        return list.extend_from_slice(address.to_string().as_bytes());
    };
    for (index, byte) in address.octets().into_iter().enumerate() {
        if index > 0 {
            list.push(b'.');
        }
        for (unit, digit) in [(100, byte / 100), (10, byte / 10 % 10), (1, byte % 10)] {
            if byte >= unit || unit == 1 {
                list.push(b'0' + digit);
            }
        }
    }
}

/// The client's own id when it looks like one (Dev Center, *HTTP Request IDs*: 20 to 200 of these characters).
fn claimed_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut claimed = headers.get_all(X_REQUEST_ID).iter();
    let (Some(id), None) = (claimed.next(), claimed.next()) else {
        return None;
    };
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-');
    let is_one = (20..=200).contains(&id.len()) && id.as_bytes().iter().all(allowed);
    is_one.then(|| id.clone())
}

fn append_id(text: &mut Vec<u8>) {
    let uuid = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    text.extend_from_slice(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
}

fn unix_milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_everybody_writes_them() {
        for text in ["0.0.0.0", "1.20.255.109", "100.10.200.9", "::1", "2001:db8::7"] {
            let mut list = Vec::new();
            append_address(&mut list, text.parse().unwrap());
            assert_eq!(String::from_utf8(list).unwrap(), text);
        }
    }
}
