//! Add-ons that begin with what another one held at a moment: `{"rollback": "DATABASE_URL", "to": "10 minutes ago"}`.

use std::sync::Arc;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use paas_core::{Addon, App, Id, Lineage, Moments, Permissions, moment, span};
use paas_store::{
    addon::{self, AddonRow, Values},
    addon_attachment,
    addon_rollback::Rollback,
    app,
};
use serde_json::{Map, Value};

use super::{addon as addons, addon_name, addon_service, auth::Caller, error::ApiError, state::Api};
use crate::{
    addon::{Credentials, Plan, Service, host},
    control,
};

/// What a new add-on begins with.
pub(super) struct Beginning {
    source: Id<Addon>,
    source_name: String,
    moment: DateTime<Utc>,
    /// Of the server that wrote it, and so of the one that reads it.
    pub(super) version: String,
    /// The users and the database of the original, with another password.
    pub(super) secret: Values,
}

const SECOND: TimeDelta = TimeDelta::seconds(1);
const MEBIBYTE: u64 = 1024 * 1024;
const OPTIONS: [&str; 3] = ["rollback", "to", "by"];

impl Beginning {
    pub(super) fn of(&self, addon: Id<Addon>) -> Rollback {
        Rollback {
            addon,
            source: self.source,
            source_name: self.source_name.clone(),
            moment: self.moment,
        }
    }
}

pub(super) fn is_option(name: &str) -> bool {
    OPTIONS.contains(&name)
}

/// What these options ask for. It takes the right to read all that is in the original, and fails where the moment is out of reach.
pub(super) async fn beginning(
    api: &Api,
    (caller, app): (&Caller, Id<App>),
    (plan, version): (&str, Option<&str>),
    config: &Map<String, Value>,
) -> Result<Option<Beginning>, ApiError> {
    let [name, to, by] = OPTIONS.map(|option| config.get(option).map(|value| text(option, value)));
    let (name, to, by) = (name.transpose()?, to.transpose()?, by.transpose()?);
    let Some(name) = name else {
        if to.or(by).is_some() {
            return Err(ApiError::invalid(
                "Say what is to be gone back: --rollback DATABASE --to '10 minutes ago'.",
            ));
        }
        return Ok(None);
    };
    let now = api.now();
    let moment = match (to, by) {
        (Some(to), None) => moment(to, now)?,
        (None, Some(by)) => now - span(by)?,
        (None, None) | (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "Say to which moment: either --to '2026-11-22 03:00 UTC' or --by '3 days 7 hours'.",
            ));
        }
    };
    let source = find(api, caller, app, name).await?;
    addons::require(api, caller, &source, Permissions::DEPLOY | Permissions::OPERATE).await?;
    let (service, plan) = addon_service::choose(api, plan)?;
    is_fit(api, &source, (service, plan), version).await?;
    is_reached(api, &source, (moment, now)).await?;
    let mut connection = api.connection().await?;
    let secret = addon::secret(&mut connection, &api.store().sealer, source.addon.id).await?;
    Ok(Some(Beginning {
        source: source.addon.id,
        source_name: source.addon.name.to_string(),
        moment,
        version: source.version,
        secret: Credentials::from_values(secret).rotated().values().clone(),
    }))
}

/// As the app calls it, by a config var, or by an address of ours.
pub(super) async fn find(api: &Api, caller: &Caller, app: Id<App>, name: &str) -> Result<AddonRow, ApiError> {
    let mut connection = api.connection().await?;
    if name.contains("://") {
        let apps = app::list(&mut connection, caller.account.id).await?;
        let apps: Vec<_> = apps.iter().map(|app| app.id).collect();
        let rows = addon::list_of_apps(&mut connection, &apps).await?;
        let found = rows.into_iter().find(|row| name.contains(&host(row.addon.id)));
        return found.ok_or_else(|| ApiError::invalid("This is the address of no database of this platform."));
    }
    let uses = addon_attachment::list_of_app(&mut connection, app).await?;
    if let Some(used) = uses.iter().find(|row| addon_name::is_meant(row, name)) {
        let row = addon::by_id(&mut connection, used.attachment.addon).await?;
        return row.ok_or_else(addons::not_found);
    }
    drop(connection);
    addons::seen(api, caller, name).await
}

