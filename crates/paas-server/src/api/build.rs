//! Builds: listed, started from an upload, cancelled.

use std::{iter::repeat, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use futures_util::TryStreamExt;
use http::{StatusCode, Uri};
use paas_api::{BuildLine, BuildResult, BuildSummary, ErrorId, IdRef, NewBuild, SourceBlob, UserRef};
use paas_core::{App, Build, BuildStatus, Id};
use paas_store::{
    app::AppRow,
    build::{self, BuildRow},
    event::{self, Event},
};
use serde_json::{Value, json};

use super::{
    auth::OwnApp,
    body::Body,
    buildpack_installation,
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

/// Builds what was put at one of our own upload URLs, or is at another place.
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
    let buildpacks = new.buildpacks.filter(|buildpacks| !buildpacks.is_empty());
    let buildpacks = buildpacks.map(|buildpacks| buildpacks.iter().map(buildpack_installation::parse).collect());
    let buildpacks = buildpacks.transpose()?;
    for text in [&version, &version_description] {
        check_version(text.as_deref())?;
    }
    let found = source::find(&api, &url, checksum.as_deref()).await?;
    let submitted = control::submit(
        &api.platform,
        control::NewBuild {
            app: row.app.clone(),
            actor: caller.account.clone(),
            source: found,
            commit: version,
            description: version_description,
            buildpacks,
            blob: Some(build::SourceBlob {
                url: shown(&url),
                checksum,
            }),
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

/// All that an ended build said, line by line: from before builds had streams, and still read by scripts.
pub(super) async fn result(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    origin: Origin,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<BuildResult>, ApiError> {
    let found = find(&api, row.app.id, &name).await?;
    let id = *found.build.id.as_uuid();
    let build = answer(&api, &origin, &row, found);
    if build.status == paas_api::BuildStatus::Pending {
        return Err(ApiError::new(
            ErrorId::NotFound,
            "This build is still under way: its result is there when it has ended. Read its output_stream_url meanwhile.",
        ));
    }
    let said = match api.platform.outputs.follow(id).await.map_err(ApiError::internal)? {
        Some(output) => output
            .try_collect::<Vec<_>>()
            .await
            .map_err(ApiError::internal)?
            .concat(),
        None => Vec::new(),
    };
    let lines = String::from_utf8_lossy(&said)
        .split_inclusive('\n')
        .map(|line| BuildLine {
            line: line.to_owned(),
            stream: "STDOUT".to_owned(),
        })
        .collect();
    Ok(Json(BuildResult {
        exit_code: u8::from(build.status != paas_api::BuildStatus::Succeeded),
        build: BuildSummary {
            id,
            output_stream_url: build.output_stream_url,
            status: build.status,
        },
        lines,
    }))
}

/// Empties the cache that builds of the app share. The next one installs everything anew.
pub(super) async fn purge_cache(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
) -> Result<Json<Value>, ApiError> {
    let app = row.app.id;
    if !control::purge_cache(&api.platform, app)
        .await
        .map_err(ApiError::internal)?
    {
        return Err(ApiError::new(
            ErrorId::Conflict,
            "A build of this app is under way and works with the cache. Please wait until it has ended, or cancel it.",
        ));
    }
    let mut connection = api.connection().await?;
    let event = Event {
        app: Some(app),
        actor: Some(caller.account.id),
        action: "destroy".to_owned(),
        resource: "build-cache".to_owned(),
        resource_id: None,
        payload: json!({}),
        at: api.now(),
    };
    event::record(&mut connection, event).await?;
    drop(connection);
    api.announce(app, "Build cache purged", &caller.account);
    Ok(Json(json!({})))
}

/// What releases are called after, and lines of logs hold.
pub(super) fn check_version(text: Option<&str>) -> Result<(), ApiError> {
    match text {
        Some(text) if text.chars().count() > LONGEST_VERSION || text.chars().any(char::is_control) => {
            Err(ApiError::invalid(format!(
                "version and version_description must be at most {LONGEST_VERSION} characters, without control characters."
            )))
        }
        _ => Ok(()),
    }
}

/// What comes after the path of an address, and a password in it, are permissions: they are not kept.
fn shown(url: &str) -> String {
    let Ok(uri) = url.parse::<Uri>() else {
        return String::new();
    };
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme), Some(authority)) => {
            let host = authority.as_str().rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{}", uri.path())
        }
        _ => uri.path().to_owned(),
    }
}

pub(super) async fn find(api: &Api, app: Id<App>, name: &str) -> Result<BuildRow, ApiError> {
    let not_found = || ApiError::not_found("build");
    let id: Id<Build> = name.parse().map_err(|_| not_found())?;
    let mut connection = api.connection().await?;
    let found = build::get(&mut connection, app, id).await?;
    found.ok_or_else(not_found)
}

pub(super) fn answer(api: &Api, origin: &Origin, app: &AppRow, row: BuildRow) -> paas_api::Build {
    let BuildRow {
        build,
        actor,
        description,
        buildpacks,
        buildpack_versions,
        source,
        release,
        lease_expires_at: _,
    } = row;
    let (status, slug) = match build.status {
        BuildStatus::Pending => (paas_api::BuildStatus::Pending, None),
        BuildStatus::Succeeded { slug } => (paas_api::BuildStatus::Succeeded, Some(slug)),
        BuildStatus::Failed { .. } => (paas_api::BuildStatus::Failed, None),
    };
    let (url, checksum) = match source {
        Some(source) => (source.url, source.checksum),
        // A push was never at any other place.
        None => (api.platform.settings.git_url(&app.app.name), None),
    };
    paas_api::Build {
        app: IdRef {
            id: *app.app.id.as_uuid(),
        },
        buildpacks: (!buildpacks.is_empty()).then(|| {
            let versions = buildpack_versions.iter().map(String::as_str).chain(repeat(""));
            let used = buildpacks.iter().zip(versions);
            used.map(|(name, version)| buildpack_installation::used(name, version))
                .collect()
        }),
        created_at: build.created_at.into(),
        generation: "cedar".to_owned(),
        id: *build.id.as_uuid(),
        labs: std::collections::BTreeMap::new(),
        output_stream_url: stream::url(api, origin, app.app.id, *build.id.as_uuid()),
        release: release.map(|release| IdRef { id: *release.as_uuid() }),
        slug: slug.map(|slug| IdRef { id: *slug.as_uuid() }),
        source_blob: SourceBlob {
            checksum,
            url,
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
