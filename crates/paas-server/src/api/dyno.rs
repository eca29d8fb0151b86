//! Dynos: seen, restarted, stopped.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, Utc};
use http::StatusCode;
use paas_api::ReleaseOfDyno;
use paas_core::{App, Dyno, DynoName, DynoState, Id, ProcessType, Release, StopReason};
use paas_store::{
    Connection, app as app_rows,
    dyno::{self, DynoFilter},
    formation, one_off as one_off_rows, release, slug,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    app,
    auth::{Caller, OwnApp},
    error::ApiError,
    one_off,
    page::{Field, Key, Page, Wanted, page},
    state::Api,
};

/// The answer of an order: taken, and under way.
type Accepted = (StatusCode, Json<Value>);

const FIELDS: [Field<paas_api::Dyno>; 2] = [
    Field {
        name: "name",
        key: |dyno| Key::Text(dyno.name.clone()),
    },
    Field {
        name: "id",
        key: |dyno| Key::Text(dyno.id.to_string()),
    },
];

/// One dyno per slot: while a new dyno takes over, the old one that still answers is not shown.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::Dyno>, ApiError> {
    let mut connection = api.connection().await?;
    let dynos = match app_rows::asleep_at(&mut connection, row.app.id).await? {
        Some(since) => idle(&mut connection, row.app.id, since).await?,
        None => slots(dyno::of(&mut connection, row.app.id).await?),
    };
    let commands = commands(&mut connection, &dynos).await?;
    let dynos = dynos.iter().map(|dyno| answer(&row.app, dyno, &commands));
    let one_offs = one_off_rows::of(&mut connection, row.app.id).await?;
    let one_offs = one_offs.iter().map(|dyno| one_off::answer(&row.app, dyno, None));
    page(&range, dynos.chain(one_offs).collect(), &FIELDS)
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<paas_api::Dyno>, ApiError> {
    let mut connection = api.connection().await?;
    if let Some(dyno) = one_off::find(&mut connection, row.app.id, &name).await? {
        return Ok(Json(one_off::answer(&row.app, &dyno, None)));
    }
    let dyno = find(&mut connection, row.app.id, &name).await?;
    let commands = commands(&mut connection, std::slice::from_ref(&dyno)).await?;
    Ok(Json(answer(&row.app, &dyno, &commands)))
}

pub(super) async fn restart_all(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
) -> Result<Accepted, ApiError> {
    condemn(&api, &row.app, &caller, DynoFilter::All, "Restart all dynos").await
}

/// Restarts one dyno. `ps:stop` comes here too: as at Heroku, a stopped dyno of the formation starts again. A one-off dyno
/// ends either way.
pub(super) async fn restart(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
) -> Result<Accepted, ApiError> {
    let mut connection = api.connection().await?;
    if let Some(dyno) = one_off::find(&mut connection, row.app.id, &name).await? {
        one_off::stop(&api, &mut connection, &row.app, &[dyno], &caller).await?;
        return Ok((StatusCode::ACCEPTED, Json(json!({}))));
    }
    let name = find(&mut connection, row.app.id, &name).await?.name;
    drop(connection);
    let what = format!("Restart dyno {name}");
    condemn(&api, &row.app, &caller, DynoFilter::Name(name), &what).await
}

pub(super) async fn restart_type(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
) -> Result<Accepted, ApiError> {
    let mut connection = api.connection().await?;
    let known = formation::list(&mut connection, row.app.id).await?;
    let types: Vec<ProcessType> = known.into_iter().map(|row| row.process_type).collect();
    if !types.iter().any(|process_type| process_type.as_str() == name) {
        let mut one_offs = one_off_rows::of(&mut connection, row.app.id).await?;
        one_offs.retain(|dyno| dyno.name.process_type.as_str() == name);
        if !one_offs.is_empty() {
            one_off::stop(&api, &mut connection, &row.app, &one_offs, &caller).await?;
            return Ok((StatusCode::ACCEPTED, Json(json!({}))));
        }
    }
    drop(connection);
    let process_type = types.iter().find(|process_type| process_type.as_str() == name);
    let process_type = process_type.ok_or_else(|| ApiError::unknown_process_type(&name, &types))?;
    let filter = DynoFilter::ProcessType(process_type.clone());
    condemn(&api, &row.app, &caller, filter, &format!("Restart {name} dynos")).await
}

