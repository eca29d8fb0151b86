//! The log of an app, for the providers of its add-ons: what they write into it, and where they have it sent.
//!
//! Both only where the manifest asks for it, in `requires` (Dev Center, *Writing to Application Logs as an Add-on Partner*,
//! *Accessing Application Logs as an Add-on Partner*).

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
};
use http::{HeaderMap, StatusCode};
use paas_api::{ErrorId, NewLogDrain};
use paas_core::{AddonState, DrainUrl, LogLine, LogSource, log_input};
use paas_store::{
    addon::{self, AddonRow},
    addon_resource,
    authorization::TokenHash,
    log_drain::{self, LogDrain},
};

use super::{
    addon_partner::own,
    auth,
    body::Body,
    error::ApiError,
    log_drain as drains,
    page::{Page, Wanted, page},
    state::Api,
};
use crate::addon::Provider;

/// `POST /logs`, with the user and the password of a `log_input_url`. The lines bear the name of the add-on, whatever they say.
pub(super) async fn write(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let row = writer(&api, &headers).await?;
    let lines = log_input(&body, api.now());
    let lines = lines.map_err(|error| ApiError::new(ErrorId::BadRequest, format!("Nothing is stored: {error}.")))?;
    let lines = lines.into_iter().map(|line| LogLine {
        at: line.at,
        source: LogSource::App,
        process: row.addon.name.as_str().to_owned(),
        message: line.message,
    });
    let lines: Vec<_> = lines.collect();
    if !lines.is_empty() {
        api.platform.logs.append(row.addon.app, &lines);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Whose log input was shown.
async fn writer(api: &Api, headers: &HeaderMap) -> Result<AddonRow, ApiError> {
    let refused = || {
        ApiError::new(
            ErrorId::Unauthorized,
            "This is the log input of no add-on. Use the log_input_url of its provision request, with user and password.",
        )
    };
    let (_, token) = auth::basic(headers).ok_or_else(refused)?;
    let mut connection = api.connection().await?;
    let found = addon_resource::by_log_input(&mut connection, TokenHash::of(token.expose())).await?;
    let row = addon::by_id(&mut connection, found.ok_or_else(refused)?).await?;
    let row = row
        .filter(|row| row.addon.state != AddonState::Deprovisioning)
        .ok_or_else(refused)?;
    let provider = api.platform.catalogue.providers().find(&row.addon.service);
    if !provider.is_some_and(|provider| provider.writes_logs) {
        return Err(refused());
    }
    Ok(row)
}

/// `GET /addons/{addon}/log-drains`
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::LogDrain>, ApiError> {
    let (row, _) = own(&api, &headers, &name).await?;
    let drain = drain_of(&api, &row).await?;
    let drains = drain.into_iter().map(|drain| shown(&row, drain));
    page(&range, drains.collect(), &drains::FIELDS)
}

/// `GET /addons/{addon}/log-drains/{drain}`: by its id, token or URL.
pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((name, drain)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<paas_api::LogDrain>, ApiError> {
    let (row, _) = own(&api, &headers, &name).await?;
    let found = drain_of(&api, &row).await?.filter(|found| found.is_called(&drain));
    let found = found.ok_or_else(|| ApiError::not_found("drain"))?;
    Ok(Json(shown(&row, found)))
}

/// `PUT /addons/{addon}/log-drains/{drain}`: it goes elsewhere from now on. By the token of the provision request it is made, too:
/// a provider that has answered 202 to that has no other way.
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    Path((name, drain)): Path<(String, String)>,
    headers: HeaderMap,
    Body(new): Body<NewLogDrain>,
) -> Result<Json<paas_api::LogDrain>, ApiError> {
    let (row, provider) = own(&api, &headers, &name).await?;
    let mut connection = api.connection().await?;
    let token = addon_resource::drain_token(&mut connection, row.addon.id).await?;
    drop(connection);
    let known = drain_of(&api, &row).await?;
    let is_it = token.as_deref() == Some(&drain) || known.is_some_and(|known| known.is_called(&drain));
    if !is_it {
        return Err(ApiError::not_found("drain"));
    }
    check(&provider)?;
    let url: DrainUrl = new.url.trim().parse()?;
    drains::check_host(&api, &url)?;
    let end = api.platform.logs.end(row.addon.app).await.map_err(ApiError::internal)?;
    let (sealer, id) = (&api.store().sealer, row.addon.id);
    let mut connection = api.connection().await?;
    let set = log_drain::set_of_addon(&mut connection, sealer, id, &url, end, api.now()).await?;
    let set = set.ok_or_else(|| ApiError::not_found("drain"))?;
    api.platform.wake_log_drains.notify_one();
    Ok(Json(shown(&row, set)))
}

fn check(provider: &Provider) -> Result<(), ApiError> {
    if provider.reads_logs {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorId::Forbidden,
        format!(
            "The manifest of {} does not ask for log drains: \"syslog_drain\" in `requires`.",
            provider.name
        ),
    ))
}

async fn drain_of(api: &Api, row: &AddonRow) -> Result<Option<LogDrain>, ApiError> {
    let mut connection = api.connection().await?;
    Ok(log_drain::of_addon(&mut connection, &api.store().sealer, row.addon.id).await?)
}

fn shown(row: &AddonRow, drain: LogDrain) -> paas_api::LogDrain {
    let app = paas_api::AppRef {
        id: *row.addon.app.as_uuid(),
        name: row.app_name.clone(),
    };
    drains::answer(app, drain)
}
