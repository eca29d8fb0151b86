//! Who is in a team: shown, added, changed, removed.

use clap::Args;
use paas_api::{TeamMember, TeamMemberUpdate};

use crate::{app_context::Context, client::segment, error::Result, table::Table};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The team
    #[arg(short, long)]
    team: String,
    /// Only those of this role: admin, collaborator, member or viewer
    #[arg(short, long)]
    role: Option<String>,
    /// Only those who were invited and have not accepted: nobody, since members are added at once
    #[arg(long)]
    pending: bool,
    /// Print the members as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The email address of the member
    email: String,
    /// What they are to be: admin, member or viewer
    #[arg(short, long)]
    role: String,
    /// The team
    #[arg(short, long)]
    team: String,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The email address of the member
    email: String,
    /// The team
    #[arg(short, long)]
    team: String,
}

/// `members`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let mut members: Vec<TeamMember> = context.client.list(&path(&args.team), "id")?;
    members.sort_by(|one, other| one.email.cmp(&other.email));
    members.retain(|member| args.role.is_none() || member.role == args.role);
    if args.pending {
        members.clear();
    }
    if args.json {
        return context.output.json(&members);
    }
    if members.is_empty() {
        let role = args.role.as_ref().map(|role| format!(" with role {role}"));
        return context
            .output
            .line(format!("No members in {}{}", args.team, role.unwrap_or_default()));
    }
    let rows = members
        .into_iter()
        .map(|member| [member.email, member.role.unwrap_or_default()]);
    context.output.table(&Table::new(["email", "role"], rows))
}

/// `members:add`
pub(crate) fn add(args: &SetArgs, context: &Context) -> Result<()> {
    let work = || context.client.put::<TeamMember>(&path(&args.team), &update(args));
    context.output.action(&what(args), work, |_| String::new()).map(drop)
}

/// `members:set`
pub(crate) fn set(args: &SetArgs, context: &Context) -> Result<()> {
    let work = || context.client.patch::<TeamMember>(&path(&args.team), &update(args));
    context.output.action(&what(args), work, |_| String::new()).map(drop)
}

/// `members:remove`
pub(crate) fn remove(args: &RemoveArgs, context: &Context) -> Result<()> {
    let path = format!("{}/{}", path(&args.team), segment(&args.email));
    let what = format!("Removing {} from {}", args.email, args.team);
    context
        .output
        .action(&what, || context.client.delete(&path), |()| String::new())
}

fn path(team: &str) -> String {
    format!("/teams/{}/members", segment(team))
}

fn update(args: &SetArgs) -> TeamMemberUpdate {
    TeamMemberUpdate {
        email: args.email.clone(),
        federated: None,
        role: args.role.clone(),
    }
}

fn what(args: &SetArgs) -> String {
    format!("Adding {} to {} as {}", args.email, args.team, args.role)
}
