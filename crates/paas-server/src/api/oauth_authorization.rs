//! Authorizations: tokens that act for an account.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, StatusCode};
use paas_api::{AccessToken, AuthorizationUser, NewAuthorization, Secret};
use paas_core::Id;
use paas_store::{
    account::Account,
    authorization::{self, Authorization, Token},
    event::{self, Event},
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
    let account = match auth::authenticate_password(&api, &headers).await? {
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
    if authorization::list(&mut transaction, account.id).await?.len() >= MOST_AUTHORIZATIONS {
        return Err(ApiError::invalid(format!(
            "This account has {MOST_AUTHORIZATIONS} authorizations. Please revoke some that are no longer used."
        )));
    }
    let authorization = authorization::create(&mut transaction, new, now).await?;
    event::record(&mut transaction, change("create", &authorization, &account, now)).await?;
    transaction.commit().await?;
    let token = Secret::new(token.as_str());
    Ok((
        StatusCode::CREATED,
        Json(answer(authorization, &account, Some(token), now)),
    ))
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::Authorization>, ApiError> {
    let mut connection = api.connection().await?;
    let list = authorization::list(&mut connection, caller.account.id).await?;
    let now = api.now();
    Ok(page(&range, list, &FIELDS)?.map(|authorization| shown(authorization, &caller, now)))
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<paas_api::Authorization>, ApiError> {
    let id = parse(&name)?;
    let mut connection = api.connection().await?;
    let found = authorization::get(&mut connection, caller.account.id, id).await?;
    let found = found.ok_or_else(|| ApiError::not_found("authorization"))?;
    Ok(Json(shown(found, &caller, api.now())))
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
    let deleted = deleted.ok_or_else(|| ApiError::not_found("authorization"))?;
    event::record(&mut transaction, change("destroy", &deleted, &caller.account, now)).await?;
    transaction.commit().await?;
    api.platform.sessions.end_by(id);
    Ok(Json(shown(deleted, &caller, now)))
}

/// `~` is the default API key of an account at Heroku; here every token is an authorization like any other, so there is
/// none, and clients that log out know what to make of that.
fn parse(name: &str) -> Result<Id<Authorization>, ApiError> {
    name.parse().map_err(|_| ApiError::not_found("authorization"))
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
    let scope = scope.unwrap_or_else(|| vec!["global".to_owned()]);
    if scope != ["global"] {
        return Err(ApiError::invalid(
            "Scope must be [\"global\"]: this platform has no narrower scopes yet.",
        ));
    }
    let description = description.unwrap_or_default();
    if description.chars().count() > LONGEST_DESCRIPTION {
        return Err(ApiError::invalid(format!(
            "Description is too long (maximum is {LONGEST_DESCRIPTION} characters)."
        )));
    }
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

fn change(action: &str, authorization: &Authorization, account: &Account, now: DateTime<Utc>) -> Event {
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

/// Tokens are stored as hashes; the one that came with the request is known all the same, and `logout` looks for it.
fn shown(authorization: Authorization, caller: &Caller, now: DateTime<Utc>) -> paas_api::Authorization {
    let token = (authorization.id == caller.authorization.id).then(|| caller.token.clone());
    answer(authorization, &caller.account, token, now)
}

fn answer(
    authorization: Authorization,
    account: &Account,
    token: Option<Secret>,
    now: DateTime<Utc>,
) -> paas_api::Authorization {
    let id = *authorization.id.as_uuid();
    paas_api::Authorization {
        access_token: token.map(|token| AccessToken {
            expires_in: authorization.expires_at.map(|at| (at - now).num_seconds().max(0)),
            id,
            token,
        }),
        client: None,
        created_at: authorization.created_at.into(),
        description: authorization.description,
        grant: None,
        id,
        refresh_token: None,
        scope: authorization.scope,
        session: None,
        updated_at: authorization.updated_at.into(),
        user: AuthorizationUser {
            email: account.email.clone(),
            full_name: None,
            id: *account.id.as_uuid(),
        },
    }
}
