//! `apps`: one's own, those that others share, and those of a team.

use clap::Args;
use paas_api::{Account, App, TeamApp};

use crate::{app_context::Context, client::segment, error::Result, table::Table};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Include the apps of all teams, and those that others share with you
    #[arg(short = 'A', long, conflicts_with = "team")]
    all: bool,
    /// Only the apps of this team
    #[arg(short, long)]
    team: Option<String>,
    /// Print the apps as JSON
    #[arg(short, long)]
    json: bool,
}

/// `apps`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    if let Some(team) = &args.team {
        return of_team(team, args, context);
    }
    let path = if args.all { "/apps" } else { "/users/~/apps" };
    let mut apps: Vec<App> = context.client.list(path, "id")?;
    apps.sort_by(|one, other| one.name.cmp(&other.name));
    if args.json {
        return context.output.json(&apps);
    }
    if apps.is_empty() {
        return context.output.note("You have no apps.");
    }
    let account: Account = context.client.get("/account")?;
    let (own, others): (Vec<_>, Vec<_>) = apps.into_iter().partition(|app| app.owner.email == account.email);
    if !own.is_empty() {
        context.output.header(&format!("{} Apps", account.email))?;
        own.iter().try_for_each(|app| context.output.line(&app.name))?;
    }
    if others.is_empty() {
        return Ok(());
    }
    context.output.line("\nCollaborated Apps\n")?;
    let rows = others.into_iter().map(|app| [app.name, app.owner.email]);
    context.output.table(&Table::new(["Name", "Email"], rows))
}

fn of_team(team: &str, args: &ListArgs, context: &Context) -> Result<()> {
    let mut apps: Vec<TeamApp> = context.client.list(&format!("/teams/{}/apps", segment(team)), "id")?;
    apps.sort_by(|one, other| one.name.cmp(&other.name));
    if args.json {
        return context.output.json(&apps);
    }
    if apps.is_empty() {
        return context.output.line(format!("There are no apps in team {team}."));
    }
    context.output.header(&format!("Apps in team {team}"))?;
    apps.iter().try_for_each(|app| {
        let mark = if app.locked { " [locked]" } else { "" };
        context.output.line(format!("{}{mark}", app.name))
    })
}
