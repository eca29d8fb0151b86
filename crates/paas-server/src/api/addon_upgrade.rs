//! The way of an add-on to a newer version of its server, by the paths of Heroku's data API.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use paas_api::{AddonUpgradeStatus, NewAddonUpgrade, Said};
use paas_core::{AddonState, AddonUpgrade, Permissions, UpgradeState, compare_versions};
use paas_store::{
    PgConnection, StoreError,
    addon::AddonRow,
    addon_upgrade::{self, NewUpgrade},
    addon_volume,
};

use super::{addon, addon_service, auth::Caller, body::Body, error::ApiError, state::Api};
use crate::addon::Service;

/// Answers at once: `wait_status` says what comes of it. What Heroku prepares before a window of maintenance is the same here: a
/// later `run` takes its version.
pub(super) async fn dry_run(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    Body(new): Body<NewAddonUpgrade>,
) -> Result<Json<Said>, ApiError> {
    let (row, version) = begin(&api, &caller, &name, (new, true)).await?;
    Ok(said(format!(
        "A dry run of version {version} of {} is under way. When it has succeeded (paas pg:upgrade:wait), begin with pg:upgrade:run",
        row.addon.name
    )))
}

/// Answers at once, too.
pub(super) async fn run(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    Body(new): Body<NewAddonUpgrade>,
) -> Result<Json<Said>, ApiError> {
    let (row, version) = begin(&api, &caller, &name, (new, false)).await?;
    Ok(said(format!(
        "{} is being upgraded to {version}: after a dry run it cannot be reached while it moves. paas pg:upgrade:wait says how far it is",
        row.addon.name
    )))
}

pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<Said>, ApiError> {
    let row = addon::seen(&api, &caller, &name).await?;
    addon::require(&api, &caller, &row, Permissions::OPERATE).await?;
    let mut connection = api.connection().await?;
    let is_cancelled = addon_upgrade::cancel(&mut connection, row.addon.id).await?;
    drop(connection);
    if !is_cancelled {
        return Err(ApiError::invalid(format!(
            "No upgrade of {} is under way that could be cancelled.",
            row.addon.name
        )));
    }
    let what = format!("Cancel upgrade of {}", row.addon.name);
    api.announce(row.addon.app, &what, &caller.account);
    api.platform.wake_addons.notify_one();
    Ok(said(
        "The upgrade is being cancelled: nothing of the database changes.".to_owned(),
    ))
}

