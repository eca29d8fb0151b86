//! Transfers: an app is given to a team, or offered to somebody who accepts or declines.

use clap::Args;
use paas_api::{App, AppTransfer, AppTransferUpdate, NewAppTransfer, TeamApp, TeamAppUpdate};

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::{Error, Result},
    table::Table,
    team_app,
};

#[derive(Debug, Args)]
pub(crate) struct TransferArgs {
    /// The email address or the team that is to own the app
    recipient: String,
    #[command(flatten)]
    app: AppArgs,
    /// Give away several apps; they are asked for
    #[arg(long)]
    bulk: bool,
    /// Lock the app upon transfer
    #[arg(short, long)]
    locked: bool,
    /// The app's name once more, instead of the question
    #[arg(short, long, value_name = "APP")]
    confirm: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print the transfers as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The app that was offered, or the id of the transfer
    #[arg(value_name = "APP")]
    name: String,
}

/// `apps:transfer`
pub(crate) fn transfer(args: &TransferArgs, context: &Context) -> Result<()> {
    if args.bulk {
        return transfer_many(args, context);
    }
    let name = args.app.name(context)?;
    let app: App = context.client.get(&format!("/apps/{}", segment(&name)))?;
    if args.recipient.contains('@') && app.team.is_some() {
        let consequence = "All collaborators will be removed from this app";
        context.confirm(&app.name, consequence, args.confirm.as_ref())?;
    }
    give(&app, &args.recipient, &format!(" to {}", args.recipient), context)?;
    if args.locked {
        team_app::switch(&app.name, true, context)?;
    }
    Ok(())
}

fn transfer_many(args: &TransferArgs, context: &Context) -> Result<()> {
    let mut apps: Vec<App> = context.client.list("/apps", "id")?;
    apps.sort_by(|one, other| one.name.cmp(&other.name));
    for (number, app) in (1_usize..).zip(&apps) {
        context
            .output
            .note(&format!("{number:3}. {} ({})", app.name, app.owner.email))?;
    }
    let question = "Numbers of the apps you would like to transfer, with commas: ";
    let answer = context
        .output
        .ask(question, "a choice of apps", "apps:transfer -a APP for each")?;
    let chosen = answer.split(',').map(str::trim).filter(|number| !number.is_empty());
    let chosen = chosen.map(|number| {
        let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let app = index.and_then(|index| apps.get(index));
        app.ok_or_else(|| Error::Usage(format!("{number} is none of the numbers above")))
    });
    let chosen: Vec<&App> = chosen.collect::<Result<_>>()?;
    context
        .output
        .warning(&format!("Transferring applications to {}...", args.recipient))?;
    chosen
        .into_iter()
        .try_for_each(|app| give(app, &args.recipient, "", context))
}

fn give(app: &App, recipient: &str, to: &str, context: &Context) -> Result<()> {
    if recipient.contains('@') && app.team.is_none() {
        let new = NewAppTransfer {
            app: app.name.clone().into(),
            recipient: recipient.into(),
            silent: None,
        };
        let work = || context.client.post::<AppTransfer>("/account/app-transfers", &new);
        let what = format!("Initiating transfer of {}{to}", app.name);
        context.output.action(&what, work, |_| String::new())?;
        return context.output.note(&format!(
            "{recipient} owns it from when they run: paas apps:transfers:accept {}",
            app.name
        ));
    }
    let update = TeamAppUpdate {
        locked: None,
        owner: Some(recipient.into()),
    };
    let path = format!("/teams/apps/{}", segment(&app.name));
    let work = || context.client.patch::<TeamApp>(&path, &update);
    let what = format!("Transferring {}{to}", app.name);
    context.output.action(&what, work, |_| String::new()).map(drop)
}

/// `apps:transfers`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let transfers: Vec<AppTransfer> = context.client.list("/account/app-transfers", "id")?;
    if args.json {
        return context.output.json(&transfers);
    }
    if transfers.is_empty() {
        return context.output.note("Nobody offers you an app, and you offer none.");
    }
    let rows = transfers.into_iter().map(|transfer| {
        [
            transfer.app.name,
            transfer.owner.email,
            transfer.recipient.email,
            transfer.state,
        ]
    });
    context.output.table(&Table::new(["app", "from", "to", "state"], rows))
}

/// `apps:transfers:accept`
pub(crate) fn accept(args: &OneArgs, context: &Context) -> Result<()> {
    answer(args, ("Accepting", "accepted"), context)
}

/// `apps:transfers:decline`
pub(crate) fn decline(args: &OneArgs, context: &Context) -> Result<()> {
    answer(args, ("Declining", "declined"), context)
}

/// `apps:transfers:cancel`
pub(crate) fn cancel(args: &OneArgs, context: &Context) -> Result<()> {
    let what = format!("Cancelling the transfer of {}", args.name);
    let path = path(args);
    context
        .output
        .action(&what, || context.client.delete(&path), |()| String::new())
}

fn answer(args: &OneArgs, (doing, state): (&str, &str), context: &Context) -> Result<()> {
    let update = AppTransferUpdate {
        state: state.to_owned(),
    };
    let work = || context.client.patch::<AppTransfer>(&path(args), &update);
    let what = format!("{doing} the transfer of {}", args.name);
    context.output.action(&what, work, |_| String::new()).map(drop)
}

fn path(args: &OneArgs) -> String {
    format!("/account/app-transfers/{}", segment(&args.name))
}
