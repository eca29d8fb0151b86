//! Releases: numbered per app, their config sealed.
//!
//! The **head** of an app is its newest release that is, or may yet become, current (succeeded or pending): a new release
//! starts from the head, so that of two changes close together neither undoes the other. The **current** one is the newest
//! that succeeded.

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use paas_core::{App, Id, Release, ReleaseFailure, ReleaseVersion};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    Actor, PgConnection, StoreError,
    column::{integer, release_status, release_version},
    event::{self, Change},
};

mod change;
mod config;

pub(crate) use change::{NewRelease, insert, lock_all, of_addons};
pub use change::{of_slug, rollback, set_config};
pub use config::config;
pub(crate) use config::{own, own_of_head};

/// A release with what is shown beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRow {
    pub release: Release,
    pub actor: Actor,
    pub is_current: bool,
    /// When its web dynos took the traffic over.
    pub served_at: Option<DateTime<Utc>>,
    pub is_eligible_for_rollback: bool,
    /// Whether its slug has a `release` process.
    pub has_release_phase: bool,
    pub commit: Option<String>,
    /// The plans of the add-ons that the app had.
    pub addon_plans: Vec<String>,
}

/// How a list of releases is cut: by version, in either direction.
#[derive(Debug, Clone)]
pub struct Page {
    pub versions: RangeInclusive<u32>,
    pub is_descending: bool,
    pub max: u32,
}

macro_rules! select_releases {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"select
                releases.id,
                releases.app,
                releases.version,
                releases.slug,
                releases.description,
                releases.status,
                releases.failure,
                releases.served_at,
                releases.created_at,
                releases.updated_at,
                releases.actor,
                releases.addon_plans,
                accounts.email as actor_email,
                releases.version is not distinct from (
                    select max(succeeded.version)
                    from releases as succeeded
                    where succeeded.app = releases.app
                        and succeeded.status = 'succeeded'
                ) as "is_current!",
                slugs.commit as "commit?",
                coalesce(slugs.process_types ? 'release', false) as "has_release_phase!"
            from releases
            join accounts on accounts.id = releases.actor
            left join slugs on slugs.id = releases.slug
            "# + $filter
            $(, $argument)*
        )
    };
}

/// The newest release that succeeded. Every app has one: its first.
pub async fn current(conn: &mut PgConnection, app: Id<App>) -> Result<Option<ReleaseRow>, StoreError> {
    one(select_releases!(
        "where releases.app = $1 and releases.status = 'succeeded' order by releases.version desc limit 1",
        app.as_uuid(),
    )
    .fetch_optional(conn)
    .await?)
}

/// The newest release that succeeded or is pending: what a change starts from.
pub async fn head(conn: &mut PgConnection, app: Id<App>) -> Result<Option<ReleaseRow>, StoreError> {
    one(select_releases!(
        "where releases.app = $1 and releases.status in ('succeeded', 'pending')
        order by releases.version desc limit 1",
        app.as_uuid(),
    )
    .fetch_optional(conn)
    .await?)
}

/// The newest release, whatever became of it.
pub async fn latest(conn: &mut PgConnection, app: Id<App>) -> Result<Option<ReleaseRow>, StoreError> {
    one(select_releases!(
        "where releases.app = $1 order by releases.version desc limit 1",
        app.as_uuid(),
    )
    .fetch_optional(conn)
    .await?)
}

pub async fn by_version(
    conn: &mut PgConnection,
    app: Id<App>,
    version: ReleaseVersion,
) -> Result<Option<ReleaseRow>, StoreError> {
    one(select_releases!(
        "where releases.app = $1 and releases.version = $2",
        app.as_uuid(),
        integer(version.number()),
    )
    .fetch_optional(conn)
    .await?)
}

pub async fn by_id(conn: &mut PgConnection, id: Id<Release>) -> Result<Option<ReleaseRow>, StoreError> {
    one(select_releases!("where releases.id = $1", id.as_uuid())
        .fetch_optional(conn)
        .await?)
}

pub async fn list(conn: &mut PgConnection, app: Id<App>, page: Page) -> Result<Vec<ReleaseRow>, StoreError> {
    let (from, to) = page.versions.into_inner();
    many(if page.is_descending {
        select_releases!(
            "where releases.app = $1 and releases.version between $2 and $3
            order by releases.version desc limit $4",
            app.as_uuid(),
            integer(from),
            integer(to),
            i64::from(page.max),
        )
        .fetch_all(conn)
        .await?
    } else {
        select_releases!(
            "where releases.app = $1 and releases.version between $2 and $3
            order by releases.version limit $4",
            app.as_uuid(),
            integer(from),
            integer(to),
            i64::from(page.max),
        )
        .fetch_all(conn)
        .await?
    })
}

