//! Add-ons that addresses outside may come to. Heroku has trusted IP ranges, for whole spaces; this is for one add-on.

use clap::Args;
use paas_api::{AddonExposure, NewAddonExposure};

use crate::{
    addon::find,
    app_context::{AppArgs, Context},
    error::{Error, Result},
    table::Table,
    time,
};

#[derive(Debug, Args)]
pub(crate) struct ExposeArgs {
    /// The add-on, or what the app calls it; without it, list what is exposed
    #[arg(value_name = "ADDON")]
    addon: Option<String>,
    #[command(flatten)]
    app: AppArgs,
    /// An address or network that may come, such as 203.0.113.7/32; may be repeated
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    allow: Vec<String>,
    /// How long, such as '30 days', or until when; 90 days at most [default: 7 days]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UnexposeArgs {
    /// The add-on, or what the app calls it
    #[arg(value_name = "ADDON")]
    addon: String,
    #[command(flatten)]
    app: AppArgs,
}

/// `addons:expose`
pub(crate) fn expose(args: &ExposeArgs, context: &Context) -> Result<()> {
    let Some(name) = &args.addon else {
        return list(args, context);
    };
    let addon = find(context, &args.app, name)?;
    let path = format!("/addons/{}/exposure", addon.id);
    if args.allow.is_empty() && args.until.is_none() {
        return show(args, &context.client.get(&path)?, context);
    }
    let new = NewAddonExposure {
        allow: args.allow.clone(),
        until: args.until.clone(),
    };
    let what = format!("Exposing {} on {}", addon.name, addon.app.name);
    let expose = || context.client.put::<AddonExposure>(&path, &new);
    let exposure = context.output.action(&what, expose, |made| {
        format!(", {}:{} until {}", made.host, made.port, time::minute(made.expires_at))
    })?;
    show(args, &exposure, context)
}

fn show(args: &ExposeArgs, exposure: &AddonExposure, context: &Context) -> Result<()> {
    if args.json {
        return context.output.json(exposure);
    }
    let mut facts = vec![
        ("Address", format!("{}:{}", exposure.host, exposure.port)),
        ("Allowed", exposure.allow.join(", ")),
        ("Until", time::minute(exposure.expires_at)),
    ];
    facts.extend(exposure.url.as_ref().map(|url| ("URL", url.expose().to_owned())));
    context.output.header(&exposure.addon.name)?;
    context.output.facts(&facts)
}

fn list(args: &ExposeArgs, context: &Context) -> Result<()> {
    if !args.allow.is_empty() || args.until.is_some() {
        return Err(Error::Usage(
            "Say which add-on: paas addons:expose DATABASE --allow 203.0.113.7/32".to_owned(),
        ));
    }
    let app = args.app.name(context).ok();
    let mut exposures = all(context)?;
    exposures.retain(|exposure| app.as_ref().is_none_or(|app| exposure.app.name == *app));
    if args.json {
        return context.output.json(&exposures);
    }
    if exposures.is_empty() {
        return context.output.line("No add-ons are exposed");
    }
    let rows = exposures.into_iter().map(|exposure| {
        [
            exposure.app.name,
            exposure.addon.name,
            format!("{}:{}", exposure.host, exposure.port),
            exposure.allow.join(", "),
            time::minute(exposure.expires_at),
        ]
    });
    let head = ["Owning app", "Add-on", "Address", "Allowed", "Until"];
    context.output.table(&Table::new(head, rows))
}

/// `addons:unexpose`
pub(crate) fn unexpose(args: &UnexposeArgs, context: &Context) -> Result<()> {
    let addon = find(context, &args.app, &args.addon)?;
    let path = format!("/addons/{}/exposure", addon.id);
    let what = format!("Unexposing {} on {}", addon.name, addon.app.name);
    let unexpose = || context.client.delete_reading::<AddonExposure>(&path);
    context.output.action(&what, unexpose, |_| String::new()).map(drop)
}

/// All that the caller gets to see.
pub(crate) fn all(context: &Context) -> Result<Vec<AddonExposure>> {
    context.client.list("/addon-exposures", "id")
}
