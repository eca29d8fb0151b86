//! What every command has at hand, and which app it is about.

use clap::Args;

use crate::{
    client::Client,
    config::Config,
    error::{Error, Result},
    git_remote,
    output::Output,
};

/// What every command has at hand.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) client: Client,
    pub(crate) output: Output,
}

/// Which app: `-a`, else `-r`, else `PAAS_APP`, else the git remotes of the current directory.
#[derive(Debug, Args)]
pub(crate) struct AppArgs {
    /// The app to act on
    #[arg(short, long, value_name = "APP")]
    app: Option<String>,
    /// The git remote that leads to the app
    #[arg(short, long, value_name = "REMOTE")]
    remote: Option<String>,
}

impl Context {
    /// Goes on only when somebody types the app's name, or gave it as `--confirm APP`.
    pub(crate) fn confirm(&self, app: &str, consequence: &str, given: Option<&String>) -> Result<()> {
        let answer = if let Some(answer) = given {
            answer.clone()
        } else {
            self.output.warning(&format!(
                "{consequence}\n      To proceed, type {app}, or run again with --confirm {app}"
            ))?;
            self.output.ask("> ", "a confirmation", "--confirm APP")?
        };
        if answer == app {
            Ok(())
        } else {
            Err(Error::NotConfirmed(app.to_owned()))
        }
    }
}

impl AppArgs {
    pub(crate) fn name(&self, context: &Context) -> Result<String> {
        match (&self.app, &self.remote) {
            (Some(app), _) => Ok(app.clone()),
            (None, Some(remote)) => git_remote::named(remote),
            (None, None) => from_surroundings(context),
        }
    }

    /// The app, where `-r` does not say which one but which remote to change.
    pub(crate) fn without_remote(&self, context: &Context) -> Result<String> {
        match &self.app {
            Some(app) => Ok(app.clone()),
            None => from_surroundings(context),
        }
    }

    /// The app as `apps:destroy APP` names it, or as everywhere else.
    pub(crate) fn name_or(&self, positional: Option<&String>, context: &Context) -> Result<String> {
        match (positional, &self.app) {
            (Some(name), Some(app)) if name != app => {
                Err(Error::Usage(format!("Two apps are named, {name} and {app}: name one")))
            }
            (Some(name), _) => Ok(name.clone()),
            (None, _) => self.name(context),
        }
    }

    pub(crate) fn remote(&self) -> Option<&str> {
        self.remote.as_deref()
    }
}

fn from_surroundings(context: &Context) -> Result<String> {
    if let Some(app) = &context.config.app {
        return Ok(app.clone());
    }
    let remotes = git_remote::ours(context)?;
    let Some(first) = remotes.first() else {
        return Err(Error::NoApp);
    };
    if remotes.iter().any(|remote| remote.app != first.app) {
        let names = remotes.iter().map(|remote| format!("{} ({})", remote.app, remote.name));
        return Err(Error::SeveralApps(names.collect::<Vec<_>>().join(", ")));
    }
    Ok(first.app.clone())
}