/// Only a server of the same kind and version reads what another one has written, and only a disk as large holds it.
async fn is_fit(
    api: &Api,
    source: &AddonRow,
    (service, plan): (&Arc<Service>, &Plan),
    version: Option<&str>,
) -> Result<(), ApiError> {
    control::archiving(&api.platform, source).map_err(|error| {
        ApiError::invalid(format!(
            "{} cannot be gone back to a moment: {error}. See its backups with paas pg:backups.",
            source.addon.name
        ))
    })?;
    let kind = &addon_service::find(api, &source.addon.service)?.kind;
    let version = version.unwrap_or(&source.version);
    if kind.name != service.kind.name || source.version != version || service.kind.image_of(version).is_none() {
        return Err(ApiError::invalid(format!(
            "{} is a {} {}: what it held cannot be put into a {} {}.",
            source.addon.name, kind.name, source.version, service.kind.name, version
        )));
    }
    require_disk(api, source, (service, plan)).await
}

/// Refuses a plan whose disk does not hold what is in an add-on.
pub(super) async fn require_disk(
    api: &Api,
    source: &AddonRow,
    (service, plan): (&Service, &Plan),
) -> Result<(), ApiError> {
    let mut connection = api.connection().await?;
    let used = addon::disk_bytes(&mut connection, source.addon.id)
        .await?
        .unwrap_or_default();
    if used > plan.disk_bytes() {
        return Err(ApiError::invalid(format!(
            "{} takes {} MB of its disk, and {}:{} has {} MB. Choose a larger plan.",
            source.addon.name,
            used / MEBIBYTE,
            service.name,
            plan.name,
            plan.disk_bytes() / MEBIBYTE
        )));
    }
    Ok(())
}

/// What was written a moment ago is brought into the archive first.
async fn is_reached(
    api: &Api,
    source: &AddonRow,
    (moment, now): (DateTime<Utc>, DateTime<Utc>),
) -> Result<(), ApiError> {
    let name = &source.addon.name;
    if moment > now {
        return Err(ApiError::invalid(format!(
            "{} is in the future: {name} can be gone back to what it held until now.",
            words(moment)
        )));
    }
    let mut moments = control::moments(&api.platform, source)
        .await
        .map_err(|error| internal(&error))?;
    let mut behind = String::new();
    if moments.last().is_none_or(|last| last.to < moment + Lineage::SLACK) {
        match control::catch_up_archive(&api.platform, source).await {
            Ok(()) => {
                moments = control::moments(&api.platform, source)
                    .await
                    .map_err(|error| internal(&error))?;
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(addon.name = %name, error, "what was written last is not in the archive");
                behind = format!(" What was written since is not archived yet: {error}. Try again in a minute.");
            }
        }
    }
    if moments.iter().any(|part| part.from <= moment && moment <= part.to) {
        return Ok(());
    }
    if moments.is_empty() {
        return Err(ApiError::invalid(format!(
            "{name} cannot be gone back yet: its first copy is being made. Try again in a minute; paas pg:info says since when.{behind}"
        )));
    }
    Err(ApiError::invalid(format!(
        "{name} cannot be gone back to {}. It can be to every moment {}.{behind}",
        words(moment),
        in_words(&moments)
    )))
}

/// `from … to …, or from … to …`
fn in_words(moments: &[Moments]) -> String {
    let parts = moments.iter();
    let parts: Vec<_> = parts
        .map(|part| format!("from {} to {}", words(round_up(part.from, SECOND)), words(part.to)))
        .collect();
    parts.join(", or ")
}

/// So that what is said of a beginning is not before it.
pub(super) fn round_up(at: DateTime<Utc>, to: TimeDelta) -> DateTime<Utc> {
    at.duration_round_up(to).unwrap_or(at)
}

/// What becomes of an add-on that is not there yet.
pub(super) fn becomes(rollback: &Rollback) -> String {
    let at = rollback.moment.format("%Y-%m-%d %H:%M:%S%.f UTC");
    format!("It is being filled with what {} held at {at}.", rollback.source_name)
}

fn words(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

pub(super) fn text<'a>(option: &str, value: &'a Value) -> Result<&'a str, ApiError> {
    value
        .as_str()
        .ok_or_else(|| ApiError::invalid(format!("--{option} has to have a value.")))
}

fn internal(error: &anyhow::Error) -> ApiError {
    ApiError::internal(std::io::Error::other(format!("{error:#}")))
}
