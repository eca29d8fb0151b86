//! Our accounts with certificate authorities: one for each directory, sealed.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{PgConnection, Sealed, Sealer, StoreError, new_id};

const NOUN: &str = "acme account";

/// The account with the authority of a directory, in the clear.
pub async fn find(conn: &mut PgConnection, sealer: &Sealer, directory: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let row = sqlx::query!("select id, account from acme_accounts where directory = $1", directory);
    let Some(row) = row.fetch_optional(conn).await? else {
        return Ok(None);
    };
    Ok(Some(sealer.open(NOUN, &row.id, &Sealed(row.account))?))
}

/// Keeps a new account, in the place of one that its authority has lost.
pub async fn keep(
    conn: &mut PgConnection,
    sealer: &Sealer,
    directory: &str,
    account: &[u8],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let id: Uuid = *new_id::<()>(now).as_uuid();
    sqlx::query!(
        "insert into acme_accounts (directory, id, account, created_at)
        values ($1, $2, $3, $4)
        on conflict (directory) do update
        set id = excluded.id, account = excluded.account, created_at = excluded.created_at",
        directory,
        id,
        sealer.seal(NOUN, &id, account).0,
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
    async fn an_account_is_kept_for_each_directory_and_sealed() {
        let database = database().await;
        let mut conn = database.store.connection().await.unwrap();
        let sealer = &database.store.sealer;
        let (one, other) = ("https://ca.example/directory", "https://other.example/directory");
        assert_eq!(find(&mut conn, sealer, one).await.unwrap(), None);
        keep(&mut conn, sealer, one, b"canary", noon()).await.unwrap();
        keep(&mut conn, sealer, other, b"other", noon()).await.unwrap();
        assert_eq!(find(&mut conn, sealer, one).await.unwrap().unwrap(), b"canary");
        keep(&mut conn, sealer, one, b"newer", noon()).await.unwrap();
        assert_eq!(find(&mut conn, sealer, one).await.unwrap().unwrap(), b"newer");
        assert_eq!(find(&mut conn, sealer, other).await.unwrap().unwrap(), b"other");
        let stored = sqlx::query_scalar::<_, Vec<u8>>("select account from acme_accounts");
        for stored in stored.fetch_all(&mut *conn).await.unwrap() {
            assert!(!stored.windows(5).any(|bytes| bytes == b"newer" || bytes == b"other"));
        }
    }
}
