//! One-off dynos: commands that run once.

use std::collections::BTreeMap;

use clap::Args;
use paas_api::{Dyno, EnvValue, NewDyno};

use crate::{
    app_context::{AppArgs, Context},
    arguments::command_line,
    client::segment,
    error::{Error, Result},
    log_session,
    rendezvous::{Link, talk},
    terminal,
};

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    dyno: DynoArgs,
    /// Pass on the exit code of the command
    #[arg(short = 'x', long)]
    exit_code: bool,
    /// Streams instead of a terminal; also when input or output is not one
    #[arg(long)]
    no_tty: bool,
    /// There are no notifications here
    #[arg(long, hide = true)]
    no_notify: bool,
    /// The command and its arguments; those that look like flags go behind --
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DetachedArgs {
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    dyno: DynoArgs,
    /// Show what it says, until Ctrl-C
    #[arg(short, long)]
    tail: bool,
    /// The command and its arguments; those that look like flags go behind --
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ConsoleArgs {
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    dyno: DynoArgs,
}

#[derive(Debug, Args)]
struct DynoArgs {
    /// Environment variables: KEY=VALUE, several joined with ;
    #[arg(short, long, value_name = "VARIABLES")]
    env: Option<String>,
    /// The dyno's size
    #[arg(short, long)]
    size: Option<String>,
    /// The first part of the dyno's name
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,
    /// There are no launchers here
    #[arg(long, hide = true)]
    no_launcher: bool,
}

/// `run`
pub(crate) fn run(args: &RunArgs, context: &Context) -> Result<()> {
    attached(args, &command_line(&args.command), context)
}

/// `rake`
pub(crate) fn rake(args: &RunArgs, context: &Context) -> Result<()> {
    let words: Vec<String> = std::iter::once("rake".to_owned())
        .chain(args.command.iter().cloned())
        .collect();
    attached(args, &command_line(&words), context)
}

/// `console`
pub(crate) fn console(args: &ConsoleArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    attach(&app, "console", &args.dyno, false, context).map(drop)
}

fn attached(args: &RunArgs, command: &str, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let code = attach(&app, command, &args.dyno, args.no_tty, context)?;
    match u8::try_from(code).unwrap_or(1) {
        code @ 1.. if args.exit_code => Err(Error::ProgramExited(code)),
        _ => Ok(()),
    }
}

/// Runs a command with this command's own streams, and says how it ended.
fn attach(app: &str, command: &str, dyno: &DynoArgs, no_tty: bool, context: &Context) -> Result<i32> {
    let new = NewDyno {
        attach: Some(true),
        // Bytes go through a pipe as they are, which a terminal would not let them.
        force_no_tty: Some(no_tty || !terminal::is_one()),
        ..dyno.asked_for(command, context)?
    };
    let what = format!("Running {command} on {app}");
    let start = || {
        let dyno: Dyno = context.client.post(&format!("/apps/{}/dynos", segment(app)), &new)?;
        let url = dyno.attach_url.as_deref().unwrap_or_default();
        let secret = url.rsplit('/').next().unwrap_or_default();
        let link = Link::open(&context.client.base, &format!("/rendezvous/{}", segment(secret)))?;
        Ok((dyno.name, link))
    };
    let (_, link) = context
        .output
        .action_ending(&what, start, |(name, _)| format!("up, {name}"))?;
    talk(link)
}

/// `run:detached`
pub(crate) fn detached(args: &DetachedArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let command = command_line(&args.command);
    let new = NewDyno {
        attach: Some(false),
        ..args.dyno.asked_for(&command, context)?
    };
    let path = format!("/apps/{}/dynos", segment(&app));
    let what = format!("Running {command} on {app}");
    let start = || context.client.post::<Dyno>(&path, &new);
    let dyno = context.output.action(&what, start, |dyno| format!(", {}", dyno.name))?;
    if args.tail {
        return log_session::tail_dyno(&app, &dyno.name, context);
    }
    context.output.line(format!(
        "Run paas logs --app {app} --dyno {} to view the output.",
        dyno.name
    ))
}

impl DynoArgs {
    fn asked_for(&self, command: &str, context: &Context) -> Result<NewDyno> {
        let mut env = BTreeMap::new();
        for variable in self.env.iter().flat_map(|env| env.split(';')) {
            match variable.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => {
                    env.insert(key.trim().to_owned(), EnvValue::from(value.trim().to_owned()));
                }
                _ => context.output.warning(&format!(
                    "env flag {variable} appears invalid. Avoid using ';' in values."
                ))?,
            }
        }
        env.extend(of_terminal(context));
        Ok(NewDyno {
            command: command.to_owned(),
            env: Some(env).filter(|env| !env.is_empty()),
            size: self.size.clone(),
            r#type: self.r#type.clone(),
            ..NewDyno::default()
        })
    }
}

/// What programs have to know about the person's terminal.
pub(crate) fn of_terminal(context: &Context) -> BTreeMap<String, EnvValue> {
    let mut env = BTreeMap::new();
    if let Some(term) = &context.config.term {
        env.insert("TERM".to_owned(), EnvValue::from(term.clone()));
    }
    if let Some((columns, rows)) = terminal::size() {
        env.insert("COLUMNS".to_owned(), EnvValue::Number(columns.into()));
        env.insert("LINES".to_owned(), EnvValue::Number(rows.into()));
    }
    env
}
