//! What was told, and how it went: for those who ask.

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use paas_core::{App, Id, WebhookLevel};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    PgConnection, StoreError,
    column::{parse, unsigned},
    webhook::Webhook,
};

/// A change as it is told of.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookEvent {
    pub id: Id<WebhookEvent>,
    /// Newer events have higher ones.
    pub sequence: i64,
    pub include: String,
    pub payload: Value,
    pub created_at: DateTime<Utc>,
}

/// One webhook being told of one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    pub id: Id<Delivery>,
    pub sequence: i64,
    pub webhook: Id<Webhook>,
    pub level: WebhookLevel,
    pub event: Id<WebhookEvent>,
    pub include: String,
    /// `pending`, `retrying`, `failed`, `succeeded`.
    pub status: String,
    pub attempts: u32,
    pub next_attempt_at: Option<DateTime<Utc>>,
    pub last_attempt: Option<LastAttempt>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastAttempt {
    pub id: Uuid,
    pub code: Option<i32>,
    pub error: Option<String>,
    pub at: DateTime<Utc>,
}

/// A part of a list.
#[derive(Debug, Clone)]
pub struct LogPage {
    pub sequences: RangeInclusive<i64>,
    pub is_descending: bool,
    pub max: u32,
}

macro_rules! select_deliveries {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select
                webhook_deliveries.id,
                webhook_deliveries.sequence,
                webhook_deliveries.webhook,
                webhook_deliveries.level,
                webhook_deliveries.event,
                webhook_events.include,
                webhook_deliveries.status,
                webhook_deliveries.num_attempts,
                webhook_deliveries.next_attempt_at,
                webhook_deliveries.attempt,
                webhook_deliveries.attempt_code,
                webhook_deliveries.attempt_error,
                webhook_deliveries.attempted_at,
                webhook_deliveries.created_at,
                webhook_deliveries.updated_at
            from webhook_deliveries
            join webhook_events on webhook_events.id = webhook_deliveries.event
            " + $filter
            $(, $argument)*
        )
    };
}

macro_rules! select_events {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            EventRow,
            "select id, sequence, include, payload, created_at
            from webhook_events
            " + $filter
            $(, $argument)*
        )
    };
}

/// Deliveries to the webhooks of an app, with this status if one is given.
pub async fn deliveries(
    conn: &mut PgConnection,
    app: Id<App>,
    status: Option<&str>,
    page: LogPage,
) -> Result<Vec<Delivery>, StoreError> {
    let rows = select_deliveries!(
        "where webhook_deliveries.app = $1
            and webhook_deliveries.status = coalesce($2, webhook_deliveries.status)
            and webhook_deliveries.sequence between $3 and $4
        order by
            case when $5 then -webhook_deliveries.sequence else webhook_deliveries.sequence end
        limit $6",
        app.as_uuid(),
        status,
        page.sequences.start(),
        page.sequences.end(),
        page.is_descending,
        i64::from(page.max),
    );
    rows.fetch_all(conn)
        .await?
        .into_iter()
        .map(Delivery::try_from)
        .collect()
}

pub async fn find_delivery(
    conn: &mut PgConnection,
    app: Id<App>,
    id: Id<Delivery>,
) -> Result<Option<Delivery>, StoreError> {
    let row = select_deliveries!(
        "where webhook_deliveries.app = $1 and webhook_deliveries.id = $2",
        app.as_uuid(),
        id.as_uuid(),
    );
    row.fetch_optional(conn).await?.map(Delivery::try_from).transpose()
}

/// What webhooks of an app were told of.
pub async fn events(conn: &mut PgConnection, app: Id<App>, page: LogPage) -> Result<Vec<WebhookEvent>, StoreError> {
    let rows = select_events!(
        "where app = $1
            and sequence between $2 and $3
        order by case when $4 then -sequence else sequence end
        limit $5",
        app.as_uuid(),
        page.sequences.start(),
        page.sequences.end(),
        page.is_descending,
        i64::from(page.max),
    );
    Ok(rows
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(WebhookEvent::from)
        .collect())
}

pub async fn find_event(
    conn: &mut PgConnection,
    app: Id<App>,
    id: Id<WebhookEvent>,
) -> Result<Option<WebhookEvent>, StoreError> {
    let row = select_events!("where app = $1 and id = $2", app.as_uuid(), id.as_uuid());
    Ok(row.fetch_optional(conn).await?.map(WebhookEvent::from))
}

/// Forgets what was told before `horizon`, and the webhooks of apps that are gone once those know it.
pub async fn prune(conn: &mut PgConnection, horizon: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!("delete from webhook_events where created_at < $1", horizon)
        .execute(&mut *conn)
        .await?;
    // Nobody looks at states again that were told: only what people did is kept for good.
    sqlx::query!(
        "delete from events
        where resource = 'dyno-state'
            and not is_untold
            and at < $1",
        horizon,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "delete from webhooks
        where not exists (select from apps where apps.id = webhooks.app)
            and not exists (select from events where events.app = webhooks.app and events.is_untold)
            and not exists (
                select
                from webhook_deliveries
                where webhook_deliveries.webhook = webhooks.id
                    and webhook_deliveries.next_attempt_at is not null
            )",
    )
    .execute(conn)
    .await?;
    Ok(())
}

struct Row {
    id: Uuid,
    sequence: i64,
    webhook: Uuid,
    level: String,
    event: Uuid,
    include: String,
    status: String,
    num_attempts: i32,
    next_attempt_at: Option<DateTime<Utc>>,
    attempt: Option<Uuid>,
    attempt_code: Option<i32>,
    attempt_error: Option<String>,
    attempted_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

struct EventRow {
    id: Uuid,
    sequence: i64,
    include: String,
    payload: Value,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Delivery {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let (code, error) = (row.attempt_code, row.attempt_error);
        Ok(Self {
            id: row.id.into(),
            sequence: row.sequence,
            webhook: row.webhook.into(),
            level: parse("webhook delivery", &row.level)?,
            event: row.event.into(),
            include: row.include,
            status: row.status,
            attempts: unsigned("webhook delivery", row.num_attempts)?,
            next_attempt_at: row.next_attempt_at,
            last_attempt: row
                .attempt
                .zip(row.attempted_at)
                .map(|(id, at)| LastAttempt { id, code, error, at }),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl From<EventRow> for WebhookEvent {
    fn from(row: EventRow) -> Self {
        Self {
            id: row.id.into(),
            sequence: row.sequence,
            include: row.include,
            payload: row.payload,
            created_at: row.created_at,
        }
    }
}
