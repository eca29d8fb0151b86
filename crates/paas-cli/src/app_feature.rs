//! Features: what can be switched on for an app.

use clap::Args;
use paas_api::{AppFeature, AppFeatureUpdate};

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

/// `features`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let mut features: Vec<AppFeature> = context
        .client
        .list(&format!("/apps/{}/features", segment(&app)), "id")?;
    features.sort_by(|one, other| one.name.cmp(&other.name));
    if args.json {
        return context.output.json(&features);
    }
    context.output.header(&format!("App Features {app}"))?;
    let longest = features
        .iter()
        .map(|feature| feature.name.len())
        .max()
        .unwrap_or_default();
    for feature in &features {
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
