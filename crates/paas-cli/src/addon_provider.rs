//! Providers of add-ons that run elsewhere, for those who run the platform.

use std::{fs, path::Path};

use clap::Args;
use paas_api::{AddonProvider, NewAddonProvider, Secret};

use crate::{
    app_context::Context,
    client::segment,
    error::{Error, Result},
    table::Table,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print the providers as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The provider's addon-manifest.json, or its address
    #[arg(value_name = "MANIFEST")]
    manifest: String,
    /// A plan that it has; may be repeated [default: those of the manifest, or test]
    #[arg(long = "plan", value_name = "PLAN", value_delimiter = ',')]
    plans: Vec<String>,
    /// Print the provider as JSON, with the secret of its client
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The provider's id
    #[arg(value_name = "PROVIDER")]
    provider: String,
}

/// `addons:providers`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let providers: Vec<AddonProvider> = context.client.list("/addon-providers", "name")?;
    if args.json {
        return context.output.json(&providers);
    }
    if providers.is_empty() {
        return context.output.line("No providers: every service runs on this platform");
    }
    let rows = providers.into_iter().map(|provider| {
        [
            provider.name,
            provider.human_name,
            provider.plans.join(", "),
            provider.config_vars.join(", "),
            provider.base_url,
        ]
    });
    let head = ["slug", "name", "plans", "config vars", "address"];
    context.output.table(&Table::new(head, rows))
}

/// `addons:providers:add`
pub(crate) fn add(args: &AddArgs, context: &Context) -> Result<()> {
    let is_address = args.manifest.starts_with("https://") || args.manifest.starts_with("http://");
    let new = NewAddonProvider {
        manifest: if is_address {
            None
        } else {
            Some(read(Path::new(&args.manifest))?)
        },
        plans: args.plans.clone(),
        url: is_address.then(|| args.manifest.clone()),
    };
    let add = || context.client.post::<AddonProvider>("/addon-providers", &new);
    let what = format!("Registering {}", args.manifest);
    let provider = context.output.action(&what, add, |made| format!(", {}", made.name))?;
    if args.json {
        return context.output.json(&provider);
    }
    let secret = provider.client_secret.as_ref().map_or("", Secret::expose);
    context.output.facts(&[
        ("Service", provider.name.clone()),
        ("Plans", provider.plans.join(", ")),
        ("Client secret", secret.to_owned()),
    ])?;
    context
        .output
        .note("Give its provider the client secret: it gets tokens with that, at /oauth/token of the API")
}

/// `addons:providers:remove`
pub(crate) fn remove(args: &RemoveArgs, context: &Context) -> Result<()> {
    let path = format!("/addon-providers/{}", segment(&args.provider));
    let remove = || context.client.delete_reading::<AddonProvider>(&path);
    let what = format!("Removing {}", args.provider);
    context.output.action(&what, remove, |_| String::new()).map(drop)
}

fn read(path: &Path) -> Result<serde_json::Map<String, serde_json::Value>> {
    let unusable = |what: String| Error::Usage(format!("{} cannot be used: {what}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    // The parser's own words could quote a secret.
    serde_json::from_str(&text).map_err(|_| unusable("it is no JSON object, as an addon-manifest.json is".to_owned()))
}
