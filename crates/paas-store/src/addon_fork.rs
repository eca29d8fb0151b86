//! Add-ons that begin with what another one holds.

use chrono::{DateTime, Utc};
use paas_core::{Addon, Id};

use crate::{PgConnection, StoreError, addon};

/// What an add-on begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    pub addon: Id<Addon>,
    /// Whose it is.
    pub source: Id<Addon>,
    pub source_name: String,
}

/// To be called in the transaction that makes the add-on. Fails with [`StoreError::AddonGone`] when the other one is being destroyed.
pub async fn begin(conn: &mut PgConnection, fork: &Fork) -> Result<(), StoreError> {
    if !addon::lock(conn, fork.source).await? {
        return Err(StoreError::AddonGone);
    }
    sqlx::query!(
        "insert into addon_forks (addon, source, source_name) values ($1, $2, $3)",
        fork.addon.as_uuid(),
        fork.source.as_uuid(),
        fork.source_name,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What an add-on still has to be given.
pub async fn unfilled(conn: &mut PgConnection, addon: Id<Addon>) -> Result<Option<Fork>, StoreError> {
    let row = sqlx::query!(
        "select addon, source, source_name from addon_forks where addon = $1 and filled_at is null",
        addon.as_uuid()
    );
    Ok(row.fetch_optional(conn).await?.map(|row| Fork {
        addon: row.addon.into(),
        source: row.source.into(),
        source_name: row.source_name,
    }))
}

/// All of it is there.
pub async fn mark_filled(conn: &mut PgConnection, addon: Id<Addon>, at: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        "update addon_forks set filled_at = $2 where addon = $1",
        addon.as_uuid(),
        at
    )
    .execute(conn)
    .await?;
    Ok(())
}
