//! `paasd user`: the people who may use this platform. Works on the database of a running or a stopped server.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use paas_api::Secret;
use paas_store as store;

use super::serve;
use crate::{api::hash_password, clock::Clock, config::Settings};

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a person; asks for a password, or reads one line of standard input
    Create { email: String },
    /// Give a person a new password
    Password { email: String },
}

pub(super) async fn run(settings: Settings, command: UserCommand) -> Result<()> {
    serve::make_data_dir(&settings)?;
    let (store, embedded) = serve::open_store(&settings).await?;
    let done = execute(&store, command).await;
    store.close().await;
    if let Some(embedded) = embedded.filter(|_| !serve::is_running(&settings)) {
        embedded.stop().await?;
    }
    done
}

async fn execute(store: &store::Store, command: UserCommand) -> Result<()> {
    let now = Clock::system().now();
    match command {
        UserCommand::Create { email } => {
            let email = email.trim();
            if !email.contains('@') || email.contains(char::is_whitespace) || email.len() > 254 {
                bail!("{email:?} is no email address\nhint: paasd user create you@example.com");
            }
            let hash = hash_password(read_password()?).await?;
            let mut conn = store.connection().await?;
            let new = store::account::NewAccount {
                email,
                password_hash: &hash,
            };
            match store::account::create(&mut conn, new, now).await {
                Ok(_) => say(&format!("{email} may log in now: paas login")),
                Err(store::StoreError::EmailTaken) => {
                    bail!("{email} has an account already\nhint: paasd user password {email} sets a new password")
                }
                Err(error) => Err(error.into()),
            }
        }
        UserCommand::Password { email } => {
            let mut conn = store.connection().await?;
            let Some((account, _)) = store::account::by_email(&mut conn, &email).await? else {
                bail!("nobody here has the address {email}\nhint: paasd user create {email}");
            };
            drop(conn);
            let hash = hash_password(read_password()?).await?;
            let mut conn = store.connection().await?;
            store::account::set_password(&mut conn, account.id, &hash, now).await?;
            say(&format!("{email} has a new password"))
        }
    }
}

/// One line of standard input; a person is asked, and does not see what is typed.
fn read_password() -> Result<Secret> {
    let password = if io::stdin().is_terminal() {
        rpassword::prompt_password("Password: ").context("reading the password")?
    } else {
        let mut line = String::new();
        io::stdin()
            .lock()
            .read_line(&mut line)
            .context("reading the password")?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    Ok(Secret::new(password))
}

fn say(line: &str) -> Result<()> {
    writeln!(io::stdout(), "{line}").context("writing to standard output")
}
