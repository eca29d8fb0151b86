//! Releases: numbered per app, their config sealed.
//!
//! The **head** of an app is its newest release that is, or may yet become, current (succeeded or pending): a new release
//! starts from the head, so that of two changes close together neither undoes the other. The **current** one is the newest
//! that succeeded.

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use paas_core::{App, ConfigKey, ConfigVars, Id, Release, ReleaseFailure, ReleaseVersion};

use crate::{Actor, PgConnection, Sealer, Stamp, StoreError};

/// A release with what is shown beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRow {
    pub release: Release,
    pub actor: Actor,
    pub is_current: bool,
    /// When its web dynos took the traffic over.
    pub served_at: Option<DateTime<Utc>>,
    pub is_eligible_for_rollback: bool,
    /// Whether its slug has a `release` process.
    pub has_release_phase: bool,
    pub commit: Option<String>,
}

/// How a list of releases is cut: by version, in either direction.
#[derive(Debug, Clone)]
pub struct Page {
    pub versions: RangeInclusive<u32>,
    pub is_descending: bool,
    pub max: u32,
}

/// Makes a release with the slug of the head and its config after these changes (a `None` removes its key), called `Set FOO,
/// BAR config vars`. `None` when nothing changes. Fails with [`StoreError::Config`] when config would become too large.
pub async fn set_config(
    conn: &mut PgConnection,
    sealer: &Sealer,
    app: Id<App>,
    changes: Vec<(ConfigKey, Option<String>)>,
    stamp: Stamp,
) -> Result<Option<ReleaseRow>, StoreError> {
    let _ = (conn, sealer, app, changes, stamp);
    unimplemented!()
}

/// Makes a release with the slug and the config of an old one. Fails with [`StoreError::UnknownRelease`] and
/// [`StoreError::NotEligible`].
pub async fn rollback(
    conn: &mut PgConnection,
    sealer: &Sealer,
    app: Id<App>,
    to: ReleaseVersion,
    stamp: Stamp,
) -> Result<ReleaseRow, StoreError> {
    let _ = (conn, sealer, app, to, stamp);
    unimplemented!()
}

/// The newest release that succeeded. Every app has one: its first.
pub async fn current(conn: &mut PgConnection, app: Id<App>) -> Result<Option<ReleaseRow>, StoreError> {
    let _ = (conn, app);
    unimplemented!()
}

/// The newest release that succeeded or is pending: what a change starts from.
pub async fn head(conn: &mut PgConnection, app: Id<App>) -> Result<Option<ReleaseRow>, StoreError> {
    let _ = (conn, app);
    unimplemented!()
}

/// The newest release, whatever became of it.
pub async fn latest(conn: &mut PgConnection, app: Id<App>) -> Result<Option<ReleaseRow>, StoreError> {
    let _ = (conn, app);
    unimplemented!()
}

pub async fn by_version(
    conn: &mut PgConnection,
    app: Id<App>,
    version: ReleaseVersion,
) -> Result<Option<ReleaseRow>, StoreError> {
    let _ = (conn, app, version);
    unimplemented!()
}

pub async fn by_id(conn: &mut PgConnection, id: Id<Release>) -> Result<Option<ReleaseRow>, StoreError> {
    let _ = (conn, id);
    unimplemented!()
}

pub async fn list(conn: &mut PgConnection, app: Id<App>, page: Page) -> Result<Vec<ReleaseRow>, StoreError> {
    let _ = (conn, app, page);
    unimplemented!()
}

/// Releases whose release phase has not ended, oldest first: after a restart of the server nobody runs them any more.
pub async fn pending(conn: &mut PgConnection) -> Result<Vec<ReleaseRow>, StoreError> {
    let _ = (conn,);
    unimplemented!()
}

/// Ends a release phase well. `false` when the release was not pending.
pub async fn succeed(conn: &mut PgConnection, id: Id<Release>, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let _ = (conn, id, now);
    unimplemented!()
}

/// Fails a release that is pending, or one that succeeded and never served. `false` when it is neither.
pub async fn fail(
    conn: &mut PgConnection,
    id: Id<Release>,
    why: ReleaseFailure,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let _ = (conn, id, why, now);
    unimplemented!()
}

/// Notes that the release's dynos have taken the traffic, and forgets the formation of process types it does not have.
pub async fn mark_served(conn: &mut PgConnection, id: Id<Release>, now: DateTime<Utc>) -> Result<(), StoreError> {
    let _ = (conn, id, now);
    unimplemented!()
}

/// The config of a release, in the clear.
pub async fn config(conn: &mut PgConnection, sealer: &Sealer, id: Id<Release>) -> Result<ConfigVars, StoreError> {
    let _ = (conn, sealer, id);
    unimplemented!()
}
