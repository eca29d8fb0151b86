//! Logging in and out: a token is made, kept in the netrc, and revoked.
//!
//! Neither password nor token is ever an argument: other users of a machine can read those.

use std::{
    fs,
    io::{self, IsTerminal, Read},
    process::{Command, Stdio},
};

use clap::Args;
use paas_api::{
    Account, Authorization, Login as Pending, LoginResult, NewAuthorization, NewLogin, Secret, TWO_FACTOR_CODE,
};

use crate::{
    app_context::Context,
    client::Credentials,
    error::{Error, Result},
    netrc::{Login, Netrc},
};

/// A year: the token in the netrc also serves `git push`, which cannot ask for a new one.
const LIFETIME_SECONDS: i64 = 365 * 24 * 60 * 60;

/// How to log in from a script.
const WITHOUT_TERMINAL: &str = "--email EMAIL --password-stdin";

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// Open this browser
    #[arg(long, value_name = "BROWSER", conflicts_with_all = ["interactive", "expires_in", "email", "token"])]
    browser: Option<String>,
    /// Seconds until the token ends
    #[arg(short, long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(1..))]
    expires_in: Option<i64>,
    /// Ask for email and password here
    #[arg(short, long)]
    interactive: bool,
    /// Log in as this user
    #[arg(long, value_name = "EMAIL")]
    email: Option<String>,
    /// Read the password from stdin
    #[arg(long, requires = "email", conflicts_with = "token")]
    password_stdin: bool,
    /// Ask for a token instead of a password, or read it from stdin
    #[arg(long, conflicts_with_all = ["email", "interactive", "expires_in"])]
    token: bool,
}

/// `login`
pub(crate) fn login(args: &LoginArgs, context: &Context) -> Result<()> {
    let (output, base) = (&context.output, &context.client.base);
    let netrc = netrc(context)?;
    if base.is_exposed() {
        output.warning(&format!(
            "{base} is not encrypted: others on the network can read the token"
        ))?;
    }
    let asks_here = args.interactive || args.email.is_some() || args.expires_in.is_some();
    let token = if args.token {
        given_token(context)?
    } else if args.browser.is_some() || (!asks_here && io::stdin().is_terminal()) {
        in_browser(args, context)?
    } else {
        by_password(args, context)?
    };
    let credentials = Credentials::Token {
        token: token.clone(),
        is_from_environment: false,
    };
    let account: Account = context.client.with(credentials).get("/account")?;
    let login = Login {
        email: account.email,
        token,
    };
    netrc.set(&base.machines(), &login)?;
    if context.config.api_key.is_some() {
        output.warning("PAAS_API_KEY is set and goes before this login")?;
    }
    output.note(&format!("Logged in as {}", login.email))
}

/// A page of the platform asks for the password: it may be kept by the browser, and never comes near this command.
fn in_browser(args: &LoginArgs, context: &Context) -> Result<Secret> {
    let (output, base) = (&context.output, &context.client.base);
    if args.browser.is_none() {
        let question = "paas: Press Enter to open up the browser to login or q to exit: ";
        if output
            .ask(question, "a login", WITHOUT_TERMINAL)?
            .trim()
            .eq_ignore_ascii_case("q")
        {
            return Err(Error::Cancelled);
        }
    }
    let new = NewLogin {
        description: Some(description()),
    };
    let anybody = context.client.with(Credentials::Anybody);
    let pending: Pending = anybody.post("/auth", &new)?;
    let url = format!("{base}{}", pending.browser_url.expose());
    output.note(&format!("Opening browser to {base}"))?;
    output.note(&format!("If the browser does not open, visit:\n{url}"))?;
    open(args.browser.as_deref(), &url);
    let command = context.client.with(Credentials::Token {
        token: pending.token,
        is_from_environment: false,
    });
    // Blanks come before the answer, for as long as nobody has typed anything.
    let wait = || match command.get(&pending.cli_url)? {
        LoginResult::Done { access_token } => Ok(access_token),
        LoginResult::Failed { error } => Err(Error::LoginFailed(error)),
    };
    output.action("Waiting for login", wait, |_| String::new())
}

/// Nobody is told when it cannot be opened: the address stands on the terminal already.
fn open(browser: Option<&str>, url: &str) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(browser.unwrap_or(opener));
    command
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Not waited for: a browser may run for as long as the login takes, and longer.
    _ = command.spawn();
}

