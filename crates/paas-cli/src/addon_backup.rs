//! `pg:backups`: copies of what is in add-ons, taken, looked at, fetched, and put back.

mod schedule;
mod show;

use std::{
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use clap::Args;
use paas_api::{NewRestore, PublicUrl, Transfer, UNPROVEN};

pub(crate) use schedule::{ScheduleArgs, SchedulesArgs, schedule, schedules, unschedule};
use show::Sort;
pub(crate) use show::{ListArgs, info, list};

use crate::{
    addon::find,
    app_context::{AppArgs, Context},
    client::segment,
    error::{Error, Result},
    postgres::DatabaseArgs,
};

#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The backup, such as b001 [default: the newest]
    #[arg(value_name = "BACKUP")]
    backup: Option<String>,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CaptureArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Come back at once, while it goes on
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DownloadArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Where to [default: latest.dump]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The backup, such as b001
    #[arg(value_name = "BACKUP")]
    backup: String,
    #[command(flatten)]
    app: AppArgs,
    /// The app's name, to do it without asking
    #[arg(short, long, value_name = "NAME")]
    confirm: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup: b001, that of another app as `app::b001`, or an address of one [default: the newest of the database]
    #[arg(value_name = "BACKUP")]
    backup: Option<String>,
    /// The database [default: DATABASE]
    #[arg(value_name = "DATABASE")]
    database: Option<String>,
    #[command(flatten)]
    app: AppArgs,
    /// The app's name, to do it without asking
    #[arg(short, long, value_name = "NAME")]
    confirm: Option<String>,
}

const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// `pg:backups:capture`
pub(crate) fn capture(args: &CaptureArgs, context: &Context) -> Result<()> {
    let database = args.database.find(context)?;
    let path = format!("/client/v11/databases/{}/backups", database.id);
    let begin = || context.client.post::<Transfer>(&path, &serde_json::Map::new());
    let what = format!("Starting backup of {}", database.name);
    let begun = context.output.action(&what, begin, |_| String::new())?;
    if args.no_wait {
        return context
            .output
            .note(&format!("{} goes on: see paas pg:backups", begun.name));
    }
    let what = format!("Backing up {} to {}", database.name, begun.name);
    follow(context, &database.app.name, &begun, &what)
}

/// `pg:backups:cancel`
pub(crate) fn cancel(args: &OneArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let name = match &args.backup {
        Some(name) => name.clone(),
        None => {
            let running = of_app(context, &app)?.into_iter().rfind(|one| one.succeeded.is_none());
            let running = running.ok_or_else(|| Error::Absent(format!("No backup of {app} is running")))?;
            running.name
        }
    };
    let path = format!("{}/{}/actions/cancel", path_of(&app), segment(&name));
    let cancel = || context.client.post::<Transfer>(&path, &serde_json::Map::new());
    let what = format!("Canceling {name}");
    context.output.action(&what, cancel, |_| String::new()).map(drop)
}

/// `pg:backups:delete`
pub(crate) fn delete(args: &DeleteArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let consequence = format!("This removes backup {} for good.", args.backup);
    context.confirm(&app, &consequence, args.confirm.as_ref())?;
    let path = format!("{}/{}", path_of(&app), segment(&args.backup));
    let delete = || context.client.delete_reading::<Transfer>(&path);
    let what = format!("Deleting backup {} on {app}", args.backup);
    context.output.action(&what, delete, |_| String::new()).map(drop)
}

/// `pg:backups:prove`
pub(crate) fn prove(args: &OneArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let transfer = one(context, &app, args.backup.as_deref())?;
    let before = transfer.proof.as_ref().map(|proof| proof.created_at);
    let path = format!("{}/{}", path_of(&app), transfer.uuid);
    let prove = || {
        let _: Transfer = context
            .client
            .post(&format!("{path}/actions/prove"), &serde_json::Map::new())?;
        loop {
            let now: Transfer = context.client.get(&path)?;
            if let Some(proof) = now.proof
                && Some(proof.created_at) != before
            {
                return Ok(proof);
            }
            // That says nothing about the backup, and waiting on would not help.
            if let Some(log) = now.logs.iter().find(|log| log.message.starts_with(UNPROVEN)) {
                return Err(Error::Absent(format!(
                    "{0} {1}\nTry again when that is over: paas pg:backups:prove {0}",
                    now.name, log.message
                )));
            }
            thread::sleep(LOOK_AGAIN);
        }
    };
    let what = format!("Restoring {} into a scratch server", transfer.name);
    let proof = context.output.action(&what, prove, |_| String::new())?;
    if proof.succeeded {
        return context
            .output
            .line(format!("{} is good: {}", transfer.name, proof.message));
    }
    Err(Error::Absent(format!(
        "{} is no good: {}",
        transfer.name, proof.message
    )))
}

/// `pg:backups:url`
pub(crate) fn url(args: &OneArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let transfer = one(context, &app, args.backup.as_deref())?;
    context.output.line(public(context, &app, &transfer)?.url)
}

