//! Backups by the paths of Heroku's data API: transfers, captures, restores.
//!
//! Whoever may run programs of an app may read and replace what is in its add-ons, and so their backups. What is left of an app
//! that is gone is its last owner's.

mod schedule;

use std::sync::Arc;

use axum::{
    Json,
    body::Body as HttpBody,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, future};
use http::{StatusCode, header};
use paas_api::{NewRestore, PublicUrl, ScheduleRef, Transfer, TransferBucket, TransferLog, TransferProof, UNPROVEN};
use paas_core::{AddonBackup, AddonState, BackupKind, BackupObject, BackupState, Id, Permissions};
use paas_store::{
    addon::{self, AddonRow},
    addon_backup, addon_backup_object, app, authorization, collaborator,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    access, addon as addons, addon_service, auth::Caller, body::Body, capability::Purpose, error::ApiError, needs::RUN,
    origin::Origin, state::Api,
};
pub(super) use schedule::{database_info, schedule, schedules, unschedule};

use crate::{
    control,
    sessions::{Holder, Session},
};

/// How long a backup can be fetched without a token, as on Heroku.
const PUBLIC_FOR: TimeDelta = TimeDelta::hours(1);
const PUBLIC_PATH: &str = "/backups/";

/// All that an address is good for. It travels in it.
#[derive(Serialize, Deserialize)]
struct Link {
    backup: Uuid,
    /// Who asked for it: it is good for nobody who lost the right to it.
    account: Uuid,
    authorization: Uuid,
    until: i64,
}

/// Those of an app, the oldest first.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    origin: Origin,
) -> Result<Json<Vec<Transfer>>, ApiError> {
    let backups = of_app(&api, &caller, &name, Permissions::VIEW).await?;
    let addressed = |backup: &AddonBackup, transfer| with_address(&origin, backup, transfer);
    let Some(bucket) = &api.platform.bucket else {
        let shown = backups.iter().map(|backup| addressed(backup, answer(backup)));
        return Ok(Json(shown.collect()));
    };
    let mut connection = api.connection().await?;
    let app = backups.first().map(|backup| backup.app);
    let objects = match app {
        Some(app) => addon_backup_object::of_app(&mut connection, bucket.place(), app).await?,
        None => Vec::new(),
    };
    let shown = backups.iter().map(|backup| {
        let object = objects.iter().find(|object| object.backup == backup.id);
        addressed(backup, with_object(backup, object))
    });
    Ok(Json(shown.collect()))
}

/// By number, name or id.
pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((app, name)): Path<(String, String)>,
    caller: Caller,
    origin: Origin,
) -> Result<Json<Transfer>, ApiError> {
    let found = find(&api, &caller, (&app, &name), Permissions::VIEW).await?;
    let mut transfer = match &api.platform.bucket {
        None => answer(&found),
        Some(bucket) => {
            let mut connection = api.connection().await?;
            let object = addon_backup_object::get(&mut connection, bucket.place(), found.id).await?;
            with_object(&found, object.as_ref())
        }
    };
    let unproven = api.platform.transfers.failed_proof(found.id).map(unproven);
    transfer.logs.extend(unproven);
    Ok(Json(with_address(&origin, &found, transfer)))
}

pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Path((app, name)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<Transfer>, ApiError> {
    let found = find(&api, &caller, (&app, &name), Permissions::OPERATE).await?;
    if found.state == BackupState::Running {
        return Err(ApiError::invalid(format!(
            "{0} has not ended yet. Stop it first: paas pg:backups:cancel {0}",
            found.name()
        )));
    }
    let thrown = control::throw_backup_away(&api.platform, &found, Some(caller.account.id)).await;
    thrown.map_err(|error| internal(&error))?;
    api.announce(found.app, &format!("Delete backup {}", found.name()), &caller.account);
    Ok(Json(answer(&found)))
}

/// Answers at once: it ends when its program has.
pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    Path((app, name)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<Transfer>, ApiError> {
    let found = find(&api, &caller, (&app, &name), RUN).await?;
    if !api.platform.transfers.cancel(found.id) {
        return Err(ApiError::invalid(format!("{} is not running.", found.name())));
    }
    api.announce(found.app, &format!("Cancel {}", found.name()), &caller.account);
    Ok(Json(answer(&found)))
}

/// Answers at once: what comes of it is in the backup.
pub(super) async fn prove(
    State(api): State<Arc<Api>>,
    Path((app, name)): Path<(String, String)>,
    caller: Caller,
) -> Result<(StatusCode, Json<Transfer>), ApiError> {
    let found = find(&api, &caller, (&app, &name), RUN).await?;
    if !found.is_kept() {
        return Err(nothing_in(&found));
    }
    let mut connection = api.connection().await?;
    let row = addon::by_id(&mut connection, found.addon).await?;
    drop(connection);
    let Some(row) = row else {
        return Err(ApiError::invalid(format!(
            "The add-on of {} is gone. Restore it into another one to see what is in it.",
            found.name()
        )));
    };
    // The platform may be at it by itself: what comes of that is the answer, too.
    control::prove_backup(&api.platform, &row, &found);
    Ok((StatusCode::ACCEPTED, Json(answer(&found))))
}

pub(super) async fn public_url(
    State(api): State<Arc<Api>>,
    Path((app, name)): Path<(String, String)>,
    origin: Origin,
    caller: Caller,
) -> Result<Json<PublicUrl>, ApiError> {
    let found = find(&api, &caller, (&app, &name), RUN).await?;
    if !found.is_kept() {
        return Err(nothing_in(&found));
    }
    let expires_at = api.now() + PUBLIC_FOR;
    let link = Link {
        backup: *found.id.as_uuid(),
        account: *caller.account.id.as_uuid(),
        authorization: *caller.authorization.id.as_uuid(),
        until: expires_at.timestamp(),
    };
    let payload = serde_json::to_vec(&link).map_err(ApiError::internal)?;
    let segment = api.capabilities.issue(Purpose::Backup, &payload);
    api.announce(
        found.app,
        &format!("Make a public URL of backup {}", found.name()),
        &caller.account,
    );
    Ok(Json(PublicUrl {
        expires_at: expires_at.into(),
        url: origin.url(&format!("{PUBLIC_PATH}{segment}")),
    }))
}

/// The bytes of a backup, for whoever has its address.
pub(super) async fn download(State(api): State<Arc<Api>>, Path(segment): Path<String>) -> Result<Response, ApiError> {
    let (backup, link) = opened(&api, &segment).await?;
    let held = held(&api, &backup, &link).await?;
    // Whoever does not wait for that finds it on the disk the next time.
    let (platform, wanted) = (Arc::clone(&api.platform), backup.clone());
    let fetching = async move {
        let fetched = control::bring_backup_back(&platform, &wanted);
        let fetched = platform.stop.run_until_cancelled(fetched).await;
        fetched.unwrap_or_else(|| Err(anyhow::anyhow!("the platform stops")))
    };
    let fetched = api.platform.tracker.spawn(fetching).await;
    fetched.map_err(ApiError::internal)?.map_err(|error| internal(&error))?;
    let reader = control::vault_of(&api.platform)
        .open(backup.id)
        .await
        .map_err(|error| internal(&error))?;
    let ended = async move {
        match held {
            Some(held) => held.ended().cancelled().await,
            None => future::pending().await,
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, backup.bytes.to_string()),
    ];
    let pieces = reader.into_stream().take_until(Box::pin(ended));
    Ok((headers, HttpBody::from_stream(pieces)).into_response())
}

pub(super) async fn capture(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<(StatusCode, Json<Transfer>), ApiError> {
    let row = database(&api, &caller, &name, RUN).await?;
    let made = control::capture_backup(&api.platform, &row, BackupKind::Manual, Some(caller.account.id)).await?;
    let what = format!("Capture backup {} of {}", made.name(), row.addon.name);
    api.announce(row.addon.app, &what, &caller.account);
    Ok((StatusCode::CREATED, Json(answer(&made))))
}

/// From a backup of ours: by the address that [`public_url`] gave out, while whoever asked for it has the right to what is in it, or
/// by that of the list, for whoever has that right.
pub(super) async fn restore(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    Body(new): Body<NewRestore>,
) -> Result<(StatusCode, Json<Transfer>), ApiError> {
    let row = database(&api, &caller, &name, RUN).await?;
    let NewRestore { backup_url, extensions } = new;
    if extensions.is_some_and(|extensions| !extensions.is_empty()) {
        return Err(ApiError::invalid(
            "Extensions come with the backup here. Leave --extensions out.",
        ));
    }
    let segment = backup_url.split_once(PUBLIC_PATH).map(|(_, rest)| rest);
    let segment = segment.map(|rest| rest.split(['?', '#']).next().unwrap_or(rest));
    let Some(segment) = segment else {
        return Err(ApiError::invalid(
            "Only backups of this platform can be restored by their address: take what `paas pg:backups:url` shows. A dump of \
             your own goes in with pg_restore or psql: `paas pg:psql < dump.sql`.",
        ));
    };
    let source = match segment.parse::<Uuid>() {
        Ok(id) => readable(&api, &caller, id.into()).await?,
        Err(_) => {
            let (source, link) = opened(&api, segment).await?;
            held(&api, &source, &link).await?;
            source
        }
    };
    let kind = |service: &str| {
        api.platform
            .catalogue
            .service(service)
            .map(|service| service.kind.clone())
    };
    let into = kind(&row.addon.service);
    if kind(&source.service).map(|kind| kind.name) != into.as_ref().map(|kind| kind.name.clone()) {
        return Err(ApiError::invalid(format!(
            "{} is a backup of {}: it cannot be restored into {}.",
            source.name(),
            source.service,
            row.addon.service
        )));
    }
    if into.is_none_or(|kind| kind.restore.is_none()) {
        return Err(ApiError::invalid(format!(
            "{} has no way to put backups back by itself. Get it with `paas pg:backups:download`.",
            row.addon.service
        )));
    }
    let mut connection = api.connection().await?;
    let version = addon_backup::version(&mut connection, source.id).await?;
    drop(connection);
    if let Some(version) = version {
        addon_service::require_reader(&row, (&source.name(), &version))?;
    }
    let (by, described) = (caller.account.id, source.name());
    let made = control::restore_backup(&api.platform, &row, source, by).await?;
    let what = format!("Restore backup {described} into {}", row.addon.name);
    api.announce(row.addon.app, &what, &caller.account);
    Ok((StatusCode::CREATED, Json(answer(&made))))
}

/// An add-on that has backups, of an app with which the caller may do this.
async fn database(api: &Api, caller: &Caller, name: &str, any_of: Permissions) -> Result<AddonRow, ApiError> {
    let row = addons::seen(api, caller, name).await?;
    addons::require(api, caller, &row, any_of).await?;
    if !control::can_back_up(&api.platform, &row) {
        return Err(ApiError::invalid(format!(
            "{} has no backups: its service has no command for them.",
            row.addon.service
        )));
    }
    if row.addon.state != AddonState::Provisioned {
        return Err(ApiError::invalid(format!(
            "{0} is not there yet. Wait for it: paas addons:wait {0}",
            row.addon.name
        )));
    }
    Ok(row)
}

/// Those of an app, or what is left of one that was the caller's.
async fn of_app(api: &Api, caller: &Caller, name: &str, any_of: Permissions) -> Result<Vec<AddonBackup>, ApiError> {
    match access::app_of(api, caller, name).await {
        Ok((row, granted)) => {
            granted.require(any_of)?;
            let mut connection = api.connection().await?;
            let backups = addon_backup::list_of_app(&mut connection, row.app.id).await?;
            if !backups.is_empty() {
                return Ok(backups);
            }
            // Made anew under its old name, to be filled from what is left.
            Ok(addon_backup::list_of_gone(&mut connection, name, caller.account.id).await?)
        }
        Err(error) => {
            let mut connection = api.connection().await?;
            let left = addon_backup::list_of_gone(&mut connection, name, caller.account.id).await?;
            if left.is_empty() { Err(error) } else { Ok(left) }
        }
    }
}

async fn find(
    api: &Api,
    caller: &Caller,
    (app, name): (&str, &str),
    any_of: Permissions,
) -> Result<AddonBackup, ApiError> {
    let backups = of_app(api, caller, app, any_of).await?;
    let is_meant = |backup: &AddonBackup| {
        backup.name() == name || backup.number.to_string() == name || backup.id.to_string() == name
    };
    if let Some(found) = backups.into_iter().rev().find(is_meant) {
        return Ok(found);
    }
    // The app may have been made anew, and have others by now.
    let mut connection = api.connection().await?;
    let left = addon_backup::list_of_gone(&mut connection, app, caller.account.id).await?;
    let found = left.into_iter().rev().find(is_meant);
    found.ok_or_else(|| ApiError::not_found("backup"))
}

/// A backup that the caller may read.
async fn readable(api: &Api, caller: &Caller, id: Id<AddonBackup>) -> Result<AddonBackup, ApiError> {
    let mut connection = api.connection().await?;
    let backup = addon_backup::get(&mut connection, id).await?;
    drop(connection);
    let backup = backup.filter(AddonBackup::is_kept).ok_or_else(lost)?;
    find(api, caller, (&backup.app.to_string(), &id.to_string()), RUN).await
}

/// The backup of an address that we gave out, and whose time is not over.
async fn opened(api: &Api, segment: &str) -> Result<(AddonBackup, Link), ApiError> {
    let not_found = || ApiError::not_found("backup");
    let payload = api.capabilities.open(Purpose::Backup, segment).ok_or_else(not_found)?;
    let link: Link = serde_json::from_slice(&payload).map_err(|_| not_found())?;
    if DateTime::from_timestamp(link.until, 0).is_none_or(|until| until < api.now()) {
        return Err(ApiError::invalid(
            "This address is not good any more. Ask for another one: paas pg:backups:url",
        ));
    }
    let mut connection = api.connection().await?;
    let backup = addon_backup::get(&mut connection, link.backup.into()).await?;
    let backup = backup.filter(AddonBackup::is_kept).ok_or_else(not_found)?;
    Ok((backup, link))
}

/// Whoever asked for an address still has the right to what is behind it; what comes back ends with that. `None`: its app is gone,
/// and was theirs.
async fn held(api: &Api, backup: &AddonBackup, link: &Link) -> Result<Option<Session>, ApiError> {
    let (account, authorization) = (link.account.into(), link.authorization.into());
    let mut connection = api.connection().await?;
    if app::by_id(&mut connection, backup.app).await?.is_none() {
        let living = authorization::living(&mut connection, &[authorization], api.now()).await?;
        let left = addon_backup::list_of_gone(&mut connection, &backup.app.to_string(), account).await?;
        let is_theirs = !living.is_empty() && left.iter().any(|one| one.id == backup.id);
        return if is_theirs { Ok(None) } else { Err(lost()) };
    }
    drop(connection);
    let holder = Holder {
        account,
        authorization,
        app: backup.app,
    };
    // Registered before the look at what allows it: a right that goes in between ends it.
    let session = access::hold(api, holder).await?.ok_or_else(lost)?;
    let mut connection = api.connection().await?;
    let standing = collaborator::standing(&mut connection, backup.app, account).await?;
    if standing.permissions().any_of(RUN) {
        Ok(Some(session))
    } else {
        Err(lost())
    }
}

fn lost() -> ApiError {
    ApiError::not_found("backup")
}

fn nothing_in(backup: &AddonBackup) -> ApiError {
    ApiError::invalid(format!(
        "There is nothing in {}: see paas pg:backups:info {0}",
        backup.name()
    ))
}

fn internal(error: &anyhow::Error) -> ApiError {
    ApiError::internal(std::io::Error::other(format!("{error:#}")))
}

/// A proof that said nothing about its backup.
fn unproven((at, words): (DateTime<Utc>, String)) -> TransferLog {
    TransferLog {
        created_at: at.into(),
        message: format!("{UNPROVEN}{words}"),
    }
}

/// The same, where a bucket is set.
fn with_object(backup: &AddonBackup, object: Option<&BackupObject>) -> Transfer {
    let bucket = backup.is_kept().then(|| TransferBucket {
        message: object
            .and_then(|object| object.trouble.as_ref())
            .map(|trouble| trouble.words.clone()),
        stored_at: object.and_then(|object| object.stored_at).map(Into::into),
    });
    Transfer {
        bucket,
        ..answer(backup)
    }
}

/// The same with the address that Heroku's client gives to a restore.
fn with_address(origin: &Origin, backup: &AddonBackup, transfer: Transfer) -> Transfer {
    let to_url = backup
        .is_kept()
        .then(|| origin.url(&format!("{PUBLIC_PATH}{}", backup.id)));
    Transfer { to_url, ..transfer }
}

/// In the words of Heroku's transfers: a backup goes from `pg_dump` to `gof3r`, a restore the other way, and a copy past that.
pub(super) fn answer(backup: &AddonBackup) -> Transfer {
    let store = ("BACKUP".to_owned(), "gof3r");
    let name = backup.addon_name.clone();
    let ((from_name, from_type), (to_name, to_type)) = match backup.kind {
        BackupKind::Restore => (store, (name, "pg_restore")),
        BackupKind::Copy => {
            let source = backup.copied_from_name.clone();
            let source = source.unwrap_or_else(|| "an add-on that is gone".to_owned());
            ((source, "pg_dump"), (name, "pg_restore"))
        }
        _ => ((name, "pg_dump"), store),
    };
    let finished_at = backup.finished_at.map(Into::into);
    let log = |message: String| TransferLog {
        created_at: backup.finished_at.unwrap_or(backup.created_at).into(),
        message,
    };
    let logs = match &backup.state {
        BackupState::Running => Vec::new(),
        BackupState::Succeeded => vec![log(format!("{} bytes", backup.bytes))],
        BackupState::Failed { reason } => vec![log(reason.clone())],
        BackupState::Canceled => vec![log("canceled".to_owned())],
    };
    Transfer {
        addon_id: *backup.addon.as_uuid(),
        bucket: None,
        canceled_at: backup
            .finished_at
            .filter(|_| backup.state == BackupState::Canceled)
            .map(Into::into),
        created_at: backup.created_at.into(),
        finished_at,
        from_name,
        from_type: from_type.to_owned(),
        kind: backup.kind.as_str().to_owned(),
        logs,
        name: backup.name(),
        num: backup.number,
        processed_bytes: backup.bytes,
        proof: backup.proof.as_ref().map(|proof| TransferProof {
            created_at: proof.at.into(),
            message: proof.words.clone(),
            succeeded: proof.is_good,
        }),
        schedule: (backup.kind == BackupKind::Scheduled).then(|| ScheduleRef {
            uuid: *backup.addon.as_uuid(),
        }),
        source_bytes: backup.bytes,
        started_at: Some(backup.created_at.into()),
        succeeded: match backup.state {
            BackupState::Running => None,
            BackupState::Succeeded => Some(true),
            BackupState::Failed { .. } | BackupState::Canceled => Some(false),
        },
        to_name,
        to_type: to_type.to_owned(),
        to_url: None,
        updated_at: backup.finished_at.unwrap_or(backup.created_at).into(),
        uuid: *backup.id.as_uuid(),
        warnings: 0,
    }
}
