//! The account that a token belongs to.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use paas_api::{AccountUpdate, RateLimit};
use paas_store::account::Account;

use super::{
    auth::{Caller, Known},
    body::Body,
    error::ApiError,
    state::Api,
};

pub(super) async fn info(caller: Caller) -> Json<paas_api::Account> {
    Json(answer(caller.account))
}

pub(super) async fn info_of(Path(name): Path<String>, caller: Caller) -> Result<Json<paas_api::Account>, ApiError> {
    is_caller(&name, &caller.account)?;
    Ok(Json(answer(caller.account)))
}

/// Nothing about an account can be changed here yet; what is asked for must be what is.
pub(super) async fn update(
    caller: Caller,
    Body(update): Body<AccountUpdate>,
) -> Result<Json<paas_api::Account>, ApiError> {
    let AccountUpdate {
        allow_tracking,
        beta,
        name,
    } = update;
    if allow_tracking == Some(true) || beta == Some(true) {
        return Err(ApiError::invalid(
            "This platform tracks nobody and has no beta features: allow_tracking and beta stay false.",
        ));
    }
    if name.is_some() {
        return Err(ApiError::invalid(
            "Accounts have no name on this platform: they are known by their email address.",
        ));
    }
    Ok(Json(answer(caller.account)))
}

pub(super) async fn update_of(
    Path(name): Path<String>,
    caller: Caller,
    body: Body<AccountUpdate>,
) -> Result<Json<paas_api::Account>, ApiError> {
    is_caller(&name, &caller.account)?;
    update(caller, body).await
}

/// Free of charge: `heroku3` checks its token with it.
pub(super) async fn rate_limit(State(api): State<Arc<Api>>, Known(caller): Known) -> Json<RateLimit> {
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
        created_at,
        updated_at,
    } = account;
    paas_api::Account {
        // There are no terms of service here; Heroku's command warns of new ones otherwise.
        acknowledged_msa: true,
        acknowledged_msa_at: Some(created_at.into()),
        allow_tracking: false,
        beta: false,
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
        last_login: None,
        mfa_enabled: false,
        mfa_exemption: false,
        mfa_exemption_reason: None,
        mfa_experience: "legacy".to_owned(),
        name: None,
        pipeline_cost_consent_at: None,
        sms_number: None,
        suspended_at: None,
        two_factor_authentication: false,
        updated_at: updated_at.into(),
        verified: true,
    }
}
