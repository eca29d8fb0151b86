//! What add-ons there are, and what could be.

use clap::Args;
use paas_api::{Addon, AddonAttachment, AddonService, Plan};

use super::{find, of_app};
use crate::{
    addon_exposure,
    app_context::{AppArgs, Context},
    client::segment,
    error::Result,
    table::Table,
    time,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Those of all apps
    #[arg(short = 'A', long)]
    all: bool,
    /// Print the add-ons as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The add-on, or what the app calls it
    #[arg(value_name = "ADDON")]
    addon: String,
    #[command(flatten)]
    app: AppArgs,
    /// Print the add-on as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlansArgs {
    /// The service, such as heroku-postgresql
    #[arg(value_name = "SERVICE")]
    service: String,
    /// Print the plans as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServicesArgs {
    /// Print the services as JSON
    #[arg(long)]
    json: bool,
}

/// `addons`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let app = if args.all { None } else { args.app.name(context).ok() };
    let mut addons: Vec<Addon> = match &app {
        Some(app) => of_app(app, context)?,
        None => context.client.list("/addons", "id")?,
    };
    addons.sort_by(|one, other| (&one.app.name, &one.name).cmp(&(&other.app.name, &other.name)));
    if args.json {
        return context.output.json(&addons);
    }
    if addons.is_empty() {
        return context.output.line(match app {
            Some(app) => format!("No add-ons for app {app}."),
            None => "No add-ons on your apps".to_owned(),
        });
    }
    let Some(app) = app else {
        let rows = addons
            .into_iter()
            .map(|addon| [addon.app.name, addon.name, addon.plan.name, addon.state]);
        return context
            .output
            .table(&Table::new(["Owning app", "Add-on", "Plan", "State"], rows));
    };
    let attachments: Vec<AddonAttachment> = context.client.list("/addon-attachments", "id")?;
    let mut rows = Vec::new();
    for addon in addons {
        let uses = attachments.iter().filter(|attachment| attachment.addon.id == addon.id);
        let uses: Vec<_> = uses.map(|attachment| as_used(attachment, &app)).collect();
        let name = format!("{} ({})", addon.addon_service.name, addon.name);
        rows.push([name, addon.plan.human_name, addon.state, uses.join(", ")]);
    }
    context
        .output
        .table(&Table::new(["Add-on", "Plan", "State", "Attached as"], rows))
}

/// `DATABASE`, or `MAIN on other-app`.
fn as_used(attachment: &AddonAttachment, app: &str) -> String {
    if attachment.app.name == app {
        attachment.name.clone()
    } else {
        format!("{} on {}", attachment.name, attachment.app.name)
    }
}

/// `addons:info`
pub(crate) fn info(args: &InfoArgs, context: &Context) -> Result<()> {
    let addon = find(context, &args.app, &args.addon)?;
    if args.json {
        return context.output.json(&addon);
    }
    let path = format!("/addons/{}/addon-attachments", addon.id);
    let attachments: Vec<AddonAttachment> = context.client.list(&path, "id")?;
    let uses = attachments
        .iter()
        .map(|attachment| format!("{}::{}", attachment.app.name, attachment.name));
    let mut facts = vec![
        ("Attachments", uses.collect::<Vec<_>>().join(", ")),
        ("Installed at", time::minute(addon.created_at)),
        ("Owning app", addon.app.name.clone()),
        ("Plan", addon.plan.name.clone()),
        ("Size", addon.plan.description.clone()),
        ("Price", "free".to_owned()),
        ("State", addon.state.clone()),
    ];
    let exposures = addon_exposure::all(context)?;
    facts.extend(
        exposures
            .iter()
            .filter(|exposure| exposure.addon.id == addon.id)
            .map(|exposure| {
                let (allowed, until) = (exposure.allow.join(", "), time::minute(exposure.expires_at));
                let shown = format!("{}:{} to {allowed} until {until}", exposure.host, exposure.port);
                ("Exposed", shown)
            }),
    );
    facts.extend(addon.provision_message.clone().map(|message| ("Message", message)));
    context.output.header(&addon.name)?;
    context.output.facts(&facts)
}

/// `addons:plans`
pub(crate) fn plans(args: &PlansArgs, context: &Context) -> Result<()> {
    let path = format!("/addon-services/{}/plans", segment(&args.service));
    let plans: Vec<Plan> = context.client.list(&path, "name")?;
    if args.json {
        return context.output.json(&plans);
    }
    let rows = plans.into_iter().map(|plan| {
        let default = if plan.default { "default" } else { "" };
        [default.to_owned(), plan.name, plan.description]
    });
    context.output.table(&Table::new(["", "slug", "what it has"], rows))
}

/// `addons:services`
pub(crate) fn services(args: &ServicesArgs, context: &Context) -> Result<()> {
    let mut services: Vec<AddonService> = context.client.list("/addon-services", "name")?;
    services.sort_by(|one, other| one.name.cmp(&other.name));
    if args.json {
        return context.output.json(&services);
    }
    let rows = services
        .into_iter()
        .map(|service| [service.name, service.human_name, service.state]);
    context.output.table(&Table::new(["slug", "name", "state"], rows))?;
    context.output.note("See plans with paas addons:plans SERVICE")
}
