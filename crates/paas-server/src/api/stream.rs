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
use paas_core::{App, Id};
use tokio::time::timeout;
use uuid::Uuid;

use super::{access, capability::Purpose, error::ApiError, origin::Origin, state::Api};
use crate::sessions::Holder;

/// Proxies that collect an answer before they pass it on must not.
const NO_BUFFERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// Our router and others close a connection that is silent for 55 s.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(20);
/// What Heroku sends meanwhile, and every client of it leaves out.
const KEEP_ALIVE: Bytes = Bytes::from_static(b"\0");

/// What was written for a build or a release, and for whom a URL leads to it. All of it travels in the URL.
struct Output {
    id: Uuid,
    holder: Holder,
}

/// Where the output of a build or a release can be read, without credentials: by whom the URL was made for, until they lose
/// their access to the app.
pub(super) fn url(api: &Api, origin: &Origin, app: Id<App>, id: Uuid) -> String {
    // Nobody has no access.
    let (account, authorization) = origin.reader().map_or((Uuid::nil(), Uuid::nil()), |reader| {
        (*reader.account.as_uuid(), *reader.authorization.as_uuid())
    });
    let payload = [id, *app.as_uuid(), account, authorization].map(Uuid::into_bytes);
    let segment = api.capabilities.issue(Purpose::Output, payload.as_flattened());
    origin.url(&format!("/streams/{segment}"))
}

/// Plain text from the beginning, then live until it is finished. 404 while nothing was written.
pub(super) async fn output(State(api): State<Arc<Api>>, Path(segment): Path<String>) -> Result<Response, ApiError> {
    let not_found = || ApiError::not_found("stream");
    let Output { id, holder } = open(&api, &segment).ok_or_else(not_found)?;
    let held = access::hold(&api, holder).await?.ok_or_else(not_found)?;
    let stream = api.platform.outputs.follow(id).await.map_err(ApiError::internal)?;
    let stream = stream.ok_or_else(not_found)?;
    let stream = kept_alive(stream, KEEP_ALIVE_EVERY).take_until(async move { held.ended().cancelled().await });
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), NO_BUFFERING];
    Ok((headers, Body::from_stream(stream)).into_response())
}

fn open(api: &Api, segment: &str) -> Option<Output> {
    let payload = api.capabilities.open(Purpose::Output, segment)?;
    let (ids, []) = payload.as_chunks::<16>() else {
        return None;
    };
    let &[id, app, account, authorization] = ids else {
        return None;
    };
    let holder = Holder {
        account: Uuid::from_bytes(account).into(),
        authorization: Uuid::from_bytes(authorization).into(),
        app: Uuid::from_bytes(app).into(),
    };
    Some(Output {
        id: Uuid::from_bytes(id),
        holder,
    })
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
