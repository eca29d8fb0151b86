//! Log drains. How far a drain is in its app's log is not here: that lies beside the log.

use chrono::{DateTime, Utc};
use paas_core::{App, DrainUrl, Id};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    PgConnection, Sealed, Sealer, Stamp, StoreError, app,
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
}

macro_rules! select_drains {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select
                log_drains.id,
                log_drains.app,
                log_drains.token,
                log_drains.url,
                log_drains.starts_after,
                log_drains.created_at
            from log_drains
            join apps on apps.id = log_drains.app
            " + $filter
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
    Ok(drains.into_iter().find(|drain| {
        drain.token == id_token_or_url
            || drain.url.as_str() == id_token_or_url
            || drain.id.to_string().eq_ignore_ascii_case(id_token_or_url)
    }))
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
    let others = list_of_app(&mut transaction, sealer, app).await?;
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
    };
    sqlx::query!(
        "insert into log_drains (id, app, token, url, starts_after, created_at)
        values ($1, $2, $3, $4, $5, $6)",
        drain.id.as_uuid(),
        app.as_uuid(),
        drain.token,
        sealer.seal(NOUN, drain.id.as_uuid(), url.as_str().as_bytes()).0,
        i64::try_from(starts_after).unwrap_or(i64::MAX),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    record(&mut transaction, &drain, "create", stamp).await?;
    transaction.commit().await?;
    Ok(drain)
}

/// Fails with [`StoreError::DrainGone`].
pub async fn delete(conn: &mut PgConnection, drain: &LogDrain, stamp: Stamp) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let deleted = sqlx::query!("delete from log_drains where id = $1", drain.id.as_uuid());
    if deleted.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Err(StoreError::DrainGone);
    }
    record(&mut transaction, drain, "destroy", stamp).await?;
    Ok(transaction.commit().await?)
}

async fn record(conn: &mut PgConnection, drain: &LogDrain, action: &str, stamp: Stamp) -> Result<(), StoreError> {
    let change = Change {
        action,
        resource: "log-drain",
        id: drain.id.as_uuid(),
    };
    let payload = json!({ "token": drain.token, "place": drain.url.place() });
    event::record(conn, change.by(drain.app, stamp, payload)).await
}

struct Row {
    id: Uuid,
    app: Uuid,
    token: String,
    url: Vec<u8>,
    starts_after: i64,
    created_at: DateTime<Utc>,
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
        })
    }
}

#[cfg(test)]
mod tests;
