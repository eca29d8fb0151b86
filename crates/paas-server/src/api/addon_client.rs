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
use paas_engine::{ContainerId, ExecSpec};
use paas_store::addon::AddonRow;

use super::{
    addon, addon_credential, addon_service, auth::Caller, body::Body, error::ApiError, one_off, rendezvous, state::Api,
};
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
        credential,
        env,
        force_no_tty,
        program,
    } = new;
    let row = addon::seen(&api, &caller, &name).await?;
    addon::require(&api, &caller, &row, Permissions::DEPLOY | Permissions::OPERATE).await?;
    if arguments.len() > MOST_ARGUMENTS || arguments.iter().any(|argument| argument.contains('\0')) {
        return Err(ApiError::invalid("These arguments cannot be given to a program."));
    }
    let script = script(&api, &row, program.as_deref().unwrap_or("client"))?;
    let user = match &credential {
        Some(name) if name != "default" => {
            addon_credential::require(&api, &row, &format!("credential:{name}")).await?;
            Some(name.as_str())
        }
        _ => None,
    };
    let environment = one_off::environment(env)?;
    let session = one_off::open(&api, &headers, &caller, row.addon.app).await?;
    let container = container(&api, &row).await?;
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
        command: client_command(script, user, arguments),
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

pub(super) async fn container(api: &Api, row: &AddonRow) -> Result<ContainerId, ApiError> {
    let container = control::container_of_addon(&api.platform, row.addon.id).await;
    container.map_err(ApiError::unavailable)?.ok_or_else(|| {
        ApiError::invalid(format!(
            "{0} does not run at the moment. See why with `paas addons:info {0}`.",
            row.addon.name
        ))
    })
}

/// A program that people may talk to.
pub(super) fn script<'a>(api: &'a Api, row: &AddonRow, program: &str) -> Result<&'a str, ApiError> {
    let service = addon_service::find(api, &row.addon.service)?;
    let (script, what) = match program {
        "client" => (&service.kind.client, "no client of its own here"),
        "dump" => (&service.kind.backup, "no dump"),
        "restore" => (&service.kind.restore, "nothing that reads a dump"),
        other => {
            return Err(ApiError::invalid(format!(
                "An add-on has no program {other}. There are: client, dump, restore."
            )));
        }
    };
    script.as_deref().ok_or_else(|| {
        ApiError::invalid(format!(
            "{} has {what}. Its address is in the config vars of its apps.",
            row.addon.service
        ))
    })
}
