//! Authorizations: tokens that act for an account. Only their hashes are stored.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use paas_core::Id;
use sha2::{Digest, Sha256};

use crate::{
    PgConnection, StoreError,
    account::Account,
    new_id,
    seal::{random, to_hex},
};

/// How stale `last_used_at` may be: a write for every request would cost more than it tells.
const LAST_USED_PRECISION: TimeDelta = TimeDelta::minutes(1);

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
    /// A new token: `paas-` (so that scanners for leaked secrets can know it) and 256 random bits.
    pub fn generate() -> Self {
        Self(format!("paas-{}", to_hex(&random::<32>())))
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
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Makes an authorization. The token itself never comes here.
pub async fn create(
    conn: &mut PgConnection,
    new: NewAuthorization,
    now: DateTime<Utc>,
) -> Result<Authorization, StoreError> {
    let id = new_id::<Authorization>(now);
    let authorization = sqlx::query_as!(
        Authorization,
        "insert into authorizations
            (id, account, token_hash, description, scope, created_at, updated_at, expires_at)
        values ($1, $2, $3, $4, $5, $6, $6, $7)
        returning id, account, description, scope, created_at, updated_at, expires_at, last_used_at",
        id.as_uuid(),
        new.account.as_uuid(),
        new.token_hash.0.as_slice(),
        new.description,
        &new.scope,
        now,
        new.expires_at,
    );
    Ok(authorization.fetch_one(conn).await?)
}

/// Whose token this is, unless it has expired. Notes its use, at most once a minute.
pub async fn by_token_hash(
    conn: &mut PgConnection,
    hash: TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<(Account, Authorization)>, StoreError> {
    let authorization = sqlx::query_as!(
        Authorization,
        "select id, account, description, scope, created_at, updated_at, expires_at, last_used_at
        from authorizations
        where token_hash = $1
            and (expires_at is null or expires_at > $2)",
        hash.0.as_slice(),
        now,
    );
    let Some(authorization) = authorization.fetch_optional(&mut *conn).await? else {
        return Ok(None);
    };
    if authorization
        .last_used_at
        .is_none_or(|used| used <= now - LAST_USED_PRECISION)
    {
        sqlx::query!(
            "update authorizations
            set last_used_at = $2
            where id = $1",
            authorization.id.as_uuid(),
            now,
        )
        .execute(&mut *conn)
        .await?;
    }
    let account = crate::account::by_id(conn, authorization.account).await?;
    Ok(account.map(|account| (account, authorization)))
}

/// Oldest first.
pub async fn list(conn: &mut PgConnection, account: Id<Account>) -> Result<Vec<Authorization>, StoreError> {
    let authorizations = sqlx::query_as!(
        Authorization,
        "select id, account, description, scope, created_at, updated_at, expires_at, last_used_at
        from authorizations
        where account = $1
        order by created_at, id",
        account.as_uuid(),
    );
    Ok(authorizations.fetch_all(conn).await?)
}

pub async fn get(
    conn: &mut PgConnection,
    account: Id<Account>,
    id: Id<Authorization>,
) -> Result<Option<Authorization>, StoreError> {
    let authorization = sqlx::query_as!(
        Authorization,
        "select id, account, description, scope, created_at, updated_at, expires_at, last_used_at
        from authorizations
        where account = $1
            and id = $2",
        account.as_uuid(),
        id.as_uuid(),
    );
    Ok(authorization.fetch_optional(conn).await?)
}

/// Revokes it; `None` when the account has no such authorization.
pub async fn delete(
    conn: &mut PgConnection,
    account: Id<Account>,
    id: Id<Authorization>,
) -> Result<Option<Authorization>, StoreError> {
    let authorization = sqlx::query_as!(
        Authorization,
        "delete from authorizations
        where account = $1
            and id = $2
        returning id, account, description, scope, created_at, updated_at, expires_at, last_used_at",
        account.as_uuid(),
        id.as_uuid(),
    );
    Ok(authorization.fetch_optional(conn).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{database, noon};

    #[test]
    fn tokens_differ_and_do_not_show_themselves() {
        let (one, two) = (Token::generate(), Token::generate());
        assert!(one != two);
        assert_eq!(one.as_str().len(), "paas-".len() + 64);
        assert!(!format!("{one:?}").contains(one.as_str()));
        assert_eq!(one.hash(), TokenHash::of(one.as_str()));
    }

    #[tokio::test]
    async fn a_token_acts_for_its_account_until_it_expires_or_is_revoked() {
        let database = database().await;
        let mut conn = database.store.connection().await.unwrap();
        let (ann, bob) = (database.account("ann").await, database.account("bob").await);
        let token = Token::generate();
        let new = NewAuthorization {
            account: ann,
            token_hash: token.hash(),
            description: "laptop".to_owned(),
            scope: vec!["global".to_owned()],
            expires_at: Some(noon() + TimeDelta::hours(1)),
        };
        let made = create(&mut conn, new, noon()).await.unwrap();

        let (account, found) = by_token_hash(&mut conn, token.hash(), noon()).await.unwrap().unwrap();
        assert_eq!((account.id, found), (ann, made.clone()));
        let wrong = TokenHash::of("paas-wrong");
        assert_eq!(by_token_hash(&mut conn, wrong, noon()).await.unwrap(), None);
        let late = noon() + TimeDelta::hours(1);
        assert_eq!(by_token_hash(&mut conn, token.hash(), late).await.unwrap(), None);

        assert_eq!(list(&mut conn, bob).await.unwrap(), []);
        assert_eq!(get(&mut conn, bob, made.id).await.unwrap(), None);
        assert_eq!(delete(&mut conn, bob, made.id).await.unwrap(), None);
        assert_eq!(list(&mut conn, ann).await.unwrap().len(), 1);
        assert!(delete(&mut conn, ann, made.id).await.unwrap().is_some());
        assert_eq!(by_token_hash(&mut conn, token.hash(), noon()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_use_of_a_token_is_noted_once_a_minute() {
        let database = database().await;
        let mut conn = database.store.connection().await.unwrap();
        let ann = database.account("ann").await;
        let token = Token::generate();
        let new = NewAuthorization {
            account: ann,
            token_hash: token.hash(),
            description: String::new(),
            scope: vec!["global".to_owned()],
            expires_at: None,
        };
        let id = create(&mut conn, new, noon()).await.unwrap().id;
        for (seconds, noted) in [(0, 0), (59, 0), (60, 60), (61, 60)] {
            let now = noon() + TimeDelta::seconds(seconds);
            by_token_hash(&mut conn, token.hash(), now).await.unwrap().unwrap();
            let used = get(&mut conn, ann, id).await.unwrap().unwrap().last_used_at;
            assert_eq!(used, Some(noon() + TimeDelta::seconds(noted)), "after {seconds} s");
        }
    }
}
