//! Config vars.

use std::collections::BTreeMap;

use clap::Args;
use paas_api::{ConfigVars, ConfigVarsUpdate, PageRange, Release};
use serde_json::json;

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::{Error, Result},
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Print KEY=value lines that a shell can read
    #[arg(short, long, conflicts_with = "json")]
    shell: bool,
    /// Print the config vars as JSON
    #[arg(short, long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The config vars
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    app: AppArgs,
    /// Print a KEY=value line that a shell can read
    #[arg(short, long, conflicts_with = "json")]
    shell: bool,
    /// Print names and values as JSON
    #[arg(short, long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// What to set; a value may be empty and may hold = and line ends
    #[arg(required = true, value_name = "KEY=VALUE")]
    pairs: Vec<String>,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UnsetArgs {
    /// The config vars to remove
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    app: AppArgs,
}

/// `config`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let ConfigVars(vars) = context.client.get(&path(&app))?;
    if args.json {
        return context.output.json(&vars);
    }
    if args.shell {
        return vars
            .iter()
            .try_for_each(|(key, value)| context.output.line(shell_line(key, value)));
    }
    if vars.is_empty() {
        return context.output.note(&format!("{app} has no config vars."));
    }
    context.output.header(&format!("{app} Config Vars"))?;
    context.output.facts(&Vec::from_iter(vars))
}

/// `config:get`: an empty line for what is not set, as Heroku's command prints it.
pub(crate) fn get(args: &GetArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let ConfigVars(vars) = context.client.get(&path(&app))?;
    if args.json {
        let mut read = args
            .keys
            .iter()
            .map(|key| json!({ "key": key, "value": vars.get(key) }));
        return match (args.keys.len(), read.next()) {
            (1, Some(one)) => context.output.json(&one),
            (_, first) => context.output.json(&first.into_iter().chain(read).collect::<Vec<_>>()),
        };
    }
    args.keys.iter().try_for_each(|key| {
        let value = vars.get(key).cloned().unwrap_or_default();
        context
            .output
            .line(if args.shell { shell_line(key, &value) } else { value })
    })
}

/// `config:set`
pub(crate) fn set(args: &SetArgs, context: &Context) -> Result<()> {
    let pairs = args.pairs.iter().map(|pair| parse(pair)).collect::<Result<Vec<_>>>()?;
    let app = args.app.name(context)?;
    let what = format!(
        "Setting {} and restarting {app}",
        names(pairs.iter().map(|(key, _)| key))
    );
    // Of a name that comes twice, the last value counts.
    let pairs: BTreeMap<_, _> = pairs.into_iter().collect();
    let update = pairs.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
    change(&app, &what, &ConfigVarsUpdate(update.collect()), context)?;
    let shown = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    context.output.facts(&shown.collect::<Vec<_>>())
}

/// `config:unset`
pub(crate) fn unset(args: &UnsetArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let update: BTreeMap<_, _> = args.keys.iter().map(|key| (key.clone(), None)).collect();
    let what = format!("Unsetting {} and restarting {app}", names(args.keys.iter()));
    change(&app, &what, &ConfigVarsUpdate(update), context)
}

/// Sets and removes what an editor has changed, if nobody else has changed anything meanwhile.
pub(crate) fn replace(app: &str, update: &ConfigVarsUpdate, context: &Context) -> Result<()> {
    let what = format!("Updating config and restarting {app}");
    change(app, &what, update, context)
}

pub(crate) fn read(app: &str, context: &Context) -> Result<BTreeMap<String, String>> {
    let ConfigVars(vars) = context.client.get(&path(app))?;
    Ok(vars)
}

fn change(app: &str, what: &str, update: &ConfigVarsUpdate, context: &Context) -> Result<()> {
    let work = || {
        let _: ConfigVars = context.client.patch(&path(app), update)?;
        let releases = format!("/apps/{}/releases", segment(app));
        let newest: Vec<Release> = context.client.page(&releases, &PageRange::newest("version", 1))?;
        Ok(newest.first().map(|release| release.version))
    };
    let version = |version: &Option<u32>| version.map_or_else(String::new, |version| format!(", v{version}"));
    context.output.action(what, work, version).map(drop)
}

fn path(app: &str) -> String {
    format!("/apps/{}/config-vars", segment(app))
}

fn names<'a>(keys: impl Iterator<Item = &'a String>) -> String {
    keys.map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The value is everything behind the first `=`. It is not repeated in the error: it may be a secret.
fn parse(pair: &str) -> Result<(String, String)> {
    match pair.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) => Err(Error::Usage("A name is missing: write FOO=bar".to_owned())),
        None => Err(Error::Usage(format!("{pair} has no value: write {pair}=bar"))),
    }
}

/// Quoted so that `eval` and `. file` give the value back, whatever is in it (POSIX, *Shell Command Language* §2.2.2).
pub(crate) fn shell_line(key: &str, value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+,".contains(&byte);
    if value.bytes().all(is_plain) {
        format!("{key}={value}")
    } else {
        format!("{key}='{}'", value.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_value_is_all_behind_the_first_equals_sign() {
        assert_eq!(parse("A=b=c\nd").unwrap(), ("A".to_owned(), "b=c\nd".to_owned()));
        assert_eq!(parse("A=").unwrap(), ("A".to_owned(), String::new()));
        assert!(parse("A").is_err() && parse("=b").is_err());
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for value in [
            "",
            "plain",
            "it's",
            "a b",
            "$HOME `id` \"x\" \\",
            "line\nline",
            "*",
            "~",
            "é",
        ] {
            let script = format!("{}\nprintf %s \"$KEY\"", shell_line("KEY", value));
            let finished = Command::new("sh").arg("-c").arg(script).output().unwrap();
            assert_eq!(String::from_utf8(finished.stdout).unwrap(), value);
        }
    }
}
