//! Builds: at most one pending per app, held by a lease.

use chrono::{DateTime, Utc};
use paas_core::{App, Build, BuildFailure, Id, Release, Slug};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    Actor, PgConnection, Stamp, StoreError, app,
    column::build_status,
    event::{self, Change},
};

/// A build with what is shown beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRow {
    pub build: Build,
    pub actor: Actor,
    /// What the source is called: the subject of the commit, or what the API call said.
    pub description: Option<String>,
    /// The buildpacks that it was told to use, in order, or the one that recognised the app.
    pub buildpacks: Vec<String>,
    /// The commit, or the hash of the archive, of each; empty for those of the platform.
    pub buildpack_versions: Vec<String>,
    /// Where a client of the API said that its source is.
    pub source: Option<SourceBlob>,
    /// The release that the build made.
    pub release: Option<Id<Release>>,
    /// Until when its server has promised to look after it; only while pending.
    pub lease_expires_at: Option<DateTime<Utc>>,
}

/// What makes a build.
#[derive(Debug, Clone)]
pub struct NewBuild {
    pub id: Id<Build>,
    pub app: Id<App>,
    pub commit: Option<String>,
    pub description: Option<String>,
    /// In place of those of the app.
    pub buildpacks: Option<Vec<String>>,
    pub source: Option<SourceBlob>,
    pub lease_expires_at: DateTime<Utc>,
}

/// Where a source is, in the words of the client that named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceBlob {
    pub url: String,
    pub checksum: Option<String>,
}

macro_rules! select_builds {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select
                builds.id,
                builds.app,
                builds.commit,
                builds.description,
                builds.buildpacks,
                builds.buildpack_versions,
                builds.source_url,
                builds.source_checksum,
                builds.status,
                builds.failure,
                builds.lease_expires_at,
                builds.slug,
                builds.release,
                builds.created_at,
                builds.updated_at,
                builds.actor,
                accounts.email as actor_email
            from builds
            join accounts on accounts.id = builds.actor
            " + $filter
            $(, $argument)*
        )
    };
}

/// Makes a pending build. Fails with [`StoreError::BuildPending`] while another build of the app is, and with
/// [`StoreError::AppGone`].
pub async fn create(conn: &mut PgConnection, new: NewBuild, stamp: Stamp) -> Result<BuildRow, StoreError> {
    let mut transaction = conn.begin().await?;
    if !app::lock(&mut transaction, new.app).await? {
        return Err(StoreError::AppGone);
    }
    sqlx::query!(
        "insert into builds
            (id, app, commit, description, actor, status, lease_expires_at, created_at, updated_at,
                buildpacks, source_url, source_checksum)
        select $1, apps.id, $3, $4, $5, 'pending', $6, $7, $7, coalesce($8, apps.buildpacks), $9, $10
        from apps
        where apps.id = $2",
        new.id.as_uuid(),
        new.app.as_uuid(),
        new.commit,
        new.description,
        stamp.by.as_uuid(),
        new.lease_expires_at,
        stamp.at,
        new.buildpacks.as_deref(),
        new.source.as_ref().map(|source| &source.url),
        new.source.as_ref().and_then(|source| source.checksum.as_ref()),
    )
    .execute(&mut *transaction)
    .await?;
    let change = Change {
        action: "create",
        resource: "build",
        id: new.id.as_uuid(),
    };
    let payload = json!({ "status": "pending", "commit": new.commit });
    event::record(&mut transaction, change.by(new.app, stamp, payload)).await?;
    let row = get(&mut transaction, new.app, new.id)
        .await?
        .ok_or(StoreError::AppGone)?;
    transaction.commit().await?;
    Ok(row)
}

/// Extends the lease. `false` when the build is no longer pending: whoever works on it must stop.
pub async fn heartbeat(
    conn: &mut PgConnection,
    id: Id<Build>,
    lease_expires_at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let extended = sqlx::query!(
        "update builds
        set lease_expires_at = $2
        where id = $1
            and status = 'pending'",
        id.as_uuid(),
        lease_expires_at,
    );
    Ok(extended.execute(conn).await?.rows_affected() == 1)
}

