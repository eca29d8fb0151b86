//! Log drains. How far a drain is in its app's log is not here: that lies beside the log.

use chrono::{DateTime, Utc};
use paas_core::{Addon, App, DrainUrl, Id};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    PgConnection, Sealed, Sealer, Stamp, StoreError, addon, app,
    column::{corrupt, unsigned},
    event::{self, Change},
    new_id,
};

const NOUN: &str = "log drain";

/// Heroku's limit (Dev Center, *Log Drains*). Each drain is a connection of its own.
pub const MAXIMUM_PER_APP: usize = 5;

/// Where else the log of an app goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDrain {
    pub id: Id<LogDrain>,
    pub app: Id<App>,
    /// `d.` and a UUID: what a receiver knows the drain by.
    pub token: String,
    pub url: DrainUrl,
    /// The id of the last line that the log had when the drain was made: the drain begins behind it.
    pub starts_after: u64,
    pub created_at: DateTime<Utc>,
    /// The add-on that it belongs to, and goes with.
    pub addon: Option<AddonOfDrain>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddonOfDrain {
    pub id: Id<Addon>,
    pub name: String,
}

macro_rules! select_drains {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"select
                log_drains.id,
                log_drains.app,
                log_drains.token,
                log_drains.url,
                log_drains.starts_after,
                log_drains.created_at,
                log_drains.addon,
                addons.name as "addon_name?"
            from log_drains
            join apps on apps.id = log_drains.app
            left join addons on addons.id = log_drains.addon
            "# + $filter
            $(, $argument)*
        )
    };
}

/// The drains of an app, the oldest first.
pub async fn list_of_app(conn: &mut PgConnection, sealer: &Sealer, app: Id<App>) -> Result<Vec<LogDrain>, StoreError> {
    let rows = select_drains!("where log_drains.app = $1 order by log_drains.id", app.as_uuid());
    let rows = rows.fetch_all(conn).await?.into_iter();
    rows.map(|row| row.open(sealer)).collect()
}

/// The drains of all living apps.
pub async fn all(conn: &mut PgConnection, sealer: &Sealer) -> Result<Vec<LogDrain>, StoreError> {
    let rows = select_drains!("where apps.destroyed_at is null order by log_drains.id");
    let rows = rows.fetch_all(conn).await?.into_iter();
    rows.map(|row| row.open(sealer)).collect()
}

/// The app's drain with this id, token or URL.
pub async fn find(
    conn: &mut PgConnection,
    sealer: &Sealer,
    app: Id<App>,
    id_token_or_url: &str,
) -> Result<Option<LogDrain>, StoreError> {
    let drains = list_of_app(conn, sealer, app).await?;
    Ok(drains.into_iter().find(|drain| drain.is_called(id_token_or_url)))
}

impl LogDrain {
    /// By its id, its token, or its URL.
    pub fn is_called(&self, name: &str) -> bool {
        self.token == name || self.url.as_str() == name || self.id.to_string().eq_ignore_ascii_case(name)
    }
}

/// Makes a drain that begins behind the line `starts_after`. Fails with [`StoreError::DrainTaken`] and
/// [`StoreError::TooManyDrains`].
pub async fn create(
    conn: &mut PgConnection,
    sealer: &Sealer,
    app: Id<App>,
    url: &DrainUrl,
    starts_after: u64,
    stamp: Stamp,
) -> Result<LogDrain, StoreError> {
    let mut transaction = conn.begin().await?;
    if !app::lock(&mut transaction, app).await? {
        return Err(StoreError::AppGone);
    }
    let mut others = list_of_app(&mut transaction, sealer, app).await?;
    // Those of add-ons are not people's to count.
    others.retain(|drain| drain.addon.is_none());
    if others.iter().any(|drain| drain.url == *url) {
        return Err(StoreError::DrainTaken);
    }
    if others.len() >= MAXIMUM_PER_APP {
        return Err(StoreError::TooManyDrains);
    }
    let drain = LogDrain {
        id: new_id(stamp.at),
        app,
        token: format!("d.{}", Uuid::new_v4()),
        url: url.clone(),
        starts_after,
        created_at: stamp.at,
        addon: None,
    };
    insert(&mut transaction, sealer, &drain).await?;
    record(&mut transaction, &drain, "create", Some(stamp), stamp.at).await?;
    transaction.commit().await?;
    Ok(drain)
}

