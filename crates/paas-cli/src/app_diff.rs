//! What two apps differ in.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use paas_api::{App, AppFeature, PageRange, Release, Slug};

use crate::{app_context::Context, buildpack, client::segment, config_var, error::Result, table::Table};

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// One app
    app1: String,
    /// The other one
    app2: String,
    /// Print the differences as JSON
    #[arg(long)]
    json: bool,
}

/// What there is to compare of one app: each property has a name that comes first to last as here.
type Properties = BTreeMap<(u8, String), String>;

/// As Heroku's command, of long values the beginning.
const LONGEST_VALUE: usize = 56;

/// `apps:diff`
pub(crate) fn diff(args: &DiffArgs, context: &Context) -> Result<()> {
    let (one, other) = (properties(&args.app1, context)?, properties(&args.app2, context)?);
    let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let differences: Vec<_> = names
        .into_iter()
        .map(|key| (&key.1, one.get(key), other.get(key)))
        .filter(|(_, one, other)| one != other)
        .collect();
    if args.json {
        let list: Vec<_> = differences
            .iter()
            .map(|(name, one, other)| serde_json::json!({ "app1": one, "app2": other, "property": name }))
            .collect();
        return context.output.json(&list);
    }
    if differences.is_empty() {
        let text = format!("{} and {} do not differ.", args.app1, args.app2);
        return context.output.note(&text);
    }
    let rows = differences
        .into_iter()
        .map(|(name, one, other)| [short(one), name.clone(), short(other)]);
    context
        .output
        .table(&Table::new([args.app1.as_str(), "property", args.app2.as_str()], rows))
}

fn properties(name: &str, context: &Context) -> Result<Properties> {
    let mut found = Properties::new();
    let path = |rest: &str| format!("/apps/{}{rest}", segment(name));
    let newest: Vec<Release> = context
        .client
        .page(&path("/releases"), &PageRange::newest("version", 1))?;
    if let Some(slug) = newest.first().and_then(|release| release.slug.as_ref()) {
        let slug: Slug = context.client.get(&path(&format!("/slugs/{}", slug.id)))?;
        found.insert((0, "slug (checksum)".to_owned()), slug.checksum.unwrap_or_default());
    }
    for (key, value) in config_var::read(name, context)? {
        found.insert((1, format!("config ({key})")), value);
    }
    let app: App = context.client.get(&path(""))?;
    found.insert((2, "stack".to_owned()), app.stack.name);
    for one in buildpack::get(name, context)? {
        found.insert((3, format!("buildpack ({})", one.ordinal)), one.buildpack.name);
    }
    let features: Vec<AppFeature> = context.client.list(&path("/features"), "id")?;
    for feature in features.into_iter().filter(|feature| feature.enabled) {
        found.insert((4, format!("feature ({})", feature.name)), "enabled".to_owned());
    }
    Ok(found)
}

fn short(value: Option<&String>) -> String {
    let value = value.map(String::as_str).unwrap_or_default().replace('\n', " ");
    match value.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value,
    }
}
