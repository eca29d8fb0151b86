//! Config vars: of the app as it will run next, and of any of its releases.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use paas_api::{ConfigVars, ConfigVarsUpdate};
use paas_core::{App, ConfigKey, Id};
use paas_store::{Connection, release};

use super::{auth::OwnApp, body::Body, error::ApiError, release::find, state::Api};

/// The config of the newest release that succeeded or still may: what was set is what is read.
pub(super) async fn info(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<ConfigVars>, ApiError> {
    let mut connection = api.connection().await?;
    of_head(&api, &mut connection, row.app.id).await
}

pub(super) async fn info_of_release(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<ConfigVars>, ApiError> {
    let mut connection = api.connection().await?;
    let found = find(&mut connection, row.app.id, &name).await?;
    let config = release::config(&mut connection, &api.store().sealer, found.release.id).await?;
    Ok(Json(answer(&config)))
}

/// Makes a release, unless nothing changes.
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
    Body(ConfigVarsUpdate(update)): Body<ConfigVarsUpdate>,
) -> Result<Json<ConfigVars>, ApiError> {
    let changes = update
        .into_iter()
        .map(|(key, value)| Ok((key.parse::<ConfigKey>()?, value)))
        .collect::<Result<Vec<_>, ApiError>>()?;
    let app = row.app.id;
    let mut transaction = api.store().begin().await?;
    let sealer = &api.store().sealer;
    let made = release::set_config(&mut transaction, sealer, app, changes, api.stamp(&caller.account)).await?;
    transaction.commit().await?;
    if let Some(made) = made {
        // The store words what was done, by key; values never leave it.
        api.announce(app, &made.release.description, &caller.account);
        let created = format!("Release {} created", made.release.version);
        api.announce(app, &created, &caller.account);
        api.begin_release(made).await;
    }
    let mut connection = api.connection().await?;
    of_head(&api, &mut connection, app).await
}

async fn of_head(api: &Api, connection: &mut Connection, app: Id<App>) -> Result<Json<ConfigVars>, ApiError> {
    let head = release::head(connection, app).await?;
    let head = head.ok_or_else(|| ApiError::not_found("app"))?;
    let config = release::config(connection, &api.store().sealer, head.release.id).await?;
    Ok(Json(answer(&config)))
}

fn answer(config: &paas_core::ConfigVars) -> ConfigVars {
    let pairs = config.iter().map(|(key, value)| (key.to_string(), value.clone()));
    ConfigVars(pairs.collect())
}
