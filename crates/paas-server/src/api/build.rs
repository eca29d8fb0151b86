//! Builds: listed, started from an upload, cancelled.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use paas_api::{ErrorId, IdRef, NewBuild, SourceBlob, UserRef};
use paas_core::{App, Build, BuildStatus, Id};
use paas_store::{
    app::AppRow,
    build::{self, BuildRow},
    event::{self, Event},
};
use serde_json::json;

use super::{
    auth::OwnApp,
    body::Body,
    error::ApiError,
    origin::Origin,
    page::{Field, Key, Page, Wanted, page},
    source,
    state::Api,
    stream,
};
use crate::control;

/// Older builds are history that nobody pages through.
const MOST_BUILDS: u32 = 1000;
const LONGEST_VERSION: usize = 200;

const FIELDS: [Field<BuildRow>; 2] = [
    Field {
        name: "id",
        key: |row| Key::Text(row.build.id.to_string()),
    },
    Field {
        name: "started_at",
        key: |row| Key::Text(paas_api::Time::from(row.build.created_at).to_string()),
    },
];

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    origin: Origin,
    OwnApp { row, .. }: OwnApp,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::Build>, ApiError> {
    let mut connection = api.connection().await?;
    let builds = build::list(&mut connection, row.app.id, MOST_BUILDS).await?;
    Ok(page(&range, builds, &FIELDS)?.map(|build| answer(&api, &origin, &row, build)))
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    origin: Origin,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<paas_api::Build>, ApiError> {
    let found = find(&api, row.app.id, &name).await?;
    Ok(Json(answer(&api, &origin, &row, found)))
}

/// Builds what was put at one of our own upload URLs.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    origin: Origin,
    OwnApp { caller, row }: OwnApp,
    Body(new): Body<NewBuild>,
) -> Result<(StatusCode, Json<paas_api::Build>), ApiError> {
    let SourceBlob {
        checksum,
        url,
        version,
        version_description,
    } = new.source_blob;
    if new.buildpacks.is_some_and(|buildpacks| !buildpacks.is_empty()) {
        return Err(ApiError::invalid(
            "buildpacks cannot be chosen on this platform yet: every build detects its own.",
        ));
    }
    for text in [&version, &version_description].into_iter().flatten() {
        if text.chars().count() > LONGEST_VERSION || text.chars().any(char::is_control) {
            return Err(ApiError::invalid(format!(
                "version and version_description must be at most {LONGEST_VERSION} characters, without control characters."
            )));
        }
    }
    let tar = source::unpack(&api, &url, checksum.as_deref()).await?;
    let submitted = control::submit(
        &api.platform,
        control::NewBuild {
            app: row.app.clone(),
            actor: caller.account.clone(),
            source: tar,
            commit: version,
            description: version_description,
        },
    )
    .await?;
    let made = find(&api, row.app.id, &submitted.build.to_string()).await?;
    api.announce(row.app.id, "Build started", &caller.account);
    Ok((StatusCode::CREATED, Json(answer(&api, &origin, &row, made))))
}

pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    origin: Origin,
    OwnApp { caller, row }: OwnApp,
) -> Result<Json<paas_api::Build>, ApiError> {
    let found = find(&api, row.app.id, &name).await?;
    if found.build.status != BuildStatus::Pending || !control::cancel(&api.platform, found.build.id) {
        return Err(ApiError::new(
            ErrorId::Conflict,
            "This build is not under way any more: there is nothing to cancel.",
        ));
    }
    let mut connection = api.connection().await?;
    let event = Event {
        app: Some(row.app.id),
        actor: Some(caller.account.id),
        action: "update".to_owned(),
        resource: "build".to_owned(),
        resource_id: Some(*found.build.id.as_uuid()),
        payload: json!({ "cancelled": true }),
        at: api.now(),
    };
    event::record(&mut connection, event).await?;
    drop(connection);
    api.announce(row.app.id, "Build cancelled", &caller.account);
    Ok(Json(answer(&api, &origin, &row, found)))
}

async fn find(api: &Api, app: Id<App>, name: &str) -> Result<BuildRow, ApiError> {
    let not_found = || ApiError::not_found("build");
    let id: Id<Build> = name.parse().map_err(|_| not_found())?;
    let mut connection = api.connection().await?;
    let found = build::get(&mut connection, app, id).await?;
    found.ok_or_else(not_found)
}

fn answer(api: &Api, origin: &Origin, app: &AppRow, row: BuildRow) -> paas_api::Build {
    let BuildRow {
        build,
        actor,
        description,
        release,
        lease_expires_at: _,
    } = row;
    let (status, slug) = match build.status {
        BuildStatus::Pending => (paas_api::BuildStatus::Pending, None),
        BuildStatus::Succeeded { slug } => (paas_api::BuildStatus::Succeeded, Some(slug)),
        BuildStatus::Failed { .. } => (paas_api::BuildStatus::Failed, None),
    };
    paas_api::Build {
        app: IdRef {
            id: *app.app.id.as_uuid(),
        },
        buildpacks: None,
        created_at: build.created_at.into(),
        generation: "cedar".to_owned(),
        id: *build.id.as_uuid(),
        labs: std::collections::BTreeMap::new(),
        output_stream_url: stream::url(api, origin, *build.id.as_uuid()),
        release: release.map(|release| IdRef { id: *release.as_uuid() }),
        slug: slug.map(|slug| IdRef { id: *slug.as_uuid() }),
        source_blob: SourceBlob {
            checksum: None,
            // Uploads are gone once they are built, and pushes never were at any other place.
            url: api.platform.settings.git_url(&app.app.name),
            version: build.commit,
            version_description: description,
        },
        stack: app.stack.clone(),
        status,
        updated_at: build.updated_at.into(),
        user: UserRef {
            id: *actor.id.as_uuid(),
            email: actor.email,
        },
    }
}
