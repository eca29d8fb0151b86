//! The account: who we are.

use clap::Args;
use paas_api::Account;

use crate::{app_context::Context, error::Result};

#[derive(Debug, Args)]
pub(crate) struct WhoamiArgs {
    /// Print the account as JSON
    #[arg(long)]
    json: bool,
}

/// `auth:whoami`
pub(crate) fn whoami(args: &WhoamiArgs, context: &Context) -> Result<()> {
    let account: Account = context.client.get("/account")?;
    if args.json {
        return context.output.json(&account);
    }
    context.output.line(account.email)
}
