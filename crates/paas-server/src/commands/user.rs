//! `paasd user`: the people who may use this platform. Works on the database of a running or a stopped server.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use paas_api::Secret;
use paas_store as store;

use super::serve;
use crate::{
    api::{hash_password, is_email},
    clock::Clock,
    config::Settings,
};

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a person; asks for a password, or reads one line of standard input
    Create { email: String },
    /// Give a person a new password; every token of theirs ends
    Password { email: String },
    /// List everybody
    List,
    /// Let a person do nothing any more; every token of theirs ends, apps stay
    Disable { email: String },
    /// Let a person in again
    Enable { email: String },
    /// Let a person run the platform: see what takes room on its disk, and prune it; --off takes that back
    Operator {
        email: String,
        #[arg(long)]
        off: bool,
    },
    /// Let a person who lost their authenticator app log in with the password alone
    #[command(name = "disable-2fa")]
    DisableTwoFactor { email: String },
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
            if !is_email(email) {
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
            let account = find(store, &email).await?;
            let hash = hash_password(read_password()?).await?;
            let mut transaction = store.begin().await?;
            store::account::set_password(&mut transaction, account.id, &hash, now).await?;
            store::authorization::delete_all(&mut transaction, account.id, None).await?;
            transaction.commit().await?;
            say(&format!("{email} has a new password, and no tokens any more"))
        }
        UserCommand::List => {
            let mut conn = store.connection().await?;
            for account in store::account::list(&mut conn).await? {
                let disabled = account.disabled_at.map(|_| "disabled");
                let two_factor = account.two_factor.then_some("two-factor");
                let notes: Vec<_> = [disabled, two_factor].into_iter().flatten().collect();
                say(format!("{}  {}", account.email, notes.join(", ")).trim_end())?;
            }
            Ok(())
        }
        UserCommand::Disable { email } => {
            let account = find(store, &email).await?;
            let mut transaction = store.begin().await?;
            store::account::set_disabled(&mut transaction, account.id, true, now).await?;
            store::authorization::delete_all(&mut transaction, account.id, None).await?;
            transaction.commit().await?;
            say(&format!(
                "{email} may do nothing any more: paasd user enable {email} lets them in again"
            ))
        }
        UserCommand::Enable { email } => {
            let account = find(store, &email).await?;
            let mut transaction = store.begin().await?;
            store::account::set_disabled(&mut transaction, account.id, false, now).await?;
            transaction.commit().await?;
            say(&format!("{email} may log in again: paas login"))
        }
        UserCommand::Operator { email, off } => {
            let account = find(store, &email).await?;
            let mut transaction = store.begin().await?;
            store::account::set_operator(&mut transaction, account.id, !off, now).await?;
            transaction.commit().await?;
            if off {
                say(&format!("{email} is no operator any more"))
            } else {
                say(&format!("{email} is an operator now: paas disk"))
            }
        }
        UserCommand::DisableTwoFactor { email } => {
            let account = find(store, &email).await?;
            let mut transaction = store.begin().await?;
            if !store::two_factor::delete(&mut transaction, account.id).await? {
                bail!("two-factor authentication is off for {email}\nhint: paasd user list shows for whom it is on");
            }
            let event = store::event::Event {
                app: None,
                actor: None,
                action: "destroy".to_owned(),
                resource: "two-factor".to_owned(),
                resource_id: Some(*account.id.as_uuid()),
                payload: serde_json::json!({}),
                at: now,
            };
            store::event::record(&mut transaction, event).await?;
            transaction.commit().await?;
            say(&format!("{email} needs no code any more to log in"))
        }
    }
}

async fn find(store: &store::Store, email: &str) -> Result<store::account::Account> {
    let mut conn = store.connection().await?;
    match store::account::by_email(&mut conn, email).await? {
        Some((account, _)) => Ok(account),
        None => bail!("nobody here has the address {email}\nhint: paasd user create {email}"),
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
