//! Somebody whom a request names: by email address or id, or `~` for whoever asks.

use paas_store::{
    PgConnection,
    account::{self, Account},
};

use super::{account::is_caller, error::ApiError};

/// An account that has to exist: this platform invites nobody by mail.
pub(super) async fn find(connection: &mut PgConnection, name: &str, caller: &Account) -> Result<Account, ApiError> {
    if is_caller(name, caller).is_ok() {
        return Ok(caller.clone());
    }
    let found = match name.parse() {
        Ok(id) => account::by_id(connection, id).await?,
        Err(_) => account::by_email(connection, name).await?.map(|(account, _)| account),
    };
    found.ok_or_else(ApiError::unknown_user)
}

/// The name itself, or the email address that `~` stands for.
pub(super) fn own_name(name: &str, caller: &Account) -> String {
    if name == "~" { &caller.email } else { name }.to_owned()
}
