//! The apps of teams: locked and unlocked.

use clap::Args;
use paas_api::{TeamApp, TeamAppUpdate};

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::{Error, Result},
};

#[derive(Debug, Args)]
pub(crate) struct LockArgs {
    #[command(flatten)]
    app: AppArgs,
}

/// `apps:lock`
pub(crate) fn lock(args: &LockArgs, context: &Context) -> Result<()> {
    switch(&args.app.name(context)?, true, context)
}

/// `apps:unlock`
pub(crate) fn unlock(args: &LockArgs, context: &Context) -> Result<()> {
    switch(&args.app.name(context)?, false, context)
}

pub(crate) fn switch(name: &str, on: bool, context: &Context) -> Result<()> {
    let path = format!("/teams/apps/{}", segment(name));
    let app: TeamApp = context.client.get(&path)?;
    let (verb, doing, state) = if on {
        ("lock", "Locking", "already locked")
    } else {
        ("unlock", "Unlocking", "not locked")
    };
    if app.locked == on {
        return Err(Error::Absent(format!(
            "cannot {verb} {}.\nThis app is {state}.",
            app.name
        )));
    }
    let update = TeamAppUpdate {
        locked: Some(on),
        owner: None,
    };
    let work = || context.client.patch::<TeamApp>(&path, &update);
    let what = format!("{doing} {}", app.name);
    context.output.action(&what, work, |_| String::new()).map(drop)
}
