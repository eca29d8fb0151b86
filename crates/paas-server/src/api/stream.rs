//! Output of builds and release phases, as it is written.

use std::{io, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderName, header};
use tokio::time::timeout;
use uuid::Uuid;

use super::{capability::Purpose, error::ApiError, origin::Origin, state::Api};

/// Proxies that collect an answer before they pass it on must not.
const NO_BUFFERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// Our router and others close a connection that is silent for 55 s.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(20);
/// What Heroku sends meanwhile, and every client of it leaves out.
const KEEP_ALIVE: Bytes = Bytes::from_static(b"\0");

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
    Ok((headers, Body::from_stream(kept_alive(stream, KEEP_ALIVE_EVERY))).into_response())
}

/// The stream, and a NUL wherever it is silent for long.
fn kept_alive(
    output: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    every: Duration,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::unfold(Box::pin(output), move |mut output| async move {
        let next = timeout(every, output.next()).await;
        let chunk = next.unwrap_or(Some(Ok(KEEP_ALIVE)))?;
        Some((chunk, output))
    })
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_silent_stream_is_kept_alive_to_its_end() {
        let (sender, receiver) = mpsc::channel(1);
        let lines = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        let mut output = Box::pin(kept_alive(lines, Duration::from_millis(1)));
        for line in ["one\n", "two\n"] {
            assert_eq!(output.try_next().await.unwrap(), Some(KEEP_ALIVE));
            sender.send(Ok(Bytes::from_static(line.as_bytes()))).await.unwrap();
            let mut said = KEEP_ALIVE;
            while said == KEEP_ALIVE {
                said = output.try_next().await.unwrap().unwrap();
            }
            assert_eq!(said, line);
        }
        drop(sender);
        while let Some(chunk) = output.try_next().await.unwrap() {
            assert_eq!(chunk, KEEP_ALIVE);
        }
    }
}
