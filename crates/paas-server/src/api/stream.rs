//! Output of builds and release phases, as it is written.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderName, header};
use uuid::Uuid;

use super::{capability::Purpose, error::ApiError, origin::Origin, state::Api};

/// Proxies that collect an answer before they pass it on must not.
const NO_BUFFERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// Where the output of a build or a release can be read, without credentials.
pub(super) fn url(api: &Api, origin: &Origin, id: Uuid) -> String {
    let segment = api.capabilities.issue(Purpose::Output, id.as_bytes());
    origin.url(&format!("/streams/{segment}"))
}

/// Plain text from the beginning, then live until it is finished. 404 while nothing was written.
pub(super) async fn output(State(api): State<Arc<Api>>, Path(segment): Path<String>) -> Result<Response, ApiError> {
    let payload = api.capabilities.open(Purpose::Output, &segment);
    let id = payload.and_then(|payload| Uuid::from_slice(&payload).ok());
    let id = id.ok_or_else(|| ApiError::not_found("stream"))?;
    let stream = api.platform.outputs.follow(id).await.map_err(ApiError::internal)?;
    let stream = stream.ok_or_else(|| ApiError::not_found("stream"))?;
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), NO_BUFFERING];
    Ok((headers, Body::from_stream(stream)).into_response())
}
