//! What people run inside an add-on: the client of its own server, over the API's port. So a database is reached from a laptop
//! without a port of its own, and without a client there.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::{HeaderMap, StatusCode};
use paas_api::{AddonClient, AddonCopy, NewTransfer, Transfer};
use paas_core::Permissions;
use paas_engine::{ContainerId, ExecSpec};
use paas_store::{self as store, addon::AddonRow};

use super::{
    addon, addon_backup, addon_credential, addon_service, auth::Caller, body::Body, error::ApiError, one_off,
    rendezvous, state::Api,
};
use crate::{
    addon::host as host_of,
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

/// Copies what is in another add-on into this one, while whoever comes waits for it. It takes the right to see the one, and to
/// change the other.
pub(super) async fn copy(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    caller: Caller,
    Body(AddonCopy { source }): Body<AddonCopy>,
) -> Result<(StatusCode, Json<paas_api::Rendezvous>), ApiError> {
    let (from, to) = pair(&api, &caller, (&source, &name)).await?;
    let (dump, restore) = (script(&api, &from, "dump")?, script(&api, &to, "restore")?);
    let session = one_off::open(&api, &headers, &caller, to.addon.app).await?;
    let from_container = container(&api, &from).await?;
    let to_container = container(&api, &to).await?;
    let invitation = rendezvous::invite(&api, Invited::Program { has_terminal: false })?;
    let answer = rendezvous::answer(to.addon.name.to_string(), &invitation);
    let what = format!("Copy {} to {}", from.addon.name, to.addon.name);
    api.announce(to.addon.app, &what, &caller.account);
    let copy = control::Copy {
        from: (from_container, dump.to_owned()),
        to: (to_container, restore.to_owned()),
        invitation,
        session,
    };
    control::copy_addon(&api.platform, copy);
    Ok((StatusCode::CREATED, Json(answer)))
}

/// The same without anybody waiting, as Heroku's client has it done: how far it is, a transfer says.
pub(super) async fn transfer(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    Body(new): Body<NewTransfer>,
) -> Result<(StatusCode, Json<Transfer>), ApiError> {
    addon::seen(&api, &caller, &name).await?;
    let from = addressed(&api, new.from_url.expose()).await?;
    let to = addressed(&api, new.to_url.expose()).await?;
    let (from, to) = pair(&api, &caller, (&from, &to)).await?;
    script(&api, &from, "dump")?;
    script(&api, &to, "restore")?;
    let made = control::copy_addon_over(&api.platform, (&from, &to), caller.account.id).await?;
    let what = format!("Copy {} to {}", from.addon.name, to.addon.name);
    api.announce(to.addon.app, &what, &caller.account);
    Ok((StatusCode::CREATED, Json(addon_backup::answer(&made))))
}

/// Which add-on of the platform this is the address of; whether anybody may do anything with it is another question.
async fn addressed(api: &Api, url: &str) -> Result<String, ApiError> {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or(authority);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let mut connection = api.connection().await?;
    let rows = store::addon::all(&mut connection).await?;
    let row = rows.iter().find(|row| host_of(row.addon.id) == host);
    row.map(|row| row.addon.id.to_string()).ok_or_else(|| {
        ApiError::invalid(
            "Only databases of this platform can be copied, by their names. Others come in with `paas pg:push`, and go out with \
             `paas pg:pull`.",
        )
    })
}

/// Two add-ons of which the caller may see all of the one, and change the other, which can hold what is in the one.
async fn pair(api: &Api, caller: &Caller, (from, to): (&str, &str)) -> Result<(AddonRow, AddonRow), ApiError> {
    let to = addon::seen(api, caller, to).await?;
    addon::require(api, caller, &to, Permissions::OPERATE).await?;
    let from = addon::seen(api, caller, from).await?;
    addon::require(api, caller, &from, Permissions::DEPLOY | Permissions::OPERATE).await?;
    if to.addon.id == from.addon.id {
        return Err(ApiError::invalid("Cannot copy database onto itself."));
    }
    let kind = |row: &AddonRow| addon_service::find(api, &row.addon.service).map(|service| service.kind.name.clone());
    if kind(&to)? != kind(&from)? {
        return Err(ApiError::invalid(format!(
            "{} cannot hold what is in {}: they are of different kinds.",
            to.addon.name, from.addon.name
        )));
    }
    addon_service::require_reader(&to, (from.addon.name.as_str(), &from.version))?;
    Ok((from, to))
}

async fn container(api: &Api, row: &AddonRow) -> Result<ContainerId, ApiError> {
    let container = control::container_of_addon(&api.platform, row.addon.id).await;
    container.map_err(ApiError::unavailable)?.ok_or_else(|| {
        ApiError::invalid(format!(
            "{0} does not run at the moment. See why with `paas addons:info {0}`.",
            row.addon.name
        ))
    })
}

/// A program that people may talk to.
fn script<'a>(api: &'a Api, row: &AddonRow, program: &str) -> Result<&'a str, ApiError> {
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
