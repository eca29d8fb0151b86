//! The account: who we are.

use clap::Args;
use paas_api::{Account, AccountUpdate, Secret};

use crate::{
    app_context::Context,
    error::{Error, Result},
    two_factor::{ONLY_HERE, ask_password, with_code},
};

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

/// `auth:password`: the old one, then the new one twice. Every other token ends with the old one.
pub(crate) fn change_password(context: &Context) -> Result<()> {
    let output = &context.output;
    let password = ask_password(context)?;
    let new = output.ask_secret("New password: ", "a new password", ONLY_HERE)?;
    if output.ask_secret("New password again: ", "the new password again", ONLY_HERE)? != new {
        return Err(Error::Usage(
            "These were two passwords: nothing was changed. Please try again".to_owned(),
        ));
    }
    let update = AccountUpdate {
        password: Some(password),
        new_password: Some(Secret::new(new)),
        ..AccountUpdate::default()
    };
    let _: Account = with_code(&context.client, context, |client| client.patch("/account", &update))?;
    output.line("Password changed. All other logins and tokens have ended; this one goes on")
}
