//! Authorizations: tokens that act for an account. Only their hashes are stored.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use paas_core::Id;
use sha2::{Digest, Sha256};
use uuid::Uuid;

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
pub struct TokenHash {
    digest: [u8; 32],
    /// The first and the last characters of a token that is long enough to show some.
    ends: Option<([u8; SHOWN_FIRST], [u8; SHOWN_LAST])>,
}

/// `paas-` and 8 digits, and 4 at the end: what a list shows of a token. The other 52 digits are 208 bits.
const SHOWN_FIRST: usize = 13;
const SHOWN_LAST: usize = 4;
/// Heroku's command knows a masked token by exactly ten of these.
const MASK: &str = "**********";

/// A token as the API shows it after it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    pub id: Id<Authorization>,
    pub account: Id<Account>,
    pub description: String,
    pub scope: Vec<String>,
    /// The program that the token was given to, by its id.
    pub client: Option<Uuid>,
    /// Made by a login in a browser: a session, and none of the authorizations that people make and list.
    pub is_session: bool,
    /// `paas-01234567**********cdef`; none for a text that is too short to show some of it.
    pub token_mask: Option<String>,
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

    /// The secret of a client: no token, so it does not look like one.
    pub fn generate_secret() -> Self {
        Self(to_hex(&random::<32>()))
    }

    /// What was unsealed again.
    pub(crate) const fn from_stored(text: String) -> Self {
        Self(text)
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
        let bytes = token.as_bytes();
        let is_long = token.is_ascii() && bytes.len() >= 3 * (SHOWN_FIRST + SHOWN_LAST);
        let ends = bytes.first_chunk().copied().zip(bytes.last_chunk().copied());
        Self {
            digest: Sha256::digest(bytes).into(),
            ends: ends.filter(|_| is_long),
        }
    }

    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.digest
    }

    fn mask(&self) -> Option<String> {
        let (first, last) = self.ends?;
        Some(format!(
            "{}{MASK}{}",
            str::from_utf8(&first).ok()?,
            str::from_utf8(&last).ok()?
        ))
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
    insert(conn, new, false, now).await
}

/// Makes the authorization of a login in a browser: a session.
pub async fn create_session(
    conn: &mut PgConnection,
    new: NewAuthorization,
    now: DateTime<Utc>,
) -> Result<Authorization, StoreError> {
    insert(conn, new, true, now).await
}

async fn insert(
    conn: &mut PgConnection,
    new: NewAuthorization,
    is_session: bool,
    now: DateTime<Utc>,
) -> Result<Authorization, StoreError> {
    let id = new_id::<Authorization>(now);
    let authorization = sqlx::query_as!(
        Authorization,
        "insert into authorizations
            (id, account, token_hash, token_mask, is_session, description, scope, created_at, updated_at, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)
        returning id, account, description, scope, client, is_session, token_mask,
            created_at, updated_at, expires_at, last_used_at",
        id.as_uuid(),
        new.account.as_uuid(),
        new.token_hash.digest.as_slice(),
        new.token_hash.mask(),
        is_session,
        new.description,
        &new.scope,
        now,
        new.expires_at,
    );
    Ok(authorization.fetch_one(conn).await?)
}

