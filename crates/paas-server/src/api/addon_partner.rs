//! What providers say of their add-ons: by a token that is good for one add-on, and for nothing else.
//!
//! A provider gets its tokens for the code that it was sent with the request for the add-on, and for the secret of its client
//! (*Add-on Partner API Reference*, "Grant exchange"). Both are stored as hashes.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::TimeDelta;
use http::HeaderMap;
use paas_api::{ErrorId, OauthToken, ProviderConfig, ProviderConfigVar, Secret};
use paas_core::{AddonState, LogSource};
use paas_store::{
    PgConnection,
    addon::{self, AddonRow},
    addon_attachment, addon_provider,
    addon_resource::{self, ResourceOf},
    authorization::{Token, TokenHash},
};

use super::{addon as addons, auth, body::Body, error::ApiError, login::field, state::Api};
use crate::{
    addon::{CLIENT_SECRET, Provider},
    control,
};

/// As long as Heroku's.
const LIFE: TimeDelta = TimeDelta::hours(8);
/// One add-on, and none of the scopes that people give.
const SCOPE: &str = "addon";

/// Tokens for a code, or for a refresh token; `None` when it is none of a provider's.
pub(super) async fn token(api: &Api, headers: &HeaderMap, form: &[u8]) -> Result<Option<OauthToken>, ApiError> {
    let now = api.now();
    let hash = |name| field(form, name).map(|value| TokenHash::of(&value));
    let (code, refresh) = (hash("code"), hash("refresh_token"));
    let mut transaction = api.store().begin().await?;
    let found = match (code, refresh) {
        (Some(code), _) => addon_resource::by_code(&mut transaction, code, now).await?,
        (None, Some(refresh)) => addon_resource::by_refresh_token(&mut transaction, refresh).await?,
        (None, None) => None,
    };
    let Some(found) = found else {
        return Ok(None);
    };
    prove_client(api, &mut transaction, found, headers, form).await?;
    let token = Token::generate_secret();
    let next = (token.hash(), now + LIFE);
    let (is_done, refresh_token) = match (code, refresh) {
        (Some(code), _) => {
            let refresh = Token::generate_secret();
            let done = addon_resource::exchange_code(&mut transaction, code, next, refresh.hash()).await?;
            (done, refresh.as_str().to_owned())
        }
        (None, refresh) => {
            let known = field(form, "refresh_token").unwrap_or_default();
            let refresh = refresh.unwrap_or_else(|| TokenHash::of(&known));
            (addon_resource::refresh(&mut transaction, refresh, next).await?, known)
        }
    };
    if !is_done {
        return Ok(None);
    }
    transaction.commit().await?;
    Ok(Some(OauthToken {
        access_token: Secret::new(token.as_str()),
        expires_in: LIFE.num_seconds(),
        refresh_token: Secret::new(refresh_token),
        scope: SCOPE.to_owned(),
        session_nonce: None,
        token_type: "Bearer".to_owned(),
        user_id: *found.provider.as_uuid(),
    }))
}

async fn prove_client(
    api: &Api,
    conn: &mut PgConnection,
    found: ResourceOf,
    headers: &HeaderMap,
    form: &[u8],
) -> Result<(), ApiError> {
    let secrets = addon_provider::secret(conn, &api.store().sealer, found.provider).await?;
    let shown = field(form, "client_secret").map(Secret::new);
    let shown = shown.or_else(|| auth::basic(headers).map(|(_, password)| password));
    // Hashes: how long a comparison takes says nothing about the secret.
    let is_right = shown.is_some_and(|shown| {
        let known = secrets.get(CLIENT_SECRET).map_or("", String::as_str);
        TokenHash::of(shown.expose()) == TokenHash::of(known)
    });
    if is_right {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorId::Unauthorized,
        "The client secret is not the one that the provider was registered with.",
    ))
}

