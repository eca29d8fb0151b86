//! `pg:copy`: what is in a database takes the place of what is in another one.

use clap::Args;
use paas_api::{AddonCopy, AddonCredential, Transfer};

use crate::{
    addon::find,
    addon_backup::follow,
    app_context::{AppArgs, Context},
    error::{Error, Result},
};

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// Where the data is, also of another app: `hello::DATABASE`
    #[arg(value_name = "SOURCE")]
    source: String,
    /// What loses its own for that
    #[arg(value_name = "TARGET")]
    target: String,
    #[command(flatten)]
    app: AppArgs,
    /// The app's name, to do it without asking
    #[arg(short, long, value_name = "NAME")]
    confirm: Option<String>,
}

/// `pg:copy`
pub(crate) fn copy(args: &CopyArgs, context: &Context) -> Result<()> {
    for name in [&args.source, &args.target] {
        if name.contains("://") {
            return Err(Error::Usage(
                "pg:copy is between databases of the platform. Others come and go by pg:push and pg:pull".to_owned(),
            ));
        }
    }
    let source = find(context, &args.app, &args.source)?;
    let target = find(context, &args.app, &args.target)?;
    if source.id == target.id {
        return Err(Error::Usage("Cannot copy database onto itself".to_owned()));
    }
    let consequence = format!(
        "This removes all data from {0}, and then copies that of {1} to {0}.",
        target.name, source.name
    );
    context.confirm(&target.app.name, &consequence, args.confirm.as_ref())?;
    let path = format!("/addons/{}/actions/copy", target.id);
    let new = AddonCopy {
        source: source.id.to_string(),
    };
    let begin = || context.client.post::<Transfer>(&path, &new);
    let what = format!("Starting copy of {} to {}", source.name, target.name);
    let begun = context.output.action(&what, begin, |_| String::new())?;
    let copied = follow(context, &target.app.name, &begun, "Copying");
    if matches!(copied, Err(Error::Absent(_))) {
        // Others are filled in place.
        context.output.note(&match target.addon_service.name.as_str() {
            "heroku-postgresql" => format!("{} is as it was.", target.name),
            _ => format!("Look at what is in {} now, and copy again.", target.name),
        })?;
    }
    copied?;
    let path = format!("/postgres/v0/databases/{}/credentials", source.id);
    let credentials: Vec<AddonCredential> = context.client.get(&path)?;
    if credentials.len() > 1 {
        context.output.warning(
            "Only what the default credential sees was copied. Other credentials, and what only they see, were not.",
        )?;
    }
    Ok(())
}
