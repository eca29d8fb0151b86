//! Add-ons that begin with what another one held at a moment.

use chrono::{DateTime, Utc};
use paas_core::{Addon, Id};

use crate::{PgConnection, StoreError, addon};

/// What an add-on begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    pub addon: Id<Addon>,
    /// Whose it was.
    pub source: Id<Addon>,
    pub source_name: String,
    pub moment: DateTime<Utc>,
}

/// To be called in the transaction that makes the add-on. Fails with [`StoreError::AddonGone`] when the other one is being destroyed.
pub async fn begin(conn: &mut PgConnection, rollback: &Rollback) -> Result<(), StoreError> {
    if !addon::lock(conn, rollback.source).await? {
        return Err(StoreError::AddonGone);
    }
    sqlx::query!(
        "insert into addon_rollbacks (addon, source, source_name, moment) values ($1, $2, $3, $4)",
        rollback.addon.as_uuid(),
        rollback.source.as_uuid(),
        rollback.source_name,
        rollback.moment,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Those that are not on their volumes yet.
pub async fn unfilled(conn: &mut PgConnection) -> Result<Vec<Rollback>, StoreError> {
    let rows = sqlx::query!(
        "select addon, source, source_name, moment
        from addon_rollbacks
        where filled_at is null"
    );
    let rows = rows.fetch_all(conn).await?.into_iter();
    let rollbacks = rows.map(|row| Rollback {
        addon: row.addon.into(),
        source: row.source.into(),
        source_name: row.source_name,
        moment: row.moment,
    });
    Ok(rollbacks.collect())
}

/// All of it is on the volume.
pub async fn mark_filled(conn: &mut PgConnection, addon: Id<Addon>, at: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        "update addon_rollbacks set filled_at = $2 where addon = $1",
        addon.as_uuid(),
        at
    )
    .execute(conn)
    .await?;
    Ok(())
}
