//! Builds: at most one pending per app, held by a lease.

use chrono::{DateTime, Utc};
use paas_core::{App, Build, BuildFailure, Id, Release};

use crate::{Actor, PgConnection, Stamp, StoreError};

/// A build with what is shown beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRow {
    pub build: Build,
    pub actor: Actor,
    /// What the source is called: the subject of the commit, or what the API call said.
    pub description: Option<String>,
    /// The release that the build made.
    pub release: Option<Id<Release>>,
    /// Until when its server has promised to look after it; only while pending.
    pub lease_expires_at: Option<DateTime<Utc>>,
}

/// What makes a build.
#[derive(Debug, Clone)]
pub struct NewBuild {
    pub id: Id<Build>,
    pub app: Id<App>,
    pub commit: Option<String>,
    pub description: Option<String>,
    pub lease_expires_at: DateTime<Utc>,
}

/// Makes a pending build. Fails with [`StoreError::BuildPending`] while another build of the app is, and with
/// [`StoreError::AppGone`].
pub async fn create(conn: &mut PgConnection, new: NewBuild, stamp: Stamp) -> Result<BuildRow, StoreError> {
    let _ = (conn, new, stamp);
    unimplemented!()
}

/// Extends the lease. `false` when the build is no longer pending: whoever works on it must stop.
pub async fn heartbeat(
    conn: &mut PgConnection,
    id: Id<Build>,
    lease_expires_at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let _ = (conn, id, lease_expires_at);
    unimplemented!()
}

/// Ends a pending build without a slug. `false` when it had already ended. ([`crate::deploy`] ends one with a slug.)
pub async fn fail(
    conn: &mut PgConnection,
    id: Id<Build>,
    why: BuildFailure,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let _ = (conn, id, why, now);
    unimplemented!()
}

pub async fn get(conn: &mut PgConnection, app: Id<App>, id: Id<Build>) -> Result<Option<BuildRow>, StoreError> {
    let _ = (conn, app, id);
    unimplemented!()
}

/// Newest first.
pub async fn list(conn: &mut PgConnection, app: Id<App>, max: u32) -> Result<Vec<BuildRow>, StoreError> {
    let _ = (conn, app, max);
    unimplemented!()
}

/// The build of the app that has not ended.
pub async fn pending(conn: &mut PgConnection, app: Id<App>) -> Result<Option<BuildRow>, StoreError> {
    let _ = (conn, app);
    unimplemented!()
}

pub async fn latest(conn: &mut PgConnection, app: Id<App>) -> Result<Option<BuildRow>, StoreError> {
    let _ = (conn, app);
    unimplemented!()
}

/// Fails every pending build whose lease has run out.
pub async fn expire_leases(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<BuildRow>, StoreError> {
    let _ = (conn, now);
    unimplemented!()
}
