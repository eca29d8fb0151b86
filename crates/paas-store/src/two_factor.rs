//! Second factors: a secret shared with an authenticator app, and codes that stand in for a lost one.
//!
//! The secret is sealed with the account's id. A code is good once: the step of the last one is remembered, and taken
//! forward in one statement, so that two requests with the same code cannot both win.

use chrono::{DateTime, Utc};
use paas_core::Id;
use sha2::{Digest, Sha256};

use crate::{PgConnection, Sealed, Sealer, StoreError, account::Account};

const NOUN: &str = "two-factor";

/// The second factor of an account.
pub struct TwoFactor {
    /// What the authenticator app was told.
    pub secret: Vec<u8>,
    /// The time step (RFC 6238 §4.2) of the last code that was accepted.
    pub last_step: i64,
    /// When a first code proved that the app has the secret. Before that, nothing is asked for.
    pub confirmed_at: Option<DateTime<Utc>>,
}

/// Begins anew with a secret that is not asked for yet. A confirmed one stays: whether this was done.
pub async fn begin(
    conn: &mut PgConnection,
    sealer: &Sealer,
    account: Id<Account>,
    secret: &[u8],
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let sealed = sealer.seal(NOUN, account.as_uuid(), secret).0;
    let begun = sqlx::query!(
        "insert into two_factors (account, secret, last_step, created_at)
        values ($1, $2, 0, $3)
        on conflict (account) do update
            set secret = $2, last_step = 0, created_at = $3
            where two_factors.confirmed_at is null",
        account.as_uuid(),
        sealed,
        now,
    );
    Ok(begun.execute(conn).await?.rows_affected() > 0)
}

pub async fn get(
    conn: &mut PgConnection,
    sealer: &Sealer,
    account: Id<Account>,
) -> Result<Option<TwoFactor>, StoreError> {
    let row = sqlx::query!(
        "select secret, last_step, confirmed_at
        from two_factors
        where account = $1",
        account.as_uuid(),
    );
    let Some(row) = row.fetch_optional(conn).await? else {
        return Ok(None);
    };
    Ok(Some(TwoFactor {
        secret: sealer.open(NOUN, account.as_uuid(), &Sealed(row.secret))?,
        last_step: row.last_step,
        confirmed_at: row.confirmed_at,
    }))
}

/// Accepts the code of a step, unless that step or a later one was accepted before.
pub async fn accept(conn: &mut PgConnection, account: Id<Account>, step: i64) -> Result<bool, StoreError> {
    let accepted = sqlx::query!(
        "update two_factors
        set last_step = $2
        where account = $1
            and last_step < $2",
        account.as_uuid(),
        step,
    );
    Ok(accepted.execute(conn).await?.rows_affected() > 0)
}

/// From now on a login needs a code.
pub async fn confirm(conn: &mut PgConnection, account: Id<Account>, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        "update two_factors
        set confirmed_at = $2
        where account = $1
            and confirmed_at is null",
        account.as_uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A password is enough again; whether a code was needed before.
pub async fn delete(conn: &mut PgConnection, account: Id<Account>) -> Result<bool, StoreError> {
    sqlx::query!("delete from recovery_codes where account = $1", account.as_uuid())
        .execute(&mut *conn)
        .await?;
    let deleted = sqlx::query_scalar!(
        r#"delete from two_factors
        where account = $1
        returning confirmed_at is not null as "was_confirmed!""#,
        account.as_uuid(),
    );
    Ok(deleted.fetch_optional(conn).await?.unwrap_or_default())
}

/// These codes from now on, and none from before.
pub async fn set_recovery_codes(
    conn: &mut PgConnection,
    account: Id<Account>,
    codes: &[String],
) -> Result<(), StoreError> {
    sqlx::query!("delete from recovery_codes where account = $1", account.as_uuid())
        .execute(&mut *conn)
        .await?;
    let hashes: Vec<Vec<u8>> = codes.iter().map(|code| hash(code)).collect();
    sqlx::query!(
        "insert into recovery_codes (account, code_hash)
        select $1, unnest($2::bytea[])",
        account.as_uuid(),
        &hashes,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Uses a recovery code up; whether it was one.
pub async fn use_recovery_code(conn: &mut PgConnection, account: Id<Account>, code: &str) -> Result<bool, StoreError> {
    let used = sqlx::query!(
        "delete from recovery_codes
        where account = $1
            and code_hash = $2",
        account.as_uuid(),
        hash(code),
    );
    Ok(used.execute(conn).await?.rows_affected() > 0)
}

fn hash(code: &str) -> Vec<u8> {
    Sha256::digest(code.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{database, noon};

    #[tokio::test]
    async fn a_step_and_a_recovery_code_are_good_once() {
        let database = database().await;
        let mut conn = database.store.connection().await.unwrap();
        let sealer = &database.store.sealer;
        let ann = database.account("ann").await;
        assert!(get(&mut conn, sealer, ann).await.unwrap().is_none());
        assert!(begin(&mut conn, sealer, ann, b"first", noon()).await.unwrap());
        assert!(begin(&mut conn, sealer, ann, b"second", noon()).await.unwrap());
        let found = get(&mut conn, sealer, ann).await.unwrap().unwrap();
        assert_eq!((found.secret.as_slice(), found.confirmed_at), (&b"second"[..], None));

        confirm(&mut conn, ann, noon()).await.unwrap();
        assert!(!begin(&mut conn, sealer, ann, b"third", noon()).await.unwrap());
        for (step, is_new) in [(7, true), (7, false), (6, false), (8, true)] {
            assert_eq!(accept(&mut conn, ann, step).await.unwrap(), is_new, "{step}");
        }
        let codes = ["one", "two"].map(str::to_owned);
        set_recovery_codes(&mut conn, ann, &codes).await.unwrap();
        assert!(use_recovery_code(&mut conn, ann, "one").await.unwrap());
        assert!(!use_recovery_code(&mut conn, ann, "one").await.unwrap());
        set_recovery_codes(&mut conn, ann, &codes[..1]).await.unwrap();
        assert!(!use_recovery_code(&mut conn, ann, "two").await.unwrap());

        assert!(delete(&mut conn, ann).await.unwrap());
        assert!(!delete(&mut conn, ann).await.unwrap());
        assert!(!use_recovery_code(&mut conn, ann, "one").await.unwrap());
    }
}