/// Releases whose release phase has not ended, oldest first: after a restart of the server nobody runs them any more.
pub async fn pending(conn: &mut PgConnection) -> Result<Vec<ReleaseRow>, StoreError> {
    many(
        select_releases!("where releases.status = 'pending' order by releases.created_at, releases.version")
            .fetch_all(conn)
            .await?,
    )
}

/// Ends a release phase well. `false` when the release was not pending.
pub async fn succeed(conn: &mut PgConnection, id: Id<Release>, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await?;
    let succeeded = sqlx::query!(
        "update releases
        set status = 'succeeded', updated_at = $2
        where id = $1
            and status = 'pending'
        returning app, version",
        id.as_uuid(),
        now,
    );
    let Some(row) = succeeded.fetch_optional(&mut *transaction).await? else {
        return Ok(false);
    };
    let payload = json!({ "version": row.version, "status": "succeeded" });
    event::record(&mut transaction, update(&id).by_platform(row.app.into(), now, payload)).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Fails a release that is pending, or one that succeeded and never served. `false` when it is neither.
pub async fn fail(
    conn: &mut PgConnection,
    id: Id<Release>,
    why: ReleaseFailure,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await?;
    let failed = sqlx::query!(
        "update releases
        set status = 'failed', failure = $2, updated_at = $3
        where id = $1
            and (status = 'pending' or status = 'succeeded' and served_at is null)
        returning app, version",
        id.as_uuid(),
        why.as_str(),
        now,
    );
    let Some(row) = failed.fetch_optional(&mut *transaction).await? else {
        return Ok(false);
    };
    let payload = json!({ "version": row.version, "status": "failed", "failure": why.as_str() });
    event::record(&mut transaction, update(&id).by_platform(row.app.into(), now, payload)).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Notes that the release's dynos have taken the traffic, and forgets the formation of process types it does not have.
///
/// Only now, because until here the release might have failed, and the one before it needs its formation.
pub async fn mark_served(conn: &mut PgConnection, id: Id<Release>, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    sqlx::query!(
        "update releases
        set served_at = $2, updated_at = $2
        where id = $1
            and served_at is null",
        id.as_uuid(),
        now,
    )
    .execute(&mut *transaction)
    .await?;
    // A newer release that is on its way may bring types of its own: theirs stay.
    sqlx::query!(
        "delete from formations
        using releases as served
        where served.id = $1
            and formations.app = served.app
            and not exists (
                select
                from releases
                join slugs on slugs.id = releases.slug
                where releases.app = served.app
                    and releases.version >= served.version
                    and releases.status in ('succeeded', 'pending')
                    and slugs.process_types ? formations.process_type
            )",
        id.as_uuid(),
    )
    .execute(&mut *transaction)
    .await?;
    Ok(transaction.commit().await?)
}

fn update(id: &Id<Release>) -> Change<'_> {
    Change {
        action: "update",
        resource: "release",
        id: id.as_uuid(),
    }
}

fn one(row: Option<Row>) -> Result<Option<ReleaseRow>, StoreError> {
    row.map(ReleaseRow::try_from).transpose()
}

fn many(rows: Vec<Row>) -> Result<Vec<ReleaseRow>, StoreError> {
    rows.into_iter().map(ReleaseRow::try_from).collect()
}

struct Row {
    id: Uuid,
    app: Uuid,
    version: i32,
    slug: Option<Uuid>,
    description: String,
    status: String,
    failure: Option<String>,
    served_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    actor: Uuid,
    actor_email: String,
    is_current: bool,
    commit: Option<String>,
    has_release_phase: bool,
    addon_plans: Vec<String>,
}

impl TryFrom<Row> for ReleaseRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            is_current: row.is_current,
            served_at: row.served_at,
            is_eligible_for_rollback: row.slug.is_some() && row.status == "succeeded",
            has_release_phase: row.has_release_phase,
            commit: row.commit,
            addon_plans: row.addon_plans,
            actor: Actor {
                id: row.actor.into(),
                email: row.actor_email,
            },
            release: Release {
                id: row.id.into(),
                app: row.app.into(),
                version: release_version(row.version)?,
                slug: row.slug.map(Id::from_uuid),
                status: release_status(&row.status, row.failure.as_deref())?,
                description: row.description,
                created_at: row.created_at,
                updated_at: row.updated_at,
            },
        })
    }
}

#[cfg(test)]
mod tests;
