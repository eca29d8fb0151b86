//! Events: who changed what, when. Kept when the app is gone; never with a secret.

use chrono::{DateTime, Utc};
use paas_core::{App, Id};
use serde_json::Value;
use uuid::Uuid;

use crate::{PgConnection, StoreError, account::Account};

/// One change, as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub app: Option<Id<App>>,
    /// `None`: the platform itself.
    pub actor: Option<Id<Account>>,
    /// `create`, `update`, `destroy`.
    pub action: String,
    /// What was changed, in Heroku's words: `app`, `release`, `formation`.
    pub resource: String,
    pub resource_id: Option<Uuid>,
    /// What it is now. Config values and tokens never appear here.
    pub payload: Value,
    pub at: DateTime<Utc>,
}

pub async fn record(conn: &mut PgConnection, event: Event) -> Result<(), StoreError> {
    let _ = (conn, event);
    unimplemented!()
}

/// Newest first.
pub async fn list(conn: &mut PgConnection, app: Id<App>, max: u32) -> Result<Vec<Event>, StoreError> {
    let _ = (conn, app, max);
    unimplemented!()
}
