//! The way of add-ons to newer versions of their servers.

use chrono::{DateTime, Utc};
use paas_core::{Addon, AddonUpgrade, Id, ImageRef, UpgradeState};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    PgConnection, Stamp, StoreError,
    addon::{AddonRow, by_id, lock, record},
    addon_backup,
    column::parse,
};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUpgrade {
    pub version: String,
    pub is_dry_run: bool,
}

/// Where an add-on has moved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub volume: String,
    pub image: ImageRef,
    /// What its volume was called before, and until when that is kept.
    pub left: (String, DateTime<Utc>),
    /// What came of it, for people.
    pub words: String,
}

/// Whether an add-on may move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// From now on nobody reaches its server.
    Taken,
    /// This backup or restore of it is running, and would end with its server.
    After(String),
    Cancelled,
}

struct Row {
    addon: Uuid,
    version: String,
    is_dry_run: bool,
    state: String,
    words: String,
    is_cancelled: bool,
    begun_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

/// The last one of an add-on.
pub async fn of_addon(conn: &mut PgConnection, addon: Id<Addon>) -> Result<Option<AddonUpgrade>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "select addon, version, is_dry_run, state, words, is_cancelled, begun_at, ended_at from addon_upgrades where addon = $1",
        addon.as_uuid()
    );
    row.fetch_optional(conn).await?.map(AddonUpgrade::try_from).transpose()
}

/// Those that are not over.
pub async fn running(conn: &mut PgConnection) -> Result<Vec<AddonUpgrade>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "select addon, version, is_dry_run, state, words, is_cancelled, begun_at, ended_at from addon_upgrades where ended_at is null"
    );
    rows.fetch_all(conn)
        .await?
        .into_iter()
        .map(AddonUpgrade::try_from)
        .collect()
}

/// Begins one, in the place of the last. Fails with [`StoreError::AddonGone`]; `false` while one is under way.
pub async fn begin(
    conn: &mut PgConnection,
    addon: Id<Addon>,
    new: &NewUpgrade,
    stamp: Stamp,
) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await?;
    if !lock(&mut transaction, addon).await? {
        return Err(StoreError::AddonGone);
    }
    let begun = sqlx::query!(
        "insert into addon_upgrades (addon, version, is_dry_run, state, words, begun_by, begun_at)
        values ($1, $2, $3, 'trying', 'waiting for its turn', $4, $5)
        on conflict (addon) do update
        set
            version = excluded.version,
            is_dry_run = excluded.is_dry_run,
            state = excluded.state,
            words = excluded.words,
            begun_by = excluded.begun_by,
            begun_at = excluded.begun_at,
            is_cancelled = false,
            ended_at = null
        where addon_upgrades.ended_at is not null",
        addon.as_uuid(),
        new.version,
        new.is_dry_run,
        stamp.by.as_uuid(),
        stamp.at,
    );
    let has_begun = begun.execute(&mut *transaction).await?.rows_affected() == 1;
    sqlx::query!("update addons set retry_at = null where id = $1", addon.as_uuid())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(has_begun)
}

/// Says what goes on.
pub async fn say(conn: &mut PgConnection, addon: Id<Addon>, words: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "update addon_upgrades set words = $2 where addon = $1 and ended_at is null",
        addon.as_uuid(),
        words
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Lets an add-on move, unless somebody is copying what is in it, or has cancelled that.
pub async fn begin_to_move(
    conn: &mut PgConnection,
    addon: Id<Addon>,
    words: &str,
    at: DateTime<Utc>,
) -> Result<Turn, StoreError> {
    let mut transaction = conn.begin().await?;
    // Whoever begins a backup holds the app, too.
    sqlx::query!(
        "select id from apps where id = (select app from addons where id = $1) for update",
        addon.as_uuid()
    )
    .fetch_optional(&mut *transaction)
    .await?;
    if let Some(backup) = addon_backup::running_of_addon(&mut transaction, addon, at).await? {
        return Ok(Turn::After(backup.name()));
    }
    let moving = sqlx::query!(
        "update addon_upgrades set state = 'moving', words = $2
        where addon = $1 and state = 'trying' and not is_cancelled",
        addon.as_uuid(),
        words
    );
    let is_moving = moving.execute(&mut *transaction).await?.rows_affected() == 1;
    transaction.commit().await?;
    Ok(if is_moving { Turn::Taken } else { Turn::Cancelled })
}

/// Whoever is at it is to stop. `false` when it is too late for that.
pub async fn cancel(conn: &mut PgConnection, addon: Id<Addon>) -> Result<bool, StoreError> {
    let cancelled = sqlx::query!(
        "update addon_upgrades set is_cancelled = true where addon = $1 and state in ('trying', 'moving')",
        addon.as_uuid()
    );
    Ok(cancelled.execute(conn).await?.rows_affected() == 1)
}

/// Its new server has answered.
pub async fn settle(conn: &mut PgConnection, addon: Id<Addon>, at: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        "update addon_upgrades set state = 'succeeded', ended_at = $2 where addon = $1 and state = 'starting'",
        addon.as_uuid(),
        at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// It is over, and nothing of the add-on has changed. `false` when it was before.
pub async fn end(
    conn: &mut PgConnection,
    addon: Id<Addon>,
    state: UpgradeState,
    words: &str,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let ended = sqlx::query!(
        "update addon_upgrades set state = $2, words = $3, ended_at = $4 where addon = $1 and ended_at is null",
        addon.as_uuid(),
        state.as_str(),
        words,
        at
    );
    Ok(ended.execute(conn).await?.rows_affected() == 1)
}

/// The add-on is where it was moved to: its next server is of the other version, on the other volume. All of it or nothing; `false`
/// when it was cancelled, or is being destroyed.
pub async fn swap(
    conn: &mut PgConnection,
    before: &AddonRow,
    upgrade: &AddonUpgrade,
    moved: &Moved,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await?;
    let id = upgrade.addon;
    if !lock(&mut transaction, id).await? {
        return Ok(false);
    }
    let ended = sqlx::query!(
        "update addon_upgrades set state = 'starting', words = $2
        where addon = $1 and state = 'moving' and not is_cancelled",
        id.as_uuid(),
        moved.words
    );
    if ended.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!(
        "insert into addon_volumes (name, addon, version, bytes, kept_until)
        select $2, id, version, disk_bytes, $3 from addons where id = $1",
        id.as_uuid(),
        moved.left.0,
        moved.left.1,
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!(
        "update addons
        set
            version = $2,
            volume = $3,
            image = $4,
            generation = generation + 1,
            failures = 0,
            retry_at = null,
            trouble = null,
            disk_bytes = null,
            updated_at = $5
        where id = $1",
        id.as_uuid(),
        upgrade.version,
        moved.volume,
        moved.image.as_str(),
        at,
    )
    .execute(&mut *transaction)
    .await?;
    let row = by_id(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
    let payload = json!({ "version": row.version, "previous_version": before.version });
    record(&mut transaction, &row.addon, "update", None, at, payload).await?;
    transaction.commit().await?;
    Ok(true)
}

impl TryFrom<Row> for AddonUpgrade {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            addon: row.addon.into(),
            version: row.version,
            is_dry_run: row.is_dry_run,
            state: parse("addon upgrade", &row.state)?,
            words: row.words,
            is_cancelled: row.is_cancelled,
            begun_at: row.begun_at,
            ended_at: row.ended_at,
        })
    }
}
