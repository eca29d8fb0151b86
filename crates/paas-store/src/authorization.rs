//! Authorizations: tokens that act for an account. Only their hashes are stored.

use std::fmt;

use chrono::{DateTime, Utc};
use paas_core::Id;

use crate::{PgConnection, StoreError, account::Account};

/// A token: shown once, to the person who asked for it. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// SHA-256 of a token. Tokens are 256 random bits, so nothing slower is needed (unlike for passwords).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

/// A token as the API shows it after it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    pub id: Id<Authorization>,
    pub account: Id<Account>,
    pub description: String,
    pub scope: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
}

/// What makes an authorization.
#[derive(Debug, Clone)]
pub struct NewAuthorization {
    pub account: Id<Account>,
    pub token_hash: TokenHash,
    pub description: String,
    pub scope: Vec<String>,
    pub expires_at: Option<DateTime<Utc>>,
}

impl Token {
    pub fn generate() -> Self {
        unimplemented!()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl TokenHash {
    /// The hash of a token that somebody presents.
    pub fn of(_token: &str) -> Self {
        unimplemented!()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

pub async fn create(
    conn: &mut PgConnection,
    new: NewAuthorization,
    now: DateTime<Utc>,
) -> Result<Authorization, StoreError> {
    let _ = (conn, new, now);
    unimplemented!()
}

/// Whose token this is, unless it has expired. Notes its use, at most once a minute.
pub async fn by_token_hash(
    conn: &mut PgConnection,
    hash: TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<(Account, Authorization)>, StoreError> {
    let _ = (conn, hash, now);
    unimplemented!()
}

/// Oldest first.
pub async fn list(conn: &mut PgConnection, account: Id<Account>) -> Result<Vec<Authorization>, StoreError> {
    let _ = (conn, account);
    unimplemented!()
}

pub async fn get(
    conn: &mut PgConnection,
    account: Id<Account>,
    id: Id<Authorization>,
) -> Result<Option<Authorization>, StoreError> {
    let _ = (conn, account, id);
    unimplemented!()
}

/// Revokes it; `None` when the account has no such authorization.
pub async fn delete(
    conn: &mut PgConnection,
    account: Id<Account>,
    id: Id<Authorization>,
) -> Result<Option<Authorization>, StoreError> {
    let _ = (conn, account, id);
    unimplemented!()
}
