//! OAuth clients: programs that act for people.

use clap::Args;
use paas_api::{NewOauthClient, OauthClient, OauthClientUpdate};

use crate::{
    app_context::Context,
    client::segment,
    error::{Error, Result},
    table::Table,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print the clients as JSON
    #[arg(short, long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// What people will see
    name: String,
    /// Where people are sent back to
    redirect_uri: String,
    #[command(flatten)]
    form: FormArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// Its ID
    id: String,
    #[command(flatten)]
    form: FormArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// Its ID
    id: String,
    /// What people will see
    #[arg(short, long)]
    name: Option<String>,
    /// Where people are sent back to (or `--url`)
    #[arg(long)]
    redirect_uri: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DestroyArgs {
    /// Its ID
    id: String,
}

#[derive(Debug, Args)]
struct FormArgs {
    /// Print the client as JSON
    #[arg(short, long)]
    json: bool,
    /// Print the client as shell variables
    #[arg(short, long, conflicts_with = "json")]
    shell: bool,
}

/// `clients`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let mut clients: Vec<OauthClient> = context.client.list("/oauth/clients", "id")?;
    clients.sort_by_key(|client| client.name.to_lowercase());
    if args.json {
        return context.output.json(&clients);
    }
    if clients.is_empty() {
        return context.output.line("No OAuth clients.");
    }
    let rows = clients
        .into_iter()
        .map(|client| [client.name, client.id.to_string(), client.redirect_uri]);
    context.output.table(&Table::new(["name", "id", "redirect_uri"], rows))
}

/// `clients:create`
pub(crate) fn create(args: &CreateArgs, context: &Context) -> Result<()> {
    let new = NewOauthClient {
        name: args.name.clone(),
        redirect_uri: args.redirect_uri.clone(),
    };
    let client = context.output.action(
        &format!("Creating {}", args.name),
        || context.client.post("/oauth/clients", &new),
        |_| String::new(),
    )?;
    if args.form.json {
        return context.output.json(&client);
    }
    as_variables(&client, context)
}

/// `clients:info`
pub(crate) fn info(args: &OneArgs, context: &Context) -> Result<()> {
    let client: OauthClient = context.client.get(&path(&args.id))?;
    show(&client, &args.form, context)
}

/// `clients:rotate`
pub(crate) fn rotate(args: &OneArgs, context: &Context) -> Result<()> {
    let path = format!("{}/actions/rotate-credentials", path(&args.id));
    let client: OauthClient = context.output.action(
        &format!("Updating {}", args.id),
        || context.client.post(&path, &serde_json::Map::new()),
        |_| String::new(),
    )?;
    show(&client, &args.form, context)
}

/// `clients:update`
pub(crate) fn update(args: &UpdateArgs, context: &Context) -> Result<()> {
    let update = OauthClientUpdate {
        name: args.name.clone(),
        redirect_uri: args.redirect_uri.clone(),
    };
    if update == OauthClientUpdate::default() {
        return Err(Error::Usage("No changes provided.".to_owned()));
    }
    let _: OauthClient = context.output.action(
        &format!("Updating {}", args.id),
        || context.client.patch(&path(&args.id), &update),
        |_| String::new(),
    )?;
    Ok(())
}

/// `clients:destroy`
pub(crate) fn destroy(args: &DestroyArgs, context: &Context) -> Result<()> {
    let what = format!("Destroying {}", args.id);
    context
        .output
        .action(&what, || context.client.delete(&path(&args.id)), |()| String::new())
}

fn path(id: &str) -> String {
    format!("/oauth/clients/{}", segment(id))
}

fn show(client: &OauthClient, form: &FormArgs, context: &Context) -> Result<()> {
    if form.json {
        return context.output.json(client);
    }
    if form.shell {
        return as_variables(client, context);
    }
    context.output.header(&client.name)?;
    context.output.facts(&[
        ("created_at", client.created_at.to_string()),
        ("id", client.id.to_string()),
        ("name", client.name.clone()),
        ("redirect_uri", client.redirect_uri.clone()),
        ("secret", client.secret.expose().to_owned()),
        ("updated_at", client.updated_at.to_string()),
    ])
}

/// The names that Heroku's OAuth libraries look for.
fn as_variables(client: &OauthClient, context: &Context) -> Result<()> {
    context.output.line(format!("HEROKU_OAUTH_ID={}", client.id))?;
    context
        .output
        .line(format!("HEROKU_OAUTH_SECRET={}", client.secret.expose()))
}
