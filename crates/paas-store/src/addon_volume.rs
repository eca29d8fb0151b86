//! Volumes that add-ons had before they were upgraded: kept for some days, in case somebody misses something.

use chrono::{DateTime, Utc};
use paas_core::{Addon, Id};
use uuid::Uuid;

use crate::{PgConnection, StoreError, column::unsigned};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptVolume {
    /// As the engine knows it.
    pub name: String,
    pub addon: Id<Addon>,
    /// Of the server that wrote it.
    pub version: String,
    /// What it took when somebody looked last.
    pub bytes: Option<u64>,
    pub kept_until: DateTime<Utc>,
}

struct Row {
    name: String,
    addon: Uuid,
    version: String,
    bytes: Option<i64>,
    kept_until: DateTime<Utc>,
}

/// Those of an add-on, the one that goes first before the others.
pub async fn list_of_addon(conn: &mut PgConnection, addon: Id<Addon>) -> Result<Vec<KeptVolume>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "select name, addon, version, bytes, kept_until from addon_volumes where addon = $1 order by kept_until",
        addon.as_uuid()
    );
    volumes(rows.fetch_all(conn).await?)
}

/// Those of all add-ons.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<KeptVolume>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "select name, addon, version, bytes, kept_until from addon_volumes order by kept_until"
    );
    volumes(rows.fetch_all(conn).await?)
}

/// After the volume.
pub async fn delete(conn: &mut PgConnection, name: &str) -> Result<(), StoreError> {
    sqlx::query!("delete from addon_volumes where name = $1", name)
        .execute(conn)
        .await?;
    Ok(())
}

fn volumes(rows: Vec<Row>) -> Result<Vec<KeptVolume>, StoreError> {
    let volumes = rows.into_iter().map(|row| {
        Ok(KeptVolume {
            name: row.name,
            addon: row.addon.into(),
            version: row.version,
            bytes: row.bytes.map(|bytes| unsigned("addon volume", bytes)).transpose()?,
            kept_until: row.kept_until,
        })
    });
    volumes.collect()
}
