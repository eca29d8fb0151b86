//! The verbs for who works on what: collaborators, teams, transfers.

use clap::Subcommand;

use crate::{app_context::Context, app_transfer, collaborator, error::Result, team, team_app, team_member};

#[derive(Debug, Subcommand)]
pub(super) enum TeamVerb {
    /// List who has access to an app
    Access(collaborator::ListArgs),
    /// Give somebody access to an app
    #[command(name = "access:add")]
    AccessAdd(collaborator::AddArgs),
    /// Change what somebody may do with the app of a team
    #[command(name = "access:update")]
    AccessUpdate(collaborator::UpdateArgs),
    /// Take somebody's access to an app away
    #[command(name = "access:remove")]
    AccessRemove(collaborator::RemoveArgs),
    /// List the teams that you are a member of
    #[command(visible_alias = "orgs")]
    Teams(team::ListArgs),
    /// Make a team, whose first admin you are
    #[command(name = "teams:create")]
    TeamsCreate(team::CreateArgs),
    /// Remove a team that owns no apps
    #[command(name = "teams:destroy")]
    TeamsDestroy(team::DestroyArgs),
    /// List the members of a team
    Members(team_member::ListArgs),
    /// Add somebody to a team
    #[command(name = "members:add")]
    MembersAdd(team_member::SetArgs),
    /// Change what a member of a team is
    #[command(name = "members:set")]
    MembersSet(team_member::SetArgs),
    /// Remove somebody from a team and from all its apps
    #[command(name = "members:remove")]
    MembersRemove(team_member::RemoveArgs),
    /// Give an app to a team, or offer it to somebody
    #[command(name = "apps:transfer")]
    AppsTransfer(app_transfer::TransferArgs),
    /// List the apps that are offered to you, or by you
    #[command(name = "apps:transfers")]
    AppsTransfers(app_transfer::ListArgs),
    /// Become the owner of an app that is offered to you
    #[command(name = "apps:transfers:accept")]
    AppsTransfersAccept(app_transfer::OneArgs),
    /// Decline an app that is offered to you
    #[command(name = "apps:transfers:decline")]
    AppsTransfersDecline(app_transfer::OneArgs),
    /// Take an offer back
    #[command(name = "apps:transfers:cancel")]
    AppsTransfersCancel(app_transfer::OneArgs),
    /// Keep members of the team from seeing and joining an app
    #[command(name = "apps:lock", visible_alias = "lock")]
    AppsLock(team_app::LockArgs),
    /// Let members of the team see and join an app again
    #[command(name = "apps:unlock", visible_alias = "unlock")]
    AppsUnlock(team_app::LockArgs),
    /// Add yourself to the app of a team
    #[command(name = "apps:join", visible_alias = "join")]
    AppsJoin(collaborator::SelfArgs),
    /// Remove yourself from an app
    #[command(name = "apps:leave", visible_alias = "leave")]
    AppsLeave(collaborator::SelfArgs),
}

pub(super) fn dispatch(verb: &TeamVerb, context: &Context) -> Result<()> {
    match verb {
        TeamVerb::Access(args) => collaborator::list(args, context),
        TeamVerb::AccessAdd(args) => collaborator::add(args, context),
        TeamVerb::AccessUpdate(args) => collaborator::update(args, context),
        TeamVerb::AccessRemove(args) => collaborator::remove(args, context),
        TeamVerb::Teams(args) => team::list(args, context),
        TeamVerb::TeamsCreate(args) => team::create(args, context),
        TeamVerb::TeamsDestroy(args) => team::destroy(args, context),
        TeamVerb::Members(args) => team_member::list(args, context),
        TeamVerb::MembersAdd(args) => team_member::add(args, context),
        TeamVerb::MembersSet(args) => team_member::set(args, context),
        TeamVerb::MembersRemove(args) => team_member::remove(args, context),
        TeamVerb::AppsTransfer(args) => app_transfer::transfer(args, context),
        TeamVerb::AppsTransfers(args) => app_transfer::list(args, context),
        TeamVerb::AppsTransfersAccept(args) => app_transfer::accept(args, context),
        TeamVerb::AppsTransfersDecline(args) => app_transfer::decline(args, context),
        TeamVerb::AppsTransfersCancel(args) => app_transfer::cancel(args, context),
        TeamVerb::AppsLock(args) => team_app::lock(args, context),
        TeamVerb::AppsUnlock(args) => team_app::unlock(args, context),
        TeamVerb::AppsJoin(args) => collaborator::join(args, context),
        TeamVerb::AppsLeave(args) => collaborator::leave(args, context),
    }
}
