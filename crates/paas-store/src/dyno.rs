//! Dynos of the formation, as they were last seen, and the restarts that people asked for.

use chrono::{DateTime, Utc};
use paas_core::{App, Dyno, DynoName, DynoSize, Id, ProcessType, Release};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    PgConnection, Stamp, StoreError, app,
    column::{integer, parse},
    event::{self, Change},
};

mod row;

use row::{Row, StateColumns};

/// What makes a dyno: a row that is starting, for the first time.
#[derive(Debug, Clone)]
pub struct NewDyno {
    pub id: Id<Dyno>,
    pub app: Id<App>,
    pub name: DynoName,
    pub release: Id<Release>,
    pub size: DynoSize,
}

/// Which dynos of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DynoFilter {
    All,
    ProcessType(ProcessType),
    Name(DynoName),
}

macro_rules! select_dynos {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"select
                dynos.id,
                dynos.app,
                dynos.release,
                releases.version,
                (releases.served_at is not null) as "release_served!",
                dynos.process_type,
                dynos.index,
                dynos.size,
                dynos.attempt,
                dynos.failures,
                dynos.state,
                dynos.state_since,
                dynos.endpoint_container,
                dynos.endpoint_address,
                dynos.crash_exit_code,
                dynos.crash_out_of_memory,
                dynos.crash_boot_timeout,
                dynos.crash_retry_at,
                dynos.stop_reason,
                dynos.container,
                dynos.created_at,
                (restarts.dyno is not null) as "is_condemned!"
            from dynos
            join releases on releases.id = dynos.release
            left join restarts on restarts.dyno = dynos.id
            "# + $filter
            $(, $argument)*
        )
    };
}

/// The dynos of the whole platform.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<Dyno>, StoreError> {
    select_dynos!("order by dynos.app, dynos.process_type, dynos.index, dynos.created_at, dynos.id")
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(Dyno::try_from)
        .collect()
}

/// By name, older ones first.
pub async fn of(conn: &mut PgConnection, app: Id<App>) -> Result<Vec<Dyno>, StoreError> {
    select_dynos!(
        "where dynos.app = $1
        order by dynos.process_type, dynos.index, dynos.created_at, dynos.id",
        app.as_uuid(),
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(Dyno::try_from)
    .collect()
}

/// The dyno of the app with this name or id; of two with one name, the one that stays.
pub async fn find(conn: &mut PgConnection, app: Id<App>, name_or_id: &str) -> Result<Option<Dyno>, StoreError> {
    let id = name_or_id.parse::<Id<Dyno>>().ok();
    let name = name_or_id.parse::<DynoName>().ok();
    let matches = of(conn, app)
        .await?
        .into_iter()
        .filter(|dyno| Some(dyno.id) == id || Some(&dyno.name) == name.as_ref());
    Ok(matches.max_by_key(|dyno| (!dyno.state.is_stopping(), dyno.created_at, dyno.id)))
}

/// Adds a dyno that starts now.
pub async fn insert(conn: &mut PgConnection, new: NewDyno, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    sqlx::query!(
        "insert into dynos
            (id, app, release, process_type, index, size, attempt, failures, state, state_since, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $6, 1, 0, 'starting', $7, $7, $7)",
        new.id.as_uuid(),
        new.app.as_uuid(),
        new.release.as_uuid(),
        new.name.process_type.as_str(),
        integer(new.name.index),
        new.size.as_str(),
        now,
    )
    .execute(&mut *transaction)
    .await?;
    tell(&mut transaction, &[*new.id.as_uuid()], "create", now).await?;
    Ok(transaction.commit().await?)
}

/// Stores what changes in the life of a dyno: attempt, failures, state, container. `false` when it has no row any more.
pub async fn update(conn: &mut PgConnection, dyno: &Dyno, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await?;
    let updated = write(&mut transaction, dyno, now).await?;
    transaction.commit().await?;
    Ok(updated)
}

/// [`update`] for many at once: a thousand that come back after a reboot are one write to the disk.
pub async fn update_all(conn: &mut PgConnection, dynos: &[&Dyno], now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    for dyno in dynos {
        write(&mut transaction, dyno, now).await?;
    }
    Ok(transaction.commit().await?)
}

async fn write(conn: &mut PgConnection, dyno: &Dyno, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let columns = StateColumns::of(&dyno.state);
    let updated = sqlx::query_scalar!(
        r#"with before as (
            select id, attempt, state
            from dynos
            where id = $1
            for update
        )
        update dynos
        set attempt = $2,
            failures = $3,
            state = $4,
            state_since = $5,
            endpoint_container = $6,
            endpoint_address = $7,
            crash_exit_code = $8,
            crash_out_of_memory = $9,
            crash_boot_timeout = $10,
            crash_retry_at = $11,
            stop_reason = $12,
            container = $13,
            updated_at = $14
        from before
        where dynos.id = before.id
        returning (before.attempt, before.state) <> (dynos.attempt, dynos.state) as "is_another_state!""#,
        dyno.id.as_uuid(),
        integer(dyno.attempt),
        integer(dyno.failures),
        columns.state,
        dyno.state.since(),
        columns.endpoint_container,
        columns.endpoint_address,
        columns.crash_exit_code,
        columns.crash_out_of_memory,
        columns.crash_boot_timeout,
        columns.crash_retry_at,
        columns.stop_reason,
        dyno.container,
        now,
    );
    let updated = updated.fetch_optional(&mut *conn).await?;
    if updated == Some(true) {
        tell(conn, &[*dyno.id.as_uuid()], "update", now).await?;
    }
    Ok(updated.is_some())
}

