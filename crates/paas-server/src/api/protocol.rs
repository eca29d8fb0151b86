//! What is true of every request and answer: request ids, tags, limits, cross-origin rules, the error log.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use paas_api::ErrorId;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    error::{ApiError, Cause},
    state::Api,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");
const LONGEST_REQUEST_ID: usize = 128;

/// Where authentication leaves how many requests the account has left. A request has one of these in its extensions.
#[derive(Clone, Default)]
pub(super) struct Remaining(Arc<OnceLock<u32>>);

impl Remaining {
    pub(super) fn set(&self, remaining: u32) {
        // Only the first authentication of a request is charged.
        let _ = self.0.set(remaining);
    }
}

/// The middleware around every endpoint.
pub(super) async fn speak(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = request_id(request.headers());
    override_method(&mut request);
    let remaining = Remaining::default();
    request.extensions_mut().insert(remaining.clone());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let conditions = Conditions::of(&mut request);

    let mut response = match method {
        Method::OPTIONS => preflight(),
        Method::GET | Method::HEAD => read(&conditions, request, next).await,
        _ => change(&api, &conditions, request, next).await,
    };
    if is_plain_refusal(&response) {
        response = ApiError::of_status(response.status()).into_response();
    }
    if let Some(cause) = response.extensions_mut().remove::<Cause>() {
        tracing::error!(
            request.id = %request_id,
            %method,
            path = loggable(&path),
            error = %cause,
            "request failed"
        );
    }
    let headers = response.headers_mut();
    if let Some(remaining) = remaining.0.get() {
        headers.insert(RATE_LIMIT_REMAINING, (*remaining).into());
    }
    if let Ok(request_id) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, request_id);
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let exposed = "Accept-Ranges, Content-Range, ETag, Next-Range, RateLimit-Remaining, Request-Id";
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("private, no-cache"));
    tracing::debug!(
        request.id = %request_id,
        %method,
        path = loggable(&path),
        status = response.status().as_u16(),
        duration_ms = started.elapsed().as_millis(),
        clock = %api.now(),
        "answered"
    );
    response
}

/// What the client believes to know of what it asks for (RFC 9110 §13.1).
struct Conditions {
    if_match: Option<HeaderValue>,
    if_none_match: Option<HeaderValue>,
}

impl Conditions {
    fn of(request: &mut Request) -> Self {
        let headers = request.headers_mut();
        Self {
            if_match: headers.remove(header::IF_MATCH),
            if_none_match: headers.remove(header::IF_NONE_MATCH),
        }
    }

    fn holds(condition: Option<&HeaderValue>, tag: &str) -> bool {
        condition
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| matches_tag(value, tag))
    }
}

/// A question, with the tag of its answer. One that asks for the head alone is answered with that of the whole.
async fn read(conditions: &Conditions, mut request: Request, next: Next) -> Response {
    let is_head = request.method() == Method::HEAD;
    *request.method_mut() = Method::GET;
    let response = tag(next.run(request).await, conditions).await;
    if !is_head {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    Response::from_parts(parts, Body::empty())
}

/// A change. One that is meant for what the client has seen (`If-Match`) is made if that is what is there: what is there is
/// what a question at the same path is answered with.
async fn change(api: &Api, conditions: &Conditions, request: Request, next: Next) -> Response {
    if let Some(wanted) = &conditions.if_match {
        let mut question = Request::new(Body::empty());
        *question.uri_mut() = request.uri().clone();
        *question.headers_mut() = request.headers().clone();
        *question.extensions_mut() = request.extensions().clone();
        for name in [header::RANGE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
            question.headers_mut().remove(name);
        }
        let unconditional = Conditions {
            if_match: None,
            if_none_match: None,
        };
        let answer = read(&unconditional, question, next.clone()).await;
        if answer.status() == StatusCode::UNAUTHORIZED || answer.status() == StatusCode::TOO_MANY_REQUESTS {
            return answer;
        }
        let tag = answer.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
        if !tag.is_some_and(|tag| Conditions::holds(Some(wanted), tag)) {
            return precondition_failed();
        }
    }
    finish(api, request, next).await
}

fn precondition_failed() -> Response {
    let message = "This is not what it was when you looked at it (If-Match). Please look again, and repeat the change if it \
                   is still wanted.";
    ApiError::new(ErrorId::PreconditionFailed, message).into_response()
}

/// A refusal that was not made by us: a text of the framework's.
fn is_plain_refusal(response: &Response) -> bool {
    let status = response.status();
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    (status.is_client_error() || status.is_server_error())
        && (content_type.is_empty() || content_type.starts_with("text/plain"))
}

/// Runs a change to its end, even when the client goes away: what follows a commit must not depend on who listens.
async fn finish(api: &Api, request: Request, next: Next) -> Response {
    let change = api.platform.tracker.spawn(next.run(request));
    match change.await {
        Ok(response) => response,
        Err(error) => ApiError::internal(error).into_response(),
    }
}

/// What there is no endpoint for.
pub(super) async fn no_endpoint() -> ApiError {
    ApiError::no_endpoint()
}

/// A client's own id when it sends one, and only one; Heroku's command sends a growing list of all it has seen.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let is_plain = |text: &&str| {
        (1..=LONGEST_REQUEST_ID).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    match given.filter(is_plain) {
        Some(given) => given.to_owned(),
        None => Uuid::new_v4().to_string(),
    }
}

