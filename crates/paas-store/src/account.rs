//! Accounts: people with an email address and a password.

use chrono::{DateTime, Utc};
use paas_core::Id;

use crate::{PgConnection, StoreError, column::unsigned, new_id};

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
    let id = new_id::<Account>(now);
    let account = sqlx::query_as!(
        Account,
        "insert into accounts (id, email, password_hash, created_at, updated_at)
        values ($1, $2, $3, $4, $4)
        returning id, email, created_at, updated_at",
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
        "select id, email, password_hash, created_at, updated_at
        from accounts
        where lower(email) = lower($1)",
        email,
    );
    Ok(row.fetch_optional(conn).await?.map(|row| {
        let account = Account {
            id: row.id.into(),
            email: row.email,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        (account, row.password_hash)
    }))
}

pub async fn by_id(conn: &mut PgConnection, id: Id<Account>) -> Result<Option<Account>, StoreError> {
    let account = sqlx::query_as!(
        Account,
        "select id, email, created_at, updated_at
        from accounts
        where id = $1",
        id.as_uuid(),
    );
    Ok(account.fetch_optional(conn).await?)
}

/// How many accounts there are: none means that nobody has been invited yet.
pub async fn count(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar!(r#"select count(*) as "count!" from accounts"#)
        .fetch_one(conn)
        .await?;
    unsigned("account", count)
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
    .execute(conn)
    .await?;
    Ok(())
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
}
