//! `pg:settings`: what the server of a database logs and counts.

use clap::Args;
use paas_api::Addon;
use serde_json::{Map, Value};

use super::DatabaseArgs;
use crate::{app_context::Context, error::Result};

#[derive(Debug, Args)]
pub(crate) struct SettingArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// What it is to be; without, what it is
    #[arg(value_name = "VALUE", allow_hyphen_values = true)]
    value: Option<String>,
}

/// `pg:settings`
pub(crate) fn list(args: &DatabaseArgs, context: &Context) -> Result<()> {
    let database = args.find(context)?;
    let settings: Map<String, Value> = context.client.get(&path(&database))?;
    context.output.header(&database.name)?;
    let facts: Vec<_> = settings
        .iter()
        .map(|(name, setting)| (name.replace('_', "-"), word(&setting["value"])))
        .collect();
    let facts: Vec<_> = facts
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    context.output.facts(&facts)
}

/// `pg:settings:log-statement` and the others: the one that the server calls by this name.
pub(crate) fn choose(args: &SettingArgs, key: &str, context: &Context) -> Result<()> {
    let database = args.database.find(context)?;
    let (settings, verb): (Value, _) = match &args.value {
        Some(value) => {
            let chosen = Map::from_iter([(key.to_owned(), Value::from(plain(value)))]);
            (context.client.patch(&path(&database), &chosen)?, "has been set")
        }
        None => (context.client.get(&path(&database))?, "is set"),
    };
    let setting = &settings[key];
    let (name, value) = (key.replace('_', "-"), word(&setting["value"]));
    context
        .output
        .line(format!("{name} {verb} to {value} for {}.", database.name))?;
    match setting["values"][&value].as_str() {
        Some(meaning) => context.output.line(meaning),
        None => Ok(()),
    }
}

/// As Heroku's client takes it, too.
fn plain(value: &str) -> &str {
    match value {
        "on" | "ON" | "TRUE" => "true",
        "off" | "OFF" | "FALSE" => "false",
        other => other,
    }
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn path(database: &Addon) -> String {
    format!("/postgres/v0/databases/{}/config", database.id)
}