pub(super) async fn wait(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<AddonUpgradeStatus>, ApiError> {
    let row = addon::seen(&api, &caller, &name).await?;
    let mut connection = api.connection().await?;
    let upgrade = addon_upgrade::of_addon(&mut connection, row.addon.id).await?;
    Ok(Json(match upgrade {
        None => AddonUpgradeStatus {
            is_failed: false,
            message: format!("no upgrade: it is of version {}", row.version),
            is_waiting: false,
        },
        Some(upgrade) => AddonUpgradeStatus {
            is_failed: matches!(upgrade.state, UpgradeState::Failed | UpgradeState::Cancelled),
            is_waiting: !upgrade.is_over(),
            message: upgrade.words,
        },
    }))
}

/// What is to be known of its upgrades, by what it is called.
pub(super) async fn facts(
    connection: &mut PgConnection,
    row: &AddonRow,
) -> Result<Vec<(&'static str, String)>, StoreError> {
    let upgrade = addon_upgrade::of_addon(connection, row.addon.id).await?;
    let upgrade = upgrade.map(|upgrade| ("Upgrade", upgrade.words));
    let kept = kept(connection, row).await?.into_iter().map(|words| ("Kept", words));
    Ok(upgrade.into_iter().chain(kept).collect())
}

/// What somebody who looks at it has to know now.
pub(super) async fn message(connection: &mut PgConnection, row: &AddonRow) -> Result<Option<String>, StoreError> {
    let upgrade = addon_upgrade::of_addon(connection, row.addon.id).await?;
    if let Some(upgrade) = upgrade.filter(|upgrade| !upgrade.is_over()) {
        return Ok(Some(format!(
            "It is on its way to version {}: {}",
            upgrade.version, upgrade.words
        )));
    }
    let kept = kept(connection, row).await?;
    Ok(kept.first().map(|words| format!("Kept: {words}")))
}

/// The volumes of before.
async fn kept(connection: &mut PgConnection, row: &AddonRow) -> Result<Vec<String>, StoreError> {
    let kept = addon_volume::list_of_addon(connection, row.addon.id).await?;
    let words = kept.into_iter().map(|volume| {
        let bytes = volume
            .bytes
            .map(|bytes| format!("{} MB, ", bytes.div_ceil(1024 * 1024)));
        format!(
            "what it had before, of version {}: {}until {}",
            volume.version,
            bytes.unwrap_or_default(),
            volume.kept_until.format("%Y-%m-%d %H:%M UTC")
        )
    });
    Ok(words.collect())
}

async fn begin(
    api: &Api,
    caller: &Caller,
    name: &str,
    (new, is_dry_run): (NewAddonUpgrade, bool),
) -> Result<(AddonRow, String), ApiError> {
    let row = addon::seen(api, caller, name).await?;
    addon::require(api, caller, &row, Permissions::OPERATE).await?;
    let service = addon_service::find(api, &row.addon.service)?;
    let name = &row.addon.name;
    if row.addon.state != AddonState::Provisioned {
        return Err(ApiError::invalid(format!(
            "{name} cannot be upgraded before it is there. Wait for it with paas addons:wait {name}."
        )));
    }
    let mut connection = api.connection().await?;
    let last = addon_upgrade::of_addon(&mut connection, row.addon.id).await?;
    drop(connection);
    let version = target(&row, service, new.version, last)?;
    let upgrade = NewUpgrade { version, is_dry_run };
    let mut connection = api.connection().await?;
    let stamp = api.stamp(&caller.account);
    if !addon_upgrade::begin(&mut connection, row.addon.id, &upgrade, stamp).await? {
        return Err(ApiError::invalid(format!(
            "An upgrade of {name} is under way already. See how far it is with paas pg:upgrade:wait, or end it with pg:upgrade:cancel."
        )));
    }
    drop(connection);
    let what = if is_dry_run { "Try upgrade" } else { "Upgrade" };
    let what = format!("{what} of {name} to version {}", upgrade.version);
    api.announce(row.addon.app, &what, &caller.account);
    api.platform.wake_addons.notify_one();
    Ok((row, upgrade.version))
}

/// The version that it is to have: what was asked for, or tried last, or the newest.
fn target(
    row: &AddonRow,
    service: &Service,
    wanted: Option<String>,
    last: Option<AddonUpgrade>,
) -> Result<String, ApiError> {
    let name = &row.addon.name;
    let versions = service.kind.versions();
    if service.kind.upgrade.is_none() {
        let service = &service.human_name;
        return Err(ApiError::invalid(match versions.len() {
            1 => format!("{name} cannot be upgraded: there is one version only of {service}."),
            _ => format!(
                "{name} cannot be upgraded: nothing brings what is in one {service} to another version. There are: {}. Create \
                 another one with -- --version, and fill it yourself.",
                versions.join(", ")
            ),
        }));
    }
    let tried = last.filter(|last| last.is_dry_run && last.state == UpgradeState::Succeeded);
    let tried = tried.map(|last| last.version);
    let newest = versions.last().map(|version| (*version).to_owned());
    let is_newer = |version: &String| compare_versions(version, &row.version).is_gt();
    let version = wanted.or(tried.filter(is_newer)).or(newest).unwrap_or_default();
    if service.kind.image_of(&version).is_none() {
        return Err(addon_service::no_version(service, &version));
    }
    if !is_newer(&version) {
        return Err(ApiError::invalid(format!(
            "{name} is of version {} already, and goes to newer ones only. There are: {}.",
            row.version,
            versions.join(", ")
        )));
    }
    Ok(version)
}

fn said(message: String) -> Json<Said> {
    Json(Said { message })
}
