//! Apps: made, renamed, destroyed.

use chrono::{DateTime, Utc};
use paas_core::{App, AppName, Id};

use crate::{Actor, PgConnection, Sealer, Stamp, StoreError};

/// An app with what is shown beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRow {
    pub app: App,
    pub owner: Actor,
    pub stack: String,
    /// Which subnet of the platform's pool is the app's network: no two apps share one.
    pub subnet: u32,
    /// Set while its containers, images and repository are being removed.
    pub destroyed_at: Option<DateTime<Utc>>,
    /// When its current release was made, once it has a slug.
    pub released_at: Option<DateTime<Utc>>,
    pub slug_size_bytes: Option<u64>,
    pub buildpack_provided_description: Option<String>,
}

/// What makes an app. The owner is the stamp's account.
#[derive(Debug, Clone)]
pub struct NewApp {
    pub id: Id<App>,
    pub name: AppName,
    pub stack: String,
}

/// Makes the app with the smallest free subnet, v1 `Initial release` and v2 `Enable Logplex`. Fails with
/// [`StoreError::NameTaken`].
pub async fn create(conn: &mut PgConnection, sealer: &Sealer, new: NewApp, stamp: Stamp) -> Result<AppRow, StoreError> {
    let _ = (conn, sealer, new, stamp);
    unimplemented!()
}

/// The living app with this name or id.
pub async fn find(conn: &mut PgConnection, name_or_id: &str) -> Result<Option<AppRow>, StoreError> {
    let _ = (conn, name_or_id);
    unimplemented!()
}

/// The app with this id, also while it is being destroyed.
pub async fn by_id(conn: &mut PgConnection, id: Id<App>) -> Result<Option<AppRow>, StoreError> {
    let _ = (conn, id);
    unimplemented!()
}

/// The living apps of an account, by name.
pub async fn list(conn: &mut PgConnection, owner: Id<crate::account::Account>) -> Result<Vec<AppRow>, StoreError> {
    let _ = (conn, owner);
    unimplemented!()
}

/// Holds the app for this transaction: changes of one app happen one after the other. `false` when it is gone.
pub async fn lock(conn: &mut PgConnection, id: Id<App>) -> Result<bool, StoreError> {
    let _ = (conn, id);
    unimplemented!()
}

/// Fails with [`StoreError::NameTaken`]. The old name is free at once.
pub async fn rename(conn: &mut PgConnection, id: Id<App>, name: &AppName, stamp: Stamp) -> Result<(), StoreError> {
    let _ = (conn, id, name, stamp);
    unimplemented!()
}

pub async fn set_maintenance(conn: &mut PgConnection, id: Id<App>, on: bool, stamp: Stamp) -> Result<(), StoreError> {
    let _ = (conn, id, on, stamp);
    unimplemented!()
}

/// Marks the app as destroyed: its name is free, nothing of it is wanted any more.
pub async fn begin_destroy(conn: &mut PgConnection, id: Id<App>, stamp: Stamp) -> Result<(), StoreError> {
    let _ = (conn, id, stamp);
    unimplemented!()
}

/// Apps whose remains are to be removed.
pub async fn destroyed(conn: &mut PgConnection) -> Result<Vec<AppRow>, StoreError> {
    let _ = (conn,);
    unimplemented!()
}

/// Deletes a destroyed app and every row of it but its events.
pub async fn delete(conn: &mut PgConnection, id: Id<App>) -> Result<(), StoreError> {
    let _ = (conn, id);
    unimplemented!()
}
