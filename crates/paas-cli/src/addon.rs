//! Add-ons: servers that apps use.

mod create;
mod open;
mod show;

use std::{
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use paas_api::{Addon, AddonQuestion, AddonRemoval, AddonUpdate, PageRange, Release};

pub(crate) use create::{CreateArgs, create};
pub(crate) use open::open;
pub(crate) use show::{InfoArgs, ListArgs, PlansArgs, ServicesArgs, info, list, plans, services};

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::{Error, Result},
};

#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The add-on, or what the app calls it
    #[arg(value_name = "ADDON")]
    addon: String,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// The add-on; without it, all of the app
    #[arg(value_name = "ADDON")]
    addon: Option<String>,
    #[command(flatten)]
    app: AppArgs,
    /// How many seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    wait_interval: u64,
}

#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// The add-on
    #[arg(value_name = "ADDON")]
    addon: String,
    /// Its new name
    #[arg(value_name = "NEW_NAME")]
    name: String,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UpgradeArgs {
    /// The add-on
    #[arg(value_name = "ADDON")]
    addon: String,
    /// The new plan, such as heroku-postgresql:standard-0
    #[arg(value_name = "PLAN")]
    plan: String,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DestroyArgs {
    /// The add-ons
    #[arg(value_name = "ADDON", required = true)]
    addons: Vec<String>,
    #[command(flatten)]
    app: AppArgs,
    /// Also while other apps use them
    #[arg(short, long)]
    force: bool,
    /// The app's name, to do it without asking
    #[arg(short, long, value_name = "NAME")]
    confirm: Option<String>,
}

/// What the platform says of an add-on that could not be made, and is tried again.
const TROUBLE: &str = "It does not run";
/// What passes by itself has passed by then. Whoever waits learns of the rest.
const TROUBLE_LIMIT: Duration = Duration::from_mins(1);

/// `addons:wait`
pub(crate) fn wait(args: &WaitArgs, context: &Context) -> Result<()> {
    let interval = Duration::from_secs(args.wait_interval.clamp(1, 60));
    let waiting = match &args.addon {
        Some(name) => vec![find(context, &args.app, name)?],
        None => of_app(&args.app.name(context)?, context)?,
    };
    for addon in waiting {
        if addon.state == "provisioning" {
            follow(context, &addon, interval, None)?;
        }
    }
    Ok(())
}

/// `addons:rename`
pub(crate) fn rename(args: &RenameArgs, context: &Context) -> Result<()> {
    let addon = find(context, &args.app, &args.addon)?;
    let update = AddonUpdate {
        name: Some(args.name.clone()),
        plan: None,
    };
    let _: Addon = context.client.patch(&path(&addon), &update)?;
    context
        .output
        .line(format!("{} successfully renamed to {}.", addon.name, args.name))
}

/// `addons:upgrade`, `addons:downgrade`
pub(crate) fn upgrade(args: &UpgradeArgs, context: &Context) -> Result<()> {
    let addon = find(context, &args.app, &args.addon)?;
    let plan = if args.plan.contains(':') {
        args.plan.clone()
    } else {
        format!("{}:{}", addon.addon_service.name, args.plan)
    };
    let what = format!(
        "Changing {} on {} from {} to {plan}",
        addon.name, addon.app.name, addon.plan.name
    );
    let update = AddonUpdate {
        name: None,
        plan: Some(plan.into()),
    };
    let change = || context.client.patch::<Addon>(&path(&addon), &update);
    context.output.action(&what, change, |_| String::new()).map(drop)
}

/// `addons:destroy`
pub(crate) fn destroy(args: &DestroyArgs, context: &Context) -> Result<()> {
    let mut addons = Vec::new();
    for name in &args.addons {
        let addon = find(context, &args.app, name)?;
        let consequence = format!("This destroys the add-on {} with all that is in it.", addon.name);
        context.confirm(&addon.app.name, &consequence, args.confirm.as_ref())?;
        addons.push(addon);
    }
    for addon in addons {
        let what = format!("Destroying {} on {}", addon.name, addon.app.name);
        let removal = AddonRemoval { force: args.force };
        context.output.action(
            &what,
            || context.client.delete_with::<Addon>(&path(&addon), &removal),
            |_| String::new(),
        )?;
    }
    Ok(())
}

/// `addons:docs`
pub(crate) fn docs(args: &OneArgs, context: &Context) -> Result<()> {
    let service = match find(context, &args.app, &args.addon) {
        Ok(addon) => addon.addon_service.name,
        Err(_) => args.addon.split(':').next().unwrap_or_default().to_owned(),
    };
    context
        .output
        .line(format!("https://devcenter.heroku.com/articles/{service}"))
}

/// The add-on that somebody means; an app, where there is one, decides between several.
pub(crate) fn find(context: &Context, app: &AppArgs, name: &str) -> Result<Addon> {
    let question = AddonQuestion {
        addon: name.to_owned(),
        addon_service: None,
        app: app.name(context).ok(),
    };
    let mut found: Vec<Addon> = context.client.post("/actions/addons/resolve", &question)?;
    if found.len() > 1 {
        let names: Vec<_> = found.iter().map(|addon| addon.name.as_str()).collect();
        return Err(Error::Usage(format!(
            "{name} may be any of these add-ons: {}. Name one of them",
            names.join(", ")
        )));
    }
    found
        .pop()
        .ok_or_else(|| Error::Usage(format!("There is no add-on {name}")))
}

/// Waits for one that is on its way.
pub(crate) fn follow_to_its_end(context: &Context, addon: &Addon) -> Result<()> {
    if addon.state == "provisioning" {
        follow(context, addon, Duration::from_secs(1), Some(TROUBLE_LIMIT))?;
    }
    Ok(())
}

/// Looks until it is there. Whoever has no patience for its trouble is told how to go on; others are told of it once.
fn follow(context: &Context, addon: &Addon, interval: Duration, patience: Option<Duration>) -> Result<Addon> {
    let mut troubled: Option<Instant> = None;
    let mut told = None;
    let look = || loop {
        let now: Addon = context.client.get(&path(addon))?;
        if now.state != "provisioning" {
            return Ok(now);
        }
        let trouble = now.provision_message.filter(|message| message.starts_with(TROUBLE));
        match (trouble, patience) {
            (None, _) => troubled = None,
            (Some(message), None) if told.as_ref() != Some(&message) => {
                context.output.note(&format!("{}: {message}", now.name))?;
                told = Some(message);
            }
            (Some(message), Some(patience)) if troubled.get_or_insert_with(Instant::now).elapsed() > patience => {
                return Err(Error::Usage(format!(
                    "{}: {message}. Wait on with paas addons:wait {0}, or give it up with paas addons:destroy {0}",
                    now.name
                )));
            }
            (Some(_), _) => {}
        }
        thread::sleep(interval);
    };
    let what = format!("Creating {}", addon.name);
    context.output.action(&what, look, |_| String::new())
}

pub(crate) fn of_app(app: &str, context: &Context) -> Result<Vec<Addon>> {
    let path = format!("/apps/{}/addons", segment(app));
    context.client.list(&path, "id")
}

/// `, v5`, of the release that a change made.
pub(crate) fn newest_release(context: &Context, app: &str) -> Result<String> {
    let path = format!("/apps/{}/releases", segment(app));
    let newest: Vec<Release> = context.client.page(&path, &PageRange::newest("version", 1))?;
    Ok(newest
        .first()
        .map_or_else(String::new, |release| format!(", v{}", release.version)))
}

fn path(addon: &Addon) -> String {
    format!("/apps/{}/addons/{}", addon.app.id, addon.id)
}
