//! OAuth clients: programs that act for people, registered by their makers.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::{StatusCode, Uri};
use paas_api::{NewOauthClient, OauthClientUpdate, Secret};
use paas_store::{
    PgConnection,
    account::Account,
    authorization::Token,
    event,
    oauth_client::{self, OauthClient},
};
use uuid::Uuid;

use super::{
    audit,
    auth::Caller,
    body::Body,
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
    state::Api,
};

const MOST_CLIENTS: usize = 100;
const LONGEST_NAME: usize = 100;
const LONGEST_URL: usize = 2000;

const FIELDS: [Field<OauthClient>; 2] = [
    Field {
        name: "id",
        key: |client| Key::Text(client.id.to_string()),
    },
    Field {
        name: "name",
        key: |client| Key::Text(client.name.clone()),
    },
];

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::OauthClient>, ApiError> {
    let mut connection = api.connection().await?;
    let clients = oauth_client::list(&mut connection, &api.store().sealer, caller.account.id).await?;
    Ok(page(&range, clients, &FIELDS)?.map(answer))
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Caller { account, .. }: Caller,
    Body(new): Body<NewOauthClient>,
) -> Result<(StatusCode, Json<paas_api::OauthClient>), ApiError> {
    let (name, redirect_uri) = (checked_name(&new.name)?, checked_url(&new.redirect_uri)?);
    let now = api.now();
    let mut transaction = api.store().begin().await?;
    let sealer = &api.store().sealer;
    if oauth_client::list(&mut transaction, sealer, account.id).await?.len() >= MOST_CLIENTS {
        return Err(ApiError::invalid(format!(
            "This account has {MOST_CLIENTS} OAuth clients. Please destroy some that are no longer used."
        )));
    }
    let client = oauth_client::create(&mut transaction, sealer, account.id, (name, redirect_uri), now).await?;
    note(&api, &mut transaction, "create", &client, &account).await?;
    transaction.commit().await?;
    Ok((StatusCode::CREATED, Json(answer(client))))
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Caller { account, .. }: Caller,
) -> Result<Json<paas_api::OauthClient>, ApiError> {
    let mut connection = api.connection().await?;
    Ok(Json(answer(own(&api, &mut connection, &account, &name).await?)))
}

pub(super) async fn update(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Caller { account, .. }: Caller,
    Body(update): Body<OauthClientUpdate>,
) -> Result<Json<paas_api::OauthClient>, ApiError> {
    let mut transaction = api.store().begin().await?;
    let mut client = own(&api, &mut transaction, &account, &name).await?;
    if let Some(name) = &update.name {
        checked_name(name)?.clone_into(&mut client.name);
    }
    if let Some(url) = &update.redirect_uri {
        checked_url(url)?.clone_into(&mut client.redirect_uri);
    }
    client.updated_at = api.now();
    oauth_client::update(&mut transaction, &api.store().sealer, &client).await?;
    note(&api, &mut transaction, "update", &client, &account).await?;
    transaction.commit().await?;
    Ok(Json(answer(client)))
}

/// Another secret; the old one is worth nothing from now on.
pub(super) async fn rotate(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Caller { account, .. }: Caller,
) -> Result<Json<paas_api::OauthClient>, ApiError> {
    let mut transaction = api.store().begin().await?;
    let mut client = own(&api, &mut transaction, &account, &name).await?;
    client.secret = Token::generate_secret();
    client.updated_at = api.now();
    oauth_client::update(&mut transaction, &api.store().sealer, &client).await?;
    note(&api, &mut transaction, "update", &client, &account).await?;
    transaction.commit().await?;
    Ok(Json(answer(client)))
}

/// What people allowed it ends with it.
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Caller { account, .. }: Caller,
) -> Result<Json<paas_api::OauthClient>, ApiError> {
    let mut transaction = api.store().begin().await?;
    let client = own(&api, &mut transaction, &account, &name).await?;
    oauth_client::delete(&mut transaction, client.id).await?;
    note(&api, &mut transaction, "destroy", &client, &account).await?;
    transaction.commit().await?;
    Ok(Json(answer(client)))
}

async fn own(api: &Api, conn: &mut PgConnection, account: &Account, name: &str) -> Result<OauthClient, ApiError> {
    let not_found = || ApiError::not_found("client");
    let id: Uuid = name.parse().map_err(|_| not_found())?;
    let found = oauth_client::get(conn, &api.store().sealer, id).await?;
    found
        .filter(|client| client.account == account.id)
        .ok_or_else(not_found)
}

async fn note(
    api: &Api,
    conn: &mut PgConnection,
    action: &str,
    client: &OauthClient,
    account: &Account,
) -> Result<(), ApiError> {
    let event = audit::personal(action, "oauth-client", Some(*client.id.as_uuid()), account, api.now());
    Ok(event::record(conn, event).await?)
}

fn checked_name(name: &str) -> Result<&str, ApiError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(ApiError::invalid(format!(
            "Name must be one line of at most {LONGEST_NAME} characters."
        )));
    }
    Ok(name)
}

/// Where codes are sent: nobody on the way may read them, so HTTPS, but for programs on the person's own machine or network.
fn checked_url(url: &str) -> Result<&str, ApiError> {
    let parsed = url.parse::<Uri>().ok().filter(|_| url.len() <= LONGEST_URL);
    let host = parsed.as_ref().and_then(Uri::host);
    let (Some(parsed), Some(host)) = (&parsed, host) else {
        return Err(ApiError::invalid(
            "Redirect URI must be a URL, such as https://example.com/callback.",
        ));
    };
    let is_near = host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|host| host.is_loopback() || host.is_private());
    match parsed.scheme_str() {
        // Codes go before it, where servers see them; RFC 6749 §3.1.2 allows none.
        _ if url.contains('#') => Err(ApiError::invalid(
            "Redirect URI must have no fragment: leave out the part from # on.",
        )),
        Some("https") => Ok(url),
        Some("http") if is_near => Ok(url),
        _ => Err(ApiError::invalid(
            "Redirect URI must use HTTPS, unless it leads to this machine or its own network.",
        )),
    }
}

fn answer(client: OauthClient) -> paas_api::OauthClient {
    paas_api::OauthClient {
        created_at: client.created_at.into(),
        id: *client.id.as_uuid(),
        ignores_delinquent: None,
        name: client.name,
        redirect_uri: client.redirect_uri,
        secret: Secret::new(client.secret.as_str()),
        updated_at: client.updated_at.into(),
    }
}
