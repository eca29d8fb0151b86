//! `pg:pull`, `pg:push`: between a database of the platform and one that this machine reaches, by this machine's own programs of
//! Postgres. The dump goes over the API's port.

use std::{
    io::Write as _,
    process::{Child, ChildStdin, Command, Stdio},
};

use clap::Args;
use paas_api::rendezvous::Frame;
use percent_encoding::percent_decode_str;

use super::{Program, connect};
use crate::{
    addon::find,
    app_context::{AppArgs, Context},
    error::{Error, Result},
    rendezvous::{feed, watch},
};

#[derive(Debug, Args)]
pub(crate) struct TransferArgs {
    /// Where the data is
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Where it is to be
    #[arg(value_name = "TARGET")]
    target: String,
    #[command(flatten)]
    app: AppArgs,
    /// Tables whose rows stay behind, separated by `;`
    #[arg(long, value_name = "TABLES")]
    exclude_table_data: Option<String>,
}

/// A database that this machine reaches: a name, or an address.
struct Local<'a> {
    text: &'a str,
    is_address: bool,
}

/// `pg:pull`
pub(crate) fn pull(args: &TransferArgs, context: &Context) -> Result<()> {
    let source = find(context, &args.app, &args.source)?;
    let target = Local::parse(&args.target);
    if !target.is_address {
        // It must not be there yet: nothing is mixed up with what it holds.
        succeed(target.program("createdb").arg("--").arg(target.text))?;
    }
    context
        .output
        .note(&format!("Pulling {} to {}", source.name, target.shown()))?;
    let link = connect(context, &source, Program::Dump(args.exclusions()))?;
    let mut restore = target.program("pg_restore");
    restore.args([
        "--format=custom",
        "--no-acl",
        "--no-owner",
        "--exit-on-error",
        "--dbname",
    ]);
    restore.arg(target.database()).stdin(Stdio::piped());
    let mut restore = start(&mut restore)?;
    let mut input: Option<ChildStdin> = restore.stdin.take();
    let mut trouble = Vec::new();
    let code = watch(link, |frame| match frame {
        // When it takes no more, its own words say why.
        Frame::Output(bytes) if input.as_mut().is_some_and(|input| input.write_all(bytes).is_err()) => input = None,
        Frame::ErrorOutput(bytes) => trouble.extend_from_slice(bytes),
        _ => {}
    });
    drop(input);
    let restored = restore.wait()?;
    if code? != 0 {
        return Err(Error::Usage(String::from_utf8_lossy(&trouble).trim().to_owned()));
    }
    if !restored.success() {
        return Err(Error::Usage(
            "pg_restore could not restore all of it; its words are above".to_owned(),
        ));
    }
    context.output.note("Pulling complete.")
}

/// `pg:push`
pub(crate) fn push(args: &TransferArgs, context: &Context) -> Result<()> {
    let source = Local::parse(&args.source);
    let target = find(context, &args.app, &args.target)?;
    if super::tables(context, &target)? != 0 {
        return Err(Error::Usage(format!(
            "{0} is not empty. Empty it with paas pg:reset {0}, or choose another one",
            target.name
        )));
    }
    context
        .output
        .note(&format!("Pushing {} to {}", source.shown(), target.name))?;
    let mut dump = source.program("pg_dump");
    dump.args(["--format=custom", "--no-acl", "--no-owner"])
        .args(args.exclusions())
        .arg("--dbname")
        .arg(source.database())
        .stdout(Stdio::piped());
    let mut dump = start(&mut dump)?;
    let output = dump.stdout.take();
    let link = connect(context, &target, Program::Restore)?;
    let mut trouble = Vec::new();
    let Some(output) = output else {
        return Err(Error::Usage("pg_dump says nothing".to_owned()));
    };
    let code = feed(
        link,
        output,
        // What breaks off is no dump, and must not look like the end of one.
        || dump.wait().is_ok_and(|status| status.success()),
        |frame| {
            if let Frame::ErrorOutput(bytes) = frame {
                trouble.extend_from_slice(bytes);
            }
        },
    )?;
    match code {
        None => Err(Error::Usage(
            "pg_dump could not dump all of it; its words are above".to_owned(),
        )),
        Some(0) => context.output.note("Pushing complete."),
        Some(_) => Err(Error::Usage(String::from_utf8_lossy(&trouble).trim().to_owned())),
    }
}

impl TransferArgs {
    fn exclusions(&self) -> Vec<String> {
        let tables = self.exclude_table_data.iter().flat_map(|tables| tables.split(';'));
        tables
            .map(|table| format!("--exclude-table-data={}", table.trim()))
            .collect()
    }
}

impl<'a> Local<'a> {
    fn parse(text: &'a str) -> Self {
        let is_address = text.starts_with("postgres://") || text.starts_with("postgresql://");
        Self { text, is_address }
    }

    /// A program of this machine's Postgres; a password goes by the environment, which others do not see.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        if let Some(password) = self.password() {
            command.env("PGPASSWORD", password);
        }
        command
    }

    /// What it is called on a command line: an address without its password.
    fn database(&self) -> String {
        match self.secret() {
            Some((before, _, after)) => format!("{before}{after}"),
            None => self.text.to_owned(),
        }
    }

    fn shown(&self) -> String {
        self.database()
    }

    fn password(&self) -> Option<String> {
        let (_, password, _) = self.secret()?;
        let password = percent_decode_str(password).decode_utf8_lossy();
        Some(password.into_owned())
    }

    /// What is before the colon of a password, the password, and what comes after it.
    fn secret(&self) -> Option<(&'a str, &'a str, &'a str)> {
        if !self.is_address {
            return None;
        }
        let begin = self.text.find("://")? + "://".len();
        let end = begin + self.text[begin..].find('/').unwrap_or(self.text.len() - begin);
        let at = begin + self.text[begin..end].rfind('@')?;
        let colon = begin + self.text[begin..at].find(':')?;
        Some((&self.text[..colon], &self.text[colon + 1..at], &self.text[at..]))
    }
}

fn start(command: &mut Command) -> Result<Child> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.spawn().map_err(|error| {
        Error::Usage(format!(
            "{name} does not run here: {error}. Install the client programs of Postgres"
        ))
    })
}

fn succeed(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = start(command)?.wait()?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Usage(format!("{name} did not succeed; its words are above")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_on_no_command_line() {
        let local = Local::parse("postgres://me:p%40ss@localhost:5433/mine?sslmode=prefer");
        assert_eq!(local.database(), "postgres://me@localhost:5433/mine?sslmode=prefer");
        assert_eq!(local.password().as_deref(), Some("p@ss"));
        for text in ["mine", "postgres://localhost/mine", "postgres://me@localhost/a:b@c"] {
            let local = Local::parse(text);
            assert_eq!((local.database().as_str(), local.password()), (text, None));
        }
    }
}
