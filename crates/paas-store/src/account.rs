//! Accounts: people with an email address and a password.

use chrono::{DateTime, Utc};
use paas_core::Id;

use crate::{PgConnection, StoreError};

/// A person who can sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: Id<Account>,
    pub email: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What makes an account. The hash is a PHC string of whatever the caller trusts.
#[derive(Clone, Copy)]
pub struct NewAccount<'a> {
    pub email: &'a str,
    pub password_hash: &'a str,
}

/// Fails with [`StoreError::EmailTaken`]; case does not count.
pub async fn create(conn: &mut PgConnection, new: NewAccount<'_>, now: DateTime<Utc>) -> Result<Account, StoreError> {
    let _ = (conn, new, now);
    unimplemented!()
}

/// The account with this email address, in any case, and its password hash.
pub async fn by_email(conn: &mut PgConnection, email: &str) -> Result<Option<(Account, String)>, StoreError> {
    let _ = (conn, email);
    unimplemented!()
}

pub async fn by_id(conn: &mut PgConnection, id: Id<Account>) -> Result<Option<Account>, StoreError> {
    let _ = (conn, id);
    unimplemented!()
}

/// How many accounts there are: none means that nobody has been invited yet.
pub async fn count(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let _ = (conn,);
    unimplemented!()
}

pub async fn set_password(
    conn: &mut PgConnection,
    id: Id<Account>,
    password_hash: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let _ = (conn, id, password_hash, now);
    unimplemented!()
}
