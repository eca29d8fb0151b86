//! What webhooks were told, and how it went.

use clap::Args;
use paas_api::{Order, PageRange, WebhookDelivery, WebhookEvent};

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::Result,
    table::Table,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only those with this status: pending, retrying, failed, succeeded
    #[arg(short, long)]
    status: Option<String>,
    #[command(flatten)]
    app: AppArgs,
    /// Print the deliveries as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Print the events as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// Its ID
    id: String,
    #[command(flatten)]
    app: AppArgs,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// `webhooks:deliveries`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let query = args
        .status
        .as_deref()
        .map(|status| format!("?eq[status]={}", segment(status)));
    let path = format!(
        "/apps/{}/webhook-deliveries{}",
        segment(&app),
        query.unwrap_or_default()
    );
    let newest = PageRange {
        field: Some("seq".to_owned()),
        order: Order::Descending,
        max: PageRange::LARGEST_MAX,
        ..PageRange::default()
    };
    let mut deliveries: Vec<WebhookDelivery> = context.client.page(&path, &newest)?;
    deliveries.reverse();
    if args.json {
        return context.output.json(&deliveries);
    }
    if deliveries.is_empty() {
        return context.output.line(format!("{app} has no deliveries"));
    }
    if deliveries.len() == PageRange::LARGEST_MAX as usize {
        let max = PageRange::LARGEST_MAX;
        context
            .output
            .warning(&format!("Only showing the {max} most recent deliveries"))?;
        context
            .output
            .warning("It is possible to filter deliveries by using the --status flag")?;
    }
    let rows = deliveries.into_iter().map(|delivery| {
        let (code, error) = last_attempt(&delivery);
        [
            delivery.id.to_string(),
            delivery.created_at.to_string(),
            delivery.status,
            delivery.event.include,
            delivery.webhook.level,
            delivery.num_attempts.to_string(),
            code,
            error,
            delivery.next_attempt_at.map(|at| at.to_string()).unwrap_or_default(),
        ]
    });
    let titles = [
        "Delivery ID",
        "Created",
        "Status",
        "Include",
        "Level",
        "Attempts",
        "Code",
        "Error",
        "Next Attempt",
    ];
    context.output.table(&Table::new(titles, rows))
}

/// `webhooks:deliveries:info`
pub(crate) fn info(args: &OneArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let path = format!("/apps/{}/webhook-deliveries/{}", segment(&app), segment(&args.id));
    let delivery: WebhookDelivery = context.client.get(&path)?;
    if args.json {
        return context.output.json(&delivery);
    }
    // As it was sent: its data may have any field.
    let path = format!("/apps/{}/webhook-events/{}", segment(&app), delivery.event.id);
    let event: serde_json::Value = context.client.get(&path)?;
    let (code, error) = last_attempt(&delivery);
    let next = delivery.next_attempt_at.map(|at| at.to_string()).unwrap_or_default();
    let facts = [
        ("Created", delivery.created_at.to_string()),
        ("Event", delivery.event.id.to_string()),
        ("Webhook", delivery.webhook.id.to_string()),
        ("Status", delivery.status),
        ("Include", delivery.event.include),
        ("Level", delivery.webhook.level),
        ("Attempts", delivery.num_attempts.to_string()),
        ("Code", code),
        ("Error", error),
        ("Next Attempt", next),
    ];
    context.output.header(&delivery.id.to_string())?;
    let known: Vec<_> = facts.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    context.output.facts(&known)?;
    context.output.header("Event Payload")?;
    context.output.json(&event["payload"])
}

/// `webhooks:events`
pub(crate) fn events(args: &EventsArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    context
        .output
        .warning("paas webhooks:events is deprecated, please use paas webhooks:deliveries")?;
    let path = format!("/apps/{}/webhook-events", segment(&app));
    let events: Vec<WebhookEvent> = context.client.list(&path, "seq")?;
    if args.json {
        return context.output.json(&events);
    }
    if events.is_empty() {
        return context.output.line(format!("{app} has no events"));
    }
    let rows = events.into_iter().map(|event| {
        let payload = event.payload;
        [
            event.id.to_string(),
            payload.resource,
            payload.action,
            payload.published_at.to_string(),
        ]
    });
    let titles = ["Event ID", "Resource", "Action", "Published At"];
    context.output.table(&Table::new(titles, rows))
}

/// `webhooks:events:info`
pub(crate) fn event(args: &OneArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    context
        .output
        .warning("paas webhooks:events:info is deprecated, please use paas webhooks:deliveries:info")?;
    let path = format!("/apps/{}/webhook-events/{}", segment(&app), segment(&args.id));
    let event: serde_json::Value = context.client.get(&path)?;
    if args.json {
        return context.output.json(&event);
    }
    context.output.header(event["id"].as_str().unwrap_or_default())?;
    let payload = serde_json::to_string_pretty(&event["payload"]).map_err(std::io::Error::from)?;
    context.output.line(format!("payload: {payload}"))
}

/// Status and error of the last answer.
fn last_attempt(delivery: &WebhookDelivery) -> (String, String) {
    let Some(attempt) = &delivery.last_attempt else {
        return Default::default();
    };
    let code = attempt.code.map(|code| code.to_string());
    (
        code.unwrap_or_default(),
        attempt.error_class.clone().unwrap_or_default(),
    )
}
