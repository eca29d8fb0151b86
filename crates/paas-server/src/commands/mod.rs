//! The server's commands: `paasd serve`, `router`, `user`, `stack`, `dns`, `certificates`, `hook`.

mod certificates;
mod dns;
mod router;
mod serve;
mod stack;
mod user;

use std::{io::IsTerminal, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::{config::SettingsArgs, hook};

/// A self-hosted Heroku: the server
#[derive(Debug, Parser)]
#[command(name = "paasd", version, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    settings: SettingsArgs,

    /// What to log, such as `info` or `paas_server=debug` [default: info]
    #[arg(
        long,
        env = "PAAS_LOG",
        value_name = "FILTER",
        default_value = "info,sqlx=warn",
        hide_default_value = true,
        global = true
    )]
    log: String,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the control plane: API, git, builds and everything that keeps apps running
    Serve,
    /// Run the router: HTTP for every app (`serve` starts one when none runs)
    Router,
    /// Manage the people who may use this platform
    User {
        #[command(subcommand)]
        command: user::UserCommand,
    },
    /// Make the images that apps are built and run on, unless they are there
    Stack,
    /// Show every certificate: until when it is good, what was last said about it, and what comes next
    Certificates,
    /// Check whether a name points here and may get a certificate; say what to change when not
    Dns(dns::DnsCommand),
    /// Take a push: git runs this
    #[command(hide = true)]
    Hook,
}

/// Runs one command to its end.
pub fn run(cli: Cli) -> ExitCode {
    let filter = EnvFilter::builder().parse_lossy(&cli.log);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    if matches!(cli.command, Command::Hook) {
        return hook::run();
    }
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: Cli) -> Result<()> {
    let settings = cli.settings.resolve()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve => serve::run(settings).await,
            Command::Router => router::run(settings).await,
            Command::User { command } => user::run(settings, command).await,
            Command::Stack => stack::run(settings).await,
            Command::Certificates => certificates::run(settings).await,
            Command::Dns(command) => dns::run(settings, command).await,
            Command::Hook => Ok(()),
        }
    })
}

#[expect(
    clippy::print_stderr,
    reason = "the last words of a command are for the person who ran it"
)]
fn report(error: &anyhow::Error) {
    eprintln!(" !    {error:#}");
}

/// A token that is cancelled by the first SIGTERM or Ctrl-C.
fn stop_on_signal() -> Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = stop.clone();
    #[expect(clippy::disallowed_methods, reason = "waits for a signal until the process ends")]
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        token.cancel();
    });
    Ok(stop)
}
