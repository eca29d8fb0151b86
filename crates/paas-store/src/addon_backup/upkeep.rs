//! How add-ons are backed up by themselves, and what is alarming about that.

use chrono::{DateTime, Utc};
use paas_core::{Addon, BackupSchedule, Id};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    PgConnection, Stamp, StoreError,
    addon::AddonRow,
    column::{integer, unsigned},
    event::{self, Change},
};

/// How an add-on is backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upkeep {
    pub addon: Id<Addon>,
    /// `None`: only when somebody asks for it.
    pub schedule: Option<BackupSchedule>,
}

/// How all add-ons are backed up.
pub async fn upkeep(conn: &mut PgConnection) -> Result<Vec<Upkeep>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "select id, backs_up, backup_hour, backup_timezone
        from addons
        order by id"
    );
    let rows = rows.fetch_all(conn).await?.into_iter();
    rows.map(Upkeep::try_from).collect()
}

pub async fn upkeep_of(conn: &mut PgConnection, addon: Id<Addon>) -> Result<Upkeep, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "select id, backs_up, backup_hour, backup_timezone
        from addons
        where id = $1",
        addon.as_uuid(),
    );
    row.fetch_optional(conn).await?.ok_or(StoreError::AddonGone)?.try_into()
}

/// `None`: it is copied only when somebody asks for it.
pub async fn set_schedule(
    conn: &mut PgConnection,
    addon: &AddonRow,
    schedule: Option<BackupSchedule>,
    stamp: Stamp,
) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let id = addon.addon.id;
    sqlx::query!(
        "update addons
        set
            backs_up = $2,
            backup_hour = coalesce($3, backup_hour),
            backup_timezone = coalesce($4, backup_timezone),
            backup_alarm = null,
            updated_at = $5
        where id = $1",
        id.as_uuid(),
        schedule.is_some(),
        schedule.map(|schedule| integer(schedule.hour())),
        schedule.map(|schedule| schedule.zone()),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    let payload = json!({
        "name": addon.addon.name.as_str(),
        "backup_hour": schedule.map(|schedule| schedule.hour()),
        "backup_timezone": schedule.map(|schedule| schedule.zone()),
    });
    event::record(&mut transaction, of_addon(&id).by(addon.addon.app, stamp, payload)).await?;
    Ok(transaction.commit().await?)
}

/// Why there is no good backup that is young enough; `None` when there is one again.
pub async fn set_alarm(
    conn: &mut PgConnection,
    addon: &AddonRow,
    alarm: Option<&str>,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let id = addon.addon.id;
    sqlx::query!("update addons set backup_alarm = $2 where id = $1", id.as_uuid(), alarm)
        .execute(&mut *transaction)
        .await?;
    let payload = json!({ "name": addon.addon.name.as_str(), "backup_alarm": alarm });
    event::record(
        &mut transaction,
        of_addon(&id).by_platform(addon.addon.app, at, payload),
    )
    .await?;
    Ok(transaction.commit().await?)
}

fn of_addon(id: &Id<Addon>) -> Change<'_> {
    Change {
        action: "update",
        resource: "addon",
        id: id.as_uuid(),
    }
}

struct Row {
    id: Uuid,
    backs_up: bool,
    backup_hour: Option<i32>,
    backup_timezone: String,
}

impl TryFrom<Row> for Upkeep {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let addon = Id::from_uuid(row.id);
        let when = row
            .backs_up
            .then(|| schedule(addon, row.backup_hour, &row.backup_timezone));
        Ok(Self {
            addon,
            schedule: when.transpose()?,
        })
    }
}

fn schedule(addon: Id<Addon>, hour: Option<i32>, zone: &str) -> Result<BackupSchedule, StoreError> {
    let Some(hour) = hour else {
        return Ok(BackupSchedule::quiet(addon));
    };
    // Rules about when clocks are changed come with the program: one that it does not know any more is no reason not to copy.
    let hour = unsigned("addon", hour)?;
    Ok(BackupSchedule::new(hour, zone).unwrap_or_else(|_| BackupSchedule::quiet(addon)))
}
