//! What was asked of certificate authorities lately: held against their limits by [`paas_core::Ledger`].

use chrono::{DateTime, Utc};
use paas_core::{Authority, LEDGER_KEPT, LedgerEntry, OrderKind};

use crate::{PgConnection, StoreError, column::corrupt};

const NOUN: &str = "acme ledger";

/// What was asked of the authority of a directory, which plays this part.
pub async fn of_directory(
    conn: &mut PgConnection,
    directory: &str,
    authority: Authority,
    now: DateTime<Utc>,
) -> Result<Vec<LedgerEntry>, StoreError> {
    let rows = sqlx::query!(
        "select what, hostnames, at, failed_at, is_invalid
        from acme_ledger
        where directory = $1
            and at > $2",
        directory,
        now - LEDGER_KEPT,
    );
    let rows = rows.fetch_all(conn).await?;
    let entries = rows.into_iter().map(|row| {
        if row.what == "account" {
            return Ok(LedgerEntry::Account { authority, at: row.at });
        }
        let kind = OrderKind::ALL.into_iter().find(|kind| kind.as_str() == row.what);
        Ok(LedgerEntry::Order {
            authority,
            names: row.hostnames,
            kind: kind.ok_or_else(|| corrupt(NOUN, &row.what))?,
            at: row.at,
            failed_at: row.failed_at,
            is_invalid: row.is_invalid,
        })
    });
    entries.collect()
}

/// Notes that an account is about to be made.
pub async fn record_account(conn: &mut PgConnection, directory: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into acme_ledger (directory, what, at) values ($1, 'account', $2)",
        directory,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets what no limit counts any more.
pub async fn prune(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!("delete from acme_ledger where at < $1", now - LEDGER_KEPT)
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes that an order is about to be placed.
pub(crate) async fn record_order(
    conn: &mut PgConnection,
    directory: &str,
    names: &[String],
    kind: OrderKind,
    now: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let entry = sqlx::query_scalar!(
        "insert into acme_ledger (directory, what, hostnames, at)
        values ($1, $2, $3, $4)
        returning id",
        directory,
        kind.as_str(),
        names,
        now,
    );
    Ok(entry.fetch_one(conn).await?)
}

/// Notes that the order of a name came to nothing.
pub(crate) async fn record_failure(
    conn: &mut PgConnection,
    entry: i64,
    is_invalid: bool,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update acme_ledger
        set failed_at = $2, is_invalid = $3
        where id = $1",
        entry,
        now,
        is_invalid,
    )
    .execute(conn)
    .await?;
    Ok(())
}
