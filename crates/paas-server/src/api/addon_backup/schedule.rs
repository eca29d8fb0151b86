//! When add-ons are copied by themselves.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::TimeDelta;
use http::StatusCode;
use paas_api::{DatabaseFact, DatabaseInfo, NewSchedule, Schedule};
use paas_core::{AddonState, BackupSchedule, Permissions};
use paas_store::{addon::AddonRow, addon_attachment, addon_backup};

use super::{
    super::{
        addon as addons, addon_attachment as attachments, addon_rollback::round_up, addon_upgrade, auth::Caller,
        body::Body, error::ApiError, state::Api,
    },
    database, internal,
};
use crate::control;

/// What Heroku's command wants to know of a database before it asks for anything else.
pub(in crate::api) async fn database_info(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<DatabaseInfo>, ApiError> {
    let row = addons::seen(&api, &caller, &name).await?;
    let fact = |name: &str, value: String| DatabaseFact {
        name: name.to_owned(),
        values: vec![value],
    };
    let status = match row.addon.state {
        AddonState::Provisioning => "Preparing",
        AddonState::Provisioned => "Available",
        AddonState::Deprovisioning => "Deprovisioning",
    };
    let plan = format!("{}:{}", row.addon.service, row.addon.plan);
    let mut info = vec![
        fact("Plan", row.addon.plan.clone()),
        fact("Status", status.to_owned()),
        fact("Version", row.version.clone()),
        fact("Created", row.addon.created_at.format("%Y-%m-%d %H:%M UTC").to_string()),
    ];
    if control::archiving(&api.platform, &row).is_ok() {
        let earliest = control::earliest_moment(&api.platform, &row).await;
        let earliest = earliest.map_err(|error| internal(&error))?;
        let earliest = earliest.map(|at| round_up(at, TimeDelta::minutes(1)));
        let words = earliest.map(|at| format!("earliest from {}", at.format("%Y-%m-%d %H:%M UTC")));
        info.push(fact("Rollback", words.unwrap_or_else(|| "Unavailable".to_owned())));
    }
    let mut connection = api.connection().await?;
    let of_upgrades = addon_upgrade::facts(&mut connection, &row).await?;
    drop(connection);
    info.extend(of_upgrades.into_iter().map(|(name, value)| fact(name, value)));
    info.extend(row.backup_alarm.clone().map(|alarm| fact("Backups", alarm)));
    Ok(Json(DatabaseInfo {
        addon: row.addon.name.to_string(),
        info,
        name: row.addon.name.to_string(),
        plan,
    }))
}

pub(in crate::api) async fn schedules(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<Vec<Schedule>>, ApiError> {
    let row = addons::seen(&api, &caller, &name).await?;
    if !control::can_back_up(&api.platform, &row) {
        return Ok(Json(Vec::new()));
    }
    let mut connection = api.connection().await?;
    let upkeep = addon_backup::upkeep_of(&mut connection, row.addon.id).await?;
    drop(connection);
    Ok(Json(match upkeep.schedule {
        Some(schedule) => vec![schedule_of(&api, &row, schedule).await?],
        None => Vec::new(),
    }))
}

pub(in crate::api) async fn schedule(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    Body(new): Body<NewSchedule>,
) -> Result<(StatusCode, Json<Schedule>), ApiError> {
    let row = database(&api, &caller, &name, Permissions::OPERATE).await?;
    // An add-on has one schedule, whatever it is called.
    let NewSchedule {
        hour,
        schedule_name: _,
        timezone,
    } = new;
    let schedule = BackupSchedule::new(hour.0, &timezone)?;
    let mut connection = api.connection().await?;
    addon_backup::set_schedule(&mut connection, &row, Some(schedule), api.stamp(&caller.account)).await?;
    drop(connection);
    let (hour, zone) = (schedule.hour(), schedule.zone());
    let what = format!("Schedule backups of {} at {hour:02}:00 {zone}", row.addon.name);
    api.announce(row.addon.app, &what, &caller.account);
    Ok((StatusCode::CREATED, Json(schedule_of(&api, &row, schedule).await?)))
}

pub(in crate::api) async fn unschedule(
    State(api): State<Arc<Api>>,
    Path((name, _)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<Schedule>, ApiError> {
    let row = database(&api, &caller, &name, Permissions::OPERATE).await?;
    let mut connection = api.connection().await?;
    let upkeep = addon_backup::upkeep_of(&mut connection, row.addon.id).await?;
    let schedule = upkeep.schedule.ok_or_else(|| ApiError::not_found("schedule"))?;
    addon_backup::set_schedule(&mut connection, &row, None, api.stamp(&caller.account)).await?;
    drop(connection);
    api.announce(
        row.addon.app,
        &format!("Stop the backups of {}", row.addon.name),
        &caller.account,
    );
    Ok(Json(schedule_of(&api, &row, schedule).await?))
}

/// It has the name that its app has for the add-on: Heroku's command finds it by that.
async fn schedule_of(api: &Api, row: &AddonRow, schedule: BackupSchedule) -> Result<Schedule, ApiError> {
    let mut connection = api.connection().await?;
    let uses = addon_attachment::list_of_addon(&mut connection, row.addon.id).await?;
    let name = attachments::config_vars(row, &uses).into_iter().next();
    Ok(Schedule {
        hour: schedule.hour(),
        minute: schedule.minute(),
        name: name.unwrap_or_else(|| row.addon.name.to_string()),
        timezone: schedule.zone().to_owned(),
        uuid: *row.addon.id.as_uuid(),
    })
}