/// The drain of an add-on goes there from the line after `starts_after` on; it keeps its token. It stays as it is where it went
/// there before. `None` for an add-on that has none of a provider's, or is about to go.
pub async fn set_of_addon(
    conn: &mut PgConnection,
    sealer: &Sealer,
    addon: Id<Addon>,
    url: &DrainUrl,
    starts_after: u64,
    at: DateTime<Utc>,
) -> Result<Option<LogDrain>, StoreError> {
    let mut transaction = conn.begin().await?;
    let (_, is_living) = addon::lock_with_apps(&mut transaction, addon).await?;
    if !is_living {
        return Ok(None);
    }
    let found = sqlx::query!(
        r#"select addons.app, addons.name, addon_resources.drain_token as "token!"
        from addon_resources
        join addons on addons.id = addon_resources.addon
        where addon_resources.addon = $1
            and addon_resources.drain_token is not null"#,
        addon.as_uuid(),
    );
    let Some(found) = found.fetch_optional(&mut *transaction).await? else {
        return Ok(None);
    };
    let app = found.app.into();
    let before = of_addon(&mut transaction, sealer, addon).await?;
    if let Some(same) = before.as_ref().filter(|drain| drain.url == *url) {
        return Ok(Some(same.clone()));
    }
    let drain = LogDrain {
        // Another one, for whoever sends: it begins anew.
        id: new_id(at),
        app,
        token: found.token,
        url: url.clone(),
        starts_after,
        created_at: before.as_ref().map_or(at, |drain| drain.created_at),
        addon: Some(AddonOfDrain {
            id: addon,
            name: found.name,
        }),
    };
    sqlx::query!("delete from log_drains where addon = $1", addon.as_uuid())
        .execute(&mut *transaction)
        .await?;
    insert(&mut transaction, sealer, &drain).await?;
    let action = if before.is_some() { "update" } else { "create" };
    record(&mut transaction, &drain, action, None, at).await?;
    transaction.commit().await?;
    Ok(Some(drain))
}

pub async fn of_addon(
    conn: &mut PgConnection,
    sealer: &Sealer,
    addon: Id<Addon>,
) -> Result<Option<LogDrain>, StoreError> {
    let row = select_drains!("where log_drains.addon = $1", addon.as_uuid());
    let row = row.fetch_optional(conn).await?;
    row.map(|row| row.open(sealer)).transpose()
}

/// An add-on is about to go, and its drain goes with it.
pub(crate) async fn end_of_addon(
    conn: &mut PgConnection,
    sealer: &Sealer,
    addon: Id<Addon>,
    actor: Option<Stamp>,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let Some(drain) = of_addon(conn, sealer, addon).await? else {
        return Ok(());
    };
    sqlx::query!("delete from log_drains where id = $1", drain.id.as_uuid())
        .execute(&mut *conn)
        .await?;
    record(conn, &drain, "destroy", actor, at).await
}

async fn insert(conn: &mut PgConnection, sealer: &Sealer, drain: &LogDrain) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into log_drains (id, app, token, url, starts_after, created_at, addon)
        values ($1, $2, $3, $4, $5, $6, $7)",
        drain.id.as_uuid(),
        drain.app.as_uuid(),
        drain.token,
        sealer.seal(NOUN, drain.id.as_uuid(), drain.url.as_str().as_bytes()).0,
        i64::try_from(drain.starts_after).unwrap_or(i64::MAX),
        drain.created_at,
        drain.addon.as_ref().map(|addon| *addon.id.as_uuid()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Fails with [`StoreError::DrainGone`].
pub async fn delete(conn: &mut PgConnection, drain: &LogDrain, stamp: Stamp) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let deleted = sqlx::query!("delete from log_drains where id = $1", drain.id.as_uuid());
    if deleted.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Err(StoreError::DrainGone);
    }
    record(&mut transaction, drain, "destroy", Some(stamp), stamp.at).await?;
    Ok(transaction.commit().await?)
}

async fn record(
    conn: &mut PgConnection,
    drain: &LogDrain,
    action: &str,
    stamp: Option<Stamp>,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let change = Change {
        action,
        resource: "log-drain",
        id: drain.id.as_uuid(),
    };
    let payload = json!({ "token": drain.token, "place": drain.url.place() });
    let event = match stamp {
        Some(stamp) => change.by(drain.app, stamp, payload),
        None => change.by_platform(drain.app, at, payload),
    };
    event::record(conn, event).await
}

struct Row {
    id: Uuid,
    app: Uuid,
    token: String,
    url: Vec<u8>,
    starts_after: i64,
    created_at: DateTime<Utc>,
    addon: Option<Uuid>,
    addon_name: Option<String>,
}

impl Row {
    fn open(self, sealer: &Sealer) -> Result<LogDrain, StoreError> {
        let url = sealer.open(NOUN, &self.id, &Sealed(self.url))?;
        let url = str::from_utf8(&url).ok().and_then(|url| url.parse().ok());
        Ok(LogDrain {
            id: self.id.into(),
            app: self.app.into(),
            token: self.token,
            // Not even its ruins are shown: there may be a password in them.
            url: url.ok_or_else(|| corrupt(NOUN, &self.id.to_string()))?,
            starts_after: unsigned(NOUN, self.starts_after)?,
            created_at: self.created_at,
            addon: self
                .addon
                .zip(self.addon_name)
                .map(|(id, name)| AddonOfDrain { id: id.into(), name }),
        })
    }
}

#[cfg(test)]
mod tests;
