//! Accounts: people with an email address and a password.

use chrono::{DateTime, Utc};
use paas_core::Id;

use serde_json::json;

use crate::{
    PgConnection, StoreError,
    column::unsigned,
    event::{self, Event},
    new_id,
};

/// A person who can sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: Id<Account>,
    pub email: String,
    /// What the person wants to be called.
    pub name: Option<String>,
    pub allow_tracking: bool,
    pub beta: bool,
    /// Whether a login needs a code beside the password.
    pub two_factor: bool,
    pub last_login_at: Option<DateTime<Utc>>,
    /// Since when the operator lets this person do nothing.
    pub disabled_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What makes an account. The hash is a PHC string of whatever the caller trusts.
#[derive(Clone, Copy)]
pub struct NewAccount<'a> {
    pub email: &'a str,
    pub password_hash: &'a str,
}

/// What a person may change about an account without giving the password again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    pub name: Option<String>,
    pub allow_tracking: bool,
    pub beta: bool,
}

/// The first account is an operator's. Fails with [`StoreError::EmailTaken`]; case does not count.
pub async fn create(conn: &mut PgConnection, new: NewAccount<'_>, now: DateTime<Utc>) -> Result<Account, StoreError> {
    let id = new_id::<Account>(now);
    let account = sqlx::query_as!(
        Account,
        r#"insert into accounts (id, email, password_hash, is_operator, created_at, updated_at)
        values ($1, $2, $3, not exists (select from accounts), $4, $4)
        returning id, email, name, allow_tracking, beta, false as "two_factor!", last_login_at, disabled_at,
            created_at, updated_at"#,
        id.as_uuid(),
        new.email,
        new.password_hash,
        now,
    );
    Ok(account.fetch_one(conn).await?)
}

/// The account with this email address, in any case, and its password hash.
pub async fn by_email(conn: &mut PgConnection, email: &str) -> Result<Option<(Account, String)>, StoreError> {
    let row = sqlx::query!(
        "select id, password_hash
        from accounts
        where lower(email) = lower($1)",
        email,
    );
    let Some(row) = row.fetch_optional(&mut *conn).await? else {
        return Ok(None);
    };
    let account = by_id(conn, row.id.into()).await?;
    Ok(account.map(|account| (account, row.password_hash)))
}

pub async fn by_id(conn: &mut PgConnection, id: Id<Account>) -> Result<Option<Account>, StoreError> {
    let account = sqlx::query_as!(
        Account,
        r#"select
            id, email, name, allow_tracking, beta,
            exists (
                select from two_factors
                where two_factors.account = accounts.id
                    and confirmed_at is not null
            ) as "two_factor!",
            last_login_at, disabled_at, created_at, updated_at
        from accounts
        where id = $1"#,
        id.as_uuid(),
    );
    Ok(account.fetch_optional(conn).await?)
}

/// Everybody, by address.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Account>, StoreError> {
    let accounts = sqlx::query_as!(
        Account,
        r#"select
            id, email, name, allow_tracking, beta,
            exists (
                select from two_factors
                where two_factors.account = accounts.id
                    and confirmed_at is not null
            ) as "two_factor!",
            last_login_at, disabled_at, created_at, updated_at
        from accounts
        order by lower(email)"#,
    );
    Ok(accounts.fetch_all(conn).await?)
}

/// Whether this person runs the platform.
pub async fn is_operator(conn: &mut PgConnection, id: Id<Account>) -> Result<bool, StoreError> {
    let is_operator = sqlx::query_scalar!("select is_operator from accounts where id = $1", id.as_uuid());
    Ok(is_operator.fetch_optional(conn).await?.unwrap_or_default())
}

/// Lets a person run the platform, or lets them no more.
pub async fn set_operator(
    conn: &mut PgConnection,
    id: Id<Account>,
    is_operator: bool,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update accounts
        set is_operator = $2, updated_at = $3
        where id = $1",
        id.as_uuid(),
        is_operator,
        now,
    )
    .execute(&mut *conn)
    .await?;
    let event = Event {
        app: None,
        actor: None,
        action: "update".to_owned(),
        resource: "account".to_owned(),
        resource_id: Some(*id.as_uuid()),
        payload: json!({ "operator": is_operator }),
        at: now,
    };
    event::record(conn, event).await
}

/// How many accounts there are: none means that nobody has been invited yet.
pub async fn count(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar!(r#"select count(*) as "count!" from accounts"#)
        .fetch_one(conn)
        .await?;
    unsigned("account", count)
}

/// The hash of the password, for a person who is asked for it again.
pub async fn password_hash(conn: &mut PgConnection, id: Id<Account>) -> Result<Option<String>, StoreError> {
    let hash = sqlx::query_scalar!("select password_hash from accounts where id = $1", id.as_uuid());
    Ok(hash.fetch_optional(conn).await?)
}

pub async fn set_password(
    conn: &mut PgConnection,
    id: Id<Account>,
    password_hash: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update accounts
        set password_hash = $2, updated_at = $3
        where id = $1",
        id.as_uuid(),
        password_hash,
        now,
    )
    .execute(&mut *conn)
    .await?;
    // The payload says what changed, never to what.
    changed(conn, None, id, json!({ "changed": "password" }), now).await
}

/// Fails with [`StoreError::EmailTaken`]; case does not count.
pub async fn set_email(
    conn: &mut PgConnection,
    id: Id<Account>,
    email: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update accounts
        set email = $2, updated_at = $3
        where id = $1",
        id.as_uuid(),
        email,
        now,
    )
    .execute(&mut *conn)
    .await?;
    changed(conn, Some(id), id, json!({ "email": email }), now).await
}

