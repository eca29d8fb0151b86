//! What is in an add-on, copied into another one of its kind: by its name, or by its address, as Heroku's client has it done. Nobody
//! has to wait: how far it is, a transfer says.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use paas_api::{AddonCopy, NewTransfer, Transfer};
use paas_core::Permissions;
use paas_store::{self as store, addon::AddonRow};

use super::{
    addon, addon_backup::answer, addon_client::script, addon_service, auth::Caller, body::Body, error::ApiError,
    state::Api,
};
use crate::{addon::host, control};

/// It takes the right to see the one, and to change the other.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    Body(AddonCopy { source }): Body<AddonCopy>,
) -> Result<(StatusCode, Json<Transfer>), ApiError> {
    begin(&api, &caller, (&source, &name)).await
}

/// Heroku's client names the target three times: what counts is its address.
pub(super) async fn create_by_addresses(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    Body(new): Body<NewTransfer>,
) -> Result<(StatusCode, Json<Transfer>), ApiError> {
    addon::seen(&api, &caller, &name).await?;
    let from = addressed(&api, new.from_url.expose()).await?;
    let to = addressed(&api, new.to_url.expose()).await?;
    begin(&api, &caller, (&from, &to)).await
}

async fn begin(api: &Api, caller: &Caller, names: (&str, &str)) -> Result<(StatusCode, Json<Transfer>), ApiError> {
    let (from, to) = pair(api, caller, names).await?;
    script(api, &from, "dump")?;
    script(api, &to, "restore")?;
    let begun = control::copy_addon(&api.platform, (&from, &to), caller.account.id).await?;
    let what = format!("Copy {} to {}", from.addon.name, to.addon.name);
    api.announce(to.addon.app, &what, &caller.account);
    Ok((StatusCode::CREATED, Json(answer(&begun))))
}

/// Which add-on of the platform this is the address of; whether anybody may do anything with it is another question.
async fn addressed(api: &Api, url: &str) -> Result<String, ApiError> {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or(authority);
    let named = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let named = named.split_once(':').map_or(named, |(host, _)| host);
    let mut connection = api.connection().await?;
    let rows = store::addon::all(&mut connection).await?;
    let row = rows.iter().find(|row| host(row.addon.id) == named);
    row.map(|row| row.addon.id.to_string()).ok_or_else(|| {
        ApiError::invalid(
            "Only databases of this platform can be copied, by their names. Others come in with `paas pg:push`, and go out with \
             `paas pg:pull`.",
        )
    })
}

/// Two add-ons of which the caller may see all of the one, and change the other, which can hold what is in the one.
async fn pair(api: &Api, caller: &Caller, (from, to): (&str, &str)) -> Result<(AddonRow, AddonRow), ApiError> {
    let to = addon::seen(api, caller, to).await?;
    addon::require(api, caller, &to, Permissions::OPERATE).await?;
    let from = addon::seen(api, caller, from).await?;
    addon::require(api, caller, &from, Permissions::DEPLOY | Permissions::OPERATE).await?;
    if to.addon.id == from.addon.id {
        return Err(ApiError::invalid("Cannot copy database onto itself."));
    }
    let kind = |row: &AddonRow| addon_service::find(api, &row.addon.service).map(|service| service.kind.name.clone());
    if kind(&to)? != kind(&from)? {
        return Err(ApiError::invalid(format!(
            "{} cannot hold what is in {}: they are of different kinds.",
            to.addon.name, from.addon.name
        )));
    }
    addon_service::require_reader(&to, (from.addon.name.as_str(), &from.version))?;
    Ok((from, to))
}
