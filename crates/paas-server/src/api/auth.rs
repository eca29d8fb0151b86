//! Who is asking, and whether the app is theirs.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, header, request::Parts};
use paas_api::Secret;
use paas_core::Scope;
use paas_store::{
    account::Account,
    app::AppRow,
    authorization::{self, Authorization, TokenHash},
};

use super::{error::ApiError, protocol::Remaining, sign_in, state::Api};
use crate::platform::Platform;

/// Whoever sent the request, by a token.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) account: Account,
    /// The token that came with the request, and what it belongs to.
    pub(super) token: Secret,
    pub(super) authorization: Authorization,
}

/// The app that the path names, of an account that may do with it what the endpoint does.
#[derive(Clone)]
pub(super) struct OwnApp {
    pub(super) caller: Caller,
    pub(super) row: AppRow,
}

/// What an `Authorization` header holds.
enum Credentials {
    Token(Secret),
    /// `user:password`; the password may also be a token, whose user name counts for nothing.
    Basic {
        user: String,
        password: Secret,
    },
}

/// Whose token these headers carry: `Bearer TOKEN`, or Basic with the token as the password.
pub(crate) async fn authenticate(
    platform: &Platform,
    headers: &HeaderMap,
) -> Result<(Account, Authorization), ApiError> {
    let caller = identify(platform, headers).await?;
    Ok((caller.account, caller.authorization))
}

/// Whose password these headers carry, and their code where one is wanted. Only to make an authorization; everything else
/// wants a token.
pub(super) async fn authenticate_password(api: &Api, headers: &HeaderMap) -> Result<Option<Account>, ApiError> {
    let Some(Credentials::Basic { user, password }) = credentials(headers) else {
        return Ok(None);
    };
    if !user.contains('@') {
        return Ok(None);
    }
    let account = sign_in::by_password(api, &user, password, &address(headers)).await?;
    sign_in::second_factor(api, &account, headers).await?;
    Ok(Some(account))
}

/// Basic credentials that are not an account's.
pub(super) fn basic(headers: &HeaderMap) -> Option<(String, Secret)> {
    match credentials(headers)? {
        Credentials::Basic { user, password } => Some((user, password)),
        Credentials::Token(_) => None,
    }
}

/// A token of another kind than an account's, for whoever knows it.
pub(super) fn bearer(headers: &HeaderMap) -> Option<Secret> {
    match credentials(headers)? {
        Credentials::Token(token) => Some(token),
        Credentials::Basic { .. } => None,
    }
}

async fn identify(platform: &Platform, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let Some(Credentials::Token(token) | Credentials::Basic { password: token, .. }) = credentials(headers) else {
        return Err(ApiError::unauthorized());
    };
    let mut connection = platform.store.connection().await?;
    let hash = TokenHash::of(token.expose());
    let found = authorization::by_token_hash(&mut connection, hash, platform.clock.now()).await?;
    let (account, authorization) = found.ok_or_else(ApiError::unauthorized)?;
    Ok(Caller {
        account,
        token,
        authorization,
    })
}

impl Caller {
    /// Whoever sent the request, free of charge.
    pub(super) async fn identify(api: &Api, parts: &Parts) -> Result<Self, ApiError> {
        let caller = identify(&api.platform, &parts.headers).await?;
        let remaining = api.rate_limits.remaining(*caller.account.id.as_uuid(), api.now());
        note(parts, remaining);
        Ok(caller)
    }

    /// Whoever sent the request, which counts against their rate limit.
    pub(super) async fn charge(api: &Api, parts: &Parts) -> Result<Self, ApiError> {
        let caller = identify(&api.platform, &parts.headers).await?;
        match api.rate_limits.take(*caller.account.id.as_uuid(), api.now()) {
            Ok(remaining) => {
                note(parts, remaining);
                Ok(caller)
            }
            Err(exhausted) => {
                note(parts, 0);
                Err(ApiError::rate_limit(
                    "Your account reached the API rate limit. Please wait a few minutes before making new requests.",
                    exhausted.retry_after_seconds,
                ))
            }
        }
    }
}

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = ApiError;

    /// As the gate (`access.rs`) has found it. Where the gate leaves it to the handler who may come in, a token has to
    /// be good for everything.
    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let caller = Self::charge(api, parts).await?;
        caller.require(Scope::Global)?;
        Ok(caller)
    }
}

impl FromRequestParts<Arc<Api>> for OwnApp {
    type Rejection = ApiError;

    /// As the gate (`access.rs`) has found it; without it there is none.
    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, ApiError> {
        let app = parts.extensions.get::<Self>().cloned();
        app.ok_or_else(|| ApiError::not_found("app"))
    }
}

fn note(parts: &Parts, remaining: u32) {
    if let Some(slot) = parts.extensions.get::<Remaining>() {
        slot.set(remaining);
    }
}

fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, value) = header.split_once(' ')?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return (!value.is_empty()).then(|| Credentials::Token(Secret::new(value)));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(value).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    (!password.is_empty()).then(|| Credentials::Basic {
        user: user.to_owned(),
        password: Secret::new(password),
    })
}

/// Where a login comes from. The listener is on loopback, so it is our router that knows: it appends the client's
/// address to what the client itself may have sent.
pub(super) fn address(headers: &HeaderMap) -> String {
    headers
        .get_all("x-forwarded-for")
        .iter()
        .next_back()
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.rsplit(',').next())
        .map_or_else(|| "local".to_owned(), |address| address.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        headers
    }

    #[test]
    fn tokens_come_as_bearer_and_as_basic_passwords() {
        let token = |text: &str| match credentials(&headers(text)) {
            Some(Credentials::Token(token) | Credentials::Basic { password: token, .. }) => {
                Some(token.expose().to_owned())
            }
            None => None,
        };
        let basic = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
        assert_eq!(token("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(token("bearer abc").as_deref(), Some("abc"));
        assert_eq!(token(&basic(":abc")).as_deref(), Some("abc"));
        assert_eq!(token(&basic("anything:a:b")).as_deref(), Some("a:b"));
        for bad in [
            "Bearer",
            "Bearer ",
            "Basic !",
            "Digest x",
            "abc",
            &basic("nocolon"),
            &basic("user:"),
        ] {
            assert_eq!(token(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_address_is_the_one_that_our_router_appended() {
        let mut headers = HeaderMap::new();
        assert_eq!(address(&headers), "local");
        headers.append("x-forwarded-for", HeaderValue::from_static("1.1.1.1, 2.2.2.2"));
        headers.append("x-forwarded-for", HeaderValue::from_static("3.3.3.3, 4.4.4.4"));
        assert_eq!(address(&headers), "4.4.4.4");
    }
}
