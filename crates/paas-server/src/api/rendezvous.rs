//! Streams over the API's own port: where people come with a secret, and what beside a dyno's own process they can come to.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use hyper_util::rt::TokioIo;
use paas_api::{ErrorId, NewExec, NewForward, rendezvous::PROTOCOL};
use paas_core::{DynoState, Feature};
use paas_engine::{ContainerId, ExecSpec};
use paas_store::feature;
use serde::Deserialize;

use super::{auth::OwnApp, body::Body, dyno, error::ApiError, one_off, state::Api};
use crate::{
    control::{self, BesideDyno, SHELL},
    rendezvous::{Invitation, Invited, Target, receive},
};

/// `?host=localhost&port=5432`: where a forwarded connection goes, as the dyno knows it.
#[derive(Deserialize)]
pub(super) struct ForwardQuery {
    host: Option<String>,
    port: Option<u16>,
}

/// Upgrades to what the secret was given out for.
pub(super) async fn meet(
    State(api): State<Arc<Api>>,
    Path(secret): Path<String>,
    Query(query): Query<ForwardQuery>,
    mut request: Request,
) -> Result<Response, ApiError> {
    let upgrade = request.headers().get(header::UPGRADE);
    let is_ours = upgrade.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(PROTOCOL.as_bytes()));
    // Before the secret is used up.
    if !is_ours {
        let message = format!("This is not a document: come with `Upgrade: {PROTOCOL}`.");
        return Err(ApiError::new(ErrorId::BadRequest, message));
    }
    let platform = &api.platform;
    let host = platform
        .rendezvous
        .find(&secret)
        .ok_or_else(|| ApiError::not_found("dyno"))?;
    let target = match (host.wants_target(), query) {
        (false, _) => host.own_target(),
        (true, ForwardQuery { host, port: Some(port) }) => Some(Target {
            host: host.unwrap_or_else(|| "localhost".to_owned()),
            port,
        }),
        (true, ForwardQuery { port: None, .. }) => {
            return Err(ApiError::new(
                ErrorId::BadRequest,
                "Say where to: host and port are missing.",
            ));
        }
    };
    let upgraded = hyper::upgrade::on(&mut request);
    let limits = platform.rendezvous.limits;
    let served = async move {
        // A client that is gone already has nobody wait for it.
        if let Ok(upgraded) = upgraded.await {
            receive(TokioIo::new(upgraded), host, target, limits).await;
        }
    };
    let stop = platform.stop.clone();
    platform.tracker.spawn(stop.run_until_cancelled_owned(served));
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, PROTOCOL)];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

/// A program beside what a dyno runs.
pub(super) async fn exec(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
    OwnApp { caller, row }: OwnApp,
    Body(new): Body<NewExec>,
) -> Result<(StatusCode, Json<paas_api::Rendezvous>), ApiError> {
    let NewExec {
        command,
        env,
        force_no_tty,
    } = new;
    let command = match command {
        Some(command) => one_off::checked_command(command)?,
        None => SHELL.to_owned(),
    };
    let environment = one_off::environment(env)?;
    let session = one_off::open(&api, &headers, &caller, row.app.id).await?;
    let (name, container) = running(&api, &row, &name).await?;
    let terminal = (!force_no_tty.unwrap_or(false)).then(|| one_off::terminal(&environment));
    let invitation = invite(
        &api,
        Invited::Program {
            has_terminal: terminal.is_some(),
        },
    )?;
    let answer = answer(name.clone(), &invitation);
    let shown = if command == SHELL { "a shell" } else { &command };
    api.announce(
        row.app.id,
        &format!("Executing {shown} in dyno {name}"),
        &caller.account,
    );
    let exec = ExecSpec {
        command: control::launch_command(&command),
        environment,
        terminal,
    };
    let beside = BesideDyno {
        container,
        invitation,
        session,
    };
    control::exec(&api.platform, beside, exec);
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Connections to where a dyno can connect to.
pub(super) async fn forward(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
    OwnApp { caller, row }: OwnApp,
    Body(NewForward {}): Body<NewForward>,
) -> Result<(StatusCode, Json<paas_api::Rendezvous>), ApiError> {
    let session = one_off::open(&api, &headers, &caller, row.app.id).await?;
    let (name, container) = running(&api, &row, &name).await?;
    let invitation = invite(&api, Invited::Connections { port: None })?;
    let answer = answer(name.clone(), &invitation);
    api.announce(
        row.app.id,
        &format!("Forwarding connections to dyno {name}"),
        &caller.account,
    );
    let beside = BesideDyno {
        container,
        invitation,
        session,
    };
    control::forward(&api.platform, beside);
    Ok((StatusCode::CREATED, Json(answer)))
}

pub(super) fn invite(api: &Api, invited: Invited) -> Result<Invitation, ApiError> {
    api.platform.rendezvous.invite(invited).map_err(ApiError::internal)
}

pub(super) fn answer(name: String, invitation: &Invitation) -> paas_api::Rendezvous {
    paas_api::Rendezvous {
        name,
        attach_path: format!("/rendezvous/{}", invitation.secret),
    }
}

/// The container of a dyno that runs and may be entered, and the dyno's name.
pub(super) async fn running(
    api: &Api,
    row: &paas_store::app::AppRow,
    name: &str,
) -> Result<(String, ContainerId), ApiError> {
    let not_running = |name: &str, state: &str| {
        ApiError::invalid(format!(
            "Dyno {name} is {state}: there is nothing to connect to. See which dynos are up, and choose one of those."
        ))
    };
    let mut connection = api.connection().await?;
    if !feature::get(&mut connection, row.app.id)
        .await?
        .is_on(Feature::RuntimeHerokuExec)
    {
        return Err(ApiError::invalid(format!(
            "Nobody may enter dynos of {0}: its feature runtime-heroku-exec is off. Turn it on with `paas features:enable \
             runtime-heroku-exec -a {0}`.",
            row.app.name
        )));
    }
    if let Some(one_off) = one_off::find(&mut connection, row.app.id, name).await? {
        drop(connection);
        let container = control::container_of_one_off(&api.platform, one_off.id).await;
        let container = container.map_err(ApiError::unavailable)?;
        let name = one_off.name.to_string();
        return match container {
            Some(container) => Ok((name, container)),
            None => Err(not_running(&name, "starting")),
        };
    }
    let dyno = dyno::find(&mut connection, row.app.id, name).await?;
    let name = dyno.name.to_string();
    match (&dyno.state, dyno.container) {
        (DynoState::Up { .. } | DynoState::Starting { .. }, Some(container)) => Ok((name, ContainerId::new(container))),
        (state, _) => Err(not_running(&name, state.as_str())),
    }
}
