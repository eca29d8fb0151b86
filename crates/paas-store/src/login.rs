//! Logins that a command began and a browser finishes.
//!
//! Two secrets go with a login: the one in the address of the page, and the one of the command that waits. Both are stored
//! as hashes. The token is made when the command collects it, so that none ever rests here; it is collected once.

use chrono::{DateTime, Utc};
use paas_core::Id;

use crate::{PgConnection, StoreError, account::Account, authorization::TokenHash, new_id};

/// A login under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub id: Id<Login>,
    pub description: String,
    /// Where the command asked from.
    pub address: String,
    /// Whose password was right.
    pub account: Option<Id<Account>>,
    /// When nothing more was asked for.
    pub approved_at: Option<DateTime<Utc>>,
    /// When the command got its token.
    pub collected_at: Option<DateTime<Utc>>,
    pub expires_at: DateTime<Utc>,
}

/// What makes a login.
#[derive(Debug, Clone)]
pub struct NewLogin {
    pub browser: TokenHash,
    pub command: TokenHash,
    pub description: String,
    pub address: String,
    pub expires_at: DateTime<Utc>,
}

/// How many logins are under way: all, and from one address. Forgets those that are over.
pub async fn count(conn: &mut PgConnection, address: &str, now: DateTime<Utc>) -> Result<(i64, i64), StoreError> {
    sqlx::query!("delete from logins where expires_at <= $1", now)
        .execute(&mut *conn)
        .await?;
    let counted = sqlx::query!(
        r#"select count(*) as "all!", count(*) filter (where address = $1) as "from_there!"
        from logins"#,
        address,
    );
    let counted = counted.fetch_one(conn).await?;
    Ok((counted.all, counted.from_there))
}

pub async fn create(conn: &mut PgConnection, new: NewLogin, now: DateTime<Utc>) -> Result<Login, StoreError> {
    let id = new_id::<Login>(now);
    let login = sqlx::query_as!(
        LoginRow,
        "insert into logins (id, browser_hash, command_hash, description, address, created_at, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        returning id, description, address, account, approved_at, collected_at, expires_at",
        id.as_uuid(),
        new.browser.as_bytes(),
        new.command.as_bytes(),
        new.description,
        new.address,
        now,
        new.expires_at,
    );
    Ok(login.fetch_one(conn).await?.into())
}