fn by_password(args: &LoginArgs, context: &Context) -> Result<Secret> {
    let (output, base) = (&context.output, &context.client.base);
    let client = context.client.with(password(args, context)?);
    let wanted = NewAuthorization {
        description: Some(description()),
        expires_in: Some(args.expires_in.unwrap_or(LIFETIME_SECONDS)),
        scope: Some(vec!["global".to_owned()]),
    };
    let answer: Result<Authorization> = output.action(
        "Logging in",
        || client.post("/oauth/authorizations", &wanted),
        |_| String::new(),
    );
    let authorization = match answer {
        Err(error) if error.wants_code() => {
            let code = output.ask_secret("Two-factor code: ", "a two-factor code", "--token")?;
            let client = client.bringing(TWO_FACTOR_CODE, Secret::new(code));
            output.action(
                "Logging in",
                || client.post("/oauth/authorizations", &wanted),
                |_| String::new(),
            )?
        }
        other => other?,
    };
    let access_token = authorization.access_token.ok_or_else(|| Error::BadAnswer {
        url: base.to_string(),
        why: "an authorization without a token".to_owned(),
    })?;
    Ok(access_token.token)
}

/// `logout`: what cannot be revoked, because the server is away or the token has ended, is forgotten all the same.
pub(crate) fn logout(context: &Context) -> Result<()> {
    let machines = context.client.base.machines();
    let netrc = netrc(context)?;
    let Some(login) = netrc.login(&machines[0])? else {
        return context.output.note("Not logged in");
    };
    let revoked = match revoke(&login.token, context) {
        // A token that is refused has ended already.
        Err(Error::TokenRefused { .. }) => Ok(()),
        other => other,
    };
    if let Err(error) = &revoked {
        context
            .output
            .warning(&format!("the token could not be revoked: {error}"))?;
    }
    context
        .output
        .action("Logging out", || netrc.remove(&machines), |()| String::new())
}

/// The server keeps hashes of tokens, and shows a token only to itself: so that one is ours to delete. A login in a browser
/// made a session instead.
fn revoke(token: &Secret, context: &Context) -> Result<()> {
    let client = context.client.with(Credentials::Token {
        token: token.clone(),
        is_from_environment: false,
    });
    let authorizations: Vec<Authorization> = client.list("/oauth/authorizations", "id")?;
    let is_ours = |authorization: &&Authorization| {
        authorization
            .access_token
            .as_ref()
            .is_some_and(|access| access.token == *token)
    };
    match authorizations.iter().find(is_ours) {
        Some(ours) => client.delete(&format!("/oauth/authorizations/{}", ours.id)),
        None => client.delete("/oauth/sessions/~"),
    }
}

/// `auth:token`: the token in use. The server does not know it any more, it keeps a hash.
pub(crate) fn token(context: &Context) -> Result<()> {
    match context.client.credentials() {
        Credentials::Token { token, .. } => context.output.line(token.expose()),
        Credentials::None | Credentials::Anybody | Credentials::Password { .. } => Err(Error::NotLoggedIn),
    }
}

/// The credentials of a context: `PAAS_API_KEY`, else the netrc.
pub(crate) fn credentials(config: &crate::config::Config, machine: &str) -> Result<Credentials> {
    if let Some(token) = config.api_key.clone() {
        return Ok(Credentials::Token {
            token,
            is_from_environment: true,
        });
    }
    let login = config
        .netrc
        .as_deref()
        .map(|path| Netrc::new(path).login(machine))
        .transpose()?;
    Ok(login.flatten().map_or(Credentials::None, |login| Credentials::Token {
        token: login.token,
        is_from_environment: false,
    }))
}

fn netrc(context: &Context) -> Result<Netrc> {
    context.config.netrc.as_deref().map(Netrc::new).ok_or(Error::NoHome)
}

fn given_token(context: &Context) -> Result<Secret> {
    let token = if io::stdin().is_terminal() {
        context.output.ask_secret("Token: ", "a token", "--token")?
    } else {
        first_line_of_stdin()?
    };
    // Anything else would not survive a header or a netrc.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::Usage("That is not a token".to_owned()));
    }
    Ok(Secret::new(token))
}

fn password(args: &LoginArgs, context: &Context) -> Result<Credentials> {
    let output = &context.output;
    let email = match &args.email {
        Some(email) => email.clone(),
        None => output.ask("Email: ", "an email", WITHOUT_TERMINAL)?,
    };
    let password = if args.password_stdin {
        first_line_of_stdin()?
    } else {
        output.ask_secret("Password: ", "a password", WITHOUT_TERMINAL)?
    };
    Ok(Credentials::Password {
        email,
        password: Secret::new(password),
    })
}

fn first_line_of_stdin() -> Result<String> {
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Only for people who look through their authorizations later.
fn description() -> String {
    let name = fs::read_to_string("/etc/hostname").unwrap_or_default();
    let name = name.trim();
    format!("paas login from {}", if name.is_empty() { "a laptop" } else { name })
}
