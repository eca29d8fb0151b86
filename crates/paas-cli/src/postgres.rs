//! `pg:`: databases of an app, their statements, and their credentials.
//!
//! Statements are run by the database's own `psql`, inside the add-on, over the API's port: nothing is needed here, and no
//! database has a port that strangers could come to.

pub(crate) mod copy;
pub(crate) mod credential;
pub(crate) mod local;
pub(crate) mod rollback;
pub(crate) mod setting;
mod statement;
pub(crate) mod upgrade;

use std::io::Write as _;

use clap::Args;
use paas_api::{Addon, AddonClient, DatabaseInfo, DatabaseReset, Rendezvous, Said, rendezvous::Frame};

use crate::{
    addon::{self, find},
    addon_attachment,
    app_context::{AppArgs, Context},
    error::{Error, Result},
    one_off::of_terminal,
    rendezvous::{Link, feed, talk, watch},
    terminal, time,
};

#[derive(Debug, Args)]
pub(crate) struct DatabaseArgs {
    /// The database [default: DATABASE]
    #[arg(value_name = "DATABASE")]
    pub(crate) database: Option<String>,
    #[command(flatten)]
    pub(crate) app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PsqlArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// One statement, instead of a conversation
    #[arg(short, long, value_name = "SQL")]
    command: Option<String>,
    /// Statements of a file, instead of a conversation
    #[arg(short, long, value_name = "PATH", conflicts_with = "command")]
    file: Option<std::path::PathBuf>,
    /// As whom [default: the database's own user]
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct VerboseArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Show what is idle, too
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct KillArgs {
    /// The process, as pg:ps shows it
    #[arg(value_name = "PID")]
    pid: i32,
    #[command(flatten)]
    database: DatabaseArgs,
    /// End its connection, too
    #[arg(short, long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConfirmedArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The app's name, to do it without asking
    #[arg(short, long, value_name = "NAME")]
    confirm: Option<String>,
}

/// `pg:psql`
pub(crate) fn psql(args: &PsqlArgs, context: &Context) -> Result<()> {
    let database = args.database.find(context)?;
    let arguments = match (&args.command, &args.file) {
        // However long: as an argument it would have an end, and be one transaction.
        (_, Some(_)) => vec!["-f".to_owned(), "-".to_owned()],
        (Some(command), None) => vec!["-c".to_owned(), command.clone()],
        (None, None) => Vec::new(),
    };
    let is_conversation = arguments.is_empty() && terminal::is_one();
    let program = match &args.credential {
        Some(name) => Program::ClientAs(name.clone(), arguments),
        None => Program::Client(arguments),
    };
    let Some(path) = &args.file else {
        return run(context, &database, program, is_conversation);
    };
    let unreadable = |error| Error::Usage(format!("{} cannot be read: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let link = open(context, &database, program, false)?;
    heard(|act| feed(link, file, || true, act).map(|code| code.unwrap_or(1)))
}

/// `pg:ps`
pub(crate) fn ps(args: &VerboseArgs, context: &Context) -> Result<()> {
    let statement = if args.verbose {
        statement::PS_VERBOSE
    } else {
        statement::PS
    };
    args.database.say(context, statement)
}

/// `pg:kill`
pub(crate) fn kill(args: &KillArgs, context: &Context) -> Result<()> {
    let function = if args.force { "terminate" } else { "cancel" };
    args.database
        .say(context, &format!("select pg_{function}_backend({})", args.pid))
}

/// `pg:killall`
pub(crate) fn killall(args: &DatabaseArgs, context: &Context) -> Result<()> {
    let path = path(&args.find(context)?, "/connection_reset");
    let end = || context.client.post::<Said>(&path, &serde_json::Map::new());
    let what = "Terminating connections for all credentials";
    context.output.action(what, end, |_| String::new()).map(drop)
}

/// `pg:stats-reset`
pub(crate) fn reset_stats(args: &DatabaseArgs, context: &Context) -> Result<()> {
    let path = path(&args.find(context)?, "/stats_reset");
    let said: Said = context.client.put(&path, &serde_json::Map::new())?;
    context.output.line(said.message)
}

/// `pg:locks`
pub(crate) fn locks(args: &DatabaseArgs, context: &Context) -> Result<()> {
    args.say(context, statement::LOCKS)
}

/// `pg:blocking`
pub(crate) fn blocking(args: &DatabaseArgs, context: &Context) -> Result<()> {
    args.say(context, statement::BLOCKING)
}

/// `pg:outliers`
pub(crate) fn outliers(args: &DatabaseArgs, context: &Context) -> Result<()> {
    args.say(context, statement::OUTLIERS)
}

/// `pg:diagnose`
pub(crate) fn diagnose(args: &DatabaseArgs, context: &Context) -> Result<()> {
    args.say(context, statement::DIAGNOSE)
}

/// `pg:extensions`
pub(crate) fn extensions(args: &DatabaseArgs, context: &Context) -> Result<()> {
    args.say(context, statement::EXTENSIONS)
}

/// `pg:cache-hit`
pub(crate) fn cache_hit(args: &DatabaseArgs, context: &Context) -> Result<()> {
    args.say(context, statement::CACHE_HIT)
}

/// `pg:index-usage`
pub(crate) fn index_usage(args: &DatabaseArgs, context: &Context) -> Result<()> {
    args.say(context, statement::INDEX_USAGE)
}

/// `pg:long-running-queries`
pub(crate) fn long_running(args: &DatabaseArgs, context: &Context) -> Result<()> {
    args.say(context, statement::LONG_RUNNING)
}

/// `pg:info`
pub(crate) fn info(args: &DatabaseArgs, context: &Context) -> Result<()> {
    let databases = match &args.database {
        Some(_) => vec![args.find(context)?],
        None => of_app(&args.app.name(context)?, context)?,
    };
    if databases.is_empty() {
        return context
            .output
            .line(format!("{} has no Postgres databases.", args.app.name(context)?));
    }
    for database in databases {
        context.output.header(&database.config_vars.join(", "))?;
        let mut facts = vec![
            ("Plan", database.plan.human_name.clone()),
            ("Status", database.state.clone()),
            ("Size", database.plan.description.clone()),
            ("Created", time::minute(database.created_at)),
            ("Add-on", database.name.clone()),
        ];
        facts.extend(database.provision_message.clone().map(|message| ("Message", message)));
        if database.state == "provisioned" {
            facts.extend(measured(context, &database)?);
            facts.extend(known(context, &database)?);
        }
        context.output.facts(&facts)?;
    }
    Ok(())
}

/// What its server says of itself.
fn measured(context: &Context, database: &Addon) -> Result<Vec<(&'static str, String)>> {
    let said = asked(context, database, statement::INFO)?;
    let names = ["PG Version", "Connections", "Data Size", "Tables"];
    let facts = said.trim().split('\t').filter(|fact| !fact.is_empty());
    Ok(names.into_iter().zip(facts.map(str::to_owned)).collect())
}

/// What the platform says of it: since when it can be gone back, and what came of its upgrade.
fn known(context: &Context, database: &Addon) -> Result<Vec<(&'static str, String)>> {
    let known: DatabaseInfo = context.client.get(&path(database, ""))?;
    let name = |fact: &str| ["Rollback", "Upgrade", "Kept"].into_iter().find(|name| *name == fact);
    let facts = known.info.into_iter();
    Ok(facts
        .filter_map(|fact| Some((name(&fact.name)?, fact.values.join(", "))))
        .collect())
}

/// `pg:wait`
pub(crate) fn wait(args: &DatabaseArgs, context: &Context) -> Result<()> {
    for database in of_app(&args.app.name(context)?, context)? {
        addon::follow_to_its_end(context, &database)?;
    }
    Ok(())
}

/// `pg:promote`
pub(crate) fn promote(args: &DatabaseArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    if args.database.is_none() {
        return Err(Error::Usage("Name the database that is to become DATABASE".to_owned()));
    }
    let database = args.find(context)?;
    addon_attachment::promote(context, &app, &database, "DATABASE")
}

/// `pg:reset`
pub(crate) fn reset(args: &ConfirmedArgs, context: &Context) -> Result<()> {
    let database = args.database.find(context)?;
    let consequence = format!("This empties {}.", database.name);
    context.confirm(&database.app.name, &consequence, args.confirm.as_ref())?;
    let what = format!("Resetting {}", database.name);
    let reset = || {
        context
            .client
            .put::<Said>(&path(&database, "/reset"), &DatabaseReset::default())
    };
    context.output.action(&what, reset, |_| String::new()).map(drop)
}

impl DatabaseArgs {
    pub(crate) fn find(&self, context: &Context) -> Result<Addon> {
        let name = self.database.as_deref().unwrap_or("DATABASE");
        find(context, &self.app, name)
    }

    /// Runs a statement and says what came of it.
    fn say(&self, context: &Context, statement: &str) -> Result<()> {
        let database = self.find(context)?;
        let arguments = vec!["-qXc".to_owned(), statement.to_owned()];
        client(context, &database, arguments, false)
    }
}

fn of_app(app: &str, context: &Context) -> Result<Vec<Addon>> {
    let mut addons = addon::of_app(app, context)?;
    addons.retain(|addon| addon.addon_service.name == "heroku-postgresql");
    Ok(addons)
}

/// A program of an add-on that can be talked to.
pub(crate) enum Program {
    Client(Vec<String>),
    /// As another of its users.
    ClientAs(String, Vec<String>),
    Dump(Vec<String>),
    Restore,
}

/// Joins this command's streams with those of an add-on's client.
pub(crate) fn client(context: &Context, addon: &Addon, arguments: Vec<String>, has_terminal: bool) -> Result<()> {
    run(context, addon, Program::Client(arguments), has_terminal)
}

fn run(context: &Context, addon: &Addon, program: Program, has_terminal: bool) -> Result<()> {
    let is_asked = match &program {
        Program::Client(arguments) | Program::ClientAs(_, arguments) => !arguments.is_empty(),
        Program::Dump(_) | Program::Restore => true,
    };
    let link = open(context, addon, program, has_terminal)?;
    // What was asked for on the command line reads nothing.
    if is_asked {
        return heard(|act| watch(link, act));
    }
    ended(talk(link)?)
}

/// Lets a program say on this command's own streams what it says there, and end as it ends.
fn heard(program: impl FnOnce(&mut dyn FnMut(Frame<'_>)) -> Result<i32>) -> Result<()> {
    let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
    let mut written = Ok(());
    let code = program(&mut |frame| match frame {
        Frame::Output(bytes) if written.is_ok() => written = stdout.write_all(bytes),
        Frame::ErrorOutput(bytes) if written.is_ok() => written = stderr.write_all(bytes),
        _ => {}
    })?;
    written?;
    ended(code)
}

fn ended(code: i32) -> Result<()> {
    match u8::try_from(code).unwrap_or(1) {
        0 => Ok(()),
        code => Err(Error::Exit(code)),
    }
}

/// How many tables are in a database.
fn tables(context: &Context, database: &Addon) -> Result<u64> {
    let said = asked(context, database, statement::TABLES)?;
    said.trim()
        .parse()
        .map_err(|_| Error::Usage(format!("{} does not answer", database.name)))
}

/// What a database says to a statement, without ornaments.
fn asked(context: &Context, database: &Addon, statement: &str) -> Result<String> {
    let arguments = ["-XAt", "-F", "\t", "-c", statement].map(str::to_owned).to_vec();
    let mut said = Vec::new();
    watch(connect(context, database, Program::Client(arguments))?, |frame| {
        if let Frame::Output(bytes) = frame {
            said.extend_from_slice(bytes);
        }
    })?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

fn connect(context: &Context, addon: &Addon, program: Program) -> Result<Link> {
    open(context, addon, program, false)
}

fn open(context: &Context, addon: &Addon, program: Program, has_terminal: bool) -> Result<Link> {
    let (name, credential, arguments) = match program {
        Program::Client(arguments) => (None, None, arguments),
        Program::ClientAs(user, arguments) => (None, Some(user), arguments),
        Program::Dump(arguments) => (Some("dump"), None, arguments),
        Program::Restore => (Some("restore"), None, Vec::new()),
    };
    let new = AddonClient {
        arguments,
        credential,
        env: has_terminal.then(|| of_terminal(context)),
        force_no_tty: Some(!has_terminal),
        program: name.map(str::to_owned),
    };
    let path = format!("/addons/{}/actions/client", addon.id);
    let made: Rendezvous = context.client.post(&path, &new)?;
    Link::open(&context.client.base, &made.attach_path)
}

fn path(database: &Addon, rest: &str) -> String {
    format!("/client/v11/databases/{}{rest}", database.id)
}
