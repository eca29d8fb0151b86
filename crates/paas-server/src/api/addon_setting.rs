//! What people choose of how the server of an add-on runs, and what it says of itself: by the paths of Heroku's data API.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use paas_api::{DataFact, DataStore, DatabaseReset, Said, WaitStatus};
use paas_core::{AddonState, Permissions};
use paas_store::addon::{self as addons, AddonRow, Values};
use serde_json::{Map, Value, json};

use super::{addon, addon_service, auth::Caller, body::Body, error::ApiError, state::Api};
use crate::{
    addon::{Kind, Service},
    control,
};

/// What an add-on is, and its address with the password.
pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<DataStore>, ApiError> {
    let row = addon::seen(&api, &caller, &name).await?;
    addon::require(&api, &caller, &row, Permissions::DEPLOY | Permissions::OPERATE).await?;
    let service = addon_service::find(&api, &row.addon.service)?;
    let mut connection = api.connection().await?;
    let config = addons::config(&mut connection, &api.store().sealer, row.addon.id).await?;
    let chosen = addons::settings(&mut connection, row.addon.id).await?;
    let used = addons::disk_bytes(&mut connection, row.addon.id).await?;
    drop(connection);
    let mut facts = vec![
        ("Plan", row.addon.plan.clone()),
        ("Status", waits_for(&row).unwrap_or("available").to_owned()),
        ("Created", row.addon.created_at.format("%Y-%m-%d %H:%M UTC").to_string()),
        ("Version", row.version.clone()),
    ];
    if let Some(plan) = service.plan(&row.addon.plan) {
        facts.push(("Connections", format!("at most {}", plan.size.connections)));
        facts.push(("Memory", format!("{} MB", plan.size.memory_mib)));
        let used = used.map_or_else(String::new, |used| format!("{} MB of ", used / (1024 * 1024)));
        facts.push(("Disk", format!("{used}{} GB", plan.size.disk_gib)));
    }
    for (name, value) in service.settings(&chosen) {
        match name.as_str() {
            "timeout" => facts.push(("Timeout", value)),
            "maxmemory_policy" => facts.push(("Maxmemory", value)),
            "notify_keyspace_events" if !value.is_empty() => facts.push(("Keyspace Notifications", value)),
            _ => {}
        }
    }
    let info = facts.into_iter().map(|(name, value)| DataFact {
        name: name.to_owned(),
        values: vec![value],
    });
    let url = config.and_then(|config| config.get("URL").cloned());
    Ok(Json(DataStore {
        addon_id: *row.addon.id.as_uuid(),
        created_at: row.addon.created_at.into(),
        info: info.collect(),
        name: row.addon.name.to_string(),
        plan: row.addon.plan.clone(),
        resource_url: url.map(paas_api::Secret::new),
    }))
}

pub(super) async fn wait(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<WaitStatus>, ApiError> {
    let row = addon::seen(&api, &caller, &name).await?;
    let waits = waits_for(&row);
    Ok(Json(WaitStatus {
        is_waiting: waits.is_some(),
        message: waits.unwrap_or("available").to_owned(),
    }))
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<Value>, ApiError> {
    let row = addon::seen(&api, &caller, &name).await?;
    let service = addon_service::find(&api, &row.addon.service)?;
    let mut connection = api.connection().await?;
    let chosen = addons::settings(&mut connection, row.addon.id).await?;
    Ok(Json(answer(service, &chosen)))
}

/// The server learns of it while it runs; an answer of success says that it is on its way.
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    Body(wanted): Body<Map<String, Value>>,
) -> Result<Json<Value>, ApiError> {
    let (row, service) = changeable(&api, &caller, &name).await?;
    let mut chosen = Values::new();
    for (name, value) in wanted {
        let Some(setting) = service.kind.settings.get(&name) else {
            let names: Vec<_> = service.kind.settings.keys().map(String::as_str).collect();
            return Err(ApiError::invalid(format!(
                "{} has no setting {name}. There are: {}.",
                service.human_name,
                if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                }
            )));
        };
        let value = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        setting
            .check(&value)
            .map_err(|rule| ApiError::invalid(format!("{name} {rule}.")))?;
        chosen.insert(name, value);
    }
    let mut transaction = api.store().begin().await?;
    let chosen = addons::choose(&mut transaction, row.addon.id, &chosen, api.stamp(&caller.account)).await?;
    transaction.commit().await?;
    let what = format!("Change settings of {}", row.addon.name);
    api.announce(row.addon.app, &what, &caller.account);
    api.platform.wake_addons.notify_one();
    Ok(Json(answer(service, &chosen)))
}

pub(super) async fn reset_stats(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<Said>, ApiError> {
    let done = ("Reset statistics of", "Stats reset successful.");
    run(&api, &caller, &name, done, |kind| &kind.reset_stats).await
}

/// Takes everything out of a database.
pub(super) async fn empty(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    Body(DatabaseReset { extensions }): Body<DatabaseReset>,
) -> Result<Json<Said>, ApiError> {
    if extensions.is_some_and(|extensions| !extensions.is_empty()) {
        return Err(ApiError::invalid(
            "Extensions are not made by a reset. Reset it without, and make them after: paas pg:psql -c 'create extension …'",
        ));
    }
    run(&api, &caller, &name, ("Reset", "Reset successful."), |kind| &kind.empty).await
}

/// Ends the connections of all credentials.
pub(super) async fn hang_up(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<Said>, ApiError> {
    let done = ("End all connections to", "Connections terminated.");
    run(&api, &caller, &name, done, |kind| &kind.hang_up).await
}

async fn changeable<'a>(api: &'a Api, caller: &Caller, name: &str) -> Result<(AddonRow, &'a Service), ApiError> {
    let row = addon::seen(api, caller, name).await?;
    addon::require(api, caller, &row, Permissions::OPERATE).await?;
    let service = addon_service::find(api, &row.addon.service)?;
    Ok((row, service))
}

/// Does to a running add-on what its kind has a script for, and says so.
async fn run(
    api: &Api,
    caller: &Caller,
    name: &str,
    (what, done): (&str, &str),
    script: fn(&Kind) -> &Option<String>,
) -> Result<Json<Said>, ApiError> {
    let (row, service) = changeable(api, caller, name).await?;
    let what = format!("{what} {}", row.addon.name);
    let Some(script) = script(&service.kind) else {
        let name = &service.human_name;
        return Err(ApiError::invalid(format!("{what}: {name} has nothing of the kind.")));
    };
    api.announce(row.addon.app, &what, &caller.account);
    let ran = control::run_in_addon(&api.platform, row.addon.id, script).await;
    ran.map_err(|error| ApiError::invalid(format!("{what}: {error:#}")))?;
    Ok(Json(Said {
        message: done.to_owned(),
    }))
}

fn waits_for(row: &AddonRow) -> Option<&'static str> {
    match (row.addon.state, &row.trouble) {
        (_, Some(_)) => Some("it does not run, and is tried again"),
        (AddonState::Provisioning, None) => Some("being created"),
        (AddonState::Provisioned | AddonState::Deprovisioning, None) => None,
    }
}

fn answer(service: &Service, chosen: &Values) -> Value {
    let values = service.settings(chosen);
    let settings = service.kind.settings.iter().map(|(name, setting)| {
        let value = values.get(name).map_or(Value::Null, |value| setting.to_json(value));
        let shown = json!({
            "value": value,
            "values": setting.values,
            "default": setting.to_json(&setting.default),
        });
        (name.clone(), shown)
    });
    Value::Object(settings.collect())
}
