//! Automated certificate management: certificates that come by themselves.

use clap::Args;
use paas_api::{AcmDomain, AcmUpdate, App};

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    domain::{self, follow, status},
    error::Result,
    table::Table,
    time,
};

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Wait until all have come
    #[arg(long)]
    wait: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EnableArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Wait until all have come
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DisableArgs {
    #[command(flatten)]
    app: AppArgs,
    /// The app's name once more, instead of the question
    #[arg(short, long, value_name = "APP")]
    confirm: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RefreshArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Wait until all have come
    #[arg(long)]
    wait: bool,
}

/// `certs:auto`
pub(crate) fn show(args: &ShowArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    if args.wait {
        wait(&app, context)?;
    }
    let is_on = context.client.get::<App>(&format!("/apps/{}", segment(&app)))?.acm;
    let domains: Vec<AcmDomain> = context.client.get(&path(&app))?;
    if args.json {
        return context
            .output
            .json(&serde_json::json!({ "acm": is_on, "domains": domains }));
    }
    let state = if is_on { "enabled" } else { "disabled" };
    context
        .output
        .header(&format!("Automatic Certificate Management is {state} on {app}"))?;
    if !is_on {
        return Ok(());
    }
    if domains.is_empty() {
        return context.output.note(&format!(
            "No domain of {app} waits for a certificate. Add one with `paas domains:add HOSTNAME -a {app}`."
        ));
    }
    let now = time::now();
    let rows = domains.iter().map(|domain| {
        [
            domain.hostname.clone(),
            status(domain.status.as_deref()).to_owned(),
            domain.expires_at.map(time::minute).unwrap_or_default(),
            domain.last_try_at.map(|at| time::told(at, now)).unwrap_or_default(),
            domain.next_try_at.map(|at| time::due(at, now)).unwrap_or_default(),
        ]
    });
    let titles = ["Domain", "Status", "Expires", "Last Try", "Next Try"];
    context.output.table(&Table::new(titles, rows))?;
    for domain in &domains {
        if let Some(reason) = &domain.reason {
            context.output.line(format!("{}: {reason}", domain.hostname))?;
        }
    }
    Ok(())
}

/// `certs:auto:enable`
pub(crate) fn enable(args: &EnableArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let path = path(&app);
    context.output.action(
        "Enabling Automatic Certificate Management",
        || context.client.post::<App>(&path, &serde_json::Map::new()),
        |_| String::new(),
    )?;
    wait_or_say_how(&app, args.wait, context)
}

/// `certs:auto:disable`
pub(crate) fn disable(args: &DisableArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let consequence = format!(
        "without certificates of your own (`paas certs:add`), browsers will refuse the domains of {app} over HTTPS"
    );
    context.confirm(&app, &consequence, args.confirm.as_ref())?;
    let path = path(&app);
    context.output.action(
        "Disabling Automatic Certificate Management",
        || context.client.delete(&path),
        |()| String::new(),
    )
}

/// `certs:auto:refresh`
pub(crate) fn refresh(args: &RefreshArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let path = path(&app);
    context.output.action(
        "Refreshing Automatic Certificate Management",
        || context.client.patch::<App>(&path, &AcmUpdate { acm_refresh: true }),
        |_| String::new(),
    )?;
    wait_or_say_how(&app, args.wait, context)
}

fn wait_or_say_how(app: &str, is_wanted: bool, context: &Context) -> Result<()> {
    if is_wanted {
        wait(app, context)
    } else {
        context
            .output
            .note(&format!("See how it is doing with: paas certs:auto -a {app}"))
    }
}

fn wait(app: &str, context: &Context) -> Result<()> {
    let domains = domain::all(app, context)?.into_iter();
    follow(app, domains.filter(domain::is_custom).collect(), context)
}

fn path(app: &str) -> String {
    format!("/apps/{}/acm", segment(app))
}
