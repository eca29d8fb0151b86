//! What the environment says. The only place that reads it.

use std::{env, path::PathBuf};

use paas_api::Secret;

use crate::error::{Error, Result};

/// Settings from the environment. A flag, where there is one, wins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    /// `PAAS_URL`: where the API answers.
    pub(crate) url: Option<String>,
    /// `PAAS_APP`: the app, when no flag names one.
    pub(crate) app: Option<String>,
    /// `PAAS_API_KEY`: a token that goes before the one in the netrc.
    pub(crate) api_key: Option<Secret>,
    /// `NETRC`, else `.netrc` of the home directory.
    pub(crate) netrc: Option<PathBuf>,
    /// `NO_PROXY`: hosts that are asked without a proxy.
    pub(crate) no_proxy: Option<String>,
    /// `PORT`: where the first process of `paas local` listens.
    pub(crate) port: Option<String>,
    /// `VISUAL`, else `EDITOR`.
    pub(crate) editor: Option<String>,
    /// `TERM`: what the person's terminal understands.
    pub(crate) term: Option<String>,
    /// `NO_COLOR` is set to something, or `TERM` is `dumb` (no-color.org).
    pub(crate) is_plain: bool,
}

impl Config {
    pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:5050";

    pub(crate) fn from_environment() -> Result<Self> {
        let netrc = variable("NETRC")?
            .map(PathBuf::from)
            .or_else(|| env::home_dir().map(|home| home.join(".netrc")));
        Ok(Self {
            url: variable("PAAS_URL")?,
            app: variable("PAAS_APP")?,
            api_key: variable("PAAS_API_KEY")?.map(Secret::new),
            netrc,
            no_proxy: variable("NO_PROXY")?.or(variable("no_proxy")?),
            port: variable("PORT")?,
            editor: variable("VISUAL")?.map_or_else(|| variable("EDITOR"), |editor| Ok(Some(editor)))?,
            term: variable("TERM")?,
            is_plain: variable("NO_COLOR")?.is_some() || variable("TERM")?.is_some_and(|term| term == "dumb"),
        })
    }
}

/// A variable that is empty counts as not set, as shells have it in `VARIABLE= command`.
#[expect(clippy::disallowed_methods, reason = "this is the place that reads the environment")]
fn variable(name: &str) -> Result<Option<String>> {
    match env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Error::Usage(format!("{name} is not valid UTF-8"))),
    }
}
