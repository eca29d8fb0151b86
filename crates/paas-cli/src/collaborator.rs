//! Who works on an app: shown, added, changed, removed.

use clap::Args;
use paas_api::{Account, App, Collaborator, CollaboratorUpdate, NewCollaborator};
use serde_json::{Value, json};

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::{Error, Result},
    table::Table,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Print the collaborators as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The email address of whoever is to work on the app
    email: String,
    #[command(flatten)]
    app: AppArgs,
    /// What they may do with the app of a team: deploy, operate, manage
    #[arg(short, long, value_delimiter = ',')]
    permissions: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// The email address of somebody who works on the app
    email: String,
    #[command(flatten)]
    app: AppArgs,
    /// All that they may do from now on: deploy, operate, manage
    #[arg(short, long, value_delimiter = ',', required = true)]
    permissions: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The email address of whoever is not to work on the app any more
    email: String,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SelfArgs {
    #[command(flatten)]
    app: AppArgs,
}

/// `access`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let name = args.app.name(context)?;
    let app: App = context.client.get(&format!("/apps/{}", segment(&name)))?;
    let collaborators: Vec<Value> = context
        .client
        .list(&format!("/apps/{}/collaborators", segment(&name)), "id")?;
    let admins = match &app.team {
        Some(team) => admins(&team.name, context)?,
        None => Vec::new(),
    };
    let has_admins = !admins.is_empty();
    let others = collaborators
        .into_iter()
        .filter(|one| !has_admins || one["role"] != "admin");
    let mut people: Vec<Value> = others.chain(admins).collect();
    if args.json {
        return context.output.json(&people);
    }
    let email = |one: &Value| one["user"]["email"].as_str().unwrap_or_default().to_owned();
    people.retain(|one| !email(one).ends_with("@herokumanager.com"));
    people.sort_by_key(email);
    let rows = people.iter().map(|one| {
        let names = one["permissions"].as_array().into_iter().flatten();
        let mut names: Vec<&str> = names.filter_map(|permission| permission["name"].as_str()).collect();
        names.sort_unstable();
        let role = one["role"].as_str().unwrap_or("collaborator");
        [email(one), role.to_owned(), names.join(", ")]
    });
    context
        .output
        .table(&Table::new(["email", "role", "permissions"], rows))
}

/// The admins of a team, as collaborators with every permission; nobody for those who may not know.
fn admins(team: &str, context: &Context) -> Result<Vec<Value>> {
    let members = context
        .client
        .list::<Value>(&format!("/teams/{}/members", segment(team)), "id");
    let mut members = match members {
        Err(error) if error.is_forbidden() => return Ok(Vec::new()),
        members => members?,
    };
    let permissions: Value = context.client.get("/teams/permissions")?;
    members.retain(|member| member["role"] == "admin");
    for admin in &mut members {
        admin["user"] = json!({ "email": admin["email"] });
        admin["permissions"] = permissions.clone();
    }
    Ok(members)
}

/// `access:add`
pub(crate) fn add(args: &AddArgs, context: &Context) -> Result<()> {
    let name = args.app.name(context)?;
    let app: App = context.client.get(&format!("/apps/{}", segment(&name)))?;
    let mut what = format!("Adding {} access to the app {name}", args.email);
    let (path, permissions) = if app.team.is_some() {
        if args.permissions.is_empty() {
            return Err(Error::Usage(
                "The app of a team takes permissions: add --permissions deploy,operate".to_owned(),
            ));
        }
        let permissions = with_view(&args.permissions);
        what = format!("{what} with {} permissions", permissions.join(", "));
        (
            format!("/teams/apps/{}/collaborators", segment(&name)),
            Some(permissions),
        )
    } else {
        (format!("/apps/{}/collaborators", segment(&name)), None)
    };
    let new = NewCollaborator {
        permissions,
        silent: None,
        user: args.email.clone().into(),
    };
    let work = || context.client.post::<Collaborator>(&path, &new);
    context.output.action(&what, work, |_| String::new()).map(drop)
}

/// `access:update`
pub(crate) fn update(args: &UpdateArgs, context: &Context) -> Result<()> {
    let name = args.app.name(context)?;
    let app: App = context.client.get(&format!("/apps/{}", segment(&name)))?;
    if app.team.is_none() {
        return Err(Error::Absent(format!(
            "cannot update permissions. The app {name} is not owned by a team"
        )));
    }
    let permissions = with_view(&args.permissions);
    let what = format!(
        "Updating {} in application {name} with {} permissions",
        args.email,
        permissions.join(",")
    );
    let path = format!("/teams/apps/{}/collaborators/{}", segment(&name), segment(&args.email));
    let work = || {
        context
            .client
            .patch::<Collaborator>(&path, &CollaboratorUpdate { permissions })
    };
    context.output.action(&what, work, |_| String::new()).map(drop)
}

/// `access:remove`
pub(crate) fn remove(args: &RemoveArgs, context: &Context) -> Result<()> {
    let name = args.app.name(context)?;
    let what = format!("Removing {} access from the app {name}", args.email);
    let path = format!("/apps/{}/collaborators/{}", segment(&name), segment(&args.email));
    context
        .output
        .action(&what, || context.client.delete(&path), |()| String::new())
}

/// `apps:join`
pub(crate) fn join(args: &SelfArgs, context: &Context) -> Result<()> {
    let name = args.app.name(context)?;
    let work = || {
        let account: Account = context.client.get("/account")?;
        let new = NewCollaborator {
            permissions: None,
            silent: None,
            user: account.email.into(),
        };
        let path = format!("/teams/apps/{}/collaborators", segment(&name));
        context.client.post::<Collaborator>(&path, &new)
    };
    let what = format!("Joining {name}");
    context.output.action(&what, work, |_| String::new()).map(drop)
}

/// `apps:leave`
pub(crate) fn leave(args: &SelfArgs, context: &Context) -> Result<()> {
    let name = args.app.name(context)?;
    let account: Account = context.client.get("/account")?;
    let path = format!("/apps/{}/collaborators/{}", segment(&name), segment(&account.email));
    let what = format!("Leaving {name}");
    context
        .output
        .action(&what, || context.client.delete(&path), |()| String::new())
}

/// Whoever may do anything may look.
fn with_view(permissions: &[String]) -> Vec<String> {
    let mut permissions = permissions.to_vec();
    permissions.push("view".to_owned());
    permissions.sort();
    permissions.dedup();
    permissions
}
