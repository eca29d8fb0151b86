//! `pg:rollback`: what a database held at a moment, in a new one.

use clap::Args;
use paas_api::{Addon, AttachmentOfNewAddon, NewAddon};
use serde_json::{Map, Value};

use super::DatabaseArgs;
use crate::{addon::follow_to_its_end, app_context::Context, client::segment, error::Result};

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct RollbackArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The moment: '10 minutes ago', '2026-11-22 03:00 UTC', or in any other time zone
    #[arg(long, value_name = "WHEN", required_unless_present = "by", conflicts_with = "by")]
    to: Option<String>,
    /// How far back: '3 days 7 hours'
    #[arg(long, value_name = "SPAN")]
    by: Option<String>,
    /// What the app calls the new one [default: a colour]
    #[arg(long = "as", value_name = "NAME")]
    attachment: Option<String>,
    /// The plan of the new one [default: that of the database]
    #[arg(long, value_name = "PLAN")]
    plan: Option<String>,
    /// Come back at once, while it goes on
    #[arg(long)]
    no_wait: bool,
}

/// `pg:rollback`
pub(crate) fn rollback(args: &RollbackArgs, context: &Context) -> Result<()> {
    let source = args.database.find(context)?;
    let app = args
        .database
        .app
        .name(context)
        .unwrap_or_else(|_| source.app.name.clone());
    let service = &source.addon_service.name;
    let plan = match &args.plan {
        Some(plan) if plan.contains(':') => plan.clone(),
        Some(plan) => format!("{service}:{plan}"),
        None => source.plan.name.clone(),
    };
    let mut config = Map::new();
    config.insert("rollback".to_owned(), source.id.to_string().into());
    for (name, value) in [("to", &args.to), ("by", &args.by)] {
        config.extend(value.clone().map(|value| (name.to_owned(), Value::String(value))));
    }
    let new = NewAddon {
        attachment: Some(AttachmentOfNewAddon {
            name: args.attachment.clone(),
        }),
        config: Some(config),
        plan: Some(plan.into()),
        ..NewAddon::default()
    };
    let path = format!("/apps/{}/addons", segment(&app));
    let what = format!("Rolling back {} into a new database", source.name);
    let begin = || context.client.post::<Addon>(&path, &new);
    let made = context.output.action(&what, begin, |_| String::new())?;
    if let Some(message) = &made.provision_message {
        // Which moment was understood.
        context.output.note(message)?;
    }
    let keys = made.config_vars.join(", ");
    if args.no_wait {
        return context.output.line(format!(
            "{} is being filled in the background, and becomes {keys}. See paas addons:info {0}",
            made.name
        ));
    }
    follow_to_its_end(context, &made)?;
    context.output.line(format!(
        "{} holds it, as {keys}. {} is as it was.",
        made.name, source.name
    ))?;
    context.output.note(&format!(
        "Look at it with paas pg:psql {0}; make it the main one with paas pg:promote {0}",
        made.name
    ))
}
