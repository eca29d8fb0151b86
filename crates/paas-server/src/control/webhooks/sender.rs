//! The task of one webhook: notifications out, one after the other, as long as some are due.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use paas_api::{EventOfDelivery, WEBHOOK_SIGNATURE, WebhookMetadata, WebhookNotification, WebhookRef};
use paas_core::{Id, WebhookAnswer};
use paas_store::{
    webhook::{self, Webhook, WebhookTarget},
    webhook_delivery::{self, Attempt, Due},
};
use sha2::Sha256;
use uuid::Uuid;

use super::Sending;
use crate::{
    outbound::{ConnectError, Connector, ExchangeError, Target, basic, exchange},
    platform::Platform,
};

/// From the first byte of a request to the last of its answer.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("paasd/", env!("CARGO_PKG_VERSION"), " (webhooks)"));
const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(super) struct Sender {
    pub(super) platform: Arc<Platform>,
    pub(super) connector: Connector,
    pub(super) webhook: Id<Webhook>,
    pub(super) sending: Arc<Sending>,
}

impl Sender {
    pub(super) async fn run(self) {
        let sent = self.send_all().await;
        if let Err(error) = &sent {
            tracing::warn!(webhook.id = %self.webhook, error = format!("{error:#}"), "a webhook is told later");
        }
        let platform = Arc::clone(&self.platform);
        // What became due meanwhile is another task's. After an error the controller looks again by itself.
        drop(self);
        if sent.is_ok() {
            platform.wake_webhooks.notify_one();
        }
    }

    async fn send_all(&self) -> Result<()> {
        let store = &self.platform.store;
        loop {
            let mut conn = store.connection().await?;
            let due = webhook_delivery::next_due(&mut conn, self.webhook, self.platform.clock.now()).await?;
            let Some(due) = due else { return Ok(()) };
            // As it is now: a receiver may have moved since the event.
            let Some(webhook) = webhook::get(&mut conn, &store.sealer, self.webhook).await? else {
                return Ok(());
            };
            drop(conn);
            let (attempt, answer) = self.attempt(&webhook, &due).await?;
            let outcome = due.level.outcome(
                answer,
                due.attempts + 1,
                due.created_at,
                attempt.ended_at,
                rand::random(),
            );
            tracing::debug!(webhook.id = %webhook.id, delivery.id = %due.id, ?answer, ?outcome, "told a webhook");
            let mut conn = store.connection().await?;
            webhook_delivery::attempted(&mut conn, due.id, &attempt, outcome).await?;
        }
    }

    async fn attempt(&self, webhook: &Webhook, due: &Due) -> Result<(Attempt, WebhookAnswer)> {
        let (id, at) = (Uuid::new_v4(), self.platform.clock.now());
        let request = request(&webhook.target, &body(webhook, due, id)?);
        let target = Target::from(webhook.target.url.parts());
        let answered = exchange(&self.connector, &target, request, REQUEST_LIMIT).await;
        let (code, error) = match &answered {
            Ok(status) if status.is_success() => (Some(status.as_u16()), None),
            Ok(status) => (Some(status.as_u16()), Some("ResponseError")),
            Err(error) => {
                tracing::debug!(webhook.id = %webhook.id, error = crate::logs::causes(error), "a webhook cannot be told");
                (None, Some(class(error)))
            }
        };
        let attempt = Attempt {
            id,
            code,
            error,
            at,
            ended_at: self.platform.clock.now(),
        };
        Ok((attempt, code.map_or(WebhookAnswer::Nothing, WebhookAnswer::Status)))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.sending.lock().remove(&self.webhook);
    }
}

fn body(webhook: &Webhook, due: &Due, attempt: Uuid) -> Result<Bytes> {
    let event = &due.event;
    let notification = WebhookNotification {
        id: *event.id.as_uuid(),
        created_at: event.created_at.into(),
        updated_at: event.created_at.into(),
        // Whatever it was when it was written: another version of the platform may have done that.
        payload: &event.payload,
        sequence: event.sequence,
        webhook_metadata: WebhookMetadata {
            attempt: WebhookRef { id: attempt },
            delivery: WebhookRef { id: *due.id.as_uuid() },
            event: EventOfDelivery {
                id: *event.id.as_uuid(),
                include: event.include.clone(),
            },
            webhook: WebhookRef {
                id: *webhook.id.as_uuid(),
            },
        },
    };
    Ok(serde_json::to_vec(&notification)?.into())
}

fn request(target: &WebhookTarget, body: &Bytes) -> Request<Full<Bytes>> {
    let url = target.url.parts();
    let mut request = Request::new(Full::new(body.clone()));
    *request.method_mut() = Method::POST;
    // Checked when the webhook was made.
    *request.uri_mut() = url.target().parse().unwrap_or_default();
    let text = |value: &str| HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""));
    let headers = request.headers_mut();
    headers.insert(header::HOST, text(&url.authority()));
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::USER_AGENT, USER_AGENT);
    let signature = HeaderName::from_static(WEBHOOK_SIGNATURE);
    headers.insert(signature, text(&sign(&target.secret, body)));
    // What was given for the header, or else the user and password of the URL.
    if let Some(credentials) = &target.credentials {
        let mut value = text(credentials);
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    } else if let Some(user_info) = url.user_info() {
        headers.insert(header::AUTHORIZATION, basic(user_info));
    }
    request
}

fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// What people see of an attempt without an answer.
const fn class(error: &ExchangeError) -> &'static str {
    match error {
        ExchangeError::Connect(ConnectError::Resolve { .. }) => "NameResolutionError",
        ExchangeError::Connect(ConnectError::Closed { .. }) => "ForbiddenAddressError",
        ExchangeError::Connect(ConnectError::Certificate { .. }) => "CertificateError",
        ExchangeError::Connect(ConnectError::Connect { .. }) => "ConnectionError",
        ExchangeError::Connect(ConnectError::Silent { .. }) | ExchangeError::Silent { .. } => "TimeoutError",
        ExchangeError::Broken { .. } | ExchangeError::Endless { .. } => "ConnectionBrokenError",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn the_signature_is_an_hmac_of_the_body() {
        assert_eq!(
            sign("Jefe", b"what do ya want for nothing?"),
            "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="
        );
    }
}
