//! Webhooks: who is told of what.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode};
use paas_api::{NewWebhook, Secret, WEBHOOK_SECRET, WebhookUpdate};
use paas_core::{App, DrainHost, WebhookEntity, WebhookUrl};
use paas_store::webhook::{self, Webhook, WebhookTarget};
use uuid::Uuid;

use super::{
    app,
    auth::OwnApp,
    body::Body,
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
    state::Api,
};
use crate::outbound::Policy;

const FIELDS: [Field<paas_api::Webhook>; 1] = [Field {
    name: "id",
    key: |webhook| Key::Text(webhook.id.to_string()),
}];

const LONGEST_SECRET: usize = 1024;

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::Webhook>, ApiError> {
    let mut connection = api.connection().await?;
    let webhooks = webhook::list(&mut connection, &api.store().sealer, row.app.id).await?;
    let answers = webhooks.into_iter().map(|webhook| answer(&row.app, webhook));
    page(&range, answers.collect(), &FIELDS)
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<paas_api::Webhook>, ApiError> {
    let found = find(&api, &row.app, &name).await?;
    Ok(Json(answer(&row.app, found)))
}

/// The key that notifications are signed with is told here, and never again.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
    Body(new): Body<NewWebhook>,
) -> Result<Response, ApiError> {
    let target = WebhookTarget {
        include: entities(&new.include)?,
        level: new.level.parse()?,
        url: checked_url(&api, &new.url)?,
        secret: match &new.secret {
            Some(secret) => checked_secret(secret)?,
            None => invented_secret(),
        },
        credentials: checked_credentials(new.authorization.as_ref())?,
    };
    let secret = target.secret.clone();
    let mut transaction = api.store().begin().await?;
    let stamp = api.stamp(&caller.account);
    let made = webhook::create(&mut transaction, &api.store().sealer, row.app.id, target, stamp).await?;
    transaction.commit().await?;
    let place = made.target.url.parts().place();
    api.announce(row.app.id, &format!("Add webhook for {place}"), &caller.account);
    let mut response = (StatusCode::CREATED, Json(answer(&row.app, made))).into_response();
    if let Ok(value) = HeaderValue::from_str(&secret) {
        let name = HeaderName::from_static(WEBHOOK_SECRET);
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

pub(super) async fn update(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
    Body(update): Body<WebhookUpdate>,
) -> Result<Json<paas_api::Webhook>, ApiError> {
    let found = find(&api, &row.app, &name).await?;
    let mut target = found.target.clone();
    if let Some(include) = &update.include {
        target.include = entities(include)?;
    }
    if let Some(level) = &update.level {
        target.level = level.parse()?;
    }
    if let Some(url) = &update.url {
        let url = checked_url(&api, url)?;
        // Credentials are never shown: whoever may change the address must not have them sent to another place.
        if url.parts().place() != target.url.parts().place() {
            target.credentials = None;
        }
        target.url = url;
    }
    if let Some(secret) = &update.secret {
        target.secret = checked_secret(secret)?;
    }
    if let Some(credentials) = &update.authorization {
        target.credentials = checked_credentials(credentials.as_ref())?;
    }
    let mut transaction = api.store().begin().await?;
    let stamp = api.stamp(&caller.account);
    let changed = webhook::update(&mut transaction, &api.store().sealer, found, target, stamp).await?;
    transaction.commit().await?;
    let place = changed.target.url.parts().place();
    api.announce(row.app.id, &format!("Update webhook for {place}"), &caller.account);
    Ok(Json(answer(&row.app, changed)))
}

pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
) -> Result<Json<paas_api::Webhook>, ApiError> {
    let found = find(&api, &row.app, &name).await?;
    let mut transaction = api.store().begin().await?;
    webhook::delete(&mut transaction, &found, api.stamp(&caller.account)).await?;
    transaction.commit().await?;
    let place = found.target.url.parts().place();
    api.announce(row.app.id, &format!("Remove webhook for {place}"), &caller.account);
    Ok(Json(answer(&row.app, found)))
}

async fn find(api: &Api, app: &App, name: &str) -> Result<Webhook, ApiError> {
    let not_found = || ApiError::not_found("webhook");
    let id = name.parse().map_err(|_| not_found())?;
    let mut connection = api.connection().await?;
    let found = webhook::get(&mut connection, &api.store().sealer, id).await?;
    found.filter(|webhook| webhook.app == app.id).ok_or_else(not_found)
}

/// In Heroku's order, each once.
fn entities(names: &[String]) -> Result<Vec<WebhookEntity>, ApiError> {
    let entities: Result<Vec<WebhookEntity>, _> = names.iter().map(|name| name.trim().parse()).collect();
    let mut entities = entities?;
    entities.sort_unstable();
    entities.dedup();
    if entities.is_empty() {
        return Err(ApiError::invalid(
            "Include is empty: name what to be told of, such as api:release.",
        ));
    }
    Ok(entities)
}

/// Says at once what every attempt would come up against. Names are checked whenever they are resolved.
fn checked_url(api: &Api, text: &str) -> Result<WebhookUrl, ApiError> {
    let url: WebhookUrl = text.trim().parse()?;
    let address = match &url.parts().host {
        DrainHost::Address(address) => *address,
        DrainHost::Name(name) if name.as_str() == "localhost" => std::net::Ipv4Addr::LOCALHOST.into(),
        DrainHost::Name(_) => return Ok(url),
    };
    match Policy::of_receivers(&api.platform.settings).closed(address) {
        Some(reason) => Err(ApiError::invalid(format!(
            "Url host is invalid: {} {reason}.",
            url.parts().host
        ))),
        None => Ok(url),
    }
}

/// It is told in a header.
fn checked_secret(secret: &Secret) -> Result<String, ApiError> {
    let text = secret.expose();
    if text.is_empty() || text.len() > LONGEST_SECRET || HeaderValue::from_str(text).is_err() {
        return Err(ApiError::invalid(
            "Secret must be a text of 1 to 1024 characters without line breaks.",
        ));
    }
    Ok(text.to_owned())
}

/// 244 random bits.
fn invented_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

fn checked_credentials(credentials: Option<&Secret>) -> Result<Option<String>, ApiError> {
    match credentials.map(Secret::expose) {
        None | Some("") => Ok(None),
        Some(text) if text.len() > LONGEST_SECRET || HeaderValue::from_str(text).is_err() => Err(ApiError::invalid(
            "Authorization must be the value of a header: 1024 characters at most, without line breaks.",
        )),
        Some(text) => Ok(Some(text.to_owned())),
    }
}

fn answer(app: &App, webhook: Webhook) -> paas_api::Webhook {
    let WebhookTarget {
        include,
        level,
        url,
        secret: _,
        credentials: _,
    } = webhook.target;
    paas_api::Webhook {
        app: app::reference(app),
        created_at: webhook.created_at.into(),
        id: *webhook.id.as_uuid(),
        include: include.iter().map(|entity| entity.as_str().to_owned()).collect(),
        level: level.as_str().to_owned(),
        updated_at: webhook.updated_at.into(),
        url: url.as_str().to_owned(),
    }
}
