//! `pg:copy`: what is in a database takes the place of what is in another one.

use clap::Args;
use paas_api::{AddonCopy, AddonCredential, Rendezvous, rendezvous::Frame};

use crate::{
    addon::find,
    app_context::{AppArgs, Context},
    error::{Error, Result},
    rendezvous::{Link, watch},
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
    let run = || {
        let made: Rendezvous = context.client.post(&path, &new)?;
        let (mut bytes, mut trouble) = (0, Vec::new());
        let code = watch(
            Link::open(&context.client.base, &made.attach_path)?,
            |frame| match frame {
                Frame::Output(words) => {
                    let count = String::from_utf8_lossy(words)
                        .lines()
                        .last()
                        .and_then(|line| line.parse().ok());
                    bytes = count.unwrap_or(bytes);
                }
                Frame::ErrorOutput(words) => trouble.extend_from_slice(words),
                _ => {}
            },
        )?;
        if code == 0 {
            return Ok(bytes);
        }
        let trouble = String::from_utf8_lossy(&trouble).trim().to_owned();
        // Others are filled in place.
        Err(Error::Usage(match target.addon_service.name.as_str() {
            "heroku-postgresql" => format!("{trouble}. {} is as it was", target.name),
            _ => format!("{trouble}. Look at what is in {} now, and copy again", target.name),
        }))
    };
    let what = format!("Copying {} to {}", source.name, target.name);
    context.output.action(&what, run, |bytes: &u64| match bytes {
        0 => String::new(),
        bytes => format!(", {} MB", bytes / 1_000_000),
    })?;
    let path = format!("/postgres/v0/databases/{}/credentials", source.id);
    let credentials: Vec<AddonCredential> = context.client.get(&path)?;
    if credentials.len() > 1 {
        context.output.warning(
            "Only what the default credential sees was copied. Other credentials, and what only they see, were not.",
        )?;
    }
    Ok(())
}
