//! Test runs: an app's tests, run on a source that is not released.

use chrono::{DateTime, Utc};
use paas_core::{App, Id};
use serde_json::json;
use sqlx::Connection;

use crate::{
    Actor, PgConnection, Stamp, StoreError, app,
    event::{self, Change},
};

/// One run. Ends once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRun {
    pub id: Id<TestRun>,
    pub app: Id<App>,
    pub actor: Actor,
    /// Counted from 1 in each app.
    pub number: i32,
    pub status: TestStatus,
    pub commit: Commit,
    /// Why the tests did not come to their end.
    pub message: Option<String>,
    pub exit_code: Option<i32>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What is tested, in the words of whoever asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    pub branch: String,
    pub sha: String,
    pub message: String,
}

/// ```text
/// pending ─▶ building ─▶ succeeded | failed
///    └──────────┴──────▶ errored | cancelled
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestStatus {
    Pending,
    Building,
    Cancelled,
    Succeeded,
    Failed,
    /// The tests did not come to their end: the app could not be built, or the server ended.
    Errored,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestEnd {
    pub status: TestStatus,
    pub message: Option<String>,
    pub exit_code: Option<i32>,
}

impl TestStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Building => "building",
            Self::Cancelled => "cancelled",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Errored => "errored",
        }
    }

    pub const fn is_under_way(self) -> bool {
        matches!(self, Self::Pending | Self::Building)
    }

    fn of(text: &str) -> Self {
        match text {
            "pending" => Self::Pending,
            "building" => Self::Building,
            "cancelled" => Self::Cancelled,
            "succeeded" => Self::Succeeded,
            "failed" => Self::Failed,
            _ => Self::Errored,
        }
    }
}

/// Makes a pending run with the next number of its app.
pub async fn create(
    conn: &mut PgConnection,
    id: Id<TestRun>,
    app: Id<App>,
    commit: &Commit,
    stamp: Stamp,
) -> Result<TestRun, StoreError> {
    let mut transaction = conn.begin().await?;
    if !app::lock(&mut transaction, app).await? {
        return Err(StoreError::AppGone);
    }
    sqlx::query!(
        "insert into test_runs
            (id, app, actor, number, status, commit_branch, commit_sha, commit_message, created_at, updated_at)
        select $1, $2, $3, coalesce(max(number), 0) + 1, 'pending', $4, $5, $6, $7, $7
        from test_runs
        where app = $2",
        id.as_uuid(),
        app.as_uuid(),
        stamp.by.as_uuid(),
        commit.branch,
        commit.sha,
        commit.message,
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    let change = Change {
        action: "create",
        resource: "test-run",
        id: id.as_uuid(),
    };
    event::record(&mut transaction, change.by(app, stamp, json!({ "status": "pending" }))).await?;
    let made = list(&mut transaction, app, 1).await?;
    transaction.commit().await?;
    made.into_iter().next().ok_or(StoreError::AppGone)
}

/// What a run of an app can be asked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    Number(i32),
    Id(Id<TestRun>),
}

pub async fn get(conn: &mut PgConnection, app: Id<App>, name: Name) -> Result<Option<TestRun>, StoreError> {
    Ok(select(conn, app, Some(name), 1).await?.into_iter().next())
}

/// The newest runs of an app, newest first.
pub async fn list(conn: &mut PgConnection, app: Id<App>, most: u32) -> Result<Vec<TestRun>, StoreError> {
    select(conn, app, None, most).await
}

async fn select(
    conn: &mut PgConnection,
    app: Id<App>,
    name: Option<Name>,
    most: u32,
) -> Result<Vec<TestRun>, StoreError> {
    let (number, id) = match name {
        None => (None, None),
        Some(Name::Number(number)) => (Some(number), None),
        Some(Name::Id(id)) => (None, Some(*id.as_uuid())),
    };
    let rows = sqlx::query!(
        "select
            test_runs.id,
            test_runs.app,
            test_runs.actor,
            accounts.email as actor_email,
            test_runs.number,
            test_runs.status,
            test_runs.commit_branch,
            test_runs.commit_sha,
            test_runs.commit_message,
            test_runs.message,
            test_runs.exit_code,
            test_runs.created_at,
            test_runs.updated_at
        from test_runs
        join accounts on accounts.id = test_runs.actor
        where test_runs.app = $1
            and ($2::integer is null or test_runs.number = $2)
            and ($3::uuid is null or test_runs.id = $3)
        order by test_runs.number desc
        limit $4",
        app.as_uuid(),
        number,
        id,
        i64::from(most),
    )
    .fetch_all(conn)
    .await?;
    let runs = rows.into_iter().map(|row| TestRun {
        id: row.id.into(),
        app: row.app.into(),
        actor: Actor {
            id: row.actor.into(),
            email: row.actor_email,
        },
        number: row.number,
        status: TestStatus::of(&row.status),
        commit: Commit {
            branch: row.commit_branch,
            sha: row.commit_sha,
            message: row.commit_message,
        },
        message: row.message,
        exit_code: row.exit_code,
        created_at: row.created_at,
        updated_at: row.updated_at,
    });
    Ok(runs.collect())
}

/// From here on a container works on it.
pub async fn begin(conn: &mut PgConnection, id: Id<TestRun>, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        "update test_runs
        set status = 'building', updated_at = $2
        where id = $1
            and status = 'pending'",
        id.as_uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a run. `false` when it had ended already.
pub async fn finish(
    conn: &mut PgConnection,
    id: Id<TestRun>,
    end: &TestEnd,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await?;
    let app = sqlx::query_scalar!(
        "update test_runs
        set status = $2, message = $3, exit_code = $4, updated_at = $5
        where id = $1
            and status in ('pending', 'building')
        returning app",
        id.as_uuid(),
        end.status.as_str(),
        end.message,
        end.exit_code,
        now,
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(app) = app else { return Ok(false) };
    record_end(&mut transaction, id, app.into(), end.status, now).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Ends every run under way: for a server that has just started, and knows that nobody works on any.
pub async fn abandon(conn: &mut PgConnection, message: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let abandoned = sqlx::query!(
        "update test_runs
        set status = 'errored', message = $1, updated_at = $2
        where status in ('pending', 'building')
        returning id, app",
        message,
        now,
    )
    .fetch_all(&mut *transaction)
    .await?;
    for row in abandoned {
        record_end(
            &mut transaction,
            row.id.into(),
            row.app.into(),
            TestStatus::Errored,
            now,
        )
        .await?;
    }
    Ok(transaction.commit().await?)
}

async fn record_end(
    conn: &mut PgConnection,
    id: Id<TestRun>,
    app: Id<App>,
    status: TestStatus,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let change = Change {
        action: "update",
        resource: "test-run",
        id: id.as_uuid(),
    };
    event::record(conn, change.by_platform(app, now, json!({ "status": status.as_str() }))).await
}

#[cfg(test)]
mod tests;
