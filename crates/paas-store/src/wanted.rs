//! What is wanted of the whole platform, in a handful of queries.

use paas_core::{AppWanted, Hostname};

use crate::{PgConnection, StoreError};

/// What is wanted of every app; apps answer at `<app>.<domain>`. A destroyed one has no hostname and no target.
pub async fn all(conn: &mut PgConnection, domain: &Hostname) -> Result<Vec<AppWanted>, StoreError> {
    let _ = (conn, domain);
    unimplemented!()
}
