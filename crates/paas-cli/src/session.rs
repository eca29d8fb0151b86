//! Sessions: what logins in browsers made.

use clap::Args;
use paas_api::Session;

use crate::{app_context::Context, client::segment, error::Result, table::Table};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print the sessions as JSON
    #[arg(short, long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DestroyArgs {
    /// Its ID
    id: String,
}

/// `sessions`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let mut sessions: Vec<Session> = context.client.list("/oauth/sessions", "id")?;
    sessions.sort_by_key(|session| session.description.to_lowercase());
    if args.json {
        return context.output.json(&sessions);
    }
    if sessions.is_empty() {
        return context.output.line("No OAuth sessions.");
    }
    let rows = sessions
        .into_iter()
        .map(|session| [session.description, session.id.to_string()]);
    context.output.table(&Table::new(["Description", "ID"], rows))
}

/// `sessions:destroy`
pub(crate) fn destroy(args: &DestroyArgs, context: &Context) -> Result<()> {
    let path = format!("/oauth/sessions/{}", segment(&args.id));
    let what = format!("Destroying {}", args.id);
    context
        .output
        .action(&what, || context.client.delete(&path), |()| String::new())
}
