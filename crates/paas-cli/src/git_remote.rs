//! Git remotes: how a checkout says which app it belongs to.

use std::process::{Command, Output as Finished, Stdio};

use clap::Args;
use ureq::http::Uri;

use crate::{
    app_context::{AppArgs, Context},
    client::{Credentials, segment},
    error::{Error, Result},
};

/// The name that a remote gets unless the user says otherwise: `git push paas main`.
pub(crate) const DEFAULT_REMOTE: &str = "paas";

/// A remote that leads to an app of this platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) app: String,
}

#[derive(Debug, Args)]
pub(crate) struct RemoteArgs {
    #[command(flatten)]
    app: AppArgs,
}

/// `git:remote`: points a remote at an app, which need not be the one that it led to before.
pub(crate) fn point(args: &RemoteArgs, context: &Context) -> Result<()> {
    if !is_repository() {
        return Err(Error::NotARepository);
    }
    // The remote is what this command sets, so only a flag or the environment can say where it is to lead, unless a
    // single app is known already.
    let name = args.app.without_remote(context)?;
    let app: paas_api::App = context.client.get(&format!("/apps/{}", segment(&name)))?;
    let remote = args.app.remote().unwrap_or(DEFAULT_REMOTE);
    let url = push_url(&app, context);
    set(remote, &url)?;
    context.output.line(format!("set git remote {remote} to {url}"))
}

#[derive(Debug, Args)]
pub(crate) struct CloneArgs {
    /// Where to put it [default: the app's name]
    directory: Option<String>,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CredentialsArgs {
    /// What git wants: get, store or erase
    action: String,
}

/// `git:clone`
pub(crate) fn clone(args: &CloneArgs, context: &Context) -> Result<()> {
    let name = args.app.without_remote(context)?;
    let app: paas_api::App = context.client.get(&format!("/apps/{}", segment(&name)))?;
    let url = push_url(&app, context);
    let remote = args.app.remote().unwrap_or(DEFAULT_REMOTE);
    let directory = args.directory.as_ref().unwrap_or(&app.name);
    // git speaks for itself.
    let status = Command::new("git")
        .args(["clone", "-o", remote, "--", &url, directory])
        .status();
    match status.map_err(|error| Error::Git(format!("cannot be run: {error}")))? {
        status if status.success() => Ok(()),
        _ => Err(Error::Git(format!("{} could not be cloned", app.name))),
    }
}

/// `git:credentials`: the token, for git and for this platform's own host only (git-credential(1)).
pub(crate) fn credentials(args: &CredentialsArgs, context: &Context) -> Result<()> {
    match args.action.as_str() {
        "get" => {}
        // The token is kept by `paas login`.
        "store" | "erase" => return Ok(()),
        other => {
            return Err(Error::Usage(format!(
                "{other} is no action of git credentials: write get"
            )));
        }
    }
    let mut asked = std::collections::BTreeMap::new();
    for line in std::io::stdin().lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((key, value)) = line.split_once('=') {
            asked.insert(key.to_owned(), value.to_owned());
        }
    }
    let (Some(protocol), Some(host)) = (asked.get("protocol"), asked.get("host")) else {
        return Ok(());
    };
    // In plain text the token goes nowhere but to this machine.
    let is_private = protocol == "https" || context.client.base.is_loopback();
    if !is_private || !context.client.base.is_git_host(&format!("{protocol}://{host}/")) {
        return Ok(());
    }
    let Credentials::Token { token, .. } = context.client.credentials() else {
        return Err(Error::NotLoggedIn);
    };
    let token = token.expose();
    context.output.line(format!(
        "protocol={protocol}\nhost={host}\nusername=paas\npassword={token}"
    ))
}

/// Where to push: an API on this machine has git on its own listener, otherwise the app knows its URL.
pub(crate) fn push_url(app: &paas_api::App, context: &Context) -> String {
    let base = &context.client.base;
    if base.is_loopback() {
        format!("{base}/{}.git", app.name)
    } else {
        app.git_url.clone()
    }
}