/// Removes dynos whose containers are gone.
pub async fn delete(conn: &mut PgConnection, ids: &[Id<Dyno>], now: DateTime<Utc>) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| *id.as_uuid()).collect();
    let mut transaction = conn.begin().await?;
    tell(&mut transaction, &ids, "destroy", now).await?;
    sqlx::query!("delete from dynos where id = any($1)", &ids)
        .execute(&mut *transaction)
        .await?;
    Ok(transaction.commit().await?)
}

/// States are no changes of what is wanted, and there are many of them: an event is recorded only where a webhook asks for it.
async fn tell(conn: &mut PgConnection, ids: &[Uuid], action: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into events (app, action, resource, resource_id, payload, at, is_untold)
        select
            dynos.app,
            $2,
            'dyno-state',
            dynos.id,
            jsonb_build_object(
                'name', dynos.process_type || '.' || dynos.index,
                'release', dynos.release,
                'size', dynos.size,
                'state', case
                    when $2 = 'destroy' then 'down'
                    when dynos.state = 'stopping' and dynos.stop_reason = 'idle' then 'idle'
                    when dynos.state = 'stopping' then 'down'
                    else dynos.state
                end,
                'exit_status', dynos.crash_exit_code,
                'created_at', dynos.created_at
            ),
            $3,
            true
        from dynos
        where dynos.id = any($1)
            and exists (select from webhooks where webhooks.app = dynos.app and 'dyno' = any(webhooks.include))",
        ids,
        action,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Asks for a restart of the dynos that are not being stopped already. Says which.
pub async fn condemn(
    conn: &mut PgConnection,
    app: Id<App>,
    filter: DynoFilter,
    stamp: Stamp,
) -> Result<Vec<DynoName>, StoreError> {
    let (process_type, index) = match filter {
        DynoFilter::All => (None, None),
        DynoFilter::ProcessType(process_type) => (Some(process_type), None),
        DynoFilter::Name(name) => (Some(name.process_type), Some(integer(name.index))),
    };
    let mut transaction = conn.begin().await?;
    let condemned = sqlx::query!(
        r#"with condemned as (
            select id, process_type, index
            from dynos
            where app = $1
                and state <> 'stopping'
                and process_type = coalesce($2, process_type)
                and index = coalesce($3, index)
            for update
        ), requested as (
            insert into restarts (dyno, actor, requested_at)
            select id, $4, $5
            from condemned
            on conflict (dyno) do nothing
        )
        select distinct process_type, index
        from condemned
        order by process_type, index"#,
        app.as_uuid(),
        process_type.as_ref().map(ProcessType::as_str),
        index,
        stamp.by.as_uuid(),
        stamp.at,
    )
    .fetch_all(&mut *transaction)
    .await?;
    let names: Result<Vec<DynoName>, StoreError> = condemned
        .into_iter()
        .map(|row| parse("dyno", &format!("{}.{}", row.process_type, row.index)))
        .collect();
    let names = names?;
    app::wake(&mut transaction, app, stamp.at).await?;
    if !names.is_empty() {
        let change = Change {
            action: "restart",
            resource: "dyno",
            id: app.as_uuid(),
        };
        let payload = json!({ "dynos": names.iter().map(DynoName::to_string).collect::<Vec<_>>() });
        event::record(&mut transaction, change.by(app, stamp, payload)).await?;
    }
    transaction.commit().await?;
    Ok(names)
}

#[cfg(test)]
mod tests;
