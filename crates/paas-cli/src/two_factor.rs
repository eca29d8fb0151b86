//! The second factor: an authenticator app whose codes go with the password.

use clap::Args;
use paas_api::{
    Account, AccountUpdate, NewTwoFactor, PASSWORD, Secret, TWO_FACTOR_CODE, TwoFactor, TwoFactorConfirmation,
};
use qrcodegen::{QrCode, QrCodeEcc};

use crate::{
    app_context::Context,
    client::Client,
    error::{Error, Result},
    output::Style,
};

/// These ask for a password and a code, which only a person has.
pub(crate) const ONLY_HERE: &str = "a terminal";

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Print the status as JSON
    #[arg(long)]
    json: bool,
}

/// `auth:2fa`
pub(crate) fn status(args: &StatusArgs, context: &Context) -> Result<()> {
    let account: Account = context.client.get("/account")?;
    let is_on = account.two_factor_authentication;
    if args.json {
        return context
            .output
            .json(&serde_json::json!({ "two_factor_authentication": is_on }));
    }
    let (style, word) = if is_on {
        (Style::Green, "enabled")
    } else {
        (Style::Red, "not enabled")
    };
    let word = context.output.paint(style, word);
    context.output.line(format!("Two-factor authentication is {word}"))
}

/// `auth:2fa:enable`
pub(crate) fn enable(context: &Context) -> Result<()> {
    let output = &context.output;
    let new = NewTwoFactor {
        password: ask_password(context)?,
    };
    let factor: TwoFactor = context.client.post("/account/two-factor", &new)?;
    output.note("Scan this with an authenticator app:\n")?;
    if let Some(picture) = picture(factor.otpauth_url.expose()) {
        output.line(picture)?;
    }
    output.line(format!("Secret: {}", factor.secret.expose()))?;
    let codes: Vec<String> = loop {
        let code = output.ask("Code that the app shows: ", "a code", ONLY_HERE)?;
        let code = Secret::new(code.trim());
        let confirmation = TwoFactorConfirmation { code };
        match context
            .client
            .post("/account/two-factor/actions/confirm", &confirmation)
        {
            Err(error) if error.wants_code() => output.warning(&error.to_string())?,
            other => break other?,
        }
    };
    output.note("Two-factor authentication is enabled.\n")?;
    show(&codes, context)
}

/// `auth:2fa:generate-recovery-codes`
pub(crate) fn generate_recovery_codes(context: &Context) -> Result<()> {
    let client = context.client.bringing(PASSWORD, ask_password(context)?);
    let codes: Vec<String> = with_code(&client, context, |client| {
        client.post("/account/recovery-codes", &serde_json::Map::new())
    })?;
    show(&codes, context)
}

/// `auth:2fa:disable`
pub(crate) fn disable(context: &Context) -> Result<()> {
    let update = AccountUpdate {
        two_factor_authentication: Some(false),
        password: Some(ask_password(context)?),
        ..AccountUpdate::default()
    };
    let _: Account = with_code(&context.client, context, |client| client.patch("/account", &update))?;
    context.output.line("Two-factor authentication has been disabled")
}

/// Asks for a code when the platform wants one, and again when it was not right.
pub(crate) fn with_code<T>(client: &Client, context: &Context, request: impl Fn(&Client) -> Result<T>) -> Result<T> {
    let mut answer = request(client);
    let mut is_first = true;
    while let Err(error) = &answer
        && error.wants_code()
    {
        if !is_first {
            context.output.warning(&error.to_string())?;
        }
        is_first = false;
        let code = context
            .output
            .ask_secret("Two-factor code: ", "a two-factor code", ONLY_HERE)?;
        answer = request(&client.bringing(TWO_FACTOR_CODE, Secret::new(code.trim())));
    }
    answer
}

pub(crate) fn ask_password(context: &Context) -> Result<Secret> {
    let password = context.output.ask_secret("Password: ", "a password", ONLY_HERE)?;
    // A header holds no line breaks; nothing else can be wrong with it.
    if password.chars().any(char::is_control) {
        return Err(Error::Usage("That is not a password".to_owned()));
    }
    Ok(Secret::new(password))
}

fn show(codes: &[String], context: &Context) -> Result<()> {
    context
        .output
        .note("Recovery codes, each good once in place of a code of the app. Keep them; they are not shown again:")?;
    codes.iter().try_for_each(|code| context.output.line(code))
}

/// Two rows of modules in one line of text, dark on light whatever the terminal's colours are.
fn picture(text: &str) -> Option<String> {
    const QUIET: i32 = 2;
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    let range = -QUIET..code.size() + QUIET;
    let mut picture = String::new();
    for row in range.clone().step_by(2) {
        // Black on bright white (ECMA-48 SGR).
        picture += "\u{1b}[30;107m";
        for column in range.clone() {
            picture.push(match (code.get_module(column, row), code.get_module(column, row + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        picture += "\u{1b}[0m\n";
    }
    Some(picture)
}
