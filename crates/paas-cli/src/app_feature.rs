//! Features: what can be switched on for an app.

use clap::Args;
use paas_api::{Account, AppFeature, AppFeatureUpdate};
use serde_json::json;

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::{Error, Result},
    output::Style,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Print the features as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The feature
    feature: String,
    #[command(flatten)]
    app: AppArgs,
    /// Print the feature as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SwitchArgs {
    /// The feature
    feature: String,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LabsArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Print the features as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LabsInfoArgs {
    /// The feature
    feature: String,
    #[command(flatten)]
    app: AppArgs,
    /// Print the feature as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LabsSwitchArgs {
    /// The feature
    feature: String,
    #[command(flatten)]
    app: AppArgs,
}

/// What `features` shows; `labs` shows the others.
const GENERAL: &str = "general";

/// `features`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let mut features = all(&format!("/apps/{}/features", segment(&app)), context)?;
    features.retain(|feature| feature.state == GENERAL);
    if args.json {
        return context.output.json(&features);
    }
    context.output.header(&format!("App Features {app}"))?;
    print(&features, context)
}

/// `labs`
pub(crate) fn list_labs(args: &LabsArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context).ok();
    let account: Account = context.client.get("/account")?;
    let of_user = labs("/account/features", context)?;
    let of_app = match &app {
        Some(app) => Some(labs(&format!("/apps/{}/features", segment(app)), context)?),
        None => None,
    };
    if args.json {
        return context.output.json(&json!({ "app": of_app, "user": of_user }));
    }
    context.output.header(&format!("User Features {}", account.email))?;
    print(&of_user, context)?;
    if let (Some(app), Some(features)) = (app, of_app) {
        context.output.line("")?;
        context.output.header(&format!("App Features {app}"))?;
        print(&features, context)?;
    }
    Ok(())
}

/// `features:info`
pub(crate) fn info(args: &InfoArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let feature: AppFeature = context.client.get(&path(&app, &args.feature))?;
    if args.json {
        return context.output.json(&feature);
    }
    context.output.header(&feature.name)?;
    context.output.facts(&[
        ("Description", feature.description.clone()),
        ("Docs", feature.doc_url.clone()),
        ("Enabled", feature.enabled.to_string()),
    ])
}

/// `labs:info`
pub(crate) fn info_of_lab(args: &LabsInfoArgs, context: &Context) -> Result<()> {
    let Lab { feature, .. } = Lab::find(&args.app, &args.feature, context)?;
    if args.json {
        return context.output.json(&feature);
    }
    context.output.header(&feature.name)?;
    context.output.facts(&[
        ("Description", feature.description.clone()),
        ("Enabled", feature.enabled.to_string()),
        ("Docs", feature.doc_url.clone()),
    ])
}

/// `labs:enable`
pub(crate) fn enable_lab(args: &LabsSwitchArgs, context: &Context) -> Result<()> {
    switch_lab(args, true, context)
}

/// `labs:disable`
pub(crate) fn disable_lab(args: &LabsSwitchArgs, context: &Context) -> Result<()> {
    switch_lab(args, false, context)
}

fn switch_lab(args: &LabsSwitchArgs, on: bool, context: &Context) -> Result<()> {
    let Lab { path, target, .. } = Lab::find(&args.app, &args.feature, context)?;
    let verb = if on { "Enabling" } else { "Disabling" };
    let work = || {
        context
            .client
            .patch::<AppFeature>(&path, &AppFeatureUpdate { enabled: on })
    };
    let what = format!("{verb} {} for {target}", args.feature);
    context.output.action(&what, work, |_| String::new()).map(drop)
}

/// An experimental feature: of the account, or else of the app.
struct Lab {
    path: String,
    /// Whom it is switched for.
    target: String,
    feature: AppFeature,
}

impl Lab {
    fn find(app: &AppArgs, feature: &str, context: &Context) -> Result<Self> {
        let of_account = format!("/account/features/{}", segment(feature));
        match context.client.get::<AppFeature>(&of_account) {
            Ok(feature) => {
                let account: Account = context.client.get("/account")?;
                return Ok(Self {
                    path: of_account,
                    target: account.email,
                    feature,
                });
            }
            Err(Error::Api { status: 404, .. }) => {}
            Err(error) => return Err(error),
        }
        let app = app.name(context)?;
        let path = path(&app, feature);
        let feature = context.client.get(&path)?;
        Ok(Self {
            path,
            target: app,
            feature,
        })
    }
}

fn labs(path: &str, context: &Context) -> Result<Vec<AppFeature>> {
    let mut features = all(path, context)?;
    features.retain(|feature| feature.state != GENERAL);
    Ok(features)
}

fn all(path: &str, context: &Context) -> Result<Vec<AppFeature>> {
    let mut features: Vec<AppFeature> = context.client.list(path, "id")?;
    features.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(features)
}

fn print(features: &[AppFeature], context: &Context) -> Result<()> {
    let longest = features
        .iter()
        .map(|feature| feature.name.len())
        .max()
        .unwrap_or_default();
    for feature in features {
        let mark = if feature.enabled { "[+]" } else { "[ ]" };
        let name = format!("{mark} {:longest$}", feature.name);
        let name = if feature.enabled {
            context.output.paint(Style::Green, &name)
        } else {
            name
        };
        context.output.line(format!("{name}  {}", feature.description))?;
    }
    Ok(())
}

/// `features:enable`
pub(crate) fn enable(args: &SwitchArgs, context: &Context) -> Result<()> {
    switch(args, true, context)
}

/// `features:disable`
pub(crate) fn disable(args: &SwitchArgs, context: &Context) -> Result<()> {
    switch(args, false, context)
}

fn switch(args: &SwitchArgs, on: bool, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let path = path(&app, &args.feature);
    let (verb, state) = if on {
        ("Enabling", "enabled")
    } else {
        ("Disabling", "disabled")
    };
    let work = || {
        let feature: AppFeature = context.client.get(&path)?;
        if feature.enabled == on {
            return Err(Error::Absent(format!("{} is already {state}", feature.name)));
        }
        context
            .client
            .patch::<AppFeature>(&path, &AppFeatureUpdate { enabled: on })
    };
    let what = format!("{verb} {} for {app}", args.feature);
    context.output.action(&what, work, |_| String::new()).map(drop)
}

fn path(app: &str, feature: &str) -> String {
    format!("/apps/{}/features/{}", segment(app), segment(feature))
}
