//! Dynos: what runs, and how to start it afresh or stop it.

use std::{collections::BTreeMap, thread, time::Duration};

use clap::Args;
use paas_api::{Dyno, DynoState, PageRange, Release};

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::{Error, Result},
    output::Style,
    time,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only dynos of these process types
    #[arg(value_name = "TYPE")]
    types: Vec<String>,
    #[command(flatten)]
    app: AppArgs,
    /// Print the dynos as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SelectArgs {
    /// A dyno (web.1) or a process type (web)
    #[arg(value_name = "DYNO")]
    name: Option<String>,
    #[command(flatten)]
    app: AppArgs,
    /// One dyno
    #[arg(short, long, alias = "dyno-name", value_name = "DYNO", conflicts_with_all = ["name", "process_type"])]
    dyno: Option<String>,
    /// All dynos of one process type
    #[arg(short, long, value_name = "TYPE", conflicts_with = "name")]
    process_type: Option<String>,
}

/// Which dynos a verb is about.
enum Selection<'a> {
    All,
    Dyno(&'a str),
    ProcessType(&'a str),
}

/// `ps`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let mut dynos: Vec<Dyno> = context.client.list(&format!("/apps/{}/dynos", segment(&app)), "id")?;
    if let Some(missing) = args
        .types
        .iter()
        .find(|wanted| dynos.iter().all(|dyno| dyno.r#type != **wanted))
    {
        return Err(Error::Absent(format!("No {missing} dynos on {app}")));
    }
    dynos.retain(|dyno| args.types.is_empty() || args.types.contains(&dyno.r#type));
    dynos.sort_by_cached_key(|dyno| (dyno.r#type.clone(), index(&dyno.name)));
    if args.json {
        return context.output.json(&dynos);
    }
    if dynos.is_empty() {
        return context.output.line(format!("No dynos on {app}"));
    }
    let mut groups = BTreeMap::<_, Vec<&Dyno>>::new();
    for dyno in &dynos {
        // Of one-off dynos, each has a command of its own.
        let command = if is_one_off(dyno) { "" } else { &dyno.command };
        groups.entry((&dyno.r#type, command)).or_default().push(dyno);
    }
    let now = time::now();
    for ((process_type, command), dynos) in groups {
        let head = match dynos.first() {
            Some(dyno) if !is_one_off(dyno) => format!("{process_type} ({}): {command}", dyno.size),
            _ => format!("{process_type}: one-off processes"),
        };
        context.output.header(&format!("{head} ({})", dynos.len()))?;
        for dyno in dynos {
            let style = match dyno.state {
                DynoState::Up | DynoState::Idle => Style::Green,
                DynoState::Starting => Style::Yellow,
                DynoState::Crashed | DynoState::Down => Style::Red,
            };
            let state = context.output.paint(style, dyno.state.as_str());
            let since = time::told(dyno.updated_at, now);
            context.output.line(if is_one_off(dyno) {
                format!("{} ({}): {state} {since}: {}", dyno.name, dyno.size, dyno.command)
            } else {
                format!("{}: {state} {since}", dyno.name)
            })?;
        }
        context.output.line("")?;
    }
    Ok(())
}

#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Wait for the dynos of one process type
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    process_type: Option<String>,
    /// How often to look, in seconds
    #[arg(short, long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    wait_interval: u64,
    /// Wait for one-off dynos, too
    #[arg(short = 'R', long, conflicts_with = "process_type")]
    with_run: bool,
}

/// `ps:wait`: until every dyno runs the newest release.
pub(crate) fn wait(args: &WaitArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let releases = format!("/apps/{}/releases", segment(&app));
    let newest: Vec<Release> = context.client.page(&releases, &PageRange::newest("version", 1))?;
    let Some(newest) = newest.first() else {
        return context.output.warning(&format!("App {app} has no releases"));
    };
    let look = || -> Result<(usize, usize)> {
        let dynos: Vec<Dyno> = context.client.list(&format!("/apps/{}/dynos", segment(&app)), "id")?;
        let is_meant = |dyno: &&Dyno| {
            dyno.r#type != "release"
                && (args.with_run || !is_one_off(dyno))
                && args.process_type.as_ref().is_none_or(|wanted| *wanted == dyno.r#type)
        };
        let is_ready = |dyno: &&Dyno| dyno.state == DynoState::Up && dyno.release.version >= newest.version;
        let meant = dynos.iter().filter(is_meant);
        Ok((meant.clone().filter(is_ready).count(), meant.count()))
    };
    let (ready, all) = look()?;
    if ready == all {
        return Ok(());
    }
    let what = format!("Waiting for every dyno to be running v{}", newest.version);
    let work = || loop {
        let (ready, all) = look()?;
        if ready == all {
            return Ok(all);
        }
        thread::sleep(Duration::from_secs(args.wait_interval));
    };
    context
        .output
        .action(&what, work, |all| format!(", {all} / {all}"))
        .map(drop)
}

/// `ps:restart`
pub(crate) fn restart(args: &SelectArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let selection = args.selection();
    let path = selection.path(&app);
    let what = format!("Restarting {} on {app}", selection.told());
    context
        .output
        .action(&what, || context.client.delete(&path), |()| String::new())
}

/// `ps:stop`
pub(crate) fn stop(args: &SelectArgs, context: &Context) -> Result<()> {
    let selection = args.selection();
    if matches!(selection, Selection::All) {
        let message = "Which dynos? Name one (web.1) or a process type (web)";
        return Err(Error::Usage(message.to_owned()));
    }
    let app = args.app.name(context)?;
    let path = format!("{}/actions/stop", selection.path(&app));
    let what = format!("Stopping {} on {app}", selection.told());
    context
        .output
        .action(&what, || context.client.act(&path), |()| String::new())
}

impl SelectArgs {
    fn selection(&self) -> Selection<'_> {
        match (&self.dyno, &self.process_type, &self.name) {
            (Some(dyno), ..) => Selection::Dyno(dyno),
            (_, Some(process_type), _) => Selection::ProcessType(process_type),
            (.., Some(name)) if name.contains('.') => Selection::Dyno(name),
            (.., Some(name)) => Selection::ProcessType(name),
            (None, None, None) => Selection::All,
        }
    }
}

impl Selection<'_> {
    fn told(&self) -> String {
        match self {
            Self::All => "all dynos".to_owned(),
            Self::Dyno(name) => format!("dyno {name}"),
            Self::ProcessType(name) => format!("all {name} dynos"),
        }
    }

    /// The paths of process types say `formations` here, and `formation` everywhere else (Platform API Reference).
    fn path(&self, app: &str) -> String {
        let app = segment(app);
        match self {
            Self::All => format!("/apps/{app}/dynos"),
            Self::Dyno(name) => format!("/apps/{app}/dynos/{}", segment(name)),
            Self::ProcessType(name) => format!("/apps/{app}/formations/{}", segment(name)),
        }
    }
}

fn is_one_off(dyno: &Dyno) -> bool {
    dyno.r#type == "run"
}

/// `web.10` comes after `web.9`.
fn index(name: &str) -> u32 {
    name.rsplit_once('.')
        .and_then(|(_, index)| index.parse().ok())
        .unwrap_or_default()
}
