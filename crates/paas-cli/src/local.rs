//! `local`: the app on the laptop, from its Procfile and `.env`. No platform is asked.
//!
//! What Heroku Local does (`heroku local`, once node-foreman), so that a Procfile behaves the same: ports from 5006 on, one
//! hundred apart for each process type; the first process that ends takes the others with it.

mod env_file;
mod processes;
mod procfile;

use std::{path::Path, process::Command};

use clap::Args;

use self::{
    env_file::{Format, Variables},
    processes::Process,
    procfile::ProcessType,
};
use crate::{
    config::Config,
    error::{Error, Result},
    exit,
    output::Output,
    signals,
};

/// Not 5000, which macOS uses for itself.
const FIRST_PORT: u16 = 5006;
/// Below, only root may listen.
const LOWEST_PORT: u16 = 1024;
/// Between the first ports of two process types.
const PORTS_OF_TYPE: u16 = 100;

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// The process types, and how many of each, such as `web=2,worker`
    #[arg(value_name = "PROCESSES")]
    processes: Option<String>,
    #[command(flatten)]
    environment: EnvironmentArgs,
    /// The Procfile
    #[arg(short = 'f', long, value_name = "FILE", default_value = "Procfile")]
    procfile: String,
    /// What to run when there is no Procfile
    #[arg(long, value_name = "COMMAND")]
    start_cmd: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    environment: EnvironmentArgs,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

#[derive(Debug, Args)]
struct EnvironmentArgs {
    /// The files that variables come from, with commas between them
    #[arg(short, long, value_name = "FILES", default_value = ".env")]
    env: String,
    /// The port of the first process
    #[arg(short, long)]
    port: Option<u16>,
}

/// `local`
pub(crate) fn start(args: &StartArgs, config: &Config, output: Output) -> Result<()> {
    let variables = variables(&args.environment, output)?;
    let procfile = Path::new(&args.procfile);
    let types = match (procfile.is_file(), &args.processes, &args.start_cmd) {
        (true, _, start_cmd) => {
            if start_cmd.is_some() {
                output.warning("there is a Procfile, so --start-cmd is ignored")?;
            }
            procfile::read(procfile)?
        }
        (false, Some(_), _) if Path::new("package.json").is_file() => vec![ProcessType {
            name: "web".to_owned(),
            command: "npm start".to_owned(),
        }],
        (false, None, Some(command)) => {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", command]);
            return one(shell, &variables, args.environment.port);
        }
        (false, ..) => {
            return Err(Error::NoProcfile {
                path: args.procfile.clone(),
            });
        }
    };
    let first_port = args.environment.port.map_or_else(|| port(config, &variables), Ok)?;
    if first_port < LOWEST_PORT {
        return Err(Error::Usage(format!(
            "Port {first_port} is for root alone: choose one from {LOWEST_PORT} on"
        )));
    }
    let wanted = match &args.processes {
        Some(text) => quantities(text)?,
        // A release command is for the platform to run.
        None => types
            .iter()
            .filter(|kind| kind.name != "release")
            .map(|kind| (kind.name.clone(), 1))
            .collect(),
    };
    let mut started = Vec::new();
    for (index, (name, quantity)) in (0u16..).zip(&wanted) {
        let Some(kind) = types.iter().find(|kind| kind.name == *name) else {
            output.warning(&format!("{} has no process type {name}", args.procfile))?;
            continue;
        };
        for number in 0..*quantity {
            let port = PORTS_OF_TYPE
                .checked_mul(index)
                .and_then(|offset| first_port.checked_add(offset)?.checked_add(number));
            started.push(Process {
                name: format!("{name}.{}", number + 1),
                command: kind.command.clone(),
                port: port.ok_or_else(|| Error::Usage("There are not as many ports".to_owned()))?,
            });
        }
    }
    if started.is_empty() {
        return Err(Error::Usage("There is no process to start".to_owned()));
    }
    processes::run(&started, &variables, output)
}

/// `local:run`
pub(crate) fn run(args: &RunArgs, output: Output) -> Result<()> {
    let variables = variables(&args.environment, output)?;
    // A shell, so that its own commands work; the arguments stay what they are.
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "\"$@\"", "sh"]).args(&args.command);
    one(shell, &variables, args.environment.port)
}

/// Runs a command in front of the user and passes its exit code on.
fn one(mut command: Command, variables: &Variables, port: Option<u16>) -> Result<()> {
    command.envs(variables);
    if let Some(port) = port {
        command.env("PORT", port.to_string());
    }
    // Ctrl-C is for the command, which is in the same group; we wait for what it makes of it.
    let _signals = signals::Signals::listen()?;
    exit::pass_on(command.status()?)
}

/// Of all files together; a later file wins.
fn variables(args: &EnvironmentArgs, output: Output) -> Result<Variables> {
    let mut variables = Variables::new();
    for path in args.env.split(',').map(str::trim) {
        let Some((found, format)) = env_file::read(Path::new(path))? else {
            continue;
        };
        let format = match format {
            Format::Json => "JSON",
            Format::KeyValue => "KEY=VALUE",
        };
        output.note(&format!("[OKAY] Loaded ENV {path} File as {format} Format"))?;
        variables.extend(found);
    }
    Ok(variables)
}

/// `PORT` of the file, else of the environment, else ours.
fn port(config: &Config, variables: &Variables) -> Result<u16> {
    let Some(text) = variables.get("PORT").or(config.port.as_ref()) else {
        return Ok(FIRST_PORT);
    };
    text.parse()
        .map_err(|_| Error::Usage(format!("PORT is no port: {text}")))
}

/// `web=2,worker`
fn quantities(text: &str) -> Result<Vec<(String, u16)>> {
    let parse = |item: &str| {
        let (name, quantity) = item.split_once('=').unwrap_or((item, "1"));
        let quantity = quantity
            .trim()
            .parse()
            .ok()
            .filter(|quantity| *quantity <= PORTS_OF_TYPE);
        let quantity = quantity.ok_or_else(|| Error::Usage(format!("{item} does not say how many, such as web=2")))?;
        Ok((name.trim().to_owned(), quantity))
    };
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(parse)
        .collect()
}
