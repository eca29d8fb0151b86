//! The account that a token belongs to.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::HeaderMap;
use paas_api::{AccountUpdate, RateLimit};
use paas_store::{
    account::{self, Account, Profile},
    authorization, event, two_factor,
};

use super::{
    audit,
    auth::{self, Caller},
    body::Body,
    error::ApiError,
    password::PasswordError,
    sign_in,
    state::Api,
};

const LONGEST_NAME: usize = 100;

pub(super) async fn info(caller: Caller) -> Json<paas_api::Account> {
    Json(answer(caller.account))
}

pub(super) async fn info_of(Path(name): Path<String>, caller: Caller) -> Result<Json<paas_api::Account>, ApiError> {
    is_caller(&name, &caller.account)?;
    Ok(Json(answer(caller.account)))
}

/// An address, a password and the second factor need the password, and a code where one is wanted: a stolen token is not
/// enough to keep its owner out. A new password revokes every other token.
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    caller: Caller,
    Body(update): Body<AccountUpdate>,
) -> Result<Json<paas_api::Account>, ApiError> {
    change(&api, &headers, caller, update).await
}

pub(super) async fn update_of(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    caller: Caller,
    Body(update): Body<AccountUpdate>,
) -> Result<Json<paas_api::Account>, ApiError> {
    is_caller(&name, &caller.account)?;
    change(&api, &headers, caller, update).await
}

async fn change(
    api: &Api,
    headers: &HeaderMap,
    caller: Caller,
    update: AccountUpdate,
) -> Result<Json<paas_api::Account>, ApiError> {
    let AccountUpdate {
        allow_tracking,
        beta,
        email,
        name,
        new_password,
        password,
        two_factor_authentication,
    } = update;
    let account = caller.account;
    let name = name.as_deref().map(checked_name).transpose()?;
    let email = email.as_deref().map(checked_email).transpose()?;
    if two_factor_authentication == Some(true) && !account.two_factor {
        return Err(ApiError::invalid(
            "Two-factor authentication is turned on with `paas auth:2fa:enable`, which shows a secret first.",
        ));
    }
    let ends_two_factor = two_factor_authentication == Some(false) && account.two_factor;
    let hash = match new_password {
        Some(new) => Some(super::password::hash(new).await.map_err(refused)?),
        None => None,
    };
    if email.is_some() || hash.is_some() || ends_two_factor {
        sign_in::again(api, &account, password, &auth::address(headers)).await?;
        sign_in::second_factor(api, &account, headers).await?;
    }
    let now = api.now();
    let mut transaction = api.store().begin().await?;
    if name.is_some() || allow_tracking.is_some() || beta.is_some() {
        let profile = Profile {
            name: name.unwrap_or_else(|| account.name.clone()),
            allow_tracking: allow_tracking.unwrap_or(account.allow_tracking),
            beta: beta.unwrap_or(account.beta),
        };
        account::set_profile(&mut transaction, account.id, &profile, now).await?;
    }
    if let Some(email) = email {
        account::set_email(&mut transaction, account.id, email, now).await?;
    }
    if ends_two_factor {
        two_factor::delete(&mut transaction, account.id).await?;
        let event = audit::personal("destroy", "two-factor", None, &account, now);
        event::record(&mut transaction, event).await?;
    }
    if let Some(hash) = &hash {
        account::set_password(&mut transaction, account.id, hash, now).await?;
        authorization::delete_all(&mut transaction, account.id, Some(caller.authorization.id)).await?;
    }
    let changed = account::by_id(&mut transaction, account.id).await?;
    transaction.commit().await?;
    if hash.is_some() {
        api.platform.sessions.end(account.id);
    }
    Ok(Json(answer(changed.ok_or_else(|| ApiError::not_found("user"))?)))
}

/// An empty one is none.
fn checked_name(name: &str) -> Result<Option<String>, ApiError> {
    let name = name.trim();
    if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(ApiError::invalid(format!(
            "Name must be one line of at most {LONGEST_NAME} characters."
        )));
    }
    Ok((!name.is_empty()).then(|| name.to_owned()))
}

fn checked_email(email: &str) -> Result<&str, ApiError> {
    let email = email.trim();
    if is_email(email) {
        Ok(email)
    } else {
        Err(ApiError::invalid(
            "Email must be an email address, such as you@example.com.",
        ))
    }
}

/// Enough to tell an address from a typing mistake: only a message that arrives could say more.
pub(crate) fn is_email(text: &str) -> bool {
    let is_plain = |character: char| !character.is_whitespace() && !character.is_control();
    let parts = text.split_once('@');
    parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
        && text.len() <= 254
        // A colon ends the user name of Basic credentials.
        && text.chars().all(|character| is_plain(character) && character != ':')
}

fn refused(error: PasswordError) -> ApiError {
    match error {
        PasswordError::TooShort | PasswordError::TooLong => {
            ApiError::invalid(format!("Please choose another password: {error}."))
        }
        other => ApiError::internal(other),
    }
}

/// Free of charge: `heroku3` checks its token with it.
pub(super) async fn rate_limit(State(api): State<Arc<Api>>, caller: Caller) -> Json<RateLimit> {
    let remaining = api.rate_limits.remaining(*caller.account.id.as_uuid(), api.now());
    Json(RateLimit { remaining })
}

/// `~`, an email address or an id: nobody sees anybody else.
pub(super) fn is_caller(name: &str, account: &Account) -> Result<(), ApiError> {
    let is_caller = name == "~" || name.eq_ignore_ascii_case(&account.email) || name == account.id.to_string();
    if is_caller {
        Ok(())
    } else {
        Err(ApiError::not_found("user"))
    }
}

fn answer(account: Account) -> paas_api::Account {
    let Account {
        id,
        email,
        name,
        allow_tracking,
        beta,
        two_factor,
        last_login_at,
        disabled_at,
        created_at,
        updated_at,
    } = account;
    paas_api::Account {
        // There are no terms of service here; Heroku's command warns of new ones otherwise.
        acknowledged_msa: true,
        acknowledged_msa_at: Some(created_at.into()),
        allow_tracking,
        beta,
        country_of_residence: None,
        created_at: created_at.into(),
        default_organization: None,
        default_team: None,
        delinquent_at: None,
        eco_dynos_enabled: true,
        eco_dynos_shutdown_at: None,
        email,
        federated: false,
        id: *id.as_uuid(),
        identity_provider: None,
        italian_customer_terms: None,
        italian_partner_terms: None,
        last_login: last_login_at.map(Into::into),
        mfa_enabled: two_factor,
        mfa_exemption: false,
        mfa_exemption_reason: None,
        mfa_experience: "legacy".to_owned(),
        name,
        pipeline_cost_consent_at: None,
        sms_number: None,
        suspended_at: disabled_at.map(Into::into),
        two_factor_authentication: two_factor,
        updated_at: updated_at.into(),
        verified: true,
    }
}
