//! Providers of add-ons that run elsewhere: for operators alone, because they decide where the platform sends requests.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::Full;
use paas_api::{AddonProvider, ErrorId, NewAddonProvider, Secret};
use paas_core::WebhookUrl;
use paas_store::{account, addon_provider as providers, authorization::Token};
use serde_json::{Map, Value, json};

use super::{
    auth::Caller,
    body::Body,
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
    state::Api,
};
use crate::{
    addon::{CLIENT_SECRET, Provider, ReadManifest},
    outbound::{Connector, Policy, Target, ask},
};

/// A manifest is one small file.
const FETCH_LIMIT: Duration = Duration::from_secs(20);

const FIELDS: [Field<AddonProvider>; 1] = [Field {
    name: "name",
    key: |provider| Key::Text(provider.name.clone()),
}];

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Wanted(range): Wanted,
) -> Result<Page<AddonProvider>, ApiError> {
    require_operator(&api, &caller).await?;
    refresh(&api).await?;
    let providers = api.platform.catalogue.providers().all();
    let providers = providers.iter().map(|provider| answer(provider, None));
    page(&range, providers.collect(), &FIELDS)
}

/// Registers a provider, or takes its new manifest. Its client secret stays the same.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(new): Body<NewAddonProvider>,
) -> Result<(StatusCode, Json<AddonProvider>), ApiError> {
    require_operator(&api, &caller).await?;
    let NewAddonProvider { manifest, plans, url } = new;
    let mut manifest = match (manifest, url) {
        (Some(manifest), None) => Value::Object(manifest),
        (None, Some(url)) => fetch(&api, &url).await?,
        _ => return Err(ApiError::invalid("Give either a manifest or the url of one.")),
    };
    if !plans.is_empty() {
        manifest["plans"] = json!(plans);
    }
    let mut read = ReadManifest::of(manifest, api.platform.settings.local_drains)
        .map_err(|error| ApiError::invalid(format!("The manifest cannot be used: {error}.")))?;
    if api.platform.catalogue.service(&read.name).is_some() {
        return Err(ApiError::invalid(format!(
            "{} is a service that this platform runs itself. A provider needs another id.",
            read.name
        )));
    }
    let sealer = &api.store().sealer;
    let mut transaction = api.store().begin().await?;
    let known = providers::all(&mut transaction).await?;
    let known = known.iter().find(|row| row.name == read.name);
    let secret = match known {
        Some(row) => providers::secret(&mut transaction, sealer, row.id)
            .await?
            .remove(CLIENT_SECRET),
        None => None,
    };
    let secret = secret.unwrap_or_else(|| Token::generate_secret().as_str().to_owned());
    read.secrets.insert(CLIENT_SECRET.to_owned(), secret.clone());
    let (shown, stamp) = ((read.name.as_str(), &read.shown), api.stamp(&caller.account));
    providers::set(&mut transaction, sealer, shown, &read.secrets, stamp).await?;
    transaction.commit().await?;
    refresh(&api).await?;
    let provider = api.platform.catalogue.provider(&read.name).ok_or_else(not_found)?;
    Ok((StatusCode::CREATED, Json(answer(&provider, Some(Secret::new(secret))))))
}

pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<AddonProvider>, ApiError> {
    require_operator(&api, &caller).await?;
    refresh(&api).await?;
    let provider = api.platform.catalogue.provider(&name).ok_or_else(not_found)?;
    let mut transaction = api.store().begin().await?;
    providers::remove(
        &mut transaction,
        provider.id,
        &provider.name,
        api.stamp(&caller.account),
    )
    .await?;
    transaction.commit().await?;
    refresh(&api).await?;
    Ok(Json(answer(&provider, None)))
}

/// Where the operator says that a manifest is. Receivers of logs have the same choice of addresses.
async fn fetch(api: &Api, url: &str) -> Result<Value, ApiError> {
    let settings = &api.platform.settings;
    let url: WebhookUrl = url.parse()?;
    let parts = url.parts();
    if !parts.scheme.is_encrypted() && !settings.local_drains {
        return Err(ApiError::invalid(
            "A manifest has secrets in it: it is fetched over https:// alone. Or give the file.",
        ));
    }
    let unusable = |what: String| ApiError::invalid(format!("The manifest could not be fetched: {what}."));
    let connector = Connector::new(Policy::of_receivers(settings), &settings.extra_ca);
    let connector = connector.map_err(|error| unusable(error.to_string()))?;
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = parts
        .target()
        .parse()
        .map_err(|_| unusable("its address has no path".to_owned()))?;
    if let Ok(host) = HeaderValue::try_from(parts.authority()) {
        request.headers_mut().insert(header::HOST, host);
    }
    let asked = ask(&connector, &Target::from(parts), request, FETCH_LIMIT).await;
    let (status, body) = asked.map_err(|error| unusable(error.to_string()))?;
    if !status.is_success() {
        return Err(unusable(format!("the server there answered {status}")));
    }
    let manifest = serde_json::from_slice::<Map<String, Value>>(&body);
    let manifest = manifest.map_err(|_| unusable("what is there is no JSON object".to_owned()))?;
    Ok(Value::Object(manifest))
}

/// What the rows say now.
async fn refresh(api: &Api) -> Result<(), ApiError> {
    let mut connection = api.connection().await?;
    let rows = providers::all(&mut connection).await?;
    api.platform.catalogue.providers().replace(&rows);
    Ok(())
}

async fn require_operator(api: &Api, caller: &Caller) -> Result<(), ApiError> {
    let mut connection = api.connection().await?;
    if account::is_operator(&mut connection, caller.account.id).await? {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorId::Forbidden,
        "Providers of add-ons are the operator's to choose. On the platform's machine, paasd user operator EMAIL makes \
         somebody one.",
    ))
}

fn answer(provider: &Provider, client_secret: Option<Secret>) -> AddonProvider {
    let key = |suffix: &String| format!("{}_{suffix}", provider.prefix);
    AddonProvider {
        base_url: provider.base_url.as_str().to_owned(),
        client_secret,
        config_vars: provider.suffixes.iter().map(key).collect(),
        human_name: provider.human_name.clone(),
        id: *provider.id.as_uuid(),
        name: provider.name.clone(),
        plans: provider.plans.clone(),
        sso_url: provider.sso_url.as_ref().map(|url| url.as_str().to_owned()),
    }
}

fn not_found() -> ApiError {
    ApiError::not_found_as("provider of add-ons", "addon-provider")
}