/// `pg:backups:download`
pub(crate) fn download(args: &DownloadArgs, context: &Context) -> Result<()> {
    let app = args.one.app.name(context)?;
    let transfer = one(context, &app, args.one.backup.as_deref())?;
    let public = public(context, &app, &transfer)?;
    let destination = args.output.clone().unwrap_or_else(|| PathBuf::from("latest.dump"));
    let wrong = |source| Error::File {
        path: destination.display().to_string(),
        source,
    };
    // Whole or not at all: beside its place first.
    let folder = destination.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut draft = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(wrong)?;
    let fetch = || {
        let mut stream = context.client.text_stream(&public.url)?;
        let bytes = io::copy(&mut stream.reader, &mut draft).map_err(wrong)?;
        if bytes == transfer.processed_bytes {
            Ok(())
        } else {
            Err(Error::Absent("The backup did not come whole. Try again".to_owned()))
        }
    };
    let what = format!("Getting backup from {app}");
    context
        .output
        .action(&what, fetch, |()| format!(", #{}", transfer.num))?;
    let file = draft.persist(&destination).map_err(|error| wrong(error.error))?;
    file.sync_all().map_err(wrong)
}

/// `pg:backups:restore`
pub(crate) fn restore(args: &RestoreArgs, context: &Context) -> Result<()> {
    let database = find(context, &args.app, args.database.as_deref().unwrap_or("DATABASE"))?;
    let given = args.backup.as_deref();
    let (backup_url, described) = if let Some(url) = given.filter(|name| name.contains("://")) {
        (url.to_owned(), "the backup of that address".to_owned())
    } else {
        let app = args.app.name(context)?;
        let (from, name) = match given.map(|name| name.split_once("::").ok_or(name)) {
            Some(Ok((other, name))) => (other.to_owned(), Some(name)),
            Some(Err(name)) => (app, Some(name)),
            None => (app, None),
        };
        let transfer = match name {
            Some(_) => one(context, &from, name)?,
            None => newest_good(context, &from, |transfer| transfer.addon_id == database.id)?,
        };
        (public(context, &from, &transfer)?.url, transfer.name)
    };
    let consequence = format!(
        "What is in {} now is replaced by {described}. A backup of it is made before.",
        database.name
    );
    context.confirm(&database.app.name, &consequence, args.confirm.as_ref())?;
    let new = NewRestore {
        backup_url,
        extensions: None,
    };
    let path = format!("/client/v11/databases/{}/restores", database.id);
    let begin = || context.client.post::<Transfer>(&path, &new);
    let what = format!("Starting restore of {described} to {}", database.name);
    let begun = context.output.action(&what, begin, |_| String::new())?;
    follow(context, &database.app.name, &begun, "Restoring")
}

/// Looks until it has ended, and says how much has passed.
pub(crate) fn follow(context: &Context, app: &str, begun: &Transfer, what: &str) -> Result<()> {
    let noun = Sort::of(begun).noun();
    context.output.note(&format!(
        "
Use Ctrl-C at any time to stop monitoring progress; the {noun} will continue running.
Use paas pg:backups:info {} to check progress.
Stop a running {noun} with paas pg:backups:cancel.
",
        begun.name
    ))?;
    let path = format!("{}/{}", path_of(app), begun.uuid);
    let look = || loop {
        let now: Transfer = context.client.get(&path)?;
        match now.succeeded {
            Some(true) => return Ok(now.processed_bytes),
            Some(false) => {
                let why = now.logs.last().map_or("it did not say why", |log| log.message.as_str());
                return Err(Error::Absent(format!("{} failed: {why}", now.name)));
            }
            None => thread::sleep(LOOK_AGAIN),
        }
    };
    let passed = |bytes: &u64| format!(", {}", show::bytes(*bytes));
    context.output.action(what, look, passed).map(drop)
}

/// The one of this name, or the newest that can be counted on.
fn one(context: &Context, app: &str, name: Option<&str>) -> Result<Transfer> {
    match name {
        Some(name) => context.client.get(&format!("{}/{}", path_of(app), segment(name))),
        None => newest_good(context, app, |_| true),
    }
}

/// The newest of these whose bytes are there, and that no proof has found to be no good.
fn newest_good(context: &Context, app: &str, is_meant: impl Fn(&Transfer) -> bool) -> Result<Transfer> {
    let is_good = |transfer: &Transfer| {
        Sort::of(transfer) == Sort::Backup
            && transfer.succeeded == Some(true)
            && transfer.proof.as_ref().is_none_or(|proof| proof.succeeded)
    };
    let newest = of_app(context, app)?
        .into_iter()
        .rfind(|transfer| is_good(transfer) && is_meant(transfer));
    newest.ok_or_else(|| {
        Error::Absent(format!(
            "No backups. Capture one with `paas pg:backups:capture -a {app}`"
        ))
    })
}

fn public(context: &Context, app: &str, transfer: &Transfer) -> Result<PublicUrl> {
    let path = format!("{}/{}/actions/public-url", path_of(app), transfer.num);
    context.client.post(&path, &serde_json::Map::new())
}

/// The oldest first.
fn of_app(context: &Context, app: &str) -> Result<Vec<Transfer>> {
    context.client.get(&path_of(app))
}

fn path_of(app: &str) -> String {
    format!("/client/v11/apps/{}/transfers", segment(app))
}
