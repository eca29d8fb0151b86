//! What people run inside an add-on: the client of its own server, over the API's port. So a database is reached from a laptop
//! without a port of its own, and without a client there.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::{HeaderMap, StatusCode};
use paas_api::AddonClient;
use paas_core::Permissions;
use paas_engine::ExecSpec;

use super::{addon, auth::Caller, body::Body, error::ApiError, one_off, rendezvous, state::Api};
use crate::{
    control::{self, BesideDyno, client_command},
    rendezvous::Invited,
};

const MOST_ARGUMENTS: usize = 64;

/// Whoever may see the config vars of the app that pays for it.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    caller: Caller,
    Body(new): Body<AddonClient>,
) -> Result<(StatusCode, Json<paas_api::Rendezvous>), ApiError> {
    let AddonClient {
        arguments,
        env,
        force_no_tty,
    } = new;
    let row = addon::seen(&api, &caller, &name).await?;
    addon::require(&api, &caller, &row, Permissions::DEPLOY | Permissions::OPERATE).await?;
    if arguments.len() > MOST_ARGUMENTS || arguments.iter().any(|argument| argument.contains('\0')) {
        return Err(ApiError::invalid("These arguments cannot be given to a program."));
    }
    let service = api.platform.catalogue.service(&row.addon.service);
    let Some(script) = service.and_then(|service| service.kind.client.as_ref()) else {
        return Err(ApiError::invalid(format!(
            "{} has no client of its own here. Its address is in the config vars of its apps.",
            row.addon.service
        )));
    };
    let environment = one_off::environment(env)?;
    let session = one_off::open(&api, &headers, &caller, row.addon.app).await?;
    let container = control::container_of_addon(&api.platform, row.addon.id).await;
    let container = container.map_err(ApiError::unavailable)?.ok_or_else(|| {
        ApiError::invalid(format!(
            "{0} does not run at the moment. See why with `paas addons:info {0}`.",
            row.addon.name
        ))
    })?;
    let terminal = (!force_no_tty.unwrap_or(false)).then(|| one_off::terminal(&environment));
    let invitation = rendezvous::invite(
        &api,
        Invited::Program {
            has_terminal: terminal.is_some(),
        },
    )?;
    let answer = rendezvous::answer(row.addon.name.to_string(), &invitation);
    let what = format!("Opening the client of {}", row.addon.name);
    api.announce(row.addon.app, &what, &caller.account);
    let exec = ExecSpec {
        command: client_command(script, arguments),
        environment,
        terminal,
    };
    control::exec(
        &api.platform,
        BesideDyno {
            container,
            invitation,
            session,
        },
        exec,
    );
    Ok((StatusCode::CREATED, Json(answer)))
}
