//! Add-ons: servers that apps use.
//!
//! A server of the platform works on an add-on while it holds the add-on's lease. Every change that an app sees is a release
//! of that app, made in the same transaction: config vars of add-ons are no part of what people set (`release/own.rs`).

mod change;
mod fill;
mod row;
mod setting;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use paas_core::{Addon, App, Id, ImageRef};
use uuid::Uuid;

use crate::{
    PgConnection, Sealed, Sealer, StoreError,
    account::Account,
    column::{corrupt, integer},
};
use row::Row;

pub use change::{
    Learns, NewAddon, begin_destroy, begin_destroy_by_platform, begin_destroy_of_app, begin_rotation, create, rename,
    set_config, set_plan,
};
pub(crate) use change::{lock_with_apps, record};
pub use fill::{disk_bytes, set_disk_bytes};
pub use setting::{choose, mark_configured, settings, unsettled};

const SECRET: &str = "addon secret";
pub(crate) const CONFIG: &str = "addon config";
/// No lease is that long: one that seems to be was written by a clock that ran ahead.
const LONGEST_LEASE: TimeDelta = TimeDelta::hours(2);

/// Values by name: of credentials, or of config vars without the attachment's name. Secrets.
pub type Values = BTreeMap<String, String>;

/// An add-on with what is kept beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddonRow {
    pub addon: Addon,
    pub app_name: String,
    /// What the config vars of its attachments end in.
    pub suffixes: Vec<String>,
    pub image: Option<ImageRef>,
    pub version: String,
    /// What its volume is called, where not after its id.
    pub volume: Option<String>,
    pub generation: u32,
    pub is_rotating: bool,
    /// Containers that ended in a row.
    pub failures: u32,
    pub retry_at: Option<DateTime<Utc>>,
    /// Why it does not run.
    pub trouble: Option<String>,
    /// Why there is no good backup that is young enough.
    pub backup_alarm: Option<String>,
    /// Its last backup was made, or cannot be.
    pub has_farewell: bool,
    pub created_by: Id<Account>,
}

macro_rules! select_addons {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select
                addons.id,
                addons.app,
                apps.name as app_name,
                addons.name,
                addons.service,
                addons.plan,
                addons.state,
                addons.suffixes,
                addons.image,
                addons.version,
                addons.volume,
                addons.generation,
                addons.is_rotating,
                addons.failures,
                addons.retry_at,
                addons.trouble,
                addons.backup_alarm,
                addons.has_farewell,
                addons.created_by,
                addons.created_at,
                addons.updated_at
            from addons
            join apps on apps.id = addons.app
            " + $filter
            $(, $argument)*
        )
    };
}

/// Every add-on, the oldest first.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<AddonRow>, StoreError> {
    rows(select_addons!("order by addons.id").fetch_all(conn).await?)
}

/// The add-on with this name or id, unless it is being destroyed.
pub async fn find(conn: &mut PgConnection, name_or_id: &str) -> Result<Option<AddonRow>, StoreError> {
    let id = name_or_id.parse::<Uuid>().ok();
    one(select_addons!(
        "where (addons.name = $1 or addons.id = $2) and addons.state <> 'deprovisioning'",
        name_or_id,
        id
    )
    .fetch_optional(conn)
    .await?)
}

/// The add-on with this id, also while it is being destroyed.
pub async fn by_id(conn: &mut PgConnection, id: Id<Addon>) -> Result<Option<AddonRow>, StoreError> {
    one(select_addons!("where addons.id = $1", id.as_uuid())
        .fetch_optional(conn)
        .await?)
}

/// Those that these apps pay for or use, by name.
pub async fn list_of_apps(conn: &mut PgConnection, apps: &[Id<App>]) -> Result<Vec<AddonRow>, StoreError> {
    let apps: Vec<Uuid> = apps.iter().map(|app| *app.as_uuid()).collect();
    rows(
        select_addons!(
            "where (
                    addons.app = any($1)
                    or exists (
                        select from addon_attachments
                        where addon_attachments.addon = addons.id
                            and addon_attachments.app = any($1)
                    )
                )
                and addons.state <> 'deprovisioning'
            order by addons.name",
            &apps
        )
        .fetch_all(conn)
        .await?,
    )
}

/// Whether an app has add-ons that are not gone yet.
pub async fn is_any_of_app(conn: &mut PgConnection, app: Id<App>) -> Result<bool, StoreError> {
    let any = sqlx::query_scalar!(
        r#"select exists (select from addons where app = $1) as "any!""#,
        app.as_uuid()
    );
    Ok(any.fetch_one(conn).await?)
}

/// Holds an add-on for this transaction. `false` when it is gone or going.
pub async fn lock(conn: &mut PgConnection, id: Id<Addon>) -> Result<bool, StoreError> {
    let living = sqlx::query_scalar!(
        r#"select (state <> 'deprovisioning') as "living!" from addons where id = $1 for update"#,
        id.as_uuid(),
    );
    Ok(living.fetch_optional(conn).await?.unwrap_or(false))
}

