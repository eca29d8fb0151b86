//! `pg:credentials:`: users of a database, each with the rights that somebody has granted it.

use clap::Args;
use paas_api::{Addon, AddonAttachment, AddonCredential, CredentialRotation, NewCredential};

use super::DatabaseArgs;
use crate::{
    app_context::Context,
    client::segment,
    error::{Error, Result},
    table::Table,
};

const DEFAULT: &str = "default";

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Print the credentials as JSON, passwords and all
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NamedArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// What the credential is called
    #[arg(short, long, value_name = "NAME")]
    name: String,
}

#[derive(Debug, Args)]
pub(crate) struct UrlArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Which credential
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT)]
    name: String,
}

#[derive(Debug, Args)]
pub(crate) struct DestroyArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Which credential
    #[arg(short, long, value_name = "NAME")]
    name: String,
    /// The app's name, to do it without asking
    #[arg(short, long, value_name = "NAME")]
    confirm: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Which credential [default: default]
    #[arg(short, long, value_name = "NAME", conflicts_with = "all")]
    name: Option<String>,
    /// All of them
    #[arg(long)]
    all: bool,
    /// As without: no password is good for a while beside the next
    #[arg(long)]
    force: bool,
    /// The app's name, to do it without asking
    #[arg(short, long, value_name = "NAME")]
    confirm: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The app's name, to do it without asking
    #[arg(short, long, value_name = "NAME")]
    confirm: Option<String>,
}

/// `pg:credentials`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let database = args.database.find(context)?;
    let credentials: Vec<AddonCredential> = context.client.get(&of(&database))?;
    if args.json {
        return context.output.json(&credentials);
    }
    let path = format!("/addons/{}/addon-attachments", database.id);
    let uses: Vec<AddonAttachment> = context.client.list(&path, "id")?;
    let mut rows = Vec::new();
    for credential in credentials {
        let namespace = (credential.name != DEFAULT).then(|| format!("credential:{}", credential.name));
        rows.push([credential.name, credential.state]);
        let uses: Vec<_> = uses.iter().filter(|used| used.namespace == namespace).collect();
        for (index, used) in uses.iter().enumerate() {
            let branch = if index + 1 == uses.len() { "└─" } else { "├─" };
            rows.push([
                format!(" {branch} as {} on {} app", used.name, used.app.name),
                String::new(),
            ]);
        }
    }
    context.output.table(&Table::new(["Credential", "State"], rows))
}

/// `pg:credentials:create`
pub(crate) fn create(args: &NamedArgs, context: &Context) -> Result<()> {
    let database = args.database.find(context)?;
    let (name, path) = (args.name.clone(), of(&database));
    let new = NewCredential { name: name.clone() };
    context.output.action(
        &format!("Creating credential {name}"),
        || context.client.post::<AddonCredential>(&path, &new),
        |_| String::new(),
    )?;
    let app = &database.app.name;
    context.output.line(format!(
        "\nPlease attach the credential to the apps you want to use it in by running paas addons:attach {0} --credential \
         {name} -a {app}.\nPlease define the new grants for the credential within Postgres: paas pg:psql {0} -a {app}.",
        database.name
    ))
}

/// `pg:credentials:destroy`
pub(crate) fn destroy(args: &DestroyArgs, context: &Context) -> Result<()> {
    let database = args.database.find(context)?;
    let name = &args.name;
    if name == DEFAULT {
        return Err(Error::Usage("Default credential cannot be destroyed.".to_owned()));
    }
    let consequence = format!("Nobody comes to {} with the credential {name} any more.", database.name);
    context.confirm(&database.app.name, &consequence, args.confirm.as_ref())?;
    let path = format!("{}/{}", of(&database), segment(name));
    context.output.action(
        &format!("Destroying credential {name}"),
        || context.client.delete_reading::<AddonCredential>(&path),
        |_| String::new(),
    )?;
    context
        .output
        .line(format!("The credential has been destroyed within {}.", database.name))?;
    context.output.line(format!(
        "Database objects owned by {name} will be assigned to the default credential."
    ))
}

/// `pg:credentials:url`
pub(crate) fn url(args: &UrlArgs, context: &Context) -> Result<()> {
    let database = args.database.find(context)?;
    let path = format!("{}/{}", of(&database), segment(&args.name));
    let found: AddonCredential = context.client.get(&path)?;
    let active = found.credentials.iter().find(|user| user.state == "active");
    let Some(active) = active else {
        return Err(Error::Usage(format!(
            "Could not find any active credentials for {}",
            args.name
        )));
    };
    let (user, password) = (&active.user, active.password.expose());
    let (name, host, port) = (&found.database, &found.host, found.port);
    context.output.line(format!(
        "Connection information for {} credential.\nConnection info string:\n  \"dbname={name} host={host} port={port} \
         user={user} password={password} sslmode=require\"\nConnection URL:\n  \
         postgres://{user}:{password}@{host}:{port}/{name}",
        args.name
    ))
}

/// `pg:credentials:rotate`
pub(crate) fn rotate(args: &RotateArgs, context: &Context) -> Result<()> {
    let database = args.database.find(context)?;
    let name = args.name.as_deref().unwrap_or(DEFAULT);
    let (what, path, whose) = if args.all {
        let path = format!("/postgres/v0/databases/{}/credentials_rotation", database.id);
        ("all credentials", path, "all passwords")
    } else {
        let path = format!("{}/{}/credentials_rotation", of(&database), segment(name));
        (name, path, "the password")
    };
    let consequence = format!(
        "This changes {whose} of {}, and all apps that use it restart.",
        database.name
    );
    context.confirm(&database.app.name, &consequence, args.confirm.as_ref())?;
    let rotation = CredentialRotation {
        forced: args.force.then_some(true),
    };
    let rotate = || context.client.post::<serde_json::Value>(&path, &rotation);
    let what = format!("Rotating {what} on {}", database.name);
    context.output.action(&what, rotate, |_| String::new()).map(drop)
}

/// `pg:credentials:repair-default`
pub(crate) fn repair(args: &RepairArgs, context: &Context) -> Result<()> {
    let database = args.database.find(context)?;
    let consequence = "Ownership of all database objects owned by additional credentials will be transferred to the default credential.";
    context.confirm(&database.app.name, consequence, args.confirm.as_ref())?;
    let path = format!("/postgres/v0/databases/{}/repair-default", database.id);
    let repair = || context.client.post::<AddonCredential>(&path, &serde_json::Map::new());
    let what = "Resetting permissions and object ownership for default role to factory settings";
    context.output.action(what, repair, |_| String::new()).map(drop)
}

fn of(database: &Addon) -> String {
    format!("/postgres/v0/databases/{}/credentials", database.id)
}
