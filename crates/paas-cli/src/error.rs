//! Everything that `paas` says when it cannot do what it was asked: headline, and what to do next.
//!
//! No variant carries a token or a config value.

use std::io;

use thiserror::Error;

/// Why a command ended without doing its work. `Display` is the headline; [`Error::hint`] is the next step.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Usage(String),
    /// The command line is not one; clap found out, and may know what was meant.
    #[error("{headline}")]
    Grammar { headline: String, hint: Option<String> },
    #[error("No app named")]
    NoApp,
    #[error("The git remotes of this directory name several apps: {0}")]
    SeveralApps(String),
    #[error("The git remote {0} does not exist or names no app")]
    NoRemote(String),
    #[error("This directory is not a git repository")]
    NotARepository,
    #[error("git: {0}")]
    Git(String),

    #[error("The address of the platform's API is not one: {0}")]
    BadUrl(String),
    #[error("Couldn't reach {url}: {why}")]
    Unreachable { url: String, why: String },
    #[error("{url} did not answer in time")]
    Timeout { url: String },
    #[error("{url} answered with a redirect to {location}, which is not followed because a token was sent")]
    Redirected { url: String, location: String },
    #[error("{url} gave an answer that is not understood: {why}")]
    BadAnswer { url: String, why: String },
    #[error("{message}")]
    Api {
        status: u16,
        id: String,
        message: String,
        url: Option<String>,
        resource: Option<String>,
        request_id: Option<String>,
    },

    #[error("Not logged in")]
    NotLoggedIn,
    #[error("The token was refused: {message}")]
    TokenRefused { message: String, is_from_environment: bool },
    #[error("The email or password is not right")]
    LoginRefused,
    #[error("{0}")]
    LoginFailed(String),
    #[error("Cancelled")]
    Cancelled,
    #[error("{path}: {source}")]
    Netrc { path: String, source: io::Error },
    #[error("The home directory is not known, so there is no netrc to keep the token in")]
    NoHome,

    #[error("Confirmation did not match {0}. Aborted")]
    NotConfirmed(String),
    #[error("There is no terminal to ask on for {what}")]
    NoTerminal {
        what: &'static str,
        /// The flags that answer instead, or where there is somebody to ask.
        instead: &'static str,
    },
    #[error("{0}")]
    Absent(String),
    #[error("{path}: {source}")]
    File { path: String, source: io::Error },
    #[error("{app} has no certificate")]
    NoCertificate { app: String },
    #[error("There are several certificates: {0}")]
    SeveralCertificates(String),
    #[error("{hostname} did not get its certificate{}", .reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}")))]
    DomainFailed {
        app: String,
        hostname: String,
        reason: Option<String>,
    },
    #[error("{app} has no release to roll back to")]
    NothingToRollBackTo { app: String },
    #[error("Release v{version} is still running its release command")]
    ReleasePending { app: String, version: u32 },
    #[error("Release v{version} failed")]
    ReleaseFailed { app: String, version: u32 },
    /// The exit code of another command, to be passed on.
    #[error("exit code {0}")]
    Exit(u8),
    /// The same, of a program in a dyno, as Heroku's client tells it.
    #[error("Process exited with code {0}")]
    ProgramExited(u8),
    #[error("The connection to the dyno broke off")]
    BrokenOff,
    #[error("forcing dyno disconnect")]
    Disconnected,
    #[error("There is no command heroku on the PATH")]
    NoHeroku,
    #[error("There is no command docker on the PATH")]
    NoDocker,
    #[error("No {path} found")]
    NoProcfile { path: String },
    #[error("Log stream timed out. Please try again")]
    LogStreamEnded,

    #[error("{0}")]
    Io(#[from] io::Error),
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// 1 for refused or failed, 2 for misuse.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_)
            | Self::Grammar { .. }
            | Self::NoApp
            | Self::SeveralApps(_)
            | Self::SeveralCertificates(_)
            | Self::NoRemote(_)
            | Self::NoProcfile { .. }
            | Self::BadUrl(_) => 2,
            Self::Exit(code) | Self::ProgramExited(code) => *code,
            _ => 1,
        }
    }

    /// Whether the reader of our output went away (`paas logs | head`): nothing is left to tell, and to nobody.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Whether the platform asks for a code beside the password.
    pub(crate) fn wants_code(&self) -> bool {
        matches!(self, Self::Api { status: 403, id, .. } if id == "two_factor")
    }

    /// Whether somebody else would have been answered.
    pub(crate) const fn is_forbidden(&self) -> bool {
        matches!(self, Self::Api { status: 403, .. })
    }

    /// What to do next, where there is something to do.
    pub(crate) fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Grammar { hint, .. } => return hint.clone(),
            Self::NoApp => "name it with `-a APP`, or run this in a checkout whose git remote `paas` leads to the app",
            Self::SeveralApps(_) => "choose one with `-a APP` or `-r REMOTE`",
            Self::NoRemote(_) => "run `paas git:remote -a APP` to add a remote, or name the app with `-a APP`",
            Self::NotARepository => "run `git init` first, or change to the app's checkout",
            Self::BadUrl(_) => "set PAAS_URL to the API of your platform, such as http://127.0.0.1:5050",
            Self::Unreachable { .. } => {
                "is paasd running? set PAAS_URL to the API of your platform, such as https://api.example.com"
            }
            Self::Timeout { .. } => "the request may still be carried out: look at the result before you repeat it",
            Self::Redirected { .. } => "set PAAS_URL to the address that answers without a redirect",
            Self::BadAnswer { .. } => "is PAAS_URL the API of your platform? `paas version` says what this command is",
            Self::NotLoggedIn => "run `paas login`",
            Self::TokenRefused {
                is_from_environment, ..
            } => {
                if *is_from_environment {
                    "the token came from PAAS_API_KEY: unset or correct it, or run `paas login`"
                } else {
                    "run `paas login`"
                }
            }
            Self::LoginRefused => "try again; `paasd user` on the server makes users and sets passwords",
            Self::NoHome => "set HOME, or NETRC to the file's path; or pass a token in PAAS_API_KEY",
            Self::BrokenOff => "run `paas ps` to see what still runs, and `paas logs` for what became of it",
            Self::NoHeroku => {
                "run `npm install --global heroku`, or see https://devcenter.heroku.com/articles/heroku-cli; `paas` knows the same commands"
            }
            Self::NoDocker => {
                "install Docker: https://docs.docker.com/engine/install; or push the source with git, and let the platform build it"
            }
            Self::NoProcfile { .. } => {
                "add a Procfile to add process types, or pass `--start-cmd COMMAND`; see https://devcenter.heroku.com/articles/procfile"
            }
            Self::NoTerminal { instead, .. } if instead.starts_with('-') => return Some(format!("pass `{instead}`")),
            Self::NoTerminal { instead, .. } => return Some(format!("run this in {instead}")),
            Self::SeveralCertificates(_) => "choose one with `--name NAME`",
            Self::NoCertificate { app } => {
                return Some(format!("run `paas certs:add CRT KEY -a {app}` to bring one"));
            }
            Self::DomainFailed { app, .. } => {
                return Some(format!(
                    "set that right, then run `paas certs:auto:refresh --wait -a {app}`"
                ));
            }
            Self::NothingToRollBackTo { app } => {
                return Some(format!("run `paas releases -a {app}` to see the releases"));
            }
            Self::ReleasePending { app, version } => {
                return Some(format!("run `paas releases:output v{version} -a {app}` to watch it"));
            }
            Self::ReleaseFailed { app, version } => {
                return Some(format!(
                    "the release before it goes on serving; run `paas releases:output v{version} -a {app}` or `paas logs -a {app}`"
                ));
            }
            Self::Api {
                status,
                id,
                url,
                resource,
                request_id,
                ..
            } => {
                let told = request_id.as_ref().filter(|_| *status == 500);
                return told
                    .map(|id| format!("the server's log says more about request {id}"))
                    .or_else(|| api_hint(*status, id, url.as_deref(), resource.as_deref()));
            }
            Self::Usage(_)
            | Self::Git(_)
            | Self::Netrc { .. }
            | Self::NotConfirmed(_)
            | Self::LoginFailed(_)
            | Self::Cancelled
            | Self::Absent(_)
            | Self::File { .. }
            | Self::LogStreamEnded
            | Self::Exit(_)
            | Self::ProgramExited(_)
            | Self::Disconnected
            | Self::Io(_) => return None,
        };
        Some(text.to_owned())
    }
}

