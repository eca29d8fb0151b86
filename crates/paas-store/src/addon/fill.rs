//! How full the disks of add-ons are.

use chrono::{DateTime, Utc};
use paas_core::{Addon, AddonFill, Id};
use serde_json::json;
use sqlx::Connection;

use super::{by_id, lock, record};
use crate::{PgConnection, StoreError, column::unsigned};

/// What its volume took when somebody looked last.
pub async fn disk_bytes(conn: &mut PgConnection, id: Id<Addon>) -> Result<Option<u64>, StoreError> {
    let bytes = sqlx::query_scalar!("select disk_bytes from addons where id = $1", id.as_uuid());
    let bytes = bytes.fetch_optional(conn).await?.flatten();
    bytes.map(|bytes| unsigned("addon", bytes)).transpose()
}

/// Notes what its volume takes. Says how many percent people have to be told of, if any: that is also an event.
pub async fn set_disk_bytes(
    conn: &mut PgConnection,
    id: Id<Addon>,
    fill: AddonFill,
    at: DateTime<Utc>,
) -> Result<Option<u8>, StoreError> {
    let mut transaction = conn.begin().await?;
    if !lock(&mut transaction, id).await? {
        return Ok(None);
    }
    let before = disk_bytes(&mut transaction, id).await?;
    let before = before.and_then(|used_bytes| AddonFill { used_bytes, ..fill }.mark());
    sqlx::query!(
        "update addons set disk_bytes = $2 where id = $1",
        id.as_uuid(),
        i64::try_from(fill.used_bytes).unwrap_or(i64::MAX),
    )
    .execute(&mut *transaction)
    .await?;
    let news = fill.news(before);
    if let Some(mark) = news {
        let row = by_id(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
        let payload = json!({ "disk_percent": fill.percent(), "mark": mark });
        record(&mut transaction, &row.addon, "update", None, at, payload).await?;
    }
    transaction.commit().await?;
    Ok(news)
}
