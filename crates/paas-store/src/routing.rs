//! How the requests of an app are treated: one row per app that wants something else than Heroku's rules.

use std::{collections::HashMap, time::Duration};

use paas_core::{App, Id, Routing};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    PgConnection, Stamp, StoreError, app,
    column::unsigned,
    event::{self, Change},
};

const NOUN: &str = "routing";

macro_rules! select_routings {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"select
                app,
                https_redirect,
                hsts_seconds,
                session_affinity,
                response_timeout_seconds,
                idle_timeout_seconds,
                boot_timeout_seconds,
                sleep_after_seconds
            from routings
            "# + $filter
            $(, $argument)*
        )
    };
}

/// What was set for an app. The pages are not here: they belong to its releases.
pub async fn get(conn: &mut PgConnection, app: Id<App>) -> Result<Routing, StoreError> {
    select_routings!("where app = $1", app.as_uuid())
        .fetch_optional(conn)
        .await?
        .map_or_else(|| Ok(Routing::default()), Routing::try_from)
}

/// What was set for any app.
pub(crate) async fn all(conn: &mut PgConnection) -> Result<HashMap<Uuid, Routing>, StoreError> {
    let rows = select_routings!("").fetch_all(conn).await?;
    rows.into_iter().map(|row| Ok((row.app, row.try_into()?))).collect()
}

/// Sets all rules of an app but the pages, which are config vars. Fails with [`StoreError::AppGone`].
pub async fn set(conn: &mut PgConnection, app: Id<App>, routing: &Routing, stamp: Stamp) -> Result<(), StoreError> {
    let Routing {
        https_redirect,
        hsts,
        session_affinity,
        response_timeout,
        idle_timeout,
        boot_timeout,
        error_page: _,
        maintenance_page: _,
        sleep_after,
    } = routing;
    let mut transaction = conn.begin().await?;
    if !app::lock(&mut transaction, app).await? {
        return Err(StoreError::AppGone);
    }
    sqlx::query!(
        "insert into routings (
            app,
            https_redirect,
            hsts_seconds,
            session_affinity,
            response_timeout_seconds,
            idle_timeout_seconds,
            boot_timeout_seconds,
            sleep_after_seconds,
            updated_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (app) do update set
            https_redirect = excluded.https_redirect,
            hsts_seconds = excluded.hsts_seconds,
            session_affinity = excluded.session_affinity,
            response_timeout_seconds = excluded.response_timeout_seconds,
            idle_timeout_seconds = excluded.idle_timeout_seconds,
            boot_timeout_seconds = excluded.boot_timeout_seconds,
            sleep_after_seconds = excluded.sleep_after_seconds,
            updated_at = excluded.updated_at",
        app.as_uuid(),
        https_redirect,
        hsts.map(seconds),
        session_affinity,
        response_timeout.map(seconds),
        idle_timeout.map(seconds),
        boot_timeout.map(seconds),
        sleep_after.map(seconds),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    let change = Change {
        action: "update",
        resource: NOUN,
        id: app.as_uuid(),
    };
    let payload = json!({
        "https_redirect": https_redirect,
        "hsts": hsts.map(seconds),
        "session_affinity": session_affinity,
        "response_timeout": response_timeout.map(seconds),
        "idle_timeout": idle_timeout.map(seconds),
        "boot_timeout": boot_timeout.map(seconds),
        "sleep_after": sleep_after.map(seconds),
    });
    event::record(&mut transaction, change.by(app, stamp, payload)).await?;
    // It may not be one that sleeps any more.
    app::wake(&mut transaction, app, stamp.at).await?;
    Ok(transaction.commit().await?)
}

struct Row {
    app: Uuid,
    https_redirect: bool,
    hsts_seconds: Option<i32>,
    session_affinity: bool,
    response_timeout_seconds: Option<i32>,
    idle_timeout_seconds: Option<i32>,
    boot_timeout_seconds: Option<i32>,
    sleep_after_seconds: Option<i32>,
}

impl TryFrom<Row> for Routing {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let duration = |seconds: Option<i32>| {
            let seconds = seconds.map(|seconds| unsigned(NOUN, seconds)).transpose()?;
            Ok::<_, StoreError>(seconds.map(Duration::from_secs))
        };
        Ok(Self {
            https_redirect: row.https_redirect,
            hsts: duration(row.hsts_seconds)?,
            session_affinity: row.session_affinity,
            response_timeout: duration(row.response_timeout_seconds)?,
            idle_timeout: duration(row.idle_timeout_seconds)?,
            boot_timeout: duration(row.boot_timeout_seconds)?,
            error_page: None,
            maintenance_page: None,
            sleep_after: duration(row.sleep_after_seconds)?,
        })
    }
}

/// Whole seconds, and at least one: none at all would mean that no request is ever answered.
fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs().max(1)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
