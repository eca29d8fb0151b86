//! What takes room on the platform's disks, and what nobody needs of it: for operators alone.

use std::{cmp::Reverse, collections::HashMap, io, sync::Arc};

use axum::{Json, extract::State};
use paas_api::{AppDisk, AppRef, DiskAccount, DiskPrune, ErrorId, FileSystem, NewDiskPrune, PrunedItem};
use paas_core::{App, AppName, Id};
use paas_store::{
    account, disk,
    event::{self, Event},
};
use serde_json::json;

use super::{auth::Caller, body::Body, error::ApiError, state::Api};
use crate::control::{self, AppBytes, BytesAccount};

pub(super) async fn info(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<paas_api::Disk>, ApiError> {
    require_operator(&api, &caller).await?;
    let measured = control::account_disk(&api.platform).await.map_err(failed)?;
    let mut accounts: Vec<_> = measured.accounts.iter().copied().map(account_answer).collect();
    accounts.sort_by_key(|account| Reverse(account.bytes));
    Ok(Json(paas_api::Disk {
        accounts,
        apps: measured
            .apps
            .iter()
            .map(|(app, name, bytes)| app_answer(reference(*app, name), *bytes))
            .collect(),
        file_systems: measured.file_systems.iter().map(file_system_answer).collect(),
        limit_percent: api.platform.settings.build_disk_limit_percent.into(),
        measured_at: measured.measured_at.into(),
    }))
}

pub(super) async fn prune(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(new): Body<NewDiskPrune>,
) -> Result<Json<DiskPrune>, ApiError> {
    require_operator(&api, &caller).await?;
    let pruned = if new.dry_run {
        control::rehearse_prune(&api.platform).await
    } else {
        control::prune_disk(&api.platform, None).await
    };
    let pruned = pruned.map_err(failed)?;
    control::forget_disk(&api.platform).await;
    let pruned_bytes = pruned.iter().map(|item| item.bytes).sum();
    let mut connection = api.connection().await?;
    let names = disk::apps(&mut connection).await?;
    if !new.dry_run {
        let event = Event {
            app: None,
            actor: Some(caller.account.id),
            action: "update".to_owned(),
            resource: "disk".to_owned(),
            resource_id: None,
            payload: json!({ "pruned_bytes": pruned_bytes, "items": pruned.len() }),
            at: api.now(),
        };
        event::record(&mut connection, event).await?;
    }
    Ok(Json(DiskPrune {
        dry_run: new.dry_run,
        items: pruned.into_iter().map(|item| item_answer(item, &names)).collect(),
        pruned_bytes,
    }))
}

/// The log says why.
fn failed(error: anyhow::Error) -> ApiError {
    ApiError::internal(io::Error::other(error))
}

async fn require_operator(api: &Api, caller: &Caller) -> Result<(), ApiError> {
    let mut connection = api.connection().await?;
    if account::is_operator(&mut connection, caller.account.id).await? {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorId::Forbidden,
        "The disk is the operator's to see. On the platform's machine, paasd user operator EMAIL makes somebody one.",
    ))
}

fn account_answer(account: BytesAccount) -> DiskAccount {
    DiskAccount {
        bytes: account.bytes,
        name: account.name.to_owned(),
        prunable_bytes: account.prunable_bytes,
    }
}

fn file_system_answer(file_system: &control::FileSystem) -> FileSystem {
    let fill = file_system.fill;
    FileSystem {
        free_bytes: fill.free_bytes,
        holds: file_system.holds.iter().map(|&what| what.to_owned()).collect(),
        path: file_system.path.display().to_string(),
        size_bytes: fill.usable_bytes(),
        used_bytes: fill.used_bytes,
        used_percent: fill.used_percent(),
    }
}

fn app_answer(app: AppRef, bytes: AppBytes) -> AppDisk {
    AppDisk {
        app,
        build_output_bytes: bytes.outputs,
        cache_bytes: bytes.cache,
        container_bytes: bytes.containers,
        image_bytes: bytes.images,
        image_copy_bytes: bytes.image_copies,
        log_bytes: bytes.logs,
        repository_bytes: bytes.repository,
        total_bytes: bytes.total(),
    }
}

fn item_answer(item: control::Pruned, names: &HashMap<Id<App>, AppName>) -> PrunedItem {
    PrunedItem {
        app: item.app.and_then(|app| Some(reference(app, names.get(&app)?))),
        bytes: item.bytes,
        kind: item.kind.as_str().to_owned(),
        name: item.name,
    }
}

fn reference(app: Id<App>, name: &AppName) -> AppRef {
    AppRef {
        id: *app.as_uuid(),
        name: name.to_string(),
    }
}
