//! Attachments: which apps use an add-on, and under which name.

use clap::Args;
use paas_api::{Addon, AddonAttachment, NewAddonAttachment};

use crate::{
    addon::{find, newest_release},
    app_context::{AppArgs, Context},
    client::segment,
    error::{Error, Result},
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

/// Makes an add-on what the app calls `name`. What was called so before keeps a name of its own.
pub(crate) fn promote(context: &Context, app: &str, addon: &Addon, name: &str) -> Result<()> {
    let path = format!("/apps/{}/addon-attachments", segment(app));
    let attachments: Vec<AddonAttachment> = context.client.list(&path, "id")?;
    // Of the add-on's own credential: the others are other users.
    let own = |attachment: &&AddonAttachment| attachment.namespace.is_none();
    let current = attachments.iter().find(|attachment| attachment.name == name);
    if current.filter(own).is_some_and(|current| current.addon.id == addon.id) {
        return Err(Error::Usage(format!("{} is already promoted on {app}", addon.name)));
    }
    let attach = |addon: String, name: Option<&str>, namespace: Option<String>, confirm: Option<&str>| {
        let new = NewAddonAttachment {
            addon: addon.into(),
            app: app.to_owned().into(),
            confirm: confirm.map(str::to_owned),
            name: name.map(str::to_owned),
            namespace,
        };
        context.client.post::<AddonAttachment>("/addon-attachments", &new)
    };
    if let Some(current) = current {
        let is_alias = |other: &AddonAttachment| {
            other.addon.id == current.addon.id && other.namespace == current.namespace && other.name != name
        };
        if !attachments.iter().any(is_alias) {
            let (old, namespace) = (current.addon.id.to_string(), current.namespace.clone());
            context.output.action_ending(
                &format!("Ensuring an alternate alias for existing {name}_URL"),
                || attach(old, None, namespace, None),
                |made| format!("{}_URL", made.name),
            )?;
        }
    }
    let what = format!("Promoting {} to {name}_URL on {app}", addon.name);
    let promote = || attach(addon.id.to_string(), Some(name), None, Some(app));
    context.output.action(&what, promote, |_| String::new()).map(drop)
}
