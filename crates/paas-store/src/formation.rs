//! The formation: one row per process type of an app.

use chrono::{DateTime, Utc};
use paas_core::{App, DynoSize, Id, ProcessType, QuantityChange, Scale};

use crate::{PgConnection, Stamp, StoreError};

/// One process type of an app, with its command in the current slug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormationRow {
    pub id: Id<FormationRow>,
    pub process_type: ProcessType,
    pub command: String,
    pub scale: Scale,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What `ps:scale` and `ps:resize` ask for, of one process type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormationChange {
    pub process_type: ProcessType,
    pub quantity: Option<QuantityChange>,
    pub size: Option<DynoSize>,
}

/// The process types of the current slug but `release`, by name. Empty before the first deploy.
pub async fn list(conn: &mut PgConnection, app: Id<App>) -> Result<Vec<FormationRow>, StoreError> {
    let _ = (conn, app);
    unimplemented!()
}

/// Changes quantity, size or both. Fails with [`StoreError::UnknownProcessType`] and [`StoreError::Quantity`].
pub async fn update(
    conn: &mut PgConnection,
    app: Id<App>,
    change: FormationChange,
    stamp: Stamp,
) -> Result<FormationRow, StoreError> {
    let _ = (conn, app, change, stamp);
    unimplemented!()
}