/// Whose token this is, unless it has expired or its owner may do nothing. Notes its use, at most once a minute.
pub async fn by_token_hash(
    conn: &mut PgConnection,
    hash: TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<(Account, Authorization)>, StoreError> {
    let authorization = sqlx::query_as!(
        Authorization,
        "select id, account, description, scope, client, is_session, token_mask,
            created_at, updated_at, expires_at, last_used_at
        from authorizations
        where token_hash = $1
            and (expires_at is null or expires_at > $2)",
        hash.digest.as_slice(),
        now,
    );
    let Some(authorization) = authorization.fetch_optional(&mut *conn).await? else {
        return Ok(None);
    };
    let account = crate::account::by_id(&mut *conn, authorization.account).await?;
    let Some(account) = account.filter(|account| account.disabled_at.is_none()) else {
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
        .execute(conn)
        .await?;
    }
    Ok(Some((account, authorization)))
}

/// Those that have not expired, or can be refreshed, oldest first; sessions are not among them.
pub async fn list(
    conn: &mut PgConnection,
    account: Id<Account>,
    now: DateTime<Utc>,
) -> Result<Vec<Authorization>, StoreError> {
    list_of_kind(conn, account, false, now).await
}

/// What logins in browsers have made and has not expired, oldest first.
pub async fn list_sessions(
    conn: &mut PgConnection,
    account: Id<Account>,
    now: DateTime<Utc>,
) -> Result<Vec<Authorization>, StoreError> {
    list_of_kind(conn, account, true, now).await
}

async fn list_of_kind(
    conn: &mut PgConnection,
    account: Id<Account>,
    is_session: bool,
    now: DateTime<Utc>,
) -> Result<Vec<Authorization>, StoreError> {
    let authorizations = sqlx::query_as!(
        Authorization,
        "select id, account, description, scope, client, is_session, token_mask,
            created_at, updated_at, expires_at, last_used_at
        from authorizations
        where account = $1
            and is_session = $2
            and (expires_at is null or expires_at > $3 or refresh_hash is not null)
        order by created_at, id",
        account.as_uuid(),
        is_session,
        now,
    );
    Ok(authorizations.fetch_all(conn).await?)
}

/// An authorization or a session that has not expired, or has a client that may refresh it.
pub async fn get(
    conn: &mut PgConnection,
    account: Id<Account>,
    id: Id<Authorization>,
    now: DateTime<Utc>,
) -> Result<Option<Authorization>, StoreError> {
    let authorization = sqlx::query_as!(
        Authorization,
        "select id, account, description, scope, client, is_session, token_mask,
            created_at, updated_at, expires_at, last_used_at
        from authorizations
        where account = $1
            and id = $2
            and (expires_at is null or expires_at > $3 or refresh_hash is not null)",
        account.as_uuid(),
        id.as_uuid(),
        now,
    );
    Ok(authorization.fetch_optional(conn).await?)
}

/// Another description, or another program that acts by it; `None` when the account has no such authorization.
pub async fn update(
    conn: &mut PgConnection,
    authorization: &Authorization,
    now: DateTime<Utc>,
) -> Result<Option<Authorization>, StoreError> {
    let updated = sqlx::query_as!(
        Authorization,
        "update authorizations
        set description = $3, client = $4, updated_at = $5
        where account = $1
            and id = $2
        returning id, account, description, scope, client, is_session, token_mask,
            created_at, updated_at, expires_at, last_used_at",
        authorization.account.as_uuid(),
        authorization.id.as_uuid(),
        authorization.description,
        authorization.client,
        now,
    );
    Ok(updated.fetch_optional(conn).await?)
}

/// Puts a new token in the place of the old one, which is worth nothing from then on, nor is what refreshed it.
pub async fn rotate(
    conn: &mut PgConnection,
    account: Id<Account>,
    id: Id<Authorization>,
    token_hash: TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<Authorization>, StoreError> {
    let rotated = sqlx::query_as!(
        Authorization,
        "update authorizations
        set token_hash = $3, token_mask = $4, refresh_hash = null, updated_at = $5, last_used_at = null
        where account = $1
            and id = $2
            and (expires_at is null or expires_at > $5)
        returning id, account, description, scope, client, is_session, token_mask,
            created_at, updated_at, expires_at, last_used_at",
        account.as_uuid(),
        id.as_uuid(),
        token_hash.digest.as_slice(),
        token_hash.mask(),
        now,
    );
    Ok(rotated.fetch_optional(conn).await?)
}

/// Lets the program that acts by it get another token with this secret.
pub async fn make_refreshable(
    conn: &mut PgConnection,
    id: Id<Authorization>,
    client: Uuid,
    refresh: TokenHash,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update authorizations
        set client = $2, refresh_hash = $3
        where id = $1",
        id.as_uuid(),
        client,
        refresh.digest.as_slice(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Another token for whoever has the secret of [`make_refreshable`] and is this client; the old one is worth nothing from then
/// on. `None` for anybody else, and for an account that may do nothing.
pub async fn refresh(
    conn: &mut PgConnection,
    (client, refresh): (Uuid, TokenHash),
    (token_hash, expires_at): (TokenHash, DateTime<Utc>),
    now: DateTime<Utc>,
) -> Result<Option<Authorization>, StoreError> {
    let refreshed = sqlx::query_as!(
        Authorization,
        "update authorizations
        set token_hash = $3, token_mask = $4, expires_at = $5, updated_at = $6
        where refresh_hash = $2
            and client = $1
            and account in (select id from accounts where disabled_at is null)
        returning id, account, description, scope, client, is_session, token_mask,
            created_at, updated_at, expires_at, last_used_at",
        client,
        refresh.digest.as_slice(),
        token_hash.digest.as_slice(),
        token_hash.mask(),
        expires_at,
        now,
    );
    Ok(refreshed.fetch_optional(conn).await?)
}

/// Which authorization a client refreshes with this secret.
pub async fn by_refresh_hash(conn: &mut PgConnection, refresh: TokenHash) -> Result<Option<Authorization>, StoreError> {
    let authorization = sqlx::query_as!(
        Authorization,
        "select id, account, description, scope, client, is_session, token_mask,
            created_at, updated_at, expires_at, last_used_at
        from authorizations
        where refresh_hash = $1",
        refresh.digest.as_slice(),
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
        returning id, account, description, scope, client, is_session, token_mask,
            created_at, updated_at, expires_at, last_used_at",
        account.as_uuid(),
        id.as_uuid(),
    );
    Ok(authorization.fetch_optional(conn).await?)
}

/// Revokes all tokens of an account but one, and whatever login is under way: the password is another one now.
pub async fn delete_all(
    conn: &mut PgConnection,
    account: Id<Account>,
    but: Option<Id<Authorization>>,
) -> Result<u64, StoreError> {
    sqlx::query!("delete from logins where account = $1", account.as_uuid())
        .execute(&mut *conn)
        .await?;
    sqlx::query!("delete from oauth_grants where account = $1", account.as_uuid())
        .execute(&mut *conn)
        .await?;
    let deleted = sqlx::query!(
        "delete from authorizations
        where account = $1
            and id is distinct from $2",
        account.as_uuid(),
        but.as_ref().map(Id::as_uuid),
    );
    Ok(deleted.execute(conn).await?.rows_affected())
}

/// Forgets what has expired, of everybody.
pub async fn delete_expired(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<u64, StoreError> {
    let deleted = sqlx::query!(
        "delete from authorizations
        where expires_at <= $1
            and refresh_hash is null",
        now,
    );
    Ok(deleted.execute(conn).await?.rows_affected())
}

/// Which of these are worth something yet.
pub async fn living(
    conn: &mut PgConnection,
    ids: &[Id<Authorization>],
    now: DateTime<Utc>,
) -> Result<Vec<Id<Authorization>>, StoreError> {
    let ids: Vec<_> = ids.iter().map(|id| *id.as_uuid()).collect();
    let living = sqlx::query_scalar!(
        "select authorizations.id
        from authorizations
        join accounts on accounts.id = authorizations.account
        where authorizations.id = any($1)
            and accounts.disabled_at is null
            and (expires_at is null or expires_at > $2)",
        &ids,
        now,
    );
    Ok(living.fetch_all(conn).await?.into_iter().map(Id::from_uuid).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account;
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

        assert_eq!(list(&mut conn, bob, noon()).await.unwrap(), []);
        assert_eq!(get(&mut conn, bob, made.id, noon()).await.unwrap(), None);
        assert_eq!(delete(&mut conn, bob, made.id).await.unwrap(), None);
        assert_eq!(list(&mut conn, ann, noon()).await.unwrap().len(), 1);
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
            let used = get(&mut conn, ann, id, noon()).await.unwrap().unwrap().last_used_at;
            assert_eq!(used, Some(noon() + TimeDelta::seconds(noted)), "after {seconds} s");
        }
    }

    #[tokio::test]
    async fn sessions_are_listed_by_themselves_and_nothing_that_has_expired() {
        let database = database().await;
        let mut conn = database.store.connection().await.unwrap();
        let ann = database.account("ann").await;
        let new = |description: &str, minutes: Option<i64>| NewAuthorization {
            account: ann,
            token_hash: Token::generate().hash(),
            description: description.to_owned(),
            scope: vec!["global".to_owned()],
            expires_at: minutes.map(|minutes| noon() + TimeDelta::minutes(minutes)),
        };
        let kept = create(&mut conn, new("script", None), noon()).await.unwrap();
        let second = noon() + TimeDelta::seconds(1);
        let short = create(&mut conn, new("short", Some(1)), second).await.unwrap();
        let session = create_session(&mut conn, new("laptop", Some(60)), noon())
            .await
            .unwrap();
        let later = noon() + TimeDelta::minutes(2);
        assert_eq!(
            list(&mut conn, ann, noon()).await.unwrap(),
            [kept.clone(), short.clone()]
        );
        assert_eq!(list(&mut conn, ann, later).await.unwrap(), std::slice::from_ref(&kept));
        assert_eq!(
            list_sessions(&mut conn, ann, later).await.unwrap(),
            std::slice::from_ref(&session)
        );
        assert_eq!(get(&mut conn, ann, short.id, later).await.unwrap(), None);
        let all = [kept.id, short.id, session.id];
        assert_eq!(living(&mut conn, &all, later).await.unwrap().len(), 2);
        assert_eq!(delete_expired(&mut conn, later).await.unwrap(), 1);
        assert_eq!(delete_all(&mut conn, ann, Some(kept.id)).await.unwrap(), 1);
        assert_eq!(living(&mut conn, &all, noon()).await.unwrap(), [kept.id]);
        account::set_disabled(&mut conn, ann, true, noon()).await.unwrap();
        assert_eq!(living(&mut conn, &all, noon()).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_rotated_token_replaces_the_old_one() {
        let database = database().await;
        let mut conn = database.store.connection().await.unwrap();
        let ann = database.account("ann").await;
        let (old, new) = (Token::generate(), Token::generate());
        let wanted = NewAuthorization {
            account: ann,
            token_hash: old.hash(),
            description: "script".to_owned(),
            scope: vec!["read".to_owned()],
            expires_at: None,
        };
        let made = create(&mut conn, wanted, noon()).await.unwrap();
        let mask = made.token_mask.clone().unwrap();
        assert_eq!(mask.len(), SHOWN_FIRST + MASK.len() + SHOWN_LAST);
        assert!(
            old.as_str().starts_with(&mask[..SHOWN_FIRST]) && old.as_str().ends_with(&mask[SHOWN_FIRST + MASK.len()..])
        );
        let rotated = rotate(&mut conn, ann, made.id, new.hash(), noon())
            .await
            .unwrap()
            .unwrap();
        assert_eq!((rotated.id, &rotated.scope), (made.id, &made.scope));
        assert_ne!(rotated.token_mask, made.token_mask);
        assert_eq!(by_token_hash(&mut conn, old.hash(), noon()).await.unwrap(), None);
        let (_, found) = by_token_hash(&mut conn, new.hash(), noon()).await.unwrap().unwrap();
        assert_eq!(found.id, made.id);
        account::set_disabled(&mut conn, ann, true, noon()).await.unwrap();
        assert_eq!(by_token_hash(&mut conn, new.hash(), noon()).await.unwrap(), None);
    }
}
