//! What webhooks are told: events as they are told of, and how far each delivery of them is.
//!
//! An event of an app with webhooks is marked untold in the transaction that records it. Telling it writes what is told
//! and to whom, and takes the mark away, in one transaction: nothing is forgotten, and nothing is told twice but by a
//! delivery that was cut off before its end was written down.

use chrono::{DateTime, Utc};
use paas_core::{App, Id, WebhookEntity, WebhookLevel, WebhookOutcome};
use serde_json::{Map, Value};
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    Actor, PgConnection, StoreError,
    column::{parse, unsigned},
    new_id,
    webhook::Webhook,
};

mod log;

pub use log::{Delivery, LastAttempt, LogPage, WebhookEvent, deliveries, events, find_delivery, find_event, prune};

/// What a webhook gets to know is never more than this behind; what comes on top is not delivered.
const MOST_WAITING: i64 = 1000;
/// Earlier changes of the same resource that are looked through for what it was before.
const EARLIER: i64 = 20;

/// An event of which nobody was told yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Untold {
    pub sequence: i64,
    pub app: Id<App>,
    /// `None`: the platform itself.
    pub actor: Option<Actor>,
    pub action: String,
    pub resource: String,
    pub resource_id: Uuid,
    pub payload: Value,
    /// The resource as the API showed it, when it is gone.
    pub data: Option<Value>,
    pub at: DateTime<Utc>,
}

/// A delivery that is to be tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    pub id: Id<Delivery>,
    pub level: WebhookLevel,
    /// Those before the one that is due.
    pub attempts: u32,
    pub created_at: DateTime<Utc>,
    pub event: WebhookEvent,
}

/// How an attempt went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub id: Uuid,
    pub code: Option<u16>,
    /// What went wrong, in a word.
    pub error: Option<&'static str>,
    pub at: DateTime<Utc>,
    pub ended_at: DateTime<Utc>,
}

/// The oldest untold events.
pub async fn untold(conn: &mut PgConnection, max: u32) -> Result<Vec<Untold>, StoreError> {
    let rows = sqlx::query!(
        r#"select
            events.sequence,
            events.app as "app!",
            events.actor,
            accounts.email as "email?",
            events.action,
            events.resource,
            events.resource_id,
            events.payload,
            events.data,
            events.at
        from events
        left join accounts on accounts.id = events.actor
        where events.is_untold
        order by events.sequence
        limit $1"#,
        i64::from(max),
    );
    let rows = rows.fetch_all(conn).await?.into_iter().map(|row| Untold {
        sequence: row.sequence,
        app: row.app.into(),
        actor: row
            .actor
            .zip(row.email)
            .map(|(id, email)| Actor { id: id.into(), email }),
        action: row.action,
        resource: row.resource,
        resource_id: row.resource_id.unwrap_or_default(),
        payload: row.payload,
        data: row.data,
        at: row.at,
    });
    Ok(rows.collect())
}

/// What earlier events said of the same resource: the newest word on each field.
pub async fn said_before(conn: &mut PgConnection, event: &Untold) -> Result<Map<String, Value>, StoreError> {
    let earlier = sqlx::query_scalar!(
        "select payload
        from events
        where resource_id = $1
            and resource = $2
            and sequence < $3
        order by sequence desc
        limit $4",
        event.resource_id,
        event.resource,
        event.sequence,
        EARLIER,
    );
    let mut said = Map::new();
    for payload in earlier.fetch_all(conn).await? {
        let Value::Object(fields) = payload else { continue };
        for (field, value) in fields {
            said.entry(field).or_insert(value);
        }
    }
    Ok(said)
}

/// Whether a webhook of the app wants to be told of this.
pub async fn is_wanted(conn: &mut PgConnection, app: Id<App>, entity: WebhookEntity) -> Result<bool, StoreError> {
    let wanted = sqlx::query_scalar!(
        r#"select exists (select from webhooks where app = $1 and $2 = any(include)) as "exists!""#,
        app.as_uuid(),
        entity.as_str(),
    );
    Ok(wanted.fetch_one(conn).await?)
}

