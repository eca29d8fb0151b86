//! Attachments: which apps use an add-on, and under which name.

use clap::Args;
use paas_api::{AddonAttachment, NewAddonAttachment};

use crate::{
    addon::{find, newest_release},
    app_context::{AppArgs, Context},
    client::segment,
    error::Result,
};

#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// The add-on
    #[arg(value_name = "ADDON")]
    addon: String,
    #[command(flatten)]
    app: AppArgs,
    /// What the app calls it: DATABASE makes `DATABASE_URL`
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// As which user of a database, instead of its own
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// The app's name, to replace an attachment without asking
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DetachArgs {
    /// What the app calls it
    #[arg(value_name = "ATTACHMENT")]
    attachment: String,
    #[command(flatten)]
    app: AppArgs,
}

/// `addons:attach`
pub(crate) fn attach(args: &AttachArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let addon = find(context, &args.app, &args.addon)?;
    let whose = match &args.credential {
        Some(credential) => format!("{credential} of {}", addon.name),
        None => addon.name.clone(),
    };
    let what = match &args.name {
        Some(name) => format!("Attaching {whose} as {name} to {app}"),
        None => format!("Attaching {whose} to {app}"),
    };
    // The add-on's own credential has no name among attachments.
    let credential = args.credential.as_ref().filter(|name| *name != "default");
    let new = NewAddonAttachment {
        addon: addon.id.to_string().into(),
        app: app.clone().into(),
        confirm: args.confirm.clone(),
        name: args.name.clone(),
        namespace: credential.map(|name| format!("credential:{name}")),
    };
    let made: AddonAttachment = context.output.action(
        &what,
        || context.client.post("/addon-attachments", &new),
        |_| String::new(),
    )?;
    let keys = made.config_vars.join(", ");
    context.output.action_ending(
        &format!("Setting {keys} config vars and restarting {app}"),
        || newest_release(context, &app),
        |release| format!("done{release}"),
    )?;
    Ok(())
}

/// `addons:detach`
pub(crate) fn detach(args: &DetachArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let path = format!(
        "/apps/{}/addon-attachments/{}",
        segment(&app),
        segment(&args.attachment)
    );
    let found: AddonAttachment = context.client.get(&path)?;
    let what = format!("Detaching {} to {} from {app}", found.name, found.addon.name);
    let path = format!("/addon-attachments/{}", found.id);
    context.output.action(
        &what,
        || context.client.delete_reading::<AddonAttachment>(&path),
        |_| String::new(),
    )?;
    let keys = found.config_vars.join(", ");
    context.output.action_ending(
        &format!("Unsetting {keys} config vars and restarting {app}"),
        || newest_release(context, &app),
        |release| format!("done{release}"),
    )?;
    Ok(())
}
