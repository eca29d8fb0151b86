//! Slugs: what builds made.

use chrono::{DateTime, Utc};
use paas_core::{App, Id, ImageRef, Slug};

use crate::{PgConnection, StoreError};

pub async fn get(conn: &mut PgConnection, id: Id<Slug>) -> Result<Option<Slug>, StoreError> {
    let _ = (conn, id);
    unimplemented!()
}

/// The images that some release may still run: all others of the platform can be pruned.
pub async fn images_in_use(conn: &mut PgConnection) -> Result<Vec<ImageRef>, StoreError> {
    let _ = (conn,);
    unimplemented!()
}

/// Lets go of what only releases older than the app's newest `keep` succeeded ones use: they expire. Says how many did.
pub async fn expire(conn: &mut PgConnection, app: Id<App>, keep: u32, now: DateTime<Utc>) -> Result<u64, StoreError> {
    let _ = (conn, app, keep, now);
    unimplemented!()
}
