//! Authorizations: tokens that act for an account.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, StatusCode};
use paas_api::{AccessToken, AuthorizationUpdate, AuthorizationUser, ClientRef, IdRef, NewAuthorization, Secret};
use paas_core::{Id, Scope};
use paas_store::{
    PgConnection,
    account::{self, Account},
    authorization::{self, Authorization, Token},
    event::{self, Event},
    oauth_client::{self, OauthClient},
};
use serde_json::json;

use super::{
    auth::{self, Caller},
    body::Body,
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
    state::Api,
};

/// A hundred years: longer than that is a typing mistake.
const LONGEST_LIFE: TimeDelta = TimeDelta::days(36_525);
const LONGEST_DESCRIPTION: usize = 200;
const MOST_AUTHORIZATIONS: usize = 500;

const FIELDS: [Field<Authorization>; 1] = [Field {
    name: "id",
    key: |authorization| Key::Text(authorization.id.to_string()),
}];

/// With an email address and a password (`login`), or with a token. The only answer that ever shows the new token.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    request: axum::extract::Request,
) -> Result<(StatusCode, Json<paas_api::Authorization>), ApiError> {
    let (mut parts, body) = request.into_parts();
    let by_password = auth::authenticate_password(&api, &headers).await?;
    let is_login = by_password.is_some();
    let account = match by_password {
        Some(account) => account,
        None => {
            <Caller as axum::extract::FromRequestParts<_>>::from_request_parts(&mut parts, &api)
                .await?
                .account
        }
    };
    let request = axum::extract::Request::from_parts(parts, body);
    let Body(new) = <Body<NewAuthorization> as axum::extract::FromRequest<_>>::from_request(request, &api).await?;
    let now = api.now();
    let token = Token::generate();
    let new = checked(new, &account, &token, now)?;

    let mut transaction = api.store().begin().await?;
    authorization::delete_expired(&mut transaction, now).await?;
    if authorization::list(&mut transaction, account.id, now).await?.len() >= MOST_AUTHORIZATIONS {
        return Err(ApiError::invalid(format!(
            "This account has {MOST_AUTHORIZATIONS} authorizations. Please revoke some that are no longer used."
        )));
    }
    let authorization = authorization::create(&mut transaction, new, now).await?;
    if is_login {
        account::note_login(&mut transaction, account.id, now).await?;
    }
    event::record(&mut transaction, change("create", &authorization, &account, now)).await?;
    transaction.commit().await?;
    let token = Secret::new(token.as_str());
    Ok((
        StatusCode::CREATED,
        Json(answer(authorization, &account, Some(token), None, now)),
    ))
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::Authorization>, ApiError> {
    let mut connection = api.connection().await?;
    let now = api.now();
    let list = authorization::list(&mut connection, caller.account.id, now).await?;
    let clients = oauth_client::list(&mut connection, &api.store().sealer, caller.account.id).await?;
    let client = |authorization: &Authorization| {
        let id = authorization.client?;
        clients.iter().find(|client| *client.id.as_uuid() == id).map(client_ref)
    };
    Ok(page(&range, list, &FIELDS)?.map(|authorization| {
        let client = client(&authorization);
        shown(authorization, &caller, client, now)
    }))
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<paas_api::Authorization>, ApiError> {
    let id = parse(&name)?;
    let mut connection = api.connection().await?;
    let found = authorization::get(&mut connection, caller.account.id, id, api.now()).await?;
    let found = found.ok_or_else(not_found)?;
    let client = client_of(&api, &mut connection, &found).await?;
    Ok(Json(shown(found, &caller, client, api.now())))
}

/// Another description, or a client that acts by it: whoever knows the client's secret may say so.
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    Body(update): Body<AuthorizationUpdate>,
) -> Result<Json<paas_api::Authorization>, ApiError> {
    let id = parse(&name)?;
    let now = api.now();
    let mut transaction = api.store().begin().await?;
    let found = authorization::get(&mut transaction, caller.account.id, id, now).await?;
    let mut found = found.ok_or_else(not_found)?;
    if let Some(description) = update.description {
        found.description = described(description)?;
    }
    if let Some(credentials) = update.client {
        let client = oauth_client::get(&mut transaction, &api.store().sealer, credentials.id).await?;
        let is_proved = client.is_some_and(|client| {
            // Hashes are compared, so that the time taken says nothing about the secret.
            authorization::TokenHash::of(client.secret.as_str())
                == authorization::TokenHash::of(credentials.secret.expose())
        });
        if !is_proved {
            return Err(ApiError::invalid(
                "Couldn't find an OAuth client with that id and secret.",
            ));
        }
        found.client = Some(credentials.id);
    }
    let updated = authorization::update(&mut transaction, &found, now).await?;
    let updated = updated.ok_or_else(not_found)?;
    event::record(&mut transaction, change("update", &updated, &caller.account, now)).await?;
    let client = client_of(&api, &mut transaction, &updated).await?;
    transaction.commit().await?;
    Ok(Json(shown(updated, &caller, client, now)))
}

/// A new token in place of the old one, which is worth nothing from now on. It ends when the old one would have.
pub(super) async fn regenerate(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<paas_api::Authorization>, ApiError> {
    let id = parse(&name)?;
    let now = api.now();
    let token = Token::generate();
    let mut transaction = api.store().begin().await?;
    let rotated = authorization::rotate(&mut transaction, caller.account.id, id, token.hash(), now).await?;
    let rotated = rotated.ok_or_else(not_found)?;
    event::record(&mut transaction, change("update", &rotated, &caller.account, now)).await?;
    let client = client_of(&api, &mut transaction, &rotated).await?;
    transaction.commit().await?;
    api.platform.sessions.end_by(rotated.id);
    let token = Secret::new(token.as_str());
    Ok(Json(answer(rotated, &caller.account, Some(token), client, now)))
}

pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<paas_api::Authorization>, ApiError> {
    let id = parse(&name)?;
    let now = api.now();
    let mut transaction = api.store().begin().await?;
    let deleted = authorization::delete(&mut transaction, caller.account.id, id).await?;
    let deleted = deleted.ok_or_else(not_found)?;
    let client = client_of(&api, &mut transaction, &deleted).await?;
    event::record(&mut transaction, change("destroy", &deleted, &caller.account, now)).await?;
    transaction.commit().await?;
    api.platform.sessions.end_by(id);
    Ok(Json(shown(deleted, &caller, client, now)))
}

/// `~` is the default API key of an account at Heroku; here every token is an authorization like any other, so there is
/// none, and clients that log out know what to make of that.
fn parse(name: &str) -> Result<Id<Authorization>, ApiError> {
    name.parse().map_err(|_| not_found())
}

fn not_found() -> ApiError {
    ApiError::not_found("authorization")
}

fn described(description: String) -> Result<String, ApiError> {
    if description.chars().count() > LONGEST_DESCRIPTION {
        return Err(ApiError::invalid(format!(
            "Description is too long (maximum is {LONGEST_DESCRIPTION} characters)."
        )));
    }
    Ok(description)
}

async fn client_of(
    api: &Api,
    conn: &mut PgConnection,
    authorization: &Authorization,
) -> Result<Option<ClientRef>, ApiError> {
    let Some(id) = authorization.client else {
        return Ok(None);
    };
    let client = oauth_client::get(conn, &api.store().sealer, id).await?;
    Ok(client.as_ref().map(client_ref))
}

fn client_ref(client: &OauthClient) -> ClientRef {
    ClientRef {
        id: *client.id.as_uuid(),
        name: client.name.clone(),
        redirect_uri: client.redirect_uri.clone(),
    }
}

fn checked(
    new: NewAuthorization,
    account: &Account,
    token: &Token,
    now: DateTime<Utc>,
) -> Result<authorization::NewAuthorization, ApiError> {
    let NewAuthorization {
        description,
        expires_in,
        scope,
    } = new;
    let scope = checked_scope(&scope.unwrap_or_else(|| vec!["global".to_owned()]))?;
    let description = described(description.unwrap_or_default())?;
    let expires_at = match expires_in {
        None => None,
        Some(seconds) => match TimeDelta::try_seconds(seconds) {
            Some(life) if life > TimeDelta::zero() && life <= LONGEST_LIFE => Some(now + life),
            _ => {
                return Err(ApiError::invalid(
                    "expires_in must be a number of seconds from now, greater than zero.",
                ));
            }
        },
    };
    Ok(authorization::NewAuthorization {
        account: account.id,
        token_hash: token.hash(),
        description,
        scope,
        expires_at,
    })
}

/// In the order of [`Scope::ALL`], each once.
pub(super) fn checked_scope(scope: &[String]) -> Result<Vec<String>, ApiError> {
    let known = Scope::ALL.map(Scope::as_str);
    if scope.is_empty() || scope.iter().any(|word| !known.contains(&word.as_str())) {
        let known = known.join(", ");
        return Err(ApiError::invalid(format!("Scope must be one or more of {known}.")));
    }
    let wanted = known
        .into_iter()
        .filter(|word| scope.iter().any(|wanted| wanted == word));
    Ok(wanted.map(str::to_owned).collect())
}

pub(super) fn change(action: &str, authorization: &Authorization, account: &Account, now: DateTime<Utc>) -> Event {
    Event {
        app: None,
        actor: Some(account.id),
        action: action.to_owned(),
        resource: "oauth-authorization".to_owned(),
        resource_id: Some(*authorization.id.as_uuid()),
        payload: json!({ "description": authorization.description, "scope": authorization.scope }),
        at: now,
    }
}

/// Tokens are stored as hashes; the one that came with the request is known all the same, and `logout` looks for it. Of the
/// others there is a mask, which no client can take for its own token.
fn shown(
    authorization: Authorization,
    caller: &Caller,
    client: Option<ClientRef>,
    now: DateTime<Utc>,
) -> paas_api::Authorization {
    let token = if authorization.id == caller.authorization.id {
        Some(caller.token.clone())
    } else {
        authorization.token_mask.as_deref().map(Secret::new)
    };
    answer(authorization, &caller.account, token, client, now)
}

fn answer(
    authorization: Authorization,
    account: &Account,
    token: Option<Secret>,
    client: Option<ClientRef>,
    now: DateTime<Utc>,
) -> paas_api::Authorization {
    let id = *authorization.id.as_uuid();
    paas_api::Authorization {
        access_token: token.map(|token| AccessToken {
            expires_in: authorization.expires_at.map(|at| (at - now).num_seconds().max(0)),
            id,
            token,
        }),
        client,
        created_at: authorization.created_at.into(),
        description: authorization.description,
        grant: None,
        id,
        refresh_token: None,
        scope: authorization.scope,
        session: authorization.is_session.then_some(IdRef { id }),
        updated_at: authorization.updated_at.into(),
        user: AuthorizationUser {
            email: account.email.clone(),
            full_name: account.name.clone(),
            id: *account.id.as_uuid(),
        },
    }
}
