//! The verbs for who is told of what.

use clap::Subcommand;

use crate::{app_context::Context, error::Result, webhook, webhook_delivery};

#[derive(Debug, Subcommand)]
pub(super) enum WebhookVerb {
    /// List the webhooks of an app
    Webhooks(webhook::ListArgs),
    /// Tell somebody what changes
    #[command(name = "webhooks:add")]
    WebhooksAdd(webhook::AddArgs),
    /// Show a webhook
    #[command(name = "webhooks:info")]
    WebhooksInfo(webhook::InfoArgs),
    /// Change what a webhook tells, and whom
    #[command(name = "webhooks:update")]
    WebhooksUpdate(webhook::UpdateArgs),
    /// Tell no more
    #[command(name = "webhooks:remove")]
    WebhooksRemove(webhook::RemoveArgs),
    /// List what was told, and how it went
    #[command(name = "webhooks:deliveries")]
    WebhooksDeliveries(webhook_delivery::ListArgs),
    /// Show one delivery, and what was told
    #[command(name = "webhooks:deliveries:info")]
    WebhooksDeliveriesInfo(webhook_delivery::OneArgs),
    /// List what there was to tell
    #[command(name = "webhooks:events")]
    WebhooksEvents(webhook_delivery::EventsArgs),
    /// Show what was told
    #[command(name = "webhooks:events:info")]
    WebhooksEventsInfo(webhook_delivery::OneArgs),
}

pub(super) fn dispatch(verb: &WebhookVerb, context: &Context) -> Result<()> {
    match verb {
        WebhookVerb::Webhooks(args) => webhook::list(args, context),
        WebhookVerb::WebhooksAdd(args) => webhook::add(args, context),
        WebhookVerb::WebhooksInfo(args) => webhook::info(args, context),
        WebhookVerb::WebhooksUpdate(args) => webhook::update(args, context),
        WebhookVerb::WebhooksRemove(args) => webhook::remove(args, context),
        WebhookVerb::WebhooksDeliveries(args) => webhook_delivery::list(args, context),
        WebhookVerb::WebhooksDeliveriesInfo(args) => webhook_delivery::info(args, context),
        WebhookVerb::WebhooksEvents(args) => webhook_delivery::events(args, context),
        WebhookVerb::WebhooksEventsInfo(args) => webhook_delivery::event(args, context),
    }
}
