//! Stacks: what dynos start from.

use clap::Args;
use paas_api::Stack;

use crate::{app_context::Context, error::Result};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print the stacks as JSON
    #[arg(long)]
    json: bool,
}

/// `stacks`: the default has a star.
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let stacks: Vec<Stack> = context.client.list("/stacks", "id")?;
    if args.json {
        return context.output.json(&stacks);
    }
    context.output.header("Available Stacks")?;
    stacks.iter().try_for_each(|stack| {
        let mark = if stack.default { '*' } else { ' ' };
        context.output.line(format!("{mark} {}", stack.name))
    })
}