/// A `POST` may be any other method in disguise, for clients behind proxies that know only two.
fn override_method(request: &mut Request) {
    if request.method() != Method::POST {
        return;
    }
    let wanted = request.headers().get(METHOD_OVERRIDE);
    if let Some(method) = wanted.and_then(|value| Method::from_bytes(value.as_bytes()).ok())
        && [Method::GET, Method::PUT, Method::PATCH, Method::DELETE].contains(&method)
    {
        *request.method_mut() = method;
    }
}

fn preflight() -> Response {
    let headers = [
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET, POST, PUT, PATCH, DELETE, OPTIONS",
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Accept, Authorization, Content-Type, If-Match, If-None-Match, Range, Request-Id, X-Http-Method-Override",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Puts an entity tag on a JSON answer; empties it when the client has the same already (RFC 9110 §13.1.2).
async fn tag(response: Response, conditions: &Conditions) -> Response {
    let is_json = response.headers().get(header::CONTENT_TYPE) == Some(&HeaderValue::from_static("application/json"));
    if !response.status().is_success() || !is_json {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Every JSON answer is one piece in memory: this copies nothing, and no stream passes here.
    let bytes = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return ApiError::internal(error).into_response(),
    };
    let tag = entity_tag(&bytes);
    if conditions.if_match.is_some() && !Conditions::holds(conditions.if_match.as_ref(), &tag) {
        return precondition_failed();
    }
    let matches = Conditions::holds(conditions.if_none_match.as_ref(), &tag);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, tag);
    }
    if matches && parts.status == StatusCode::OK {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

fn entity_tag(bytes: &Bytes) -> String {
    let digest = Sha256::digest(bytes);
    format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&digest[..16]))
}

fn matches_tag(header: &str, tag: &str) -> bool {
    header
        .split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

/// A path without the part that is a permission.
fn loggable(path: &str) -> &str {
    let capability = ["/streams/", "/logs/", "/uploads/", "/rendezvous/", "/login/"];
    match capability.iter().find(|prefix| path.starts_with(**prefix)) {
        Some(prefix) => prefix,
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_match_alone_in_lists_and_when_weak() {
        let tag = entity_tag(&Bytes::from_static(b"[]"));
        assert!(matches_tag(&tag, &tag));
        assert!(matches_tag(&format!("\"other\", W/{tag}"), &tag));
        assert!(matches_tag("*", &tag));
        assert!(!matches_tag("\"other\"", &tag));
    }

    #[test]
    fn one_plain_request_id_is_kept_and_anything_else_replaced() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(value).unwrap());
            request_id(&headers)
        };
        assert_eq!(with("abc-123"), "abc-123");
        assert_ne!(with("abc,def"), "abc,def");
        assert_ne!(with(&"a".repeat(500)), "a".repeat(500));
        assert_eq!(request_id(&HeaderMap::new()).len(), 36);
    }

    #[test]
    fn the_log_shows_no_capability() {
        assert_eq!(loggable("/streams/secret"), "/streams/");
        assert_eq!(loggable("/apps/hello"), "/apps/hello");
    }
}
