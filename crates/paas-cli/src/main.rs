//! The binary `paas`: the command that people type.
//!
//! It speaks to the Platform API, through `paas-api`'s types alone, and to the git of the current directory. It never
//! sees a database, an engine or a server's disk.

use std::{env, process::ExitCode};

mod account;
mod acm;
mod addon;
mod addon_attachment;
mod addon_backup;
mod addon_exposure;
mod addon_provider;
mod app;
mod app_context;
mod app_diff;
mod app_feature;
mod app_transfer;
mod arguments;
mod authorization;
mod build;
mod buildpack;
mod certificate_request;
mod client;
mod collaborator;
mod command;
mod completion;
mod config;
mod config_edit;
mod config_var;
mod container;
mod disk;
mod domain;
mod dyno;
mod error;
mod exec;
mod exit;
mod formation;
mod git_remote;
mod help;
mod heroku;
mod key;
mod local;
mod log_drain;
mod log_session;
mod login;
mod netrc;
mod oauth_client;
mod one_off;
mod output;
mod platform_url;
mod postgres;
mod redis;
mod region;
mod release;
mod rendezvous;
mod routing;
mod session;
mod signals;
mod sni_endpoint;
mod stack;
mod table;
mod team;
mod team_app;
mod team_member;
mod terminal;
mod test_run;
mod time;
mod two_factor;
mod webhook;
mod webhook_delivery;

use config::Config;
use error::Error;
use output::Output;

fn main() -> ExitCode {
    let config = Config::from_environment();
    let output = Output::new(config.as_ref().unwrap_or(&Config::default()));
    let done = config.and_then(|config| command::run(env::args_os().collect(), config, output));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        // Whoever had something to say about it has said it.
        Err(Error::Exit(code)) => ExitCode::from(code),
        Err(error) => {
            output.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
