//! What is wrong with the archives of add-ons, if anything is.

use chrono::{DateTime, Utc};
use paas_core::{Addon, Id};
use serde_json::json;
use sqlx::Connection;

use crate::{
    PgConnection, StoreError,
    addon::{AddonRow, lock, record},
};

/// Why an add-on cannot be gone back to as it should be.
pub async fn alarm(conn: &mut PgConnection, addon: Id<Addon>) -> Result<Option<String>, StoreError> {
    let alarm = sqlx::query_scalar!("select alarm from addon_archives where addon = $1", addon.as_uuid());
    Ok(alarm.fetch_optional(conn).await?)
}

/// Notes what is wrong, or that nothing is any more. `false` when that was known before, word for word: an event is recorded of what
/// is new.
pub async fn set_alarm(
    conn: &mut PgConnection,
    addon: &AddonRow,
    alarm: Option<&str>,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await?;
    let id = addon.addon.id;
    if !lock(&mut transaction, id).await? {
        return Ok(false);
    }
    let before = self::alarm(&mut transaction, id).await?;
    if before.as_deref() == alarm {
        return Ok(false);
    }
    match alarm {
        Some(alarm) => {
            sqlx::query!(
                "insert into addon_archives (addon, alarm, alarmed_at)
                values ($1, $2, $3)
                on conflict (addon) do update
                set alarm = excluded.alarm, alarmed_at = excluded.alarmed_at",
                id.as_uuid(),
                alarm,
                at,
            )
            .execute(&mut *transaction)
            .await?;
        }
        None => {
            sqlx::query!("delete from addon_archives where addon = $1", id.as_uuid())
                .execute(&mut *transaction)
                .await?;
        }
    }
    let payload = json!({ "archive_alarm": alarm });
    record(&mut transaction, &addon.addon, "update", None, at, payload).await?;
    transaction.commit().await?;
    Ok(true)
}
