//! The second factor of an account: turned on by proving that an app has the secret, turned off with a code.

use std::sync::Arc;

use axum::{Json, extract::State};
use http::{HeaderMap, StatusCode};
use paas_api::{NewTwoFactor, PASSWORD, Secret, TwoFactor, TwoFactorConfirmation};
use paas_store::{PgConnection, account::Account, event, two_factor};

use super::{
    audit,
    auth::{self, Caller},
    body::Body,
    error::ApiError,
    sign_in,
    state::Api,
    totp,
};

const RECOVERY_CODES: usize = 10;
/// 80 bits: out of reach even for somebody with the hashes.
const RECOVERY_CODE_BYTES: usize = 10;

/// A new secret, shown this once. Nothing is asked for until a code has proved that an app has it.
pub(super) async fn begin(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Caller { account, .. }: Caller,
    Body(new): Body<NewTwoFactor>,
) -> Result<(StatusCode, Json<TwoFactor>), ApiError> {
    sign_in::again(&api, &account, Some(new.password), &auth::address(&headers)).await?;
    let mut secret = [0; totp::SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(ApiError::internal)?;
    let mut connection = api.connection().await?;
    let sealer = &api.store().sealer;
    if !two_factor::begin(&mut connection, sealer, account.id, &secret, api.now()).await? {
        return Err(is_on_already());
    }
    let issuer = &api.platform.settings.domain;
    let answer = TwoFactor {
        otpauth_url: Secret::new(totp::url(&secret, &account.email, &issuer.to_string())),
        secret: Secret::new(totp::base32(&secret)),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// From now on a login needs a code. Answers with the recovery codes, shown this once.
pub(super) async fn confirm(
    State(api): State<Arc<Api>>,
    Caller { account, .. }: Caller,
    Body(confirmation): Body<TwoFactorConfirmation>,
) -> Result<(StatusCode, Json<Vec<String>>), ApiError> {
    let mut connection = api.connection().await?;
    let factor = two_factor::get(&mut connection, &api.store().sealer, account.id).await?;
    drop(connection);
    match factor {
        None => return Err(ApiError::not_found("two-factor")),
        Some(factor) if factor.confirmed_at.is_some() => return Err(is_on_already()),
        Some(_) => {}
    }
    sign_in::check_code(&api, &account, confirmation.code.expose()).await?;
    let now = api.now();
    let mut transaction = api.store().begin().await?;
    two_factor::confirm(&mut transaction, account.id, now).await?;
    let codes = new_codes(&mut transaction, &account).await?;
    let event = audit::personal("create", "two-factor", None, &account, now);
    event::record(&mut transaction, event).await?;
    transaction.commit().await?;
    Ok((StatusCode::CREATED, Json(codes)))
}

/// New recovery codes in place of the old ones. Needs the password and a code.
pub(super) async fn recovery_codes(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Caller { account, .. }: Caller,
) -> Result<(StatusCode, Json<Vec<String>>), ApiError> {
    if !account.two_factor {
        return Err(ApiError::invalid(
            "Two-factor authentication is off for this account, so there is nothing to recover.",
        ));
    }
    let password = headers.get(PASSWORD).and_then(|password| password.to_str().ok());
    sign_in::again(&api, &account, password.map(Secret::new), &auth::address(&headers)).await?;
    sign_in::second_factor(&api, &account, &headers).await?;
    let mut transaction = api.store().begin().await?;
    let codes = new_codes(&mut transaction, &account).await?;
    let event = audit::personal("update", "recovery-code", None, &account, api.now());
    event::record(&mut transaction, event).await?;
    transaction.commit().await?;
    Ok((StatusCode::CREATED, Json(codes)))
}

/// `abcd-efgh-ijkl-mnop`, ten times.
async fn new_codes(conn: &mut PgConnection, account: &Account) -> Result<Vec<String>, ApiError> {
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let mut bytes = [0; RECOVERY_CODE_BYTES];
        getrandom::fill(&mut bytes).map_err(ApiError::internal)?;
        codes.push(totp::base32(&bytes).to_ascii_lowercase());
    }
    two_factor::set_recovery_codes(conn, account.id, &codes).await?;
    let dashed = |code: String| {
        let parts: Vec<_> = code.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
        parts.join("-")
    };
    Ok(codes.into_iter().map(dashed).collect())
}

fn is_on_already() -> ApiError {
    ApiError::invalid("Two-factor authentication is on already. Turn it off first to use another app.")
}
