//! Log drains: where else an app's log goes.

use clap::Args;
use paas_api::{LogDrain, NewLogDrain};

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::Result,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Show the ids of the drains too
    #[arg(short = 'x', long, hide = true)]
    extended: bool,
    /// Print the drains as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Where to: `syslog://HOST:PORT`, `syslog+tls://HOST:PORT`, `https://USER:PASSWORD@HOST/PATH`
    // `url` is the flag of every command that says where the platform is.
    #[arg(value_name = "URL")]
    target: String,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The URL or the token of the drain
    #[arg(value_name = "URL|TOKEN")]
    drain: String,
    #[command(flatten)]
    app: AppArgs,
}

/// `drains`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let query = if args.extended { "?extended=true" } else { "" };
    let drains: Vec<LogDrain> = context.client.list(&format!("{}{query}", path(&app)), "id")?;
    if args.json {
        return context.output.json(&drains);
    }
    if drains.is_empty() {
        return Ok(());
    }
    context.output.header("Drains")?;
    for drain in &drains {
        let id = drain
            .extended
            .as_ref()
            .map(|extended| format!(" drain_id={}", extended.drain_id));
        let id = id.unwrap_or_default();
        context.output.line(format!("{} ({}){id}", drain.url, drain.token))?;
    }
    Ok(())
}

/// `drains:add`
pub(crate) fn add(args: &AddArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let url = args.target.clone();
    let drain: LogDrain = context.client.post(&path(&app), &NewLogDrain { url })?;
    context.output.line(format!("Successfully added drain {}", drain.url))
}

/// `drains:remove`
pub(crate) fn remove(args: &RemoveArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let path = format!("{}/{}", path(&app), segment(&args.drain));
    let drain: LogDrain = context.client.delete_reading(&path)?;
    context.output.line(format!("Successfully removed drain {}", drain.url))
}

fn path(app: &str) -> String {
    format!("/apps/{}/log-drains", segment(app))
}
