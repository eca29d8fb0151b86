//! App setups: an app made of a source with an `app.json`, in one go.

use chrono::{DateTime, Utc};
use paas_core::{App, AppName, Build, BuildStatus, Id};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    PgConnection, Stamp, StoreError,
    account::Account,
    column::{build_status, parse},
    event::{self, Change},
};

/// One making of an app. Ends once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppSetup {
    pub id: Id<AppSetup>,
    pub app: Id<App>,
    pub app_name: AppName,
    pub actor: Id<Account>,
    pub status: SetupStatus,
    /// What is wrong with the `app.json`.
    pub manifest_errors: Vec<String>,
    pub build: Option<(Id<Build>, BuildStatus)>,
    pub postdeploy: Option<Postdeploy>,
    pub resolved_success_url: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// ```text
/// pending ─▶ succeeded | failed{why}
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetupStatus {
    Pending,
    Succeeded,
    Failed { message: String },
}

/// How the app's own first script went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postdeploy {
    pub output: String,
    pub exit_code: i32,
}

/// How a setup ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SetupEnd {
    /// `None`: well.
    pub failure_message: Option<String>,
    pub manifest_errors: Vec<String>,
    pub postdeploy: Option<Postdeploy>,
    pub resolved_success_url: Option<String>,
}

pub async fn create(conn: &mut PgConnection, id: Id<AppSetup>, app: Id<App>, stamp: Stamp) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    sqlx::query!(
        "insert into app_setups (id, app, actor, status, created_at, updated_at)
        values ($1, $2, $3, 'pending', $4, $4)",
        id.as_uuid(),
        app.as_uuid(),
        stamp.by.as_uuid(),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    let change = Change {
        action: "create",
        resource: "app-setup",
        id: id.as_uuid(),
    };
    event::record(&mut transaction, change.by(app, stamp, json!({ "status": "pending" }))).await?;
    Ok(transaction.commit().await?)
}

pub async fn get(conn: &mut PgConnection, id: Id<AppSetup>) -> Result<Option<AppSetup>, StoreError> {
    let row = sqlx::query!(
        r#"select
            app_setups.id,
            app_setups.app,
            apps.name as app_name,
            app_setups.actor,
            app_setups.status,
            app_setups.failure_message,
            app_setups.manifest_errors,
            builds.id as "build?",
            builds.status as "build_status?",
            builds.failure as build_failure,
            builds.slug as build_slug,
            app_setups.postdeploy_output,
            app_setups.postdeploy_exit_code,
            app_setups.resolved_success_url,
            app_setups.created_at,
            app_setups.updated_at
        from app_setups
        join apps on apps.id = app_setups.app
        left join builds on builds.id = app_setups.build
        where app_setups.id = $1"#,
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let build = match (row.build, row.build_status) {
        (Some(id), Some(status)) => {
            let status = build_status(&status, row.build_failure.as_deref(), row.build_slug)?;
            Some((Id::from_uuid(id), status))
        }
        _ => None,
    };
    let status = match (row.status.as_str(), row.failure_message) {
        ("pending", _) => SetupStatus::Pending,
        ("succeeded", _) => SetupStatus::Succeeded,
        (_, message) => SetupStatus::Failed {
            message: message.unwrap_or_default(),
        },
    };
    Ok(Some(AppSetup {
        id: row.id.into(),
        app: row.app.into(),
        app_name: parse("app", &row.app_name)?,
        actor: row.actor.into(),
        status,
        manifest_errors: row.manifest_errors,
        build,
        postdeploy: row
            .postdeploy_output
            .zip(row.postdeploy_exit_code)
            .map(|(output, exit_code)| Postdeploy { output, exit_code }),
        resolved_success_url: row.resolved_success_url,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }))
}

/// The build that makes its slug.
pub async fn set_build(
    conn: &mut PgConnection,
    id: Id<AppSetup>,
    build: Id<Build>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update app_setups
        set build = $2, updated_at = $3
        where id = $1",
        id.as_uuid(),
        build.as_uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a pending setup. `false` when it had ended already.
pub async fn finish(
    conn: &mut PgConnection,
    id: Id<AppSetup>,
    end: &SetupEnd,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await?;
    let status = match end.failure_message {
        Some(_) => "failed",
        None => "succeeded",
    };
    let app = sqlx::query_scalar!(
        "update app_setups
        set status = $2,
            failure_message = $3,
            manifest_errors = $4,
            postdeploy_output = $5,
            postdeploy_exit_code = $6,
            resolved_success_url = $7,
            updated_at = $8
        where id = $1
            and status = 'pending'
        returning app",
        id.as_uuid(),
        status,
        end.failure_message,
        &end.manifest_errors,
        end.postdeploy.as_ref().map(|postdeploy| &postdeploy.output),
        end.postdeploy.as_ref().map(|postdeploy| postdeploy.exit_code),
        end.resolved_success_url,
        now,
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(app) = app else { return Ok(false) };
    record_end(&mut transaction, id.as_uuid(), app, status, now).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Fails every pending setup: for a server that has just started, and knows that nobody works on any.
pub async fn abandon(conn: &mut PgConnection, message: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let abandoned = sqlx::query!(
        "update app_setups
        set status = 'failed', failure_message = $1, updated_at = $2
        where status = 'pending'
        returning id, app",
        message,
        now,
    )
    .fetch_all(&mut *transaction)
    .await?;
    for row in abandoned {
        record_end(&mut transaction, &row.id, row.app, "failed", now).await?;
    }
    Ok(transaction.commit().await?)
}

async fn record_end(
    conn: &mut PgConnection,
    id: &Uuid,
    app: Uuid,
    status: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let change = Change {
        action: "update",
        resource: "app-setup",
        id,
    };
    let event = change.by_platform(app.into(), now, json!({ "status": status }));
    event::record(conn, event).await
}

#[cfg(test)]
mod tests;
