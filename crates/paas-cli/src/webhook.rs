//! Webhooks: who is told of what.

use clap::Args;
use paas_api::{NewWebhook, Secret, WEBHOOK_SECRET, Webhook, WebhookUpdate};

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::Result,
    table::Table,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Print the webhooks as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// Its ID
    id: String,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// Its ID
    id: String,
    #[command(flatten)]
    app: AppArgs,
    /// Print the webhook as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Its ID
    id: String,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Args)]
struct TargetArgs {
    /// What to be told of, such as `api:release,dyno`
    #[arg(short, long, value_delimiter = ',', required = true)]
    include: Vec<String>,
    /// `notify` tries once, `sync` until it is delivered
    #[arg(short, long)]
    level: String,
    /// Where notifications are sent (or `--url`)
    #[arg(short = 'u', long = "to", value_name = "URL")]
    to: String,
    /// What to sign notifications with, in the place of an invented key
    #[arg(short, long)]
    secret: Option<String>,
    /// The Authorization header of notifications
    #[arg(short = 't', long)]
    authorization: Option<String>,
}

/// `webhooks`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let mut webhooks: Vec<Webhook> = context.client.list(&path(&app), "id")?;
    webhooks.sort_by_key(|webhook| webhook.created_at);
    if args.json {
        return context.output.json(&webhooks);
    }
    if webhooks.is_empty() {
        context.output.line(format!("{app} has no webhooks"))?;
        return context.output.line("Use paas webhooks:add to add one.");
    }
    let rows = webhooks.into_iter().map(|webhook| {
        let include = webhook.include.join(",");
        [webhook.id.to_string(), webhook.url, include, webhook.level]
    });
    let titles = ["Webhook ID", "URL", "Include", "Level"];
    context.output.table(&Table::new(titles, rows))
}

/// `webhooks:add`
pub(crate) fn add(args: &AddArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let target = &args.target;
    let new = NewWebhook {
        authorization: target.authorization.clone().map(Secret::new),
        include: target.include(),
        level: target.level.clone(),
        secret: target.secret.clone().map(Secret::new),
        url: target.to.clone(),
    };
    let (_, secret) = context.output.action(
        &format!("Adding webhook to {app}"),
        || {
            context
                .client
                .post_reading::<Webhook>(&path(&app), &new, WEBHOOK_SECRET)
        },
        |_| String::new(),
    )?;
    match secret {
        Some(secret) => {
            context.output.header("Webhooks Signing Secret")?;
            context.output.line(secret.expose())
        }
        None => context.output.warning("no secret found"),
    }
}

/// `webhooks:info`
pub(crate) fn info(args: &InfoArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let webhook: Webhook = context.client.get(&one(&app, &args.id))?;
    if args.json {
        return context.output.json(&webhook);
    }
    context.output.header(&webhook.id.to_string())?;
    context.output.facts(&[
        ("Include", webhook.include.join(",")),
        ("Level", webhook.level),
        ("URL", webhook.url),
        ("Webhook ID", webhook.id.to_string()),
    ])
}

/// `webhooks:update`
pub(crate) fn update(args: &UpdateArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let target = &args.target;
    let update = WebhookUpdate {
        authorization: target.authorization.clone().map(|text| Some(Secret::new(text))),
        include: Some(target.include()),
        level: Some(target.level.clone()),
        secret: target.secret.clone().map(Secret::new),
        url: Some(target.to.clone()),
    };
    let _: Webhook = context.output.action(
        &format!("Updating webhook {} for {app}", args.id),
        || context.client.patch(&one(&app, &args.id), &update),
        |_| String::new(),
    )?;
    Ok(())
}

/// `webhooks:remove`
pub(crate) fn remove(args: &RemoveArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    context.output.action(
        &format!("Removing webhook {} from {app}", args.id),
        || context.client.delete(&one(&app, &args.id)),
        |()| String::new(),
    )
}

impl TargetArgs {
    fn include(&self) -> Vec<String> {
        self.include.iter().map(|name| name.trim().to_owned()).collect()
    }
}

/// Without what is secret.
impl std::fmt::Debug for TargetArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TargetArgs")
            .field("include", &self.include)
            .finish_non_exhaustive()
    }
}

fn path(app: &str) -> String {
    format!("/apps/{}/webhooks", segment(app))
}

fn one(app: &str, id: &str) -> String {
    format!("{}/{}", path(app), segment(id))
}
