//! Who somebody is, from what only they can know: a password and, for accounts that want it, a code.
//!
//! Everything that takes a password comes through here, so that guessing is as slow at every door.

use chrono::TimeDelta;
use http::HeaderMap;
use paas_api::{ErrorId, Secret, TWO_FACTOR_CODE};
use paas_store::{
    account::{self, Account},
    two_factor,
};

use super::{audit, error::ApiError, password, state::Api, totp};

/// The account with this address and password. It may still owe a second factor.
pub(super) async fn by_password(api: &Api, email: &str, password: Secret, address: &str) -> Result<Account, ApiError> {
    let keys = keys(email, address);
    if let Some(wait) = api.attempts.wait(&keys, api.now()) {
        return Err(too_many("failed logins", wait));
    }
    let mut connection = api.connection().await?;
    let found = account::by_email(&mut connection, email).await?;
    // Hashing takes a while, and connections are few.
    drop(connection);
    let (account, hash) = found.unzip();
    let is_right = password::verify(password, hash).await.map_err(ApiError::internal)?;
    let Some(account) = account.filter(|_| is_right) else {
        api.attempts.failed(&keys, api.now());
        return Err(ApiError::unauthorized());
    };
    api.attempts.succeeded(&keys);
    if account.disabled_at.is_some() {
        return Err(ApiError::new(
            ErrorId::Suspended,
            "This account is disabled. Please talk to the operator of this platform.",
        ));
    }
    Ok(account)
}

/// Asks for the code of an account that wants one, on behalf of a request that may have brought it.
pub(super) async fn second_factor(api: &Api, account: &Account, headers: &HeaderMap) -> Result<(), ApiError> {
    if !account.two_factor {
        return Ok(());
    }
    let Some(code) = headers.get(TWO_FACTOR_CODE).and_then(|code| code.to_str().ok()) else {
        return Err(ApiError::new(
            ErrorId::TwoFactor,
            "A second authentication factor is required: please send a code of your authenticator app, or a recovery \
             code, in the header Heroku-Two-Factor-Code.",
        ));
    };
    check_code(api, account, code).await
}

/// Uses up a code of the app or a recovery code.
pub(super) async fn check_code(api: &Api, account: &Account, code: &str) -> Result<(), ApiError> {
    let keys = [account.id.to_string()];
    let now = api.now();
    // Counted before it is looked at: of a volley of guesses, each is one.
    if let Some(wait) = api.codes.claim(&keys, now) {
        return Err(too_many("wrong codes", wait));
    }
    let code = normal(code);
    let mut transaction = api.store().begin().await?;
    let is_right = if code.len() == totp::DIGITS {
        let factor = two_factor::get(&mut transaction, &api.store().sealer, account.id).await?;
        match factor.and_then(|factor| totp::step_of(&code, &factor.secret, now)) {
            Some(step) => two_factor::accept(&mut transaction, account.id, step).await?,
            None => false,
        }
    } else {
        let is_right = two_factor::use_recovery_code(&mut transaction, account.id, &code).await?;
        if is_right {
            let event = audit::personal("destroy", "recovery-code", None, account, now);
            paas_store::event::record(&mut transaction, event).await?;
        }
        is_right
    };
    transaction.commit().await?;
    if is_right {
        api.codes.succeeded(&keys);
        return Ok(());
    }
    Err(ApiError::new(
        ErrorId::TwoFactor,
        "That code is not right, or was used before. Please wait for the next one and try again.",
    ))
}

/// The password again, from somebody whose token is known: before what a stolen token must not be enough for.
pub(super) async fn again(
    api: &Api,
    account: &Account,
    password: Option<Secret>,
    address: &str,
) -> Result<(), ApiError> {
    let Some(password) = password.filter(|password| !password.expose().is_empty()) else {
        return Err(ApiError::invalid("This needs the password of the account, too."));
    };
    let keys = keys(&account.email, address);
    if let Some(wait) = api.attempts.wait(&keys, api.now()) {
        return Err(too_many("wrong passwords", wait));
    }
    let mut connection = api.connection().await?;
    let hash = account::password_hash(&mut connection, account.id).await?;
    drop(connection);
    if password::verify(password, hash).await.map_err(ApiError::internal)? {
        api.attempts.succeeded(&keys);
        return Ok(());
    }
    api.attempts.failed(&keys, api.now());
    // Not 401: the token is good, and clients throw theirs away when they are told otherwise.
    Err(ApiError::invalid("The password is not right. Please try again."))
}

/// As the person may have typed it: with spaces, dashes and capitals.
pub(super) fn normal(code: &str) -> String {
    code.chars()
        .filter(|character| !character.is_whitespace() && *character != '-')
        .map(|character| character.to_ascii_lowercase())
        .collect()
}

fn keys(email: &str, address: &str) -> [String; 2] {
    [format!("email {}", email.to_lowercase()), format!("address {address}")]
}

fn too_many(what: &str, wait: TimeDelta) -> ApiError {
    let seconds = u32::try_from(wait.num_seconds()).unwrap_or(1).max(1);
    let message = format!("Too many {what}. Please wait {seconds} seconds and try again.");
    ApiError::rate_limit(message, seconds)
}
