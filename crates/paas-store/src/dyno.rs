//! Dynos of the formation, as they were last seen, and the restarts that people asked for.

use paas_core::{App, Dyno, DynoName, DynoSize, Id, ProcessType, Release};

use chrono::{DateTime, Utc};

use crate::{PgConnection, Stamp, StoreError};

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

/// The dynos of the whole platform.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<Dyno>, StoreError> {
    let _ = (conn,);
    unimplemented!()
}

/// By name, older ones first.
pub async fn of(conn: &mut PgConnection, app: Id<App>) -> Result<Vec<Dyno>, StoreError> {
    let _ = (conn, app);
    unimplemented!()
}

/// The dyno of the app with this name or id; of two with one name, the one that stays.
pub async fn find(conn: &mut PgConnection, app: Id<App>, name_or_id: &str) -> Result<Option<Dyno>, StoreError> {
    let _ = (conn, app, name_or_id);
    unimplemented!()
}

pub async fn insert(conn: &mut PgConnection, new: NewDyno, now: DateTime<Utc>) -> Result<(), StoreError> {
    let _ = (conn, new, now);
    unimplemented!()
}

/// Stores what changes in the life of a dyno: attempt, failures, state, container. `false` when it has no row any more.
pub async fn update(conn: &mut PgConnection, dyno: &Dyno, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let _ = (conn, dyno, now);
    unimplemented!()
}

pub async fn delete(conn: &mut PgConnection, ids: &[Id<Dyno>]) -> Result<(), StoreError> {
    let _ = (conn, ids);
    unimplemented!()
}

/// Asks for a restart of the dynos that are not being stopped already. Says which.
pub async fn condemn(
    conn: &mut PgConnection,
    app: Id<App>,
    filter: DynoFilter,
    stamp: Stamp,
) -> Result<Vec<DynoName>, StoreError> {
    let _ = (conn, app, filter, stamp);
    unimplemented!()
}
