//! Log drains: where else an app's log goes.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use http::StatusCode;
use paas_api::{AddonOfDrain, AppRef, ExtendedLogDrain, NewLogDrain};
use paas_core::DrainUrl;
use paas_store::log_drain::{self, LogDrain};
use serde::Deserialize;

use super::{
    app,
    auth::OwnApp,
    body::Body,
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
    state::Api,
};
use crate::log_drain::closed;

pub(super) const FIELDS: [Field<paas_api::LogDrain>; 1] = [Field {
    name: "id",
    key: |drain| Key::Text(drain.id.to_string()),
}];

/// `?extended=true`
#[derive(Deserialize)]
pub(super) struct Extent {
    extended: Option<String>,
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
    Query(extent): Query<Extent>,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::LogDrain>, ApiError> {
    let mut connection = api.connection().await?;
    let drains = log_drain::list_of_app(&mut connection, &api.store().sealer, row.app.id).await?;
    let is_extended = extent.extended.as_deref() == Some("true");
    let answers = drains.into_iter().map(|drain| {
        let extended = is_extended.then_some(ExtendedLogDrain {
            drain_id: *drain.id.as_uuid(),
        });
        paas_api::LogDrain {
            extended,
            ..answer(app::reference(&row.app), drain)
        }
    });
    page(&range, answers.collect(), &FIELDS)
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((_, drain)): Path<(String, String)>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<paas_api::LogDrain>, ApiError> {
    let mut connection = api.connection().await?;
    let found = log_drain::find(&mut connection, &api.store().sealer, row.app.id, &drain).await?;
    let found = found.ok_or_else(|| ApiError::not_found("drain"))?;
    Ok(Json(answer(app::reference(&row.app), found)))
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
    Body(new): Body<NewLogDrain>,
) -> Result<(StatusCode, Json<paas_api::LogDrain>), ApiError> {
    let url: DrainUrl = new.url.trim().parse()?;
    check_host(&api, &url)?;
    let app = row.app.id;
    // What the log says from here on is the drain's.
    let end = api.platform.logs.end(app).await.map_err(ApiError::internal)?;
    let mut transaction = api.store().begin().await?;
    let stamp = api.stamp(&caller.account);
    let drain = log_drain::create(&mut transaction, &api.store().sealer, app, &url, end, stamp).await?;
    transaction.commit().await?;
    api.announce(app, &format!("Add drain {}", drain.token), &caller.account);
    api.platform.wake_log_drains.notify_one();
    Ok((StatusCode::CREATED, Json(answer(app::reference(&row.app), drain))))
}

/// By id, token or URL.
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Path((_, drain)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
) -> Result<Json<paas_api::LogDrain>, ApiError> {
    let mut transaction = api.store().begin().await?;
    let found = log_drain::find(&mut transaction, &api.store().sealer, row.app.id, &drain).await?;
    let found = found.ok_or_else(|| ApiError::not_found("drain"))?;
    if let Some(addon) = &found.addon {
        return Err(ApiError::invalid(format!(
            "This drain belongs to {0}, and goes with it: paas addons:destroy {0}.",
            addon.name
        )));
    }
    log_drain::delete(&mut transaction, &found, api.stamp(&caller.account)).await?;
    transaction.commit().await?;
    api.announce(row.app.id, &format!("Remove drain {}", found.token), &caller.account);
    api.platform.wake_log_drains.notify_one();
    Ok(Json(answer(app::reference(&row.app), found)))
}

/// Says at once what every connection would come up against. Names are checked whenever they are resolved.
pub(super) fn check_host(api: &Api, url: &DrainUrl) -> Result<(), ApiError> {
    match closed(&api.platform.settings, url) {
        Some(reason) => Err(ApiError::invalid(format!("Url host is invalid: {reason}."))),
        None => Ok(()),
    }
}

pub(super) fn answer(app: AppRef, drain: LogDrain) -> paas_api::LogDrain {
    let addon = drain.addon.map(|addon| AddonOfDrain {
        id: *addon.id.as_uuid(),
        name: addon.name,
        app: app.clone(),
    });
    paas_api::LogDrain {
        addon,
        app: Some(app),
        created_at: drain.created_at.into(),
        extended: None,
        id: *drain.id.as_uuid(),
        token: drain.token,
        updated_at: drain.created_at.into(),
        url: drain.url.as_str().to_owned(),
    }
}
