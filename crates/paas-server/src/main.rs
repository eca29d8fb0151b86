//! `paasd`: the server's command line.

use std::process::ExitCode;

use clap::Parser;
use paas_server::{Cli, run};

fn main() -> ExitCode {
    run(Cli::parse())
}
