//! App setups: a source with an `app.json` becomes an app that runs.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use paas_api::{BuildSummary, NamedRef, NewApp, NewAppSetup, Postdeploy, SetupOverrides, SourceBlob};
use paas_core::{BuildStatus, ConfigKey, Id};
use paas_store::app_setup::{self, AppSetup, SetupStatus};

use super::{
    app, auth::Caller, body::Body, build, buildpack_installation, error::ApiError, origin::Origin, source, state::Api,
    stream,
};
use crate::control::{self, NewSetup};

/// The app is there with the answer; everything else takes its time.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    origin: Origin,
    caller: Caller,
    Body(new): Body<NewAppSetup>,
) -> Result<(StatusCode, Json<paas_api::AppSetup>), ApiError> {
    let NewAppSetup {
        app: wanted,
        overrides: SetupOverrides { buildpacks, env },
        source_blob,
    } = new;
    let SourceBlob {
        checksum, url, version, ..
    } = source_blob;
    build::check_version(version.as_deref())?;
    let env = env
        .into_iter()
        .map(|(key, value)| Ok((key.parse::<ConfigKey>()?, value)))
        .collect::<Result<BTreeMap<_, _>, ApiError>>()?;
    let buildpacks = buildpacks.map(|buildpacks| buildpacks.iter().map(buildpack_installation::parse).collect());
    let buildpacks = buildpacks.transpose()?;
    let found = source::find(&api, &url, checksum.as_deref()).await?;
    let row = app::make(
        &api,
        NewApp {
            name: wanted.name,
            region: wanted.region,
            stack: wanted.stack,
        },
        &caller.account,
    )
    .await?;
    let stamp = api.stamp(&caller.account);
    let id: Id<AppSetup> = paas_store::new_id(stamp.at);
    let mut connection = api.connection().await?;
    app_setup::create(&mut connection, id, row.app.id, stamp).await?;
    let made = app_setup::get(&mut connection, id).await?;
    drop(connection);
    control::start_setup(
        &api.platform,
        NewSetup {
            id,
            app: row.app.clone(),
            actor: caller.account.clone(),
            source: found,
            version,
            env,
            buildpacks,
        },
    );
    api.announce(row.app.id, "App setup started", &caller.account);
    let made = made.ok_or_else(|| ApiError::not_found("app setup"))?;
    Ok((StatusCode::ACCEPTED, Json(answer(&api, &origin, made))))
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    origin: Origin,
    caller: Caller,
) -> Result<Json<paas_api::AppSetup>, ApiError> {
    let not_found = || ApiError::not_found("app setup");
    let id: Id<AppSetup> = name.parse().map_err(|_| not_found())?;
    let mut connection = api.connection().await?;
    let found = app_setup::get(&mut connection, id).await?;
    let found = found
        .filter(|setup| setup.actor == caller.account.id)
        .ok_or_else(not_found)?;
    Ok(Json(answer(&api, &origin, found)))
}

fn answer(api: &Api, origin: &Origin, setup: AppSetup) -> paas_api::AppSetup {
    let AppSetup {
        id,
        app,
        app_name,
        actor: _,
        status,
        manifest_errors,
        build,
        postdeploy,
        resolved_success_url,
        created_at,
        updated_at,
    } = setup;
    let (status, failure_message) = match status {
        SetupStatus::Pending => (paas_api::BuildStatus::Pending, None),
        SetupStatus::Succeeded => (paas_api::BuildStatus::Succeeded, None),
        SetupStatus::Failed { message } => (paas_api::BuildStatus::Failed, Some(message)),
    };
    paas_api::AppSetup {
        app: NamedRef {
            id: *app.as_uuid(),
            name: app_name.to_string(),
        },
        build: build.map(|(build, status)| BuildSummary {
            id: *build.as_uuid(),
            output_stream_url: stream::url(api, origin, app, *build.as_uuid()),
            status: match status {
                BuildStatus::Pending => paas_api::BuildStatus::Pending,
                BuildStatus::Succeeded { .. } => paas_api::BuildStatus::Succeeded,
                BuildStatus::Failed { .. } => paas_api::BuildStatus::Failed,
            },
        }),
        created_at: created_at.into(),
        failure_message,
        id: *id.as_uuid(),
        manifest_errors,
        postdeploy: postdeploy.map(|postdeploy| Postdeploy {
            exit_code: postdeploy.exit_code,
            output: postdeploy.output,
        }),
        resolved_success_url,
        status,
        updated_at: updated_at.into(),
    }
}
