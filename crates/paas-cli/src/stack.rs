//! Stacks: what dynos start from.

use clap::Args;
use paas_api::{App, AppUpdate, Stack};

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::Result,
    git_remote::DEFAULT_REMOTE,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The app whose stack to mark
    #[arg(short, long, value_name = "APP")]
    app: Option<String>,
    /// Print the stacks as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The stack that the next build is for
    stack: String,
    #[command(flatten)]
    app: AppArgs,
}

/// `stacks`: the app's own has a star; without an app, the default.
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let stacks: Vec<Stack> = context.client.list("/stacks", "id")?;
    if args.json {
        return context.output.json(&stacks);
    }
    let Some(name) = &args.app else {
        context.output.header("Available Stacks")?;
        return stacks.iter().try_for_each(|stack| {
            let mark = if stack.default { '*' } else { ' ' };
            context.output.line(format!("{mark} {}", stack.name))
        });
    };
    let app: App = context.client.get(&format!("/apps/{}", segment(name)))?;
    context.output.header(&format!("{} Available Stacks", app.name))?;
    stacks.iter().try_for_each(|stack| {
        context.output.line(if stack.name == app.stack.name {
            format!("* {}", stack.name)
        } else if stack.name == app.build_stack.name {
            format!("  {} (active on next deploy)", stack.name)
        } else {
            format!("  {}", stack.name)
        })
    })
}

/// `stack:set`
pub(crate) fn set(args: &SetArgs, context: &Context) -> Result<()> {
    let name = args.app.name(context)?;
    let update = AppUpdate {
        build_stack: Some(args.stack.clone().into()),
        ..AppUpdate::default()
    };
    let path = format!("/apps/{}", segment(&name));
    let what = format!("Setting stack to {}", args.stack);
    let app: App = context
        .output
        .action(&what, || context.client.patch(&path, &update), |_| String::new())?;
    if app.stack.name == app.build_stack.name {
        return Ok(());
    }
    let remote = args.app.remote().unwrap_or(DEFAULT_REMOTE);
    context.output.line(format!(
        "You will need to redeploy {} for the change to take effect.\nRun git push {remote} main to trigger a new build on {}.",
        app.name, app.name
    ))
}
