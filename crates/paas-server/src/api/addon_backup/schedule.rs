//! When add-ons are copied by themselves.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use paas_api::{DatabaseFact, DatabaseInfo, NewSchedule, Schedule};
use paas_core::{AddonState, BackupSchedule, Permissions};
use paas_store::{addon::AddonRow, addon_backup};

use super::{
    super::{addon as addons, auth::Caller, body::Body, error::ApiError, state::Api},
    database,
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
    let schedule = upkeep.schedule.map(|schedule| schedule_of(&row, schedule));
    Ok(Json(schedule.into_iter().collect()))
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
    let (hour, zone) = (schedule.hour(), schedule.zone());
    let what = format!("Schedule backups of {} at {hour:02}:00 {zone}", row.addon.name);
    api.announce(row.addon.app, &what, &caller.account);
    Ok((StatusCode::CREATED, Json(schedule_of(&row, schedule))))
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
    api.announce(
        row.addon.app,
        &format!("Stop the backups of {}", row.addon.name),
        &caller.account,
    );
    Ok(Json(schedule_of(&row, schedule)))
}

fn schedule_of(row: &AddonRow, schedule: BackupSchedule) -> Schedule {
    Schedule {
        hour: schedule.hour(),
        minute: schedule.minute(),
        name: row.addon.name.to_string(),
        timezone: schedule.zone().to_owned(),
        uuid: *row.addon.id.as_uuid(),
    }
}