/// Ends a pending build without a slug. `false` when it had already ended. ([`crate::deploy`] ends one with a slug.)
pub async fn fail(
    conn: &mut PgConnection,
    id: Id<Build>,
    why: BuildFailure,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await?;
    let failed = sqlx::query_scalar!(
        "update builds
        set status = 'failed', failure = $2, lease_expires_at = null, updated_at = $3
        where id = $1
            and status = 'pending'
        returning app",
        id.as_uuid(),
        why.as_str(),
        now,
    );
    let Some(app) = failed.fetch_optional(&mut *transaction).await? else {
        return Ok(false);
    };
    record_failure(&mut transaction, app.into(), id, why, now).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Records what a build is made with. `versions` are as many as `buildpacks`.
pub async fn set_buildpacks(
    conn: &mut PgConnection,
    id: Id<Build>,
    buildpacks: &[String],
    versions: &[String],
) -> Result<(), StoreError> {
    sqlx::query!(
        "update builds
        set buildpacks = $2, buildpack_versions = $3
        where id = $1",
        id.as_uuid(),
        buildpacks,
        versions,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn get(conn: &mut PgConnection, app: Id<App>, id: Id<Build>) -> Result<Option<BuildRow>, StoreError> {
    select_builds!("where builds.app = $1 and builds.id = $2", app.as_uuid(), id.as_uuid())
        .fetch_optional(conn)
        .await?
        .map(BuildRow::try_from)
        .transpose()
}

/// Newest first.
pub async fn list(conn: &mut PgConnection, app: Id<App>, max: u32) -> Result<Vec<BuildRow>, StoreError> {
    select_builds!(
        "where builds.app = $1 order by builds.created_at desc, builds.id desc limit $2",
        app.as_uuid(),
        i64::from(max),
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(BuildRow::try_from)
    .collect()
}

/// The build of the app that has not ended.
pub async fn pending(conn: &mut PgConnection, app: Id<App>) -> Result<Option<BuildRow>, StoreError> {
    select_builds!("where builds.app = $1 and builds.status = 'pending'", app.as_uuid())
        .fetch_optional(conn)
        .await?
        .map(BuildRow::try_from)
        .transpose()
}

pub async fn latest(conn: &mut PgConnection, app: Id<App>) -> Result<Option<BuildRow>, StoreError> {
    Ok(list(conn, app, 1).await?.pop())
}

/// Fails every pending build whose lease ends before `horizon`: those that have run out, or, for a server that has just
/// started and knows that nobody works on any, all of them.
pub async fn expire_leases(
    conn: &mut PgConnection,
    horizon: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<BuildRow>, StoreError> {
    let mut transaction = conn.begin().await?;
    let why = BuildFailure::LeaseExpired;
    let expired = sqlx::query!(
        "update builds
        set status = 'failed', failure = $2, lease_expires_at = null, updated_at = $1
        where status = 'pending'
            and lease_expires_at < $3
        returning id, app",
        now,
        why.as_str(),
        horizon,
    )
    .fetch_all(&mut *transaction)
    .await?;
    let mut builds = Vec::new();
    for row in expired {
        let (id, app) = (Id::from_uuid(row.id), Id::from_uuid(row.app));
        record_failure(&mut transaction, app, id, why, now).await?;
        builds.extend(get(&mut transaction, app, id).await?);
    }
    transaction.commit().await?;
    Ok(builds)
}

/// Ends a pending build well. `false` when it had already ended.
pub(crate) async fn succeed(
    conn: &mut PgConnection,
    id: Id<Build>,
    slug: Id<Slug>,
    release: Id<Release>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let succeeded = sqlx::query!(
        "update builds
        set status = 'succeeded', slug = $2, release = $3, lease_expires_at = null, updated_at = $4
        where id = $1
            and status = 'pending'",
        id.as_uuid(),
        slug.as_uuid(),
        release.as_uuid(),
        now,
    );
    Ok(succeeded.execute(conn).await?.rows_affected() == 1)
}

async fn record_failure(
    conn: &mut PgConnection,
    app: Id<App>,
    id: Id<Build>,
    why: BuildFailure,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let change = Change {
        action: "update",
        resource: "build",
        id: id.as_uuid(),
    };
    let payload = json!({ "status": "failed", "failure": why.as_str() });
    event::record(conn, change.by_platform(app, now, payload)).await
}

struct Row {
    id: Uuid,
    app: Uuid,
    commit: Option<String>,
    description: Option<String>,
    buildpacks: Vec<String>,
    buildpack_versions: Vec<String>,
    source_url: Option<String>,
    source_checksum: Option<String>,
    status: String,
    failure: Option<String>,
    lease_expires_at: Option<DateTime<Utc>>,
    slug: Option<Uuid>,
    release: Option<Uuid>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    actor: Uuid,
    actor_email: String,
}

impl TryFrom<Row> for BuildRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            actor: Actor {
                id: row.actor.into(),
                email: row.actor_email,
            },
            description: row.description,
            buildpacks: row.buildpacks,
            buildpack_versions: row.buildpack_versions,
            source: row.source_url.map(|url| SourceBlob {
                url,
                checksum: row.source_checksum,
            }),
            release: row.release.map(Id::from_uuid),
            lease_expires_at: row.lease_expires_at,
            build: Build {
                id: row.id.into(),
                app: row.app.into(),
                commit: row.commit,
                status: build_status(&row.status, row.failure.as_deref(), row.slug)?,
                created_at: row.created_at,
                updated_at: row.updated_at,
            },
        })
    }
}

#[cfg(test)]
mod tests;
