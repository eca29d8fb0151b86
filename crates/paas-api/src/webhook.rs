//! Webhooks: who is told of what, what they are told, and how it went.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{AppRef, Secret, Time, UserRef};

/// The header of an answer in which the key of a new webhook is told, once.
pub const WEBHOOK_SECRET: &str = "heroku-webhook-secret";
/// The header of a notification: the HMAC-SHA256 of its body, in Base64.
pub const WEBHOOK_SIGNATURE: &str = "heroku-webhook-hmac-sha256";

/// A webhook. `Debug` shows no URL: it may hold a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    pub app: AppRef,
    pub created_at: Time,
    pub id: Uuid,
    pub include: Vec<String>,
    pub level: String,
    pub updated_at: Time,
    pub url: String,
}

/// `POST /apps/{app}/webhooks`
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Secret>,
    pub include: Vec<String>,
    pub level: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    pub url: String,
}

/// `PATCH /apps/{app}/webhooks/{webhook}`
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookUpdate {
    /// `Some(None)`: none from now on.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Option<Secret>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// One webhook being told of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookDelivery {
    pub created_at: Time,
    pub event: EventOfDelivery,
    pub id: Uuid,
    pub last_attempt: Option<WebhookAttempt>,
    pub next_attempt_at: Option<Time>,
    pub num_attempts: u32,
    /// `pending`, `retrying`, `failed`, `succeeded`.
    pub status: String,
    pub updated_at: Time,
    pub webhook: WebhookOfDelivery,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventOfDelivery {
    pub id: Uuid,
    pub include: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookOfDelivery {
    pub id: Uuid,
    pub level: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookAttempt {
    pub code: Option<i32>,
    pub created_at: Time,
    pub error_class: Option<String>,
    pub id: Uuid,
    /// `succeeded`, `failed`.
    pub status: String,
    pub updated_at: Time,
}

/// A change that webhooks were told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookEvent {
    pub created_at: Time,
    pub id: Uuid,
    pub include: String,
    pub payload: WebhookPayload,
    pub updated_at: Time,
}

/// What changed, into what, and who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookPayload {
    /// `create`, `update`, `destroy`.
    pub action: String,
    pub actor: UserRef,
    /// The resource, as the API shows it.
    pub data: Value,
    /// Those of its fields that were something else before.
    pub previous_data: Map<String, Value>,
    /// Not in the schema, but shown by Heroku's client.
    pub published_at: Time,
    pub resource: String,
    pub version: String,
}

/// The body of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookNotification<P = WebhookPayload> {
    pub id: Uuid,
    pub created_at: Time,
    pub updated_at: Time,
    /// A [`WebhookPayload`].
    #[serde(flatten)]
    pub payload: P,
    /// A later event has a higher one: notifications may arrive in another order.
    pub sequence: i64,
    pub webhook_metadata: WebhookMetadata,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookMetadata {
    pub attempt: WebhookRef,
    pub delivery: WebhookRef,
    pub event: EventOfDelivery,
    pub webhook: WebhookRef,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookRef {
    pub id: Uuid,
}

/// A field that is there, even if it is null.
#[expect(clippy::option_option, reason = "null takes it away, and what is missing stays")]
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Secret>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for NewWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewWebhook")
            .field("include", &self.include)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WebhookUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookUpdate")
            .field("include", &self.include)
            .finish_non_exhaustive()
    }
}
