//! `POST /oauth/token`: tokens for OAuth clients, for what people have allowed them (RFC 6749 §4.1.3 and §6).
//!
//! A token lives for eight hours, as Heroku's do; the refresh token that comes with it for as long as nobody revokes the
//! authorization. A code that comes twice was seen by somebody else, and ends what it was good for.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use http::{HeaderMap, StatusCode, header};
use paas_api::{OauthRefusal, OauthToken, Secret};
use paas_store::{
    account,
    authorization::{self, Authorization, NewAuthorization, Token, TokenHash},
    event,
    oauth_client::{self, OauthClient},
    oauth_grant,
};
use sha2::{Digest, Sha256};

use super::{addon_partner, auth, error::ApiError, login::field, oauth_authorization::change, state::Api};

/// As long as Heroku's.
const LIFE: TimeDelta = TimeDelta::hours(8);

/// Why there is no token.
enum Refused {
    /// A word of RFC 6749 §5.2, and one for people.
    Grant(&'static str, &'static str),
    Api(ApiError),
}

pub(super) async fn create(State(api): State<Arc<Api>>, headers: HeaderMap, form: Bytes) -> Response {
    // Providers of add-ons come with codes and tokens of their own.
    match addon_partner::token(&api, &headers, &form).await {
        Ok(None) => {}
        Ok(Some(token)) => return ([(header::CACHE_CONTROL, "no-store")], Json(token)).into_response(),
        Err(error) => return error.into_response(),
    }
    let given = match field(&form, "grant_type").as_deref() {
        Some("authorization_code") => for_code(&api, &headers, &form).await,
        Some("refresh_token") => for_refresh_token(&api, &headers, &form).await,
        _ => Err(Refused::Grant(
            "unsupported_grant_type",
            "grant_type must be authorization_code or refresh_token.",
        )),
    };
    match given {
        // RFC 6749 §5.1.
        Ok(token) => ([(header::CACHE_CONTROL, "no-store")], Json(token)).into_response(),
        Err(Refused::Api(error)) => error.into_response(),
        Err(Refused::Grant(error, description)) => {
            let refusal = OauthRefusal {
                error: error.to_owned(),
                error_description: description.to_owned(),
                id: error.to_owned(),
                message: description.to_owned(),
            };
            let status = match error {
                "invalid_client" => StatusCode::UNAUTHORIZED,
                _ => StatusCode::BAD_REQUEST,
            };
            (status, Json(refusal)).into_response()
        }
    }
}

async fn for_code(api: &Api, headers: &HeaderMap, form: &[u8]) -> Result<OauthToken, Refused> {
    const UNKNOWN: Refused = Refused::Grant(
        "invalid_grant",
        "The code is not known, was used, or is too old. Please ask the person again.",
    );
    let now = api.now();
    let code = field(form, "code").unwrap_or_default();
    let mut transaction = api.store().begin().await.map_err(ApiError::from)?;
    let grant = oauth_grant::of_code(&mut transaction, TokenHash::of(&code), now).await?;
    let grant = grant.ok_or(UNKNOWN)?;
    let client = client(api, &mut transaction, *grant.client.as_uuid(), headers, form).await?;
    if grant.used_at.is_some() {
        if let Some(id) = grant.authorization
            && let Some(account) = grant.account
            && let Some(ended) = authorization::delete(&mut transaction, account, id).await?
            && let Some(account) = account::by_id(&mut transaction, account).await?
        {
            event::record(&mut transaction, change("destroy", &ended, &account, now)).await?;
            transaction.commit().await.map_err(ApiError::from)?;
            api.platform.sessions.end_by(id);
        }
        return Err(UNKNOWN);
    }
    let verifier = field(form, "code_verifier");
    let shown = verifier.map(|verifier| BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)));
    if grant.code_challenge != shown {
        return Err(Refused::Grant(
            "invalid_grant",
            "code_verifier is not what code_challenge was made of.",
        ));
    }
    if field(form, "redirect_uri").is_some_and(|uri| uri != client.redirect_uri) {
        return Err(Refused::Grant(
            "invalid_grant",
            "redirect_uri is not the one that the client was registered with.",
        ));
    }
    let account = match grant.account {
        Some(account) => account::by_id(&mut transaction, account).await?,
        None => None,
    };
    let account = account.filter(|account| account.disabled_at.is_none()).ok_or(UNKNOWN)?;
    let (token, refresh) = (Token::generate(), Token::generate_secret());
    let new = NewAuthorization {
        account: account.id,
        token_hash: token.hash(),
        description: client.name.clone(),
        scope: grant.scope.clone(),
        expires_at: Some(now + LIFE),
    };
    let made = authorization::create(&mut transaction, new, now).await?;
    authorization::make_refreshable(&mut transaction, made.id, *client.id.as_uuid(), refresh.hash()).await?;
    oauth_grant::note_use(&mut transaction, grant.id, made.id, now).await?;
    event::record(&mut transaction, change("create", &made, &account, now)).await?;
    transaction.commit().await.map_err(ApiError::from)?;
    Ok(answer(&made, &token, Secret::new(refresh.as_str())))
}

