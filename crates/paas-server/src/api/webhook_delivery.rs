//! What webhooks were told, and how it went.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, Query, State},
};
use paas_api::{ErrorId, EventOfDelivery, Order, PageRange, WebhookAttempt, WebhookDelivery, WebhookOfDelivery};
use paas_store::webhook_delivery::{self, Delivery, LogPage, WebhookEvent};

use super::{
    auth::OwnApp,
    error::ApiError,
    page::{Field, Key, Page, Wanted},
    state::Api,
};

const SEQUENCE: &str = "seq";
const DELIVERY: Field<Delivery> = Field {
    name: SEQUENCE,
    key: |delivery| key(delivery.sequence),
};
const EVENT: Field<WebhookEvent> = Field {
    name: SEQUENCE,
    key: |event| key(event.sequence),
};
/// What `?eq[status]=` may ask for: Heroku's word for waiting is one that we never say.
const STATUSES: [&str; 5] = ["pending", "scheduled", "retrying", "failed", "succeeded"];

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
    Query(query): Query<HashMap<String, String>>,
    Wanted(range): Wanted,
) -> Result<Page<WebhookDelivery>, ApiError> {
    let status = query.get("eq[status]").map(String::as_str);
    if let Some(unknown) = status.filter(|status| !STATUSES.contains(status)) {
        return Err(ApiError::invalid(format!(
            "There is no status {unknown:?} of a delivery, only {}.",
            STATUSES.join(", ")
        )));
    }
    let mut connection = api.connection().await?;
    let page = log_page(&range)?;
    let rows = webhook_delivery::deliveries(&mut connection, row.app.id, status, page).await?;
    Ok(Page::cut(&range, rows, &DELIVERY, SEQUENCE).map(answer))
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<WebhookDelivery>, ApiError> {
    let not_found = || ApiError::not_found("delivery");
    let id = name.parse().map_err(|_| not_found())?;
    let mut connection = api.connection().await?;
    let found = webhook_delivery::find_delivery(&mut connection, row.app.id, id).await?;
    Ok(Json(answer(found.ok_or_else(not_found)?)))
}

pub(super) async fn events(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
    Wanted(range): Wanted,
) -> Result<Page<serde_json::Value>, ApiError> {
    let mut connection = api.connection().await?;
    let rows = webhook_delivery::events(&mut connection, row.app.id, log_page(&range)?).await?;
    Ok(Page::cut(&range, rows, &EVENT, SEQUENCE).map(|event| answer_event(&event)))
}

pub(super) async fn event(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<serde_json::Value>, ApiError> {
    let not_found = || ApiError::not_found("event");
    let id = name.parse().map_err(|_| not_found())?;
    let mut connection = api.connection().await?;
    let found = webhook_delivery::find_event(&mut connection, row.app.id, id).await?;
    Ok(Json(answer_event(&found.ok_or_else(not_found)?)))
}

/// Identity columns begin at 1, and four billion of them are not reached.
fn key(sequence: i64) -> Key {
    Key::Number(u32::try_from(sequence).unwrap_or(u32::MAX))
}

fn log_page(range: &PageRange) -> Result<LogPage, ApiError> {
    let is_descending = range.order == Order::Descending;
    let (mut low, mut high) = (i64::MIN, i64::MAX);
    if range.field.as_deref() == Some(SEQUENCE) {
        let (first, last) = (bound(range.start.as_deref())?, bound(range.end.as_deref())?);
        let step = i64::from(range.is_after_start);
        if is_descending {
            high = first.map_or(i64::MAX, |first| first - step);
            low = last.unwrap_or(i64::MIN);
        } else {
            low = first.map_or(i64::MIN, |first| first + step);
            high = last.unwrap_or(i64::MAX);
        }
    }
    Ok(LogPage {
        sequences: low..=high,
        is_descending,
        // One more says that there are more.
        max: range.max + 1,
    })
}

fn bound(text: Option<&str>) -> Result<Option<i64>, ApiError> {
    let number = text.map(|text| text.parse::<u32>().map(i64::from)).transpose();
    number.map_err(|_| {
        ApiError::new(
            ErrorId::RangeNotSatisfiable,
            "A Range over seq must name numbers, such as `seq 1..5; max=10`.",
        )
    })
}

fn answer(delivery: Delivery) -> WebhookDelivery {
    let Delivery {
        id,
        sequence: _,
        webhook,
        level,
        event,
        include,
        status,
        attempts,
        next_attempt_at,
        last_attempt,
        created_at,
        updated_at,
    } = delivery;
    let last_attempt = last_attempt.map(|attempt| WebhookAttempt {
        code: attempt.code,
        created_at: attempt.at.into(),
        id: attempt.id,
        status: if attempt.error.is_some() { "failed" } else { "succeeded" }.to_owned(),
        error_class: attempt.error,
        updated_at: updated_at.into(),
    });
    WebhookDelivery {
        created_at: created_at.into(),
        event: EventOfDelivery {
            id: *event.as_uuid(),
            include,
        },
        id: *id.as_uuid(),
        last_attempt,
        next_attempt_at: next_attempt_at.map(Into::into),
        num_attempts: attempts,
        status,
        updated_at: updated_at.into(),
        webhook: WebhookOfDelivery {
            id: *webhook.as_uuid(),
            level: level.as_str().to_owned(),
        },
    }
}

/// The payload is what was told, whatever it was.
fn answer_event(event: &WebhookEvent) -> serde_json::Value {
    let at = paas_api::Time::from(event.created_at);
    serde_json::json!({
        "created_at": at,
        "id": event.id.as_uuid(),
        "include": event.include,
        "payload": event.payload,
        "updated_at": at,
    })
}
