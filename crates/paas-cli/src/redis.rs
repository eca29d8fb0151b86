//! `redis:`: caches of an app, by the client of their own server.

use clap::Args;
use paas_api::Addon;

use crate::{
    addon::{self, find},
    app_context::{AppArgs, Context},
    error::Result,
    postgres::client,
    terminal, time,
};

#[derive(Debug, Args)]
pub(crate) struct RedisArgs {
    /// The add-on [default: REDIS]
    #[arg(value_name = "DATABASE")]
    database: Option<String>,
    #[command(flatten)]
    app: AppArgs,
}

/// `redis:cli`
pub(crate) fn cli(args: &RedisArgs, context: &Context) -> Result<()> {
    let addon = args.find(context)?;
    client(context, &addon, Vec::new(), terminal::is_one())
}

/// `redis:info`
pub(crate) fn info(args: &RedisArgs, context: &Context) -> Result<()> {
    let addons = match &args.database {
        Some(_) => vec![args.find(context)?],
        None => addon::of_app(&args.app.name(context)?, context)?
            .into_iter()
            .filter(|addon| addon.addon_service.name == "heroku-redis")
            .collect(),
    };
    for addon in addons {
        context
            .output
            .header(&format!("{} ({})", addon.name, addon.config_vars.join(", ")))?;
        context.output.facts(&[
            ("Plan", addon.plan.human_name.clone()),
            ("Status", addon.state.clone()),
            ("Size", addon.plan.description.clone()),
            ("Created", time::minute(addon.created_at)),
        ])?;
    }
    Ok(())
}

impl RedisArgs {
    fn find(&self, context: &Context) -> Result<Addon> {
        find(context, &self.app, self.database.as_deref().unwrap_or("REDIS"))
    }
}
