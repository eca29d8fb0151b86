//! Add-ons that addresses outside may come to. An explicit request, an allow-list and an end: there is no other way.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use paas_api::{AddonExposure, NamedRef, NewAddonExposure, Secret};
use paas_core::{AllowList, Permissions, PortRange, end_of_exposure};
use paas_store::{
    addon::{self as addons, AddonRow},
    addon_exposure::{self as exposures, ExposureRow},
};

use super::{
    access, addon, addon_service,
    auth::Caller,
    body::Body,
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
    state::Api,
};
use crate::addon::{Credentials, ExposedAs};

const FIELDS: [Field<AddonExposure>; 1] = [Field {
    name: "id",
    key: |exposure| Key::Text(exposure.addon.id.to_string()),
}];

/// Those of all apps that the caller gets to see.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Wanted(range): Wanted,
) -> Result<Page<AddonExposure>, ApiError> {
    let mut connection = api.connection().await?;
    let rows = exposures::all(&mut connection).await?;
    drop(connection);
    let mut seen = Vec::new();
    for row in rows {
        if row.exposure.is_open(api.now()) && access::app_of(&api, &caller, &row.app.to_string()).await.is_ok() {
            seen.push(answer(&api, row, None));
        }
    }
    page(&range, seen, &FIELDS)
}

/// With the address that people connect to: for those who may see the config vars of the app that pays for it.
pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<AddonExposure>, ApiError> {
    let row = addon::seen(&api, &caller, &name).await?;
    addon::require(&api, &caller, &row, Permissions::DEPLOY | Permissions::OPERATE).await?;
    let mut connection = api.connection().await?;
    let found = exposures::find(&mut connection, row.addon.id).await?;
    drop(connection);
    let found = found.filter(|found| found.exposure.is_open(api.now()));
    shown(&api, &row, found.ok_or_else(not_found)?).await.map(Json)
}

/// Exposes an add-on, or says anew to whom and until when.
pub(super) async fn set(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    Body(NewAddonExposure { allow, until }): Body<NewAddonExposure>,
) -> Result<Json<AddonExposure>, ApiError> {
    let row = addon::seen(&api, &caller, &name).await?;
    addon::require(&api, &caller, &row, Permissions::OPERATE).await?;
    let ports = ports(&api)?;
    exposed_as(&api, &row)?;
    let stamp = api.stamp(&caller.account);
    let in_words = |error: String| ApiError::invalid(format!("{}.", capital(&error)));
    let allowed = AllowList::parse(&allow).map_err(|error| in_words(error.to_string()))?;
    let end = end_of_exposure(until.as_deref(), stamp.at).map_err(|error| in_words(error.to_string()))?;
    let mut transaction = api.store().begin().await?;
    let set = exposures::set(&mut transaction, row.addon.id, (&allowed, end), ports, stamp).await?;
    let Some(set) = set else {
        return Err(ApiError::invalid(format!(
            "All ports of {ports} are taken: end an exposure with `paas addons:unexpose ADDON`, or ask the operator of this \
             platform for a wider --addon-ports."
        )));
    };
    transaction.commit().await?;
    let networks: Vec<_> = allowed.networks().map(ToString::to_string).collect();
    let (name, end) = (&row.addon.name, end.format("%Y-%m-%d %H:%M UTC"));
    let what = format!("Expose {name} to {} until {end}", networks.join(", "));
    api.announce(row.addon.app, &what, &caller.account);
    shown(&api, &row, set).await.map(Json)
}

/// Ends it at once: the port closes, and whoever is connected by it has to go.
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<AddonExposure>, ApiError> {
    let row = addon::seen(&api, &caller, &name).await?;
    addon::require(&api, &caller, &row, Permissions::OPERATE).await?;
    let mut transaction = api.store().begin().await?;
    let last = exposures::find(&mut transaction, row.addon.id).await?;
    let last = last.ok_or_else(not_found)?;
    if !exposures::remove(&mut transaction, row.addon.id, api.stamp(&caller.account)).await? {
        return Err(not_found());
    }
    transaction.commit().await?;
    api.announce(row.addon.app, &format!("Unexpose {}", row.addon.name), &caller.account);
    Ok(Json(answer(&api, last, None)))
}

async fn shown(api: &Api, row: &AddonRow, exposure: ExposureRow) -> Result<AddonExposure, ApiError> {
    let mut connection = api.connection().await?;
    let secret = addons::secret(&mut connection, &api.store().sealer, row.addon.id).await?;
    drop(connection);
    let host = host(api);
    let template = &exposed_as(api, row)?.url;
    let url = Credentials::from_values(secret).render(template, (&host, exposure.exposure.port));
    Ok(answer(api, exposure, Some(Secret::new(url))))
}

fn answer(api: &Api, row: ExposureRow, url: Option<Secret>) -> AddonExposure {
    let exposure = row.exposure;
    AddonExposure {
        addon: NamedRef {
            id: *exposure.addon.as_uuid(),
            name: row.addon_name,
        },
        allow: exposure.allowed.networks().map(ToString::to_string).collect(),
        app: NamedRef {
            id: *row.app.as_uuid(),
            name: row.app_name,
        },
        created_at: exposure.created_at.into(),
        expires_at: exposure.expires_at.into(),
        host: host(api),
        port: exposure.port,
        updated_at: exposure.updated_at.into(),
        url,
    }
}

/// A name that leads here, and that the platform has a certificate for.
fn host(api: &Api) -> String {
    api.platform.settings.rendezvous_host().to_string()
}

fn ports(api: &Api) -> Result<PortRange, ApiError> {
    api.platform.settings.addon_ports.ok_or_else(|| {
        ApiError::invalid(
            "This platform exposes no add-ons. Its operator can let it with the setting --addon-ports of paasd \
             (PAAS_ADDON_PORTS), such as 20000-20099. Without it, `paas pg:psql` reaches a database through the API.",
        )
    })
}

fn exposed_as<'a>(api: &'a Api, row: &AddonRow) -> Result<&'a ExposedAs, ApiError> {
    let service = addon_service::find(api, &row.addon.service)?;
    service.kind.exposure.as_ref().ok_or_else(|| {
        ApiError::invalid(format!(
            "{} is not exposed: its connections would cross the internet unencrypted. Attach {} to an app here that talks \
             to others over HTTPS.",
            service.human_name, row.addon.name
        ))
    })
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(characters).collect()
}

fn not_found() -> ApiError {
    ApiError::not_found_as("exposure: see all with `paas addons:expose`", "exposure")
}
