//! Routing: how an app's requests are treated.

use clap::Args;
use paas_api::{Routing, RoutingUpdate, RuleChange};

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::{Error, Result},
    time,
};

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Print the rules as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// What to change, such as response-timeout=120s, hsts=1y or https-redirect=on
    #[arg(value_name = "RULE=VALUE", required = true)]
    changes: Vec<String>,
    #[command(flatten)]
    app: AppArgs,
    /// Print the rules as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UnsetArgs {
    /// The rules to go back to Heroku's, such as response-timeout
    #[arg(value_name = "RULE", required = true)]
    rules: Vec<String>,
    #[command(flatten)]
    app: AppArgs,
    /// Print the rules as JSON
    #[arg(long)]
    json: bool,
}

/// Rules in the order in which they are shown, and what holds where nothing is set.
const RULES: [(&str, &str); 7] = [
    ("https-redirect", "off"),
    ("hsts", "off"),
    ("session-affinity", "off"),
    ("response-timeout", "30s"),
    ("idle-timeout", "55s"),
    ("boot-timeout", "75s"),
    ("sleep-after", "30m for Eco dynos, else never"),
];

/// `routing`
pub(crate) fn show(args: &ShowArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let routing: Routing = context.client.get(&path(&app))?;
    tell(&routing, args.json, context)
}

/// `routing:set`
pub(crate) fn set(args: &SetArgs, context: &Context) -> Result<()> {
    let mut update = RoutingUpdate::default();
    for change in &args.changes {
        let (rule, value) = change
            .split_once('=')
            .ok_or_else(|| Error::Usage(format!("{change} is not a change: write {change}=VALUE")))?;
        apply(&mut update, rule, Some(value))?;
    }
    change(&args.app, "Setting", &update, args.json, context)
}

/// `routing:unset`
pub(crate) fn unset(args: &UnsetArgs, context: &Context) -> Result<()> {
    let mut update = RoutingUpdate::default();
    for rule in &args.rules {
        apply(&mut update, rule, None)?;
    }
    change(&args.app, "Unsetting", &update, args.json, context)
}

fn change(app: &AppArgs, verb: &str, update: &RoutingUpdate, json: bool, context: &Context) -> Result<()> {
    let app = app.name(context)?;
    let path = path(&app);
    let routing: Routing = context.output.action(
        &format!("{verb} routing rules of {app}"),
        || context.client.patch(&path, update),
        |_| String::new(),
    )?;
    tell(&routing, json, context)
}

fn apply(update: &mut RoutingUpdate, rule: &str, value: Option<&str>) -> Result<()> {
    let switch = || match value {
        None => Ok(RuleChange::Reset),
        Some("on" | "true") => Ok(RuleChange::To(true)),
        Some("off" | "false") => Ok(RuleChange::To(false)),
        Some(other) => Err(Error::Usage(format!("{rule} is on or off, not {other}"))),
    };
    let duration = || match value {
        None | Some("off") => Ok(RuleChange::Reset),
        Some(text) => time::seconds(text).map(RuleChange::To).ok_or_else(|| {
            Error::Usage(format!(
                "{text} is no duration for {rule}: write 90s, 10m, 2h, 30d or 1y"
            ))
        }),
    };
    match rule {
        "https-redirect" => update.https_redirect = switch()?,
        "session-affinity" => update.session_affinity = switch()?,
        "hsts" => update.hsts_seconds = duration()?,
        "response-timeout" => update.response_timeout_seconds = duration()?,
        "idle-timeout" => update.idle_timeout_seconds = duration()?,
        "boot-timeout" => update.boot_timeout_seconds = duration()?,
        "sleep-after" => update.sleep_after_seconds = duration()?,
        other => {
            let known = RULES.map(|(rule, _)| rule).join(", ");
            return Err(Error::Usage(format!("There is no rule {other}: the rules are {known}")));
        }
    }
    Ok(())
}

fn tell(routing: &Routing, json: bool, context: &Context) -> Result<()> {
    if json {
        return context.output.json(routing);
    }
    let switch = |on: bool| on.then(|| "on".to_owned());
    let duration = |seconds: Option<u64>| seconds.map(time::duration);
    let set = [
        switch(routing.https_redirect),
        duration(routing.hsts_seconds),
        switch(routing.session_affinity),
        duration(routing.response_timeout_seconds),
        duration(routing.idle_timeout_seconds),
        duration(routing.boot_timeout_seconds),
        duration(routing.sleep_after_seconds),
    ];
    let facts = RULES
        .iter()
        .zip(set)
        .map(|((rule, usual), set)| (*rule, set.unwrap_or_else(|| format!("{usual} (default)"))));
    context.output.header(&format!("{} Routing", routing.app.name))?;
    context.output.facts(&facts.collect::<Vec<_>>())
}

fn path(app: &str) -> String {
    format!("/apps/{}/routing", segment(app))
}
