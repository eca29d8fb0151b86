//! The page that a server of the platform's own has for browsers. Only its apps reach it, so connections to it go over the API's port.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::{HeaderMap, StatusCode};
use paas_api::NewForward;
use paas_core::Permissions;

use super::{
    addon, addon_client, addon_service, auth::Caller, body::Body, error::ApiError, one_off, rendezvous, state::Api,
};
use crate::{
    control::{self, BesideDyno},
    rendezvous::Invited,
};

/// Whoever may see the config vars of the app that pays for it: the page asks for what is in them.
pub(super) async fn open(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    caller: Caller,
    Body(NewForward {}): Body<NewForward>,
) -> Result<(StatusCode, Json<paas_api::Rendezvous>), ApiError> {
    let row = addon::seen(&api, &caller, &name).await?;
    addon::require(&api, &caller, &row, Permissions::DEPLOY | Permissions::OPERATE).await?;
    let service = addon_service::find(&api, &row.addon.service)?;
    let Some(port) = service.kind.page_port else {
        return Err(ApiError::invalid(format!(
            "{} has no page of its own. See `paas addons:info {0}`.",
            row.addon.name
        )));
    };
    let session = one_off::open(&api, &headers, &caller, row.addon.app).await?;
    let container = addon_client::container(&api, &row).await?;
    let invitation = rendezvous::invite(&api, Invited::Connections { port: Some(port) })?;
    let answer = rendezvous::answer(row.addon.name.to_string(), &invitation);
    let what = format!("Opening the page of {}", row.addon.name);
    api.announce(row.addon.app, &what, &caller.account);
    let beside = BesideDyno {
        container,
        invitation,
        session,
    };
    control::forward(&api.platform, beside);
    Ok((StatusCode::CREATED, Json(answer)))
}