async fn condemn(api: &Api, app: &App, caller: &Caller, filter: DynoFilter, what: &str) -> Result<Accepted, ApiError> {
    let mut transaction = api.store().begin().await?;
    let condemned = dyno::condemn(&mut transaction, app.id, filter, api.stamp(&caller.account)).await?;
    transaction.commit().await?;
    if !condemned.is_empty() {
        api.announce(app.id, what, &caller.account);
    }
    Ok((StatusCode::ACCEPTED, Json(json!({}))))
}

pub(super) async fn find(connection: &mut Connection, app: Id<App>, name: &str) -> Result<Dyno, ApiError> {
    let found = match app_rows::asleep_at(connection, app).await? {
        Some(since) => {
            let mut idle = idle(connection, app, since).await?.into_iter();
            idle.find(|dyno| dyno.name.to_string() == name || dyno.id.to_string() == name)
        }
        None => dyno::find(connection, app, name).await?,
    };
    found.ok_or_else(|| ApiError::not_found("dyno"))
}

/// The newest dyno of each slot, without those that are being stopped.
fn slots(dynos: Vec<Dyno>) -> Vec<Dyno> {
    let mut slots: BTreeMap<DynoName, Dyno> = BTreeMap::new();
    let age = |dyno: &Dyno| (dyno.version, dyno.created_at, dyno.id);
    for dyno in dynos.into_iter().filter(|dyno| !dyno.state.is_stopping()) {
        let is_newer = slots.get(&dyno.name).is_none_or(|other| age(other) < age(&dyno));
        if is_newer {
            slots.insert(dyno.name.clone(), dyno);
        }
    }
    slots.into_values().collect()
}

/// The slots of an app that sleeps, which have no dynos: those that a request would start.
async fn idle(connection: &mut Connection, app: Id<App>, since: DateTime<Utc>) -> Result<Vec<Dyno>, ApiError> {
    let Some(current) = release::current(connection, app).await? else {
        return Ok(Vec::new());
    };
    let mut dynos = Vec::new();
    for row in formation::list(connection, app).await? {
        for index in 1..=row.scale.quantity {
            // The same every time, and no dyno's that ever ran.
            let id = row.id.as_uuid().as_u128() ^ u128::from(index);
            let process_type = row.process_type.clone();
            dynos.push(Dyno {
                id: Id::from_uuid(Uuid::from_u128(id)),
                app,
                name: DynoName { process_type, index },
                release: current.release.id,
                version: current.release.version,
                release_served: true,
                size: row.scale.size,
                attempt: 1,
                failures: 0,
                state: DynoState::Stopping {
                    since,
                    why: StopReason::Idle,
                },
                is_condemned: false,
                container: None,
                created_at: since,
            });
        }
    }
    Ok(dynos)
}

/// What the process types of the releases that these dynos run are started with.
pub(super) async fn commands(
    connection: &mut Connection,
    dynos: &[Dyno],
) -> Result<HashMap<Id<Release>, BTreeMap<ProcessType, String>>, ApiError> {
    let releases: BTreeSet<Id<Release>> = dynos.iter().map(|dyno| dyno.release).collect();
    let releases: Vec<_> = releases.into_iter().collect();
    Ok(slug::process_types_of(connection, &releases).await?)
}

pub(super) fn answer(
    app: &App,
    dyno: &Dyno,
    commands: &HashMap<Id<Release>, BTreeMap<ProcessType, String>>,
) -> paas_api::Dyno {
    let command = commands
        .get(&dyno.release)
        .and_then(|types| types.get(&dyno.name.process_type));
    paas_api::Dyno {
        app: app::reference(app),
        attach_url: None,
        command: command.cloned().unwrap_or_default(),
        created_at: dyno.created_at.into(),
        id: *dyno.id.as_uuid(),
        name: dyno.name.to_string(),
        release: ReleaseOfDyno {
            id: *dyno.release.as_uuid(),
            version: dyno.version.number(),
        },
        size: dyno.size.as_str().to_owned(),
        state: match dyno.state {
            DynoState::Starting { .. } => paas_api::DynoState::Starting,
            DynoState::Up { .. } => paas_api::DynoState::Up,
            DynoState::Crashed(_) => paas_api::DynoState::Crashed,
            DynoState::Stopping {
                why: StopReason::Idle, ..
            } => paas_api::DynoState::Idle,
            DynoState::Stopping { .. } => paas_api::DynoState::Down,
        },
        r#type: dyno.name.process_type.to_string(),
        updated_at: dyno.state.since().into(),
    }
}