/// `GET /addons/{addon}/config`
pub(super) async fn config(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Vec<ProviderConfigVar>>, ApiError> {
    let (row, provider) = own(&api, &headers, &name).await?;
    shown(&api, &row, &provider).await
}

/// `PATCH /addons/{addon}/config`: each app that uses the add-on gets them with a release, once it is provisioned.
pub(super) async fn set_config(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Body(ProviderConfig { config: given }): Body<ProviderConfig>,
) -> Result<Json<Vec<ProviderConfigVar>>, ApiError> {
    let (row, provider) = own(&api, &headers, &name).await?;
    let mut changes = addon_resource::Changes::new();
    for ProviderConfigVar { name, value } in given {
        let suffix = provider.suffix(&name, &row.suffixes);
        let suffix = suffix.map_err(|error| ApiError::invalid(format!("{error}.")))?;
        changes.insert(suffix.to_owned(), value.map(|value| value.expose().to_owned()));
    }
    let (id, sealer) = (row.addon.id, &api.store().sealer);
    let mut connection = api.connection().await?;
    let releases = addon_resource::change_config(&mut connection, sealer, id, &changes, api.now()).await?;
    drop(connection);
    if !releases.is_empty() {
        control::released_by_addon(&api.platform, releases).await;
        api.platform.wake_webhooks.notify_one();
    }
    shown(&api, &row, &provider).await
}

/// `POST /addons/{addon}/actions/provision`: it is there, and the apps get its config vars.
pub(super) async fn provision(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Json<paas_api::Addon>, ApiError> {
    let (row, _) = own(&api, &headers, &name).await?;
    if row.addon.state == AddonState::Provisioning {
        let (id, sealer) = (row.addon.id, &api.store().sealer);
        let mut connection = api.connection().await?;
        let releases = addon_resource::complete(&mut connection, sealer, id, api.now()).await?;
        let releases = releases.ok_or_else(|| {
            ApiError::invalid("It has no config vars yet: set them first, with PATCH /addons/:id/config.")
        })?;
        drop(connection);
        control::released_by_addon(&api.platform, releases).await;
        api.platform.wake_webhooks.notify_one();
    }
    let (row, _) = own(&api, &headers, &name).await?;
    addons::shown(&api, &row).await.map(Json)
}

/// `POST /addons/{addon}/actions/deprovision`: it is gone, or will never be there.
pub(super) async fn deprovision(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Json<paas_api::Addon>, ApiError> {
    let (row, provider) = own(&api, &headers, &name).await?;
    if row.addon.state == AddonState::Deprovisioning {
        return addons::shown(&api, &row).await.map(Json);
    }
    let mut transaction = api.store().begin().await?;
    let uses = addon_attachment::list_of_addon(&mut transaction, row.addon.id).await?;
    let (last, releases) = addons::begin_end(&api, &mut transaction, (&row, &uses), None).await?;
    transaction.commit().await?;
    let what = format!("{} does not provide {} any more", provider.human_name, row.addon.name);
    let process = row.addon.name.as_str();
    api.platform.log(row.addon.app, LogSource::Heroku, process, what);
    control::released_by_addon(&api.platform, releases).await;
    api.platform.wake_addons.notify_one();
    api.platform.wake_webhooks.notify_one();
    Ok(Json(last))
}

async fn shown(api: &Api, row: &AddonRow, provider: &Provider) -> Result<Json<Vec<ProviderConfigVar>>, ApiError> {
    let mut connection = api.connection().await?;
    let values = addon::config(&mut connection, &api.store().sealer, row.addon.id).await?;
    let vars = values
        .unwrap_or_default()
        .into_iter()
        .map(|(suffix, value)| ProviderConfigVar {
            name: format!("{}_{suffix}", provider.prefix),
            value: Some(Secret::new(value)),
        });
    Ok(Json(vars.collect()))
}

/// Whether somebody shows a token that is good for some add-on.
pub(super) async fn is_known(api: &Api, headers: &HeaderMap) -> Result<bool, ApiError> {
    let Some(token) = auth::bearer(headers) else {
        return Ok(false);
    };
    let mut connection = api.connection().await?;
    let found = addon_resource::by_token(&mut connection, TokenHash::of(token.expose()), api.now()).await?;
    Ok(found.is_some())
}

/// The add-on of this id, to its own provider alone.
pub(super) async fn own(api: &Api, headers: &HeaderMap, name: &str) -> Result<(AddonRow, Arc<Provider>), ApiError> {
    let refused = || ApiError::new(ErrorId::Unauthorized, "Invalid credentials provided.");
    let token = auth::bearer(headers).ok_or_else(refused)?;
    let mut connection = api.connection().await?;
    let found = addon_resource::by_token(&mut connection, TokenHash::of(token.expose()), api.now()).await?;
    let found = found.ok_or_else(refused)?;
    let row = addon::by_id(&mut connection, found.addon).await?;
    let row = row.filter(|row| row.addon.id.to_string() == name || row.addon.name.as_str() == name);
    let row = row.ok_or_else(addons::not_found)?;
    // It was asked for this one, whatever else is called so here by now.
    let provider = api.platform.catalogue.providers().find(&row.addon.service);
    let provider = provider.ok_or_else(|| {
        ApiError::new(
            ErrorId::Maintenance,
            "This platform cannot read the manifest of this add-on's provider. Please try again later.",
        )
    })?;
    Ok((row, provider))
}
