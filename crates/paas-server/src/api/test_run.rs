//! Test runs: an app's tests on a source that is not released.
//!
//! Heroku CI belongs to pipelines. The answers here have the fields of its test runs and nodes, as far as there is something
//! behind them.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use paas_api::{ErrorId, IdRef, NewTestRun, TestNode, TestRunStatus, TestRunUpdate, UserRef};
use paas_core::{App, Id};
use paas_store::test_run::{self, Commit, TestRun, TestStatus};

use super::{
    auth::OwnApp,
    body::Body,
    build,
    error::ApiError,
    origin::Origin,
    page::{Field, Key, Page, Wanted, page},
    source,
    state::Api,
    stream,
};
use crate::control::{self, NewTests};

/// Older runs are history that nobody pages through.
const MOST_RUNS: u32 = 1000;

const FIELDS: [Field<TestRun>; 2] = [
    Field {
        name: "number",
        key: |run| Key::Number(run.number.unsigned_abs()),
    },
    Field {
        name: "id",
        key: |run| Key::Text(run.id.to_string()),
    },
];

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::TestRun>, ApiError> {
    let mut connection = api.connection().await?;
    let runs = test_run::list(&mut connection, row.app.id, MOST_RUNS).await?;
    Ok(page(&range, runs, &FIELDS)?.map(answer))
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<paas_api::TestRun>, ApiError> {
    Ok(Json(answer(find(&api, row.app.id, &name).await?)))
}

/// Tests what was put at one of our own upload URLs, or is at another place.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
    Body(new): Body<NewTestRun>,
) -> Result<(StatusCode, Json<paas_api::TestRun>), ApiError> {
    let NewTestRun {
        commit_branch: branch,
        commit_message: message,
        commit_sha: sha,
        source_blob,
    } = new;
    for text in [&branch, &sha] {
        build::check_version(Some(text))?;
    }
    // Only its first line is shown anywhere.
    let message = message.lines().next().unwrap_or_default().chars();
    let message = message.filter(|character| !character.is_control()).take(200).collect();
    let commit = Commit { branch, sha, message };
    let found = source::find(&api, &source_blob.url, source_blob.checksum.as_deref()).await?;
    let new = NewTests {
        commit,
        app: row.app.clone(),
        actor: caller.account.clone(),
        source: found,
        buildpacks: row.buildpacks.clone(),
    };
    let run = control::submit_tests(&api.platform, new).await?;
    api.announce(
        row.app.id,
        &format!("Test run #{} started", run.number),
        &caller.account,
    );
    Ok((StatusCode::CREATED, Json(answer(run))))
}

/// The only change that a client can make is to end it.
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
    Body(TestRunUpdate { status }): Body<TestRunUpdate>,
) -> Result<Json<paas_api::TestRun>, ApiError> {
    if status != TestRunStatus::Cancelled {
        return Err(ApiError::invalid(
            "A test run can only be cancelled: set status to cancelled.",
        ));
    }
    let run = find(&api, row.app.id, &name).await?;
    if !run.status.is_under_way() || !control::cancel(&api.platform, control::build_of(run.id)) {
        return Err(ApiError::new(
            ErrorId::Conflict,
            "This test run is not under way any more: there is nothing to cancel.",
        ));
    }
    api.announce(
        row.app.id,
        &format!("Test run #{} cancelled", run.number),
        &caller.account,
    );
    Ok(Json(answer(run)))
}

pub(super) async fn nodes(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    origin: Origin,
    OwnApp { row, .. }: OwnApp,
) -> Result<Page<TestNode>, ApiError> {
    let run = find(&api, row.app.id, &name).await?;
    let id = *run.id.as_uuid();
    let url = stream::url(&api, &origin, row.app.id, id);
    let status = shown(run.status);
    Ok(Page::whole(vec![TestNode {
        created_at: run.created_at.into(),
        error_status: (run.status == TestStatus::Errored).then_some(status),
        exit_code: run.exit_code,
        id,
        index: 0,
        message: run.message,
        output_stream_url: url.clone(),
        setup_stream_url: url,
        status,
        test_run: IdRef { id },
        updated_at: run.updated_at.into(),
    }]))
}

/// By number or id.
async fn find(api: &Api, app: Id<App>, name: &str) -> Result<TestRun, ApiError> {
    let mut connection = api.connection().await?;
    let found = match name
        .parse()
        .map(test_run::Name::Number)
        .or_else(|_| name.parse().map(test_run::Name::Id))
    {
        Ok(name) => test_run::get(&mut connection, app, name).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| ApiError::not_found("test run"))
}

fn answer(run: TestRun) -> paas_api::TestRun {
    paas_api::TestRun {
        actor_email: run.actor.email.clone(),
        app: IdRef { id: *run.app.as_uuid() },
        commit_branch: run.commit.branch,
        commit_message: run.commit.message,
        commit_sha: run.commit.sha,
        created_at: run.created_at.into(),
        id: *run.id.as_uuid(),
        message: run.message,
        number: run.number,
        status: shown(run.status),
        updated_at: run.updated_at.into(),
        user: UserRef {
            id: *run.actor.id.as_uuid(),
            email: run.actor.email,
        },
    }
}

const fn shown(status: TestStatus) -> TestRunStatus {
    match status {
        TestStatus::Pending => TestRunStatus::Pending,
        TestStatus::Building => TestRunStatus::Building,
        TestStatus::Cancelled => TestRunStatus::Cancelled,
        TestStatus::Succeeded => TestRunStatus::Succeeded,
        TestStatus::Failed => TestRunStatus::Failed,
        TestStatus::Errored => TestRunStatus::Errored,
    }
}
