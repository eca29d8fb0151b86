//! Events: who changed what, when. Kept when the app is gone; never with a secret.

use chrono::{DateTime, Utc};
use paas_core::{App, Id};
use serde_json::Value;
use uuid::Uuid;

use crate::{PgConnection, Stamp, StoreError, account::Account};

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

/// What happened to one thing: `("update", "app", id)`.
#[derive(Clone, Copy)]
pub(crate) struct Change<'a> {
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) id: &'a Uuid,
}

impl Change<'_> {
    /// An event of this change that a person made to an app.
    pub(crate) fn by(self, app: Id<App>, stamp: Stamp, payload: Value) -> Event {
        Event {
            actor: Some(stamp.by),
            ..self.by_platform(app, stamp.at, payload)
        }
    }

    /// An event of this change that the platform made to an app by itself.
    pub(crate) fn by_platform(self, app: Id<App>, at: DateTime<Utc>, payload: Value) -> Event {
        Event {
            app: Some(app),
            actor: None,
            action: self.action.to_owned(),
            resource: self.resource.to_owned(),
            resource_id: Some(*self.id),
            payload,
            at,
        }
    }
}

/// Records a change that this crate does not make by itself. Webhooks are told of it where the app has some.
pub async fn record(conn: &mut PgConnection, event: Event) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into events (app, actor, action, resource, resource_id, payload, at, is_untold)
        values ($1, $2, $3, $4, $5, $6, $7, exists (select from webhooks where app = $1))",
        event.app.map(|id| *id.as_uuid()),
        event.actor.map(|id| *id.as_uuid()),
        event.action,
        event.resource,
        event.resource_id,
        event.payload,
        event.at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps with its end what a resource was, as the API shows it: webhooks are told afterwards, when it is gone. To be called
/// in the transaction of that end.
pub async fn describe_end(conn: &mut PgConnection, resource_id: &Uuid, data: &Value) -> Result<(), StoreError> {
    sqlx::query!(
        "update events
        set data = $2
        where resource_id = $1
            and action = 'destroy'
            and is_untold",
        resource_id,
        data,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Newest first.
pub async fn list(conn: &mut PgConnection, app: Id<App>, max: u32) -> Result<Vec<Event>, StoreError> {
    let rows = sqlx::query!(
        "select app, actor, action, resource, resource_id, payload, at
        from events
        where app = $1
        order by sequence desc
        limit $2",
        app.as_uuid(),
        i64::from(max),
    )
    .fetch_all(conn)
    .await?;
    let events = rows.into_iter().map(|row| Event {
        app: row.app.map(Id::from_uuid),
        actor: row.actor.map(Id::from_uuid),
        action: row.action,
        resource: row.resource,
        resource_id: row.resource_id,
        payload: row.payload,
        at: row.at,
    });
    Ok(events.collect())
}