fn api_hint(status: u16, id: &str, url: Option<&str>, resource: Option<&str>) -> Option<String> {
    if let Some(url) = url {
        return Some(format!("see {url}"));
    }
    let text = match (status, id, resource) {
        (404, _, Some("app")) => "run `paas apps` to see your apps",
        (404, _, Some("release")) => "run `paas releases` to see the app's releases",
        (404, _, Some("domain")) => "run `paas domains` to see the app's domains",
        (404, _, Some("certificate")) => "run `paas certs` to see the app's certificates",
        (404, _, Some("feature")) => "run `paas features` to see what can be switched on",
        (404, _, Some("build")) => "run `paas builds` to see the app's builds",
        (404, _, Some("dyno")) => "run `paas ps` to see the app's dynos",
        (404, _, Some("authorization")) => "run `paas authorizations` to see your authorizations",
        (404, _, Some("session")) => "run `paas sessions` to see your sessions",
        (404, _, Some("client")) => "run `paas clients` to see your OAuth clients",
        (404, _, Some("formation")) => "run `paas ps:scale` to see the app's process types",
        (403, ..) => "run `paas auth:whoami` to see who you are",
        // Without an id it is not the platform that answers, but something in front of it.
        (503, "", _) => "the platform is starting or busy; try again in a few seconds",
        (500.., "", _) => "is paasd running? the log of what answers here says more",
        _ => return None,
    };
    Some(text.to_owned())
}
