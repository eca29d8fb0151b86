//! Add-ons that begin with what another one holds: `{"fork": "DATABASE_URL"}`.

use paas_core::{Addon, AddonState, App, Id, Permissions, compare_versions};
use paas_store::{addon::AddonRow, addon_fork::Fork, addon_upgrade};
use serde_json::{Map, Value};

use super::{addon as addons, addon_rollback, addon_service, auth::Caller, error::ApiError, state::Api};
use crate::addon::Service;

/// Whose fork a new add-on is to be.
pub(super) struct ForkOf {
    source: Id<Addon>,
    source_name: String,
    /// Of its server: that of the fork, where nobody asks for another one.
    pub(super) version: String,
}

const OPTION: &str = "fork";

impl ForkOf {
    pub(super) fn of(&self, addon: Id<Addon>) -> Fork {
        Fork {
            addon,
            source: self.source,
            source_name: self.source_name.clone(),
        }
    }
}

pub(super) fn is_option(name: &str) -> bool {
    name == OPTION
}

/// What this option asks for. It takes the right to read all that is in the original.
pub(super) async fn fork_of(
    api: &Api,
    (caller, app): (&Caller, Id<App>),
    (plan, version): (&str, Option<&str>),
    config: &Map<String, Value>,
) -> Result<Option<ForkOf>, ApiError> {
    let Some(value) = config.get(OPTION) else {
        return Ok(None);
    };
    if config.contains_key("rollback") {
        return Err(ApiError::invalid(
            "Choose one: --fork holds what the database holds now, and --rollback what it held at a moment.",
        ));
    }
    let name = addon_rollback::text(OPTION, value)?;
    let source = addon_rollback::find(api, caller, app, name).await?;
    addons::require(api, caller, &source, Permissions::DEPLOY | Permissions::OPERATE).await?;
    let (service, plan) = addon_service::choose(api, plan)?;
    is_fit(api, &source, service, version)?;
    addon_rollback::require_disk(api, &source, (service, plan)).await?;
    is_settled(api, &source).await?;
    Ok(Some(ForkOf {
        source: source.addon.id,
        source_name: source.addon.name.to_string(),
        version: source.version,
    }))
}

/// What it leads to is another version, which the fork would be too old for.
async fn is_settled(api: &Api, source: &AddonRow) -> Result<(), ApiError> {
    let mut connection = api.connection().await?;
    let upgrade = addon_upgrade::of_addon(&mut connection, source.addon.id).await?;
    match upgrade.filter(|upgrade| !upgrade.is_over() && !upgrade.is_dry_run) {
        None => Ok(()),
        Some(upgrade) => Err(ApiError::invalid(format!(
            "{name} is on its way to version {}. Fork it when it is there: paas pg:upgrade:wait {name}.",
            upgrade.version,
            name = source.addon.name
        ))),
    }
}

/// An older server does not read what a newer one has written.
fn is_fit(api: &Api, source: &AddonRow, service: &Service, version: Option<&str>) -> Result<(), ApiError> {
    let name = &source.addon.name;
    let kind = &addon_service::find(api, &source.addon.service)?.kind;
    if kind.name != service.kind.name {
        return Err(ApiError::invalid(format!(
            "{name} is a {}: what it holds cannot be put into a {}.",
            kind.name, service.kind.name
        )));
    }
    if kind.backup.is_none() || kind.restore.is_none() {
        return Err(ApiError::invalid(format!(
            "{name} cannot be forked: {} has no way to copy what is in it.",
            service.human_name
        )));
    }
    if source.addon.state != AddonState::Provisioned {
        return Err(ApiError::invalid(format!(
            "{name} cannot be forked before it is there. Wait for it with paas addons:wait {name}."
        )));
    }
    if let Some(version) = version
        && compare_versions(version, &source.version).is_lt()
    {
        return Err(ApiError::invalid(format!(
            "{name} is of version {}, which {version} is too old to read. Leave --version out, or choose a newer one.",
            source.version
        )));
    }
    Ok(())
}
