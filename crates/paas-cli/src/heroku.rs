//! `heroku -- ARGS`: Heroku's own command, with this platform in the place of Heroku's.
//!
//! It refuses hosts that are not Heroku's, unless they are this machine: so it talks to a [`Forwarder`] of ours. It never gets
//! the token, only a word that the forwarder takes for the token while it runs. Some of its commands ask hosts that are
//! written into it, and send along what they have: that is worth nothing there.
//!
//! `container:*` alone goes to the platform by itself: it asks for the registry by the API's domain, and has Docker keep the token.

mod forwarder;

use std::{io, process::Command};

use clap::Args;
use paas_api::Secret;

use self::forwarder::Forwarder;
use crate::{
    app_context::Context,
    client::Credentials,
    error::{Error, Result},
    exit,
    signals::Signals,
};

#[derive(Debug, Args)]
pub(crate) struct HerokuArgs {
    /// The command and its arguments, as `heroku` takes them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

/// What would lead it, or what it knows, somewhere else.
const REMOVED: [&str; 6] = [
    "HEROKU_API_TOKEN",
    "HEROKU_CLOUD",
    "HEROKU_DATA_CONTROL_PLANE",
    "HEROKU_HEADERS",
    "HEROKU_ORGANIZATION",
    "PAAS_API_KEY",
];

/// Hosts that it asks by URL.
const URLS: [&str; 8] = [
    "HEROKU_ANALYTICS_URL",
    "HEROKU_CI_WEBSOCKET_URL",
    "HEROKU_HOST",
    "HEROKU_LOGIN_HOST",
    "HEROKU_PARTICLEBOARD_URL",
    "HEROKU_STATUS_HOST",
    "PGDIAGNOSE_URL",
    "SSO_URL",
];

/// Hosts that it asks by name, at the port of `HEROKU_HOST`.
const HOSTS: [&str; 3] = ["HEROKU_DATA_HOST", "HEROKU_POSTGRESQL_HOST", "HEROKU_REDIS_HOST"];

/// `heroku`
pub(crate) fn run(args: &HerokuArgs, context: &Context) -> Result<()> {
    let Credentials::Token { token, .. } = context.client.credentials() else {
        return Err(Error::NotLoggedIn);
    };
    let forwarder = Forwarder::start(&context.client, token.clone())?;
    let mut heroku = Command::new("heroku");
    heroku.args(&args.arguments);
    surround(&mut heroku, &forwarder, context);
    if let Some(verb) = args.arguments.first().filter(|verb| is_container(verb)) {
        lead_to_registry(&mut heroku, verb, token, context)?;
    }
    // Ctrl-C is for it, and we go when it goes.
    let _signals = Signals::listen()?;
    let status = heroku.status().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::NoHeroku,
        _ => Error::Io(error),
    })?;
    exit::pass_on(status)
}

fn is_container(verb: &str) -> bool {
    verb == "container" || verb.starts_with("container:")
}

/// Instead of the forwarder, which has no registry beside it.
fn lead_to_registry(heroku: &mut Command, verb: &str, token: &Secret, context: &Context) -> Result<()> {
    let base = &context.client.base;
    let domain = base.client_domain().ok_or_else(|| {
        Error::Absent(format!(
            "Heroku's client finds a registry only beside an API at https://api.DOMAIN, and this one is at {base}: use paas {verb}"
        ))
    })?;
    heroku
        .env("HEROKU_HOST", domain)
        .env("HEROKU_API_KEY", token.expose())
        // It shows the token by itself only to hosts of Heroku's.
        .env(
            "HEROKU_HEADERS",
            serde_json::json!({ "authorization": format!("Bearer {}", token.expose()) }).to_string(),
        );
    Ok(())
}

fn surround(heroku: &mut Command, forwarder: &Forwarder, context: &Context) {
    for name in REMOVED {
        heroku.env_remove(name);
    }
    let forwarded = forwarder.url();
    for name in URLS {
        heroku.env(name, &forwarded);
    }
    for name in HOSTS {
        heroku.env(name, forwarder.host());
    }
    // It sends requests for this machine through a proxy, too, when nobody says otherwise.
    let known = context.config.no_proxy.iter().map(String::as_str);
    let no_proxy = ["127.0.0.1", "localhost"]
        .into_iter()
        .chain(known)
        .collect::<Vec<_>>()
        .join(",");
    heroku
        .env("NO_PROXY", &no_proxy)
        .env("no_proxy", &no_proxy)
        .env("HEROKU_API_KEY", forwarder.word().expose())
        .env(
            "HEROKU_BUILDPACK_REGISTRY_URL",
            format!("{forwarded}/buildpack-registry"),
        )
        .env("HEROKU_SKIP_NEW_VERSION_CHECK", "true")
        .env("DISABLE_TELEMETRY", "true");
    if let Some(app) = &context.config.app {
        heroku.env("HEROKU_APP", app);
    }
    let base = &context.client.base;
    heroku
        .env("HEROKU_GIT_HOST", base.git_authority())
        .env("HEROKU_EXEC_URL", format!("https://{}/", base.authority()));
    if base.is_loopback() {
        // Its remotes are https, always; git answers without on this machine.
        heroku
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", format!("url.{base}/.insteadOf"))
            .env("GIT_CONFIG_VALUE_0", format!("https://{}/", base.git_authority()));
    }
}
