//! Sessions: the tokens that logins in a browser made. `~` is the one that asks.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, Utc};
use paas_api::Session;
use paas_core::Id;
use paas_store::{
    authorization::{self, Authorization},
    event,
};

use super::{
    auth::Caller,
    error::ApiError,
    oauth_authorization::change,
    page::{Field, Key, Page, Wanted, page},
    state::Api,
};

const FIELDS: [Field<Authorization>; 1] = [Field {
    name: "id",
    key: |session| Key::Text(session.id.to_string()),
}];

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Wanted(range): Wanted,
) -> Result<Page<Session>, ApiError> {
    let mut connection = api.connection().await?;
    let now = api.now();
    let sessions = authorization::list_sessions(&mut connection, caller.account.id, now).await?;
    Ok(page(&range, sessions, &FIELDS)?.map(|session| answer(session, now)))
}

/// A token that is no session hears that there is none: Heroku's command then revokes the authorization instead.
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<Session>, ApiError> {
    let not_found = || ApiError::not_found("session");
    let id: Id<Authorization> = match name.as_str() {
        "~" => caller.authorization.id,
        name => name.parse().map_err(|_| not_found())?,
    };
    let now = api.now();
    let mut transaction = api.store().begin().await?;
    let found = authorization::get(&mut transaction, caller.account.id, id, now).await?;
    let found = found.filter(|found| found.is_session).ok_or_else(not_found)?;
    authorization::delete(&mut transaction, caller.account.id, id).await?;
    event::record(&mut transaction, change("destroy", &found, &caller.account, now)).await?;
    transaction.commit().await?;
    api.platform.sessions.end_by(found.id);
    Ok(Json(answer(found, now)))
}

fn answer(session: Authorization, now: DateTime<Utc>) -> Session {
    Session {
        created_at: session.created_at.into(),
        description: session.description,
        expires_in: session.expires_at.map(|at| (at - now).num_seconds().max(0)),
        id: *session.id.as_uuid(),
        updated_at: session.updated_at.into(),
    }
}