pub async fn set_profile(
    conn: &mut PgConnection,
    id: Id<Account>,
    profile: &Profile,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update accounts
        set name = $2, allow_tracking = $3, beta = $4, updated_at = $5
        where id = $1",
        id.as_uuid(),
        profile.name,
        profile.allow_tracking,
        profile.beta,
        now,
    )
    .execute(&mut *conn)
    .await?;
    let payload = json!({ "name": profile.name, "allow_tracking": profile.allow_tracking, "beta": profile.beta });
    changed(conn, Some(id), id, payload, now).await
}

/// Lets a person do nothing, or everything again. Whoever disables an account revokes its tokens in the same transaction.
pub async fn set_disabled(
    conn: &mut PgConnection,
    id: Id<Account>,
    is_disabled: bool,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update accounts
        set disabled_at = $2, updated_at = $3
        where id = $1
            and (disabled_at is null) = ($2::timestamptz is not null)",
        id.as_uuid(),
        is_disabled.then_some(now),
        now,
    )
    .execute(&mut *conn)
    .await?;
    changed(conn, None, id, json!({ "disabled": is_disabled }), now).await
}

/// Notes that a password was right. Nothing that is wanted changes by it, so `updated_at` stays.
pub async fn note_login(conn: &mut PgConnection, id: Id<Account>, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        "update accounts set last_login_at = $2 where id = $1",
        id.as_uuid(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn changed(
    conn: &mut PgConnection,
    actor: Option<Id<Account>>,
    id: Id<Account>,
    payload: serde_json::Value,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let event = Event {
        app: None,
        actor,
        action: "update".to_owned(),
        resource: "account".to_owned(),
        resource_id: Some(*id.as_uuid()),
        payload,
        at: now,
    };
    event::record(conn, event).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{database, noon};

    #[tokio::test]
    async fn an_email_address_is_one_account_whatever_its_case() {
        let database = database().await;
        let mut conn = database.store.connection().await.unwrap();
        assert_eq!(count(&mut conn).await.unwrap(), 0);
        let new = |email| NewAccount {
            email,
            password_hash: "$argon2id$one",
        };
        let ann = create(&mut conn, new("Ann@example.com"), noon()).await.unwrap();
        let again = create(&mut conn, new("ann@EXAMPLE.com"), noon()).await;
        assert!(matches!(again, Err(StoreError::EmailTaken)));
        let (found, hash) = by_email(&mut conn, "ANN@example.com").await.unwrap().unwrap();
        assert_eq!((found, hash.as_str()), (ann.clone(), "$argon2id$one"));
        assert_eq!(by_id(&mut conn, ann.id).await.unwrap(), Some(ann.clone()));
        assert_eq!(count(&mut conn).await.unwrap(), 1);

        set_password(&mut conn, ann.id, "$argon2id$two", noon()).await.unwrap();
        let (_, hash) = by_email(&mut conn, "ann@example.com").await.unwrap().unwrap();
        assert_eq!(hash, "$argon2id$two");
        assert_eq!(by_email(&mut conn, "bob@example.com").await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_first_account_runs_the_platform_until_somebody_says_otherwise() {
        let database = database().await;
        let mut conn = database.store.connection().await.unwrap();
        let (ann, bob) = (database.account("ann").await, database.account("bob").await);
        let mut operators = async || {
            let first = is_operator(&mut conn, ann).await.unwrap();
            (first, is_operator(&mut conn, bob).await.unwrap())
        };
        assert_eq!(operators().await, (true, false));
        let mut other = database.store.connection().await.unwrap();
        set_operator(&mut other, bob, true, noon()).await.unwrap();
        set_operator(&mut other, ann, false, noon()).await.unwrap();
        assert_eq!(operators().await, (false, true));
    }

    #[tokio::test]
    async fn what_is_changed_about_an_account_is_kept_and_told() {
        let database = database().await;
        let mut conn = database.store.connection().await.unwrap();
        let ann = database.account("ann").await;
        database.account("bob").await;
        let profile = Profile {
            name: Some("Ann".to_owned()),
            allow_tracking: false,
            beta: true,
        };
        set_profile(&mut conn, ann, &profile, noon()).await.unwrap();
        let taken = set_email(&mut conn, ann, "BOB@example.com", noon()).await;
        assert!(matches!(taken, Err(StoreError::EmailTaken)));
        set_email(&mut conn, ann, "anne@example.com", noon()).await.unwrap();
        set_disabled(&mut conn, ann, true, noon()).await.unwrap();
        note_login(&mut conn, ann, noon()).await.unwrap();
        let found = by_id(&mut conn, ann).await.unwrap().unwrap();
        assert_eq!(
            (found.email.as_str(), found.name.as_deref(), found.beta),
            ("anne@example.com", Some("Ann"), true)
        );
        assert_eq!((found.disabled_at, found.last_login_at), (Some(noon()), Some(noon())));
        set_disabled(&mut conn, ann, false, noon()).await.unwrap();
        assert_eq!(by_id(&mut conn, ann).await.unwrap().unwrap().disabled_at, None);
        let emails: Vec<_> = list(&mut conn)
            .await
            .unwrap()
            .into_iter()
            .map(|one| one.email)
            .collect();
        assert_eq!(emails, ["anne@example.com", "bob@example.com"]);
    }
}