/// The login whose page this is, unless it is over.
pub async fn of_browser(
    conn: &mut PgConnection,
    browser: TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<Login>, StoreError> {
    let login = sqlx::query_as!(
        LoginRow,
        "select id, description, address, account, approved_at, collected_at, expires_at
        from logins
        where browser_hash = $1
            and expires_at > $2",
        browser.as_bytes(),
        now,
    );
    Ok(login.fetch_optional(conn).await?.map(Login::from))
}

/// The login that this command waits for, unless it is over.
pub async fn of_command(
    conn: &mut PgConnection,
    command: TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<Login>, StoreError> {
    let login = sqlx::query_as!(
        LoginRow,
        "select id, description, address, account, approved_at, collected_at, expires_at
        from logins
        where command_hash = $1
            and expires_at > $2",
        command.as_bytes(),
        now,
    );
    Ok(login.fetch_optional(conn).await?.map(Login::from))
}

/// Whose password was right; `None` begins again. An approved login stays as it is: whether this was done.
pub async fn set_account(
    conn: &mut PgConnection,
    id: Id<Login>,
    account: Option<Id<Account>>,
) -> Result<bool, StoreError> {
    let set = sqlx::query!(
        "update logins
        set account = $2
        where id = $1
            and approved_at is null",
        id.as_uuid(),
        account.as_ref().map(Id::as_uuid),
    );
    Ok(set.execute(conn).await?.rows_affected() > 0)
}

/// Nothing more is asked for of this account: the command may collect its token.
pub async fn approve(
    conn: &mut PgConnection,
    id: Id<Login>,
    account: Id<Account>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let approved = sqlx::query!(
        "update logins
        set account = $2, approved_at = $3
        where id = $1
            and approved_at is null
            and expires_at > $3",
        id.as_uuid(),
        account.as_uuid(),
        now,
    );
    Ok(approved.execute(conn).await?.rows_affected() > 0)
}

/// Whose token the command may have, once.
pub async fn collect(
    conn: &mut PgConnection,
    id: Id<Login>,
    now: DateTime<Utc>,
) -> Result<Option<Id<Account>>, StoreError> {
    let account = sqlx::query_scalar!(
        r#"update logins
        set collected_at = $2
        where id = $1
            and approved_at is not null
            and collected_at is null
            and expires_at > $2
        returning account as "account!""#,
        id.as_uuid(),
        now,
    );
    Ok(account.fetch_optional(conn).await?.map(Id::from_uuid))
}

struct LoginRow {
    id: uuid::Uuid,
    description: String,
    address: String,
    account: Option<uuid::Uuid>,
    approved_at: Option<DateTime<Utc>>,
    collected_at: Option<DateTime<Utc>>,
    expires_at: DateTime<Utc>,
}

impl From<LoginRow> for Login {
    fn from(row: LoginRow) -> Self {
        Self {
            id: row.id.into(),
            description: row.description,
            address: row.address,
            account: row.account.map(Id::from_uuid),
            approved_at: row.approved_at,
            collected_at: row.collected_at,
            expires_at: row.expires_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::testing::{database, noon};

    #[tokio::test]
    async fn a_login_is_approved_once_and_collected_once() {
        let database = database().await;
        let mut conn = database.store.connection().await.unwrap();
        let (ann, bob) = (database.account("ann").await, database.account("bob").await);
        let new = NewLogin {
            browser: TokenHash::of("browser"),
            command: TokenHash::of("command"),
            description: "laptop".to_owned(),
            address: "local".to_owned(),
            expires_at: noon() + TimeDelta::minutes(10),
        };
        let login = create(&mut conn, new.clone(), noon()).await.unwrap();
        assert_eq!(count(&mut conn, "local", noon()).await.unwrap(), (1, 1));
        assert_eq!(count(&mut conn, "elsewhere", noon()).await.unwrap(), (1, 0));
        let found = of_browser(&mut conn, new.browser, noon()).await.unwrap();
        assert_eq!(found, Some(login.clone()));
        assert_eq!(of_command(&mut conn, new.command, noon()).await.unwrap(), found);
        assert_eq!(of_command(&mut conn, new.browser, noon()).await.unwrap(), None);

        assert_eq!(collect(&mut conn, login.id, noon()).await.unwrap(), None);
        assert!(set_account(&mut conn, login.id, Some(bob)).await.unwrap());
        assert_eq!(collect(&mut conn, login.id, noon()).await.unwrap(), None);
        assert!(set_account(&mut conn, login.id, None).await.unwrap());
        assert!(approve(&mut conn, login.id, ann, noon()).await.unwrap());
        assert!(!approve(&mut conn, login.id, bob, noon()).await.unwrap());
        assert!(!set_account(&mut conn, login.id, Some(bob)).await.unwrap());
        assert_eq!(collect(&mut conn, login.id, noon()).await.unwrap(), Some(ann));
        assert_eq!(collect(&mut conn, login.id, noon()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_login_is_over_after_its_time() {
        let database = database().await;
        let mut conn = database.store.connection().await.unwrap();
        let ann = database.account("ann").await;
        let new = NewLogin {
            browser: TokenHash::of("browser"),
            command: TokenHash::of("command"),
            description: String::new(),
            address: "local".to_owned(),
            expires_at: noon(),
        };
        let before = noon() - TimeDelta::seconds(1);
        let login = create(&mut conn, new.clone(), before).await.unwrap();
        assert!(!approve(&mut conn, login.id, ann, noon()).await.unwrap());
        assert!(approve(&mut conn, login.id, ann, before).await.unwrap());
        assert_eq!(collect(&mut conn, login.id, noon()).await.unwrap(), None);
        assert_eq!(of_command(&mut conn, new.command, noon()).await.unwrap(), None);
        assert_eq!(of_browser(&mut conn, new.browser, noon()).await.unwrap(), None);
        assert_eq!(count(&mut conn, "local", noon()).await.unwrap(), (0, 0));
    }
}