/// The refresh token stays the same, as at Heroku; the token before is worth nothing from now on.
async fn for_refresh_token(api: &Api, headers: &HeaderMap, form: &[u8]) -> Result<OauthToken, Refused> {
    const UNKNOWN: Refused = Refused::Grant(
        "invalid_grant",
        "The refresh token is not known, or was revoked. Please ask the person again.",
    );
    let now = api.now();
    let refresh = Secret::new(field(form, "refresh_token").unwrap_or_default());
    let hash = TokenHash::of(refresh.expose());
    let mut transaction = api.store().begin().await.map_err(ApiError::from)?;
    let found = authorization::by_refresh_hash(&mut transaction, hash).await?;
    let of = found.and_then(|found| found.client).ok_or(UNKNOWN)?;
    client(api, &mut transaction, of, headers, form).await?;
    let token = Token::generate();
    let next = (token.hash(), now + LIFE);
    let refreshed = authorization::refresh(&mut transaction, (of, hash), next, now).await?;
    let refreshed = refreshed.ok_or(UNKNOWN)?;
    transaction.commit().await.map_err(ApiError::from)?;
    Ok(answer(&refreshed, &token, refresh))
}

/// The client that has this id, if it proves that it is the one: by its secret in the form, or as Basic credentials.
async fn client(
    api: &Api,
    conn: &mut paas_store::PgConnection,
    id: uuid::Uuid,
    headers: &HeaderMap,
    form: &[u8],
) -> Result<OauthClient, Refused> {
    const WRONG: Refused = Refused::Grant("invalid_client", "The client's id or secret is not right.");
    let (user, password) = auth::basic(headers).unzip();
    let secret = field(form, "client_secret")
        .map(Secret::new)
        .or(password)
        .ok_or(WRONG)?;
    if let Some(named) = field(form, "client_id").or(user)
        && named.parse() != Ok(id)
    {
        return Err(WRONG);
    }
    let client = oauth_client::get(conn, &api.store().sealer, id).await?;
    // Hashes: how long a comparison takes says nothing about the secret.
    let is_right = |client: &OauthClient| client.secret.hash() == TokenHash::of(secret.expose());
    client.filter(is_right).ok_or(WRONG)
}

fn answer(authorization: &Authorization, token: &Token, refresh_token: Secret) -> OauthToken {
    OauthToken {
        access_token: Secret::new(token.as_str()),
        expires_in: LIFE.num_seconds(),
        refresh_token,
        scope: authorization.scope.join(" "),
        session_nonce: None,
        token_type: "Bearer".to_owned(),
        user_id: *authorization.account.as_uuid(),
    }
}

impl<E: Into<ApiError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Api(error.into())
    }
}