/// All remotes of the current directory that lead to apps of the platform; none outside a repository.
pub(crate) fn ours(context: &Context) -> Result<Vec<Remote>> {
    Ok(all()?
        .into_iter()
        .filter_map(|(name, url)| {
            let app = app_of(&url)?;
            let is_ours = name == DEFAULT_REMOTE || context.client.base.is_git_host(&url);
            is_ours.then_some(Remote { name, url, app })
        })
        .collect())
}

/// The app that a remote of this name leads to.
pub(crate) fn named(name: &str) -> Result<String> {
    let remotes = all()?;
    let url = remotes
        .into_iter()
        .find_map(|(remote, url)| (remote == name).then_some(url));
    url.and_then(|url| app_of(&url))
        .ok_or_else(|| Error::NoRemote(name.to_owned()))
}

pub(crate) fn is_repository() -> bool {
    git(&["rev-parse", "--git-dir"]).is_ok_and(|finished| finished.status.success())
}

/// Adds a remote, or changes the URL of one that exists.
pub(crate) fn set(name: &str, url: &str) -> Result<()> {
    let verb = if all()?.iter().any(|(remote, _)| remote == name) {
        "set-url"
    } else {
        "add"
    };
    run(&["remote", verb, "--", name, url])
}

pub(crate) fn remove(name: &str) -> Result<()> {
    run(&["remote", "remove", name])
}

/// The URL of a remote, if it exists.
pub(crate) fn url_of(name: &str) -> Result<Option<String>> {
    Ok(all()?
        .into_iter()
        .find_map(|(remote, url)| (remote == name).then_some(url)))
}

/// `hello` of `https://git.example.com/hello.git`.
fn app_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let name = uri.path().strip_prefix('/')?.strip_suffix(".git")?;
    let is_app = !name.is_empty() && !name.contains('/') && matches!(uri.scheme_str(), Some("http" | "https"));
    is_app.then(|| name.to_owned())
}

/// Names and URLs of all remotes.
fn all() -> Result<Vec<(String, String)>> {
    // Status 1 when nothing matches, 128 outside a repository; `--null` because a URL may hold anything else.
    let finished = git(&["config", "--null", "--get-regexp", r"^remote\..*\.url$"])?;
    if !finished.status.success() {
        return Ok(Vec::new());
    }
    let text = String::from_utf8_lossy(&finished.stdout);
    let remote = |entry: &str| {
        let (key, url) = entry.split_once('\n')?;
        let name = key.strip_prefix("remote.")?.strip_suffix(".url")?;
        Some((name.to_owned(), url.to_owned()))
    };
    Ok(text.split('\0').filter_map(remote).collect())
}

fn run(arguments: &[&str]) -> Result<()> {
    let finished = git(arguments)?;
    if finished.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&finished.stderr);
    let said = said.lines().next().unwrap_or("it failed without a word");
    Err(Error::Git(
        said.trim_start_matches("fatal: ")
            .trim_start_matches("error: ")
            .to_owned(),
    ))
}

fn git(arguments: &[&str]) -> Result<Finished> {
    let finished = Command::new("git").args(arguments).stdin(Stdio::null()).output();
    finished.map_err(|error| Error::Git(format!("cannot be run: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_is_the_last_part_of_an_http_url() {
        assert_eq!(app_of("http://127.0.0.1:5050/hello.git").as_deref(), Some("hello"));
        assert_eq!(app_of("https://git.example.com/a-b.git").as_deref(), Some("a-b"));
        for other in [
            "git@github.com:someone/hello.git",
            "ssh://git@example.com/hello.git",
            "https://github.com/someone/hello.git",
            "https://git.example.com/hello",
            "https://git.example.com/.git",
            "../hello.git",
        ] {
            assert_eq!(app_of(other), None, "{other}");
        }
    }
}
