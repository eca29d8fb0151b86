//! `pg:upgrade`: a database on a newer version of its server.

use std::{thread, time::Duration};

use clap::Args;
use paas_api::{Addon, AddonUpgradeStatus, NewAddonUpgrade, Said};

use super::{DatabaseArgs, path};
use crate::{
    app_context::Context,
    error::{Error, Result},
};

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct TryArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The version to try [default: the newest]
    #[arg(short, long, value_name = "VERSION")]
    version: Option<String>,
    /// Come back at once, while it goes on
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The version to go to [default: the one tried last, or the newest]
    #[arg(short, long, value_name = "VERSION")]
    version: Option<String>,
    /// The app's name, to do it without asking
    #[arg(short, long, value_name = "NAME")]
    confirm: Option<String>,
    /// Come back at once, while it goes on
    #[arg(long)]
    no_wait: bool,
}

const INTERVAL: Duration = Duration::from_secs(1);

/// `pg:upgrade:dryrun`
pub(crate) fn dry_run(args: &TryArgs, context: &Context) -> Result<()> {
    try_out(args, context, "dry_run")
}

/// `pg:upgrade:prepare`
pub(crate) fn prepare(args: &TryArgs, context: &Context) -> Result<()> {
    try_out(args, context, "prepare")
}

/// `pg:upgrade`, `pg:upgrade:run`
pub(crate) fn run(args: &RunArgs, context: &Context) -> Result<()> {
    let database = args.database.find(context)?;
    let consequence = format!(
        "This upgrades {}: nobody reaches it while it moves, and it cannot go back.",
        database.name
    );
    context.confirm(&database.app.name, &consequence, args.confirm.as_ref())?;
    begin(context, &database, "run", (args.version.as_ref(), args.no_wait))
}

/// `pg:upgrade:cancel`
pub(crate) fn cancel(args: &DatabaseArgs, context: &Context) -> Result<()> {
    let database = args.find(context)?;
    let path = path(&database, "/upgrade/cancel");
    let said: Said = context.client.post(&path, &serde_json::Map::new())?;
    context.output.line(said.message)
}

/// `pg:upgrade:wait`
pub(crate) fn wait(args: &DatabaseArgs, context: &Context) -> Result<()> {
    follow(context, &args.find(context)?)
}

fn try_out(args: &TryArgs, context: &Context, verb: &str) -> Result<()> {
    let database = args.database.find(context)?;
    begin(context, &database, verb, (args.version.as_ref(), args.no_wait))
}

fn begin(context: &Context, database: &Addon, verb: &str, (version, no_wait): (Option<&String>, bool)) -> Result<()> {
    let new = NewAddonUpgrade {
        version: version.cloned(),
    };
    let said: Said = context
        .client
        .post(&path(database, &format!("/upgrade/{verb}")), &new)?;
    if no_wait {
        return context.output.line(said.message);
    }
    follow(context, database)
}

/// Looks until it is over, and says what came of it.
fn follow(context: &Context, database: &Addon) -> Result<()> {
    let path = path(database, "/upgrade/wait_status");
    let look = || loop {
        let status: AddonUpgradeStatus = context.client.get(&path)?;
        if !status.is_waiting {
            return Ok(status);
        }
        thread::sleep(INTERVAL);
    };
    let what = format!("Waiting for the upgrade of {}", database.name);
    let status = context.output.action(&what, look, |_| String::new())?;
    if status.is_failed {
        return Err(Error::Usage(status.message));
    }
    context.output.line(status.message)
}