/// Notes what webhooks are told of the event, to be delivered from now on, and that it is told.
pub async fn tell(
    conn: &mut PgConnection,
    untold: &Untold,
    entity: WebhookEntity,
    payload: &Value,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let event = new_id::<WebhookEvent>(now);
    sqlx::query!(
        "insert into webhook_events (id, app, sequence, include, payload, created_at)
        values ($1, $2, $3, $4, $5, $6)",
        event.as_uuid(),
        untold.app.as_uuid(),
        untold.sequence,
        entity.as_str(),
        payload,
        untold.at,
    )
    .execute(&mut *transaction)
    .await?;
    // Locked: a webhook that is being removed takes its deliveries with it.
    let webhooks = sqlx::query!(
        r#"select
            id,
            level,
            (
                select count(*)
                from webhook_deliveries
                where webhook = webhooks.id
                    and next_attempt_at is not null
            ) as "waiting!"
        from webhooks
        where app = $1
            and $2 = any(include)
        order by id
        for share"#,
        untold.app.as_uuid(),
        entity.as_str(),
    );
    for webhook in webhooks.fetch_all(&mut *transaction).await? {
        let is_too_far_behind = webhook.waiting >= MOST_WAITING;
        let delivery = new_id::<Delivery>(now);
        sqlx::query!(
            "insert into webhook_deliveries
                (id, webhook, app, event, level, status, num_attempts, next_attempt_at, created_at, updated_at)
            values ($1, $2, $3, $4, $5, case when $6::boolean then 'failed' else 'pending' end, 0,
                case when $6 then null else $7::timestamptz end, $7, $7)",
            delivery.as_uuid(),
            webhook.id,
            untold.app.as_uuid(),
            event.as_uuid(),
            webhook.level,
            is_too_far_behind,
            now,
        )
        .execute(&mut *transaction)
        .await?;
    }
    pass_over(&mut transaction, untold).await?;
    Ok(transaction.commit().await?)
}

/// Notes that nobody is told of the event.
pub async fn pass_over(conn: &mut PgConnection, untold: &Untold) -> Result<(), StoreError> {
    sqlx::query!(
        "update events
        set is_untold = false, data = null
        where sequence = $1",
        untold.sequence,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The webhooks with deliveries that wait, and when the first of them is due.
pub async fn waiting(conn: &mut PgConnection) -> Result<Vec<(Id<Webhook>, DateTime<Utc>)>, StoreError> {
    let rows = sqlx::query!(
        r#"select webhook, min(next_attempt_at) as "due_at!"
        from webhook_deliveries
        where next_attempt_at is not null
        group by webhook"#,
    );
    let rows = rows.fetch_all(conn).await?.into_iter();
    Ok(rows.map(|row| (row.webhook.into(), row.due_at)).collect())
}

/// The delivery of a webhook that is due first: of those never tried, the oldest event.
pub async fn next_due(
    conn: &mut PgConnection,
    webhook: Id<Webhook>,
    now: DateTime<Utc>,
) -> Result<Option<Due>, StoreError> {
    let row = sqlx::query!(
        "select
            webhook_deliveries.id,
            webhook_deliveries.level,
            webhook_deliveries.num_attempts,
            webhook_deliveries.created_at,
            webhook_events.id as event,
            webhook_events.sequence,
            webhook_events.include,
            webhook_events.payload,
            webhook_events.created_at as event_created_at
        from webhook_deliveries
        join webhook_events on webhook_events.id = webhook_deliveries.event
        where webhook_deliveries.webhook = $1
            and webhook_deliveries.next_attempt_at <= $2
        order by webhook_deliveries.next_attempt_at, webhook_deliveries.sequence
        limit 1",
        webhook.as_uuid(),
        now,
    );
    let Some(row) = row.fetch_optional(conn).await? else {
        return Ok(None);
    };
    Ok(Some(Due {
        id: row.id.into(),
        level: parse("webhook delivery", &row.level)?,
        attempts: unsigned("webhook delivery", row.num_attempts)?,
        created_at: row.created_at,
        event: WebhookEvent {
            id: row.event.into(),
            sequence: row.sequence,
            include: row.include,
            payload: row.payload,
            created_at: row.event_created_at,
        },
    }))
}

/// Writes down how an attempt went.
pub async fn attempted(
    conn: &mut PgConnection,
    delivery: Id<Delivery>,
    attempt: &Attempt,
    outcome: WebhookOutcome,
) -> Result<(), StoreError> {
    let (status, next) = match outcome {
        WebhookOutcome::Succeeded => ("succeeded", None),
        WebhookOutcome::Failed => ("failed", None),
        WebhookOutcome::Retry { at } => ("retrying", Some(at)),
    };
    sqlx::query!(
        "update webhook_deliveries
        set status = $2,
            next_attempt_at = $3,
            num_attempts = num_attempts + 1,
            attempt = $4,
            attempt_code = $5,
            attempt_error = $6,
            attempted_at = $7,
            updated_at = $8
        where id = $1",
        delivery.as_uuid(),
        status,
        next,
        attempt.id,
        attempt.code.map(i32::from),
        attempt.error,
        attempt.at,
        attempt.ended_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
