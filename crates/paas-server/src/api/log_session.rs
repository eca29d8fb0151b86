//! Log sessions: a URL for a while, and the log behind it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body as HttpBody,
    extract::{Path, State},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{Stream, StreamExt, future, stream};
use http::{HeaderMap, StatusCode, header};
use paas_api::{LogSession, NewLogSession};
use paas_core::{App, Id, LogSource};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{access, auth::OwnApp, body::Body, capability::Purpose, error::ApiError, origin::Origin, state::Api};
use crate::{
    logs::{Filter, Stored},
    sessions::Holder,
};

const USUAL_LINES: u32 = 100;
const MOST_LINES: u32 = 1500;
/// A session must be opened within this time.
const OPEN_WITHIN: TimeDelta = TimeDelta::minutes(5);
/// And can be taken up again, where a connection broke, for this long.
const RESUME_WITHIN: TimeDelta = TimeDelta::hours(24);
/// Our router and others close a connection that is silent for 55 s.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// A restart of the server takes no longer.
const COME_BACK_AFTER: Duration = Duration::from_secs(10);

/// All that a session is. It travels in its URL, so nothing is left behind when nobody comes.
#[derive(Serialize, Deserialize)]
struct Session {
    id: Uuid,
    app: Uuid,
    /// Who made it: its URL is good for nobody who may not see the app any more.
    account: Uuid,
    authorization: Uuid,
    made_at: i64,
    lines: u32,
    tail: bool,
    /// `app` or `heroku`.
    source: Option<String>,
    dyno: Option<String>,
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    origin: Origin,
    OwnApp { caller, row }: OwnApp,
    Body(new): Body<NewLogSession>,
) -> Result<(StatusCode, Json<LogSession>), ApiError> {
    let NewLogSession {
        dyno,
        dyno_name,
        lines,
        source,
        tail,
        r#type,
    } = new;
    if let Some(source) = &source {
        parse_source(source).ok_or_else(|| ApiError::invalid("Source must be app or heroku."))?;
    }
    let now = api.now();
    let session = Session {
        id: *paas_store::new_id::<Session>(now).as_uuid(),
        app: *row.app.id.as_uuid(),
        account: *caller.account.id.as_uuid(),
        authorization: *caller.authorization.id.as_uuid(),
        made_at: now.timestamp(),
        lines: lines.unwrap_or(USUAL_LINES).min(MOST_LINES),
        tail: tail.unwrap_or(false),
        source,
        dyno: dyno.or(dyno_name).or(r#type).filter(|dyno| !dyno.is_empty()),
    };
    let payload = serde_json::to_vec(&session).map_err(ApiError::internal)?;
    let segment = api.capabilities.issue(Purpose::LogSession, &payload);
    let answer = LogSession {
        created_at: now.into(),
        id: session.id,
        logplex_url: origin.url(&format!("/logs/{segment}")),
        updated_at: now.into(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Server-sent events for those who ask for them, plain text for the others. Neither wants a token.
pub(super) async fn stream(
    State(api): State<Arc<Api>>,
    Path(segment): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let last_seen: Option<u64> = text("last-event-id").and_then(|id| id.trim().parse().ok());
    let session = open(&api, &segment, last_seen.is_some()).ok_or_else(|| ApiError::not_found("log session"))?;
    let app: Id<App> = Id::from_uuid(session.app);
    let holder = Holder {
        account: session.account.into(),
        authorization: session.authorization.into(),
        app,
    };
    let held = access::hold(&api, holder).await?;
    let held = held.ok_or_else(|| ApiError::not_found("log session"))?;
    let lines = lines(&api, app, &session, last_seen).await?;
    // The session is over when nobody reads the stream any more.
    let lines = lines.take_until(async move { held.ended().cancelled().await });
    let is_event_stream = text("accept").is_some_and(|accept| accept.contains("text/event-stream"));
    if is_event_stream {
        let events = lines.map(|stored| Ok::<_, Infallible>(event(&stored)));
        // Heroku's client comes back by itself, once: it gives up when nobody answers, so it is told to wait for the next
        // server.
        let farewell = session.tail.then(|| Ok(Event::default().retry(COME_BACK_AFTER)));
        let events = events.chain(stream::iter(farewell));
        let keep_alive = KeepAlive::new().interval(HEARTBEAT).text("hb");
        return Ok(Sse::new(events).keep_alive(keep_alive).into_response());
    }
    let text = lines.map(|stored| Ok::<_, Infallible>(Bytes::from(format!("{}\n", stored.line))));
    let content_type = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((content_type, HttpBody::from_stream(text)).into_response())
}

/// A session that is still good. One that is taken up again is good for longer.
fn open(api: &Api, segment: &str, is_resumed: bool) -> Option<Session> {
    let payload = api.capabilities.open(Purpose::LogSession, segment)?;
    let session: Session = serde_json::from_slice(&payload).ok()?;
    let made_at = DateTime::<Utc>::from_timestamp(session.made_at, 0)?;
    let limit = if is_resumed { RESUME_WITHIN } else { OPEN_WITHIN };
    (api.now() <= made_at + limit).then_some(session)
}

/// The last lines or, after a break, those since the last one seen; then, for a tail, whatever comes until the server stops.
async fn lines(
    api: &Api,
    app: Id<App>,
    session: &Session,
    last_seen: Option<u64>,
) -> Result<impl Stream<Item = Stored> + Send + use<>, ApiError> {
    let filter = Filter {
        source: session.source.as_deref().and_then(parse_source),
        dyno: session.dyno.clone(),
    };
    let logs = &api.platform.logs;
    let (first, end) = match last_seen {
        // A session without a tail that was broken off: the rest of what was there.
        Some(last_seen) if !session.tail => {
            let tail = logs
                .tail(app, session.lines as usize, &filter)
                .await
                .map_err(ApiError::internal)?;
            let rest: Vec<Stored> = tail.lines.into_iter().filter(|stored| stored.id > last_seen).collect();
            (rest, tail.end)
        }
        Some(last_seen) => (Vec::new(), last_seen),
        None => {
            let tail = logs
                .tail(app, session.lines as usize, &filter)
                .await
                .map_err(ApiError::internal)?;
            (tail.lines, tail.end)
        }
    };
    let live = session.tail.then(|| logs.follow(app, end, filter));
    let live = stream::iter(live).flatten();
    let stop = api.platform.stop.clone();
    let live = live.take_until(async move { stop.cancelled().await });
    Ok(stream::iter(first).chain(live).filter(|_| future::ready(true)))
}

fn event(stored: &Stored) -> Event {
    // A line of log is one line, but a carriage return of the app's would end the field and panic the encoder.
    let data = stored.line.to_string().replace(['\r', '\n'], " ");
    Event::default().id(stored.id.to_string()).data(data)
}

fn parse_source(text: &str) -> Option<LogSource> {
    match text {
        "app" => Some(LogSource::App),
        "heroku" => Some(LogSource::Heroku),
        _ => None,
    }
}
