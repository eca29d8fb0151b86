//! Teams: listed, made, removed.

use clap::Args;
use paas_api::{NewTeam, Team};

use crate::{app_context::Context, client::segment, error::Result, table::Table};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print the teams as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The name of the team
    name: String,
    /// Print the team as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DestroyArgs {
    /// The team to remove; its apps have to be gone
    name: String,
    /// The team's name once more, instead of the question
    #[arg(short, long, value_name = "TEAM")]
    confirm: Option<String>,
}

/// `teams`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let mut teams: Vec<Team> = context.client.list("/teams", "id")?;
    if args.json {
        return context.output.json(&teams);
    }
    teams.sort_by(|one, other| one.name.cmp(&other.name));
    let rows = teams.into_iter().map(|team| [team.name, team.role.unwrap_or_default()]);
    context.output.table(&Table::new(["Team", "Role"], rows))
}

/// `teams:create`
pub(crate) fn create(args: &CreateArgs, context: &Context) -> Result<()> {
    let what = format!("Creating team {}", args.name);
    let new = NewTeam {
        name: args.name.clone(),
    };
    let work = || context.client.post::<Team>("/teams", &new);
    let team = context.output.action(&what, work, |_| String::new())?;
    if args.json { context.output.json(&team) } else { Ok(()) }
}

/// `teams:destroy`
pub(crate) fn destroy(args: &DestroyArgs, context: &Context) -> Result<()> {
    let consequence = format!("This removes the team {} and everybody from it.", args.name);
    context.confirm(&args.name, &consequence, args.confirm.as_ref())?;
    let path = format!("/teams/{}", segment(&args.name));
    let what = format!("Destroying team {}", args.name);
    context
        .output
        .action(&what, || context.client.delete(&path), |()| String::new())
}