/// The credentials of an add-on, in the clear.
pub async fn secret(conn: &mut PgConnection, sealer: &Sealer, id: Id<Addon>) -> Result<Values, StoreError> {
    let sealed = sqlx::query_scalar!("select secret from addons where id = $1", id.as_uuid());
    let sealed = sealed.fetch_optional(conn).await?.ok_or(StoreError::AddonGone)?;
    open(sealer, SECRET, id, sealed)
}

/// The values of its config vars, in the clear. `None` until it was provisioned.
pub async fn config(conn: &mut PgConnection, sealer: &Sealer, id: Id<Addon>) -> Result<Option<Values>, StoreError> {
    let sealed = sqlx::query_scalar!("select config from addons where id = $1", id.as_uuid());
    let sealed = sealed.fetch_optional(conn).await?.ok_or(StoreError::AddonGone)?;
    sealed.map(|sealed| open(sealer, CONFIG, id, sealed)).transpose()
}

/// What its container starts from, from now on.
pub async fn set_image(conn: &mut PgConnection, id: Id<Addon>, image: &ImageRef) -> Result<(), StoreError> {
    sqlx::query!(
        "update addons set image = $2 where id = $1",
        id.as_uuid(),
        image.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Its container ended, or could not be made: when the next is due, and why. `false` when something else is wanted of it than
/// of `row` by now, because what has failed then says nothing of that.
pub async fn set_trouble(
    conn: &mut PgConnection,
    row: &AddonRow,
    failures: u32,
    retry_at: DateTime<Utc>,
    trouble: &str,
) -> Result<bool, StoreError> {
    let set = sqlx::query!(
        "update addons
        set failures = $2, retry_at = $3, trouble = $4
        where id = $1
            and state = $5
            and plan = $6",
        row.addon.id.as_uuid(),
        integer(failures),
        retry_at,
        trouble,
        row.addon.state.as_str(),
        row.addon.plan,
    );
    Ok(set.execute(conn).await?.rows_affected() == 1)
}

/// It answers.
pub async fn clear_trouble(conn: &mut PgConnection, id: Id<Addon>) -> Result<(), StoreError> {
    sqlx::query!(
        "update addons
        set failures = 0, retry_at = null, trouble = null
        where id = $1
            and (failures > 0 or retry_at is not null or trouble is not null)",
        id.as_uuid(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Its last backup was made, or cannot be.
pub async fn mark_farewell(conn: &mut PgConnection, id: Id<Addon>) -> Result<(), StoreError> {
    sqlx::query!("update addons set has_farewell = true where id = $1", id.as_uuid())
        .execute(conn)
        .await?;
    Ok(())
}

/// Whatever failed is tried again at once: something has changed.
pub(crate) async fn clear_wait(conn: &mut PgConnection, id: Id<Addon>) -> Result<(), StoreError> {
    sqlx::query!("update addons set retry_at = null where id = $1", id.as_uuid())
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets one that was destroyed, after its volume.
pub async fn delete(conn: &mut PgConnection, id: Id<Addon>) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from addons where id = $1 and state = 'deprovisioning'",
        id.as_uuid()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes or extends the lease of an add-on. `false` while another server has it.
pub async fn lease(
    conn: &mut PgConnection,
    id: Id<Addon>,
    server: Uuid,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let leased = sqlx::query!(
        "update addons
        set leased_by = $2, leased_until = $3
        where id = $1
            and (leased_by is null or leased_by = $2 or leased_until <= $4 or leased_until > $5)",
        id.as_uuid(),
        server,
        until,
        now,
        now + LONGEST_LEASE,
    );
    Ok(leased.execute(conn).await?.rows_affected() == 1)
}

pub(crate) fn seal<T>(sealer: &Sealer, noun: &'static str, id: Id<T>, values: &Values) -> Vec<u8> {
    let text = serde_json::to_vec(values).expect("a map of strings is JSON");
    sealer.seal(noun, id.as_uuid(), &text).0
}

pub(crate) fn open_config(sealer: &Sealer, id: Id<Addon>, sealed: Vec<u8>) -> Result<Values, StoreError> {
    open(sealer, CONFIG, id, sealed)
}

pub(crate) fn open<T>(sealer: &Sealer, noun: &'static str, id: Id<T>, sealed: Vec<u8>) -> Result<Values, StoreError> {
    let text = sealer.open(noun, id.as_uuid(), &Sealed(sealed))?;
    // Not even its ruins are shown.
    serde_json::from_slice(&text).map_err(|_| corrupt(noun, "no JSON"))
}

fn rows(rows: Vec<Row>) -> Result<Vec<AddonRow>, StoreError> {
    rows.into_iter().map(AddonRow::try_from).collect()
}

fn one(row: Option<Row>) -> Result<Option<AddonRow>, StoreError> {
    row.map(AddonRow::try_from).transpose()
}

#[cfg(test)]
mod tests;
