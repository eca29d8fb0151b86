//! Buildpacks: which of them build an app, and in which order.

use clap::Args;
use paas_api::{BuildpackChoice, BuildpackInstallation, BuildpackInstallations, BuildpackRef};
use serde::Deserialize;

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::{Error, Result},
    git_remote::DEFAULT_REMOTE,
    table::Table,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Print the buildpacks as JSON
    #[arg(short, long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ChooseArgs {
    /// The buildpack, such as heroku/python
    buildpack: String,
    #[command(flatten)]
    app: AppArgs,
    /// Its place among the others, from 1
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    index: Option<u32>,
    /// Print the buildpacks as JSON
    #[arg(short, long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The buildpack, such as heroku/python
    #[arg(required_unless_present = "index", conflicts_with = "index")]
    buildpack: Option<String>,
    #[command(flatten)]
    app: AppArgs,
    /// Its place among the others, from 1
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    index: Option<u32>,
    /// Print the buildpacks that stay as JSON
    #[arg(short, long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// A part of a name or of a description
    term: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The buildpack, such as heroku/python
    buildpack: String,
    /// Print what is known as JSON
    #[arg(short, long)]
    json: bool,
}

/// What the registry says about one, as far as it is shown.
#[derive(Debug, Deserialize, serde::Serialize)]
struct Entry {
    category: String,
    description: String,
    name: String,
    namespace: String,
}

/// `buildpacks`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let buildpacks = get(&app, context)?;
    if args.json {
        return context.output.json(&buildpacks);
    }
    match buildpacks.as_slice() {
        [] => context.output.line(format!("{app} has no Buildpacks.")),
        [one] => {
            context.output.header(&format!("{app} Buildpack"))?;
            context.output.line(&one.buildpack.name)
        }
        several => {
            context.output.header(&format!("{app} Buildpacks"))?;
            print_all(several, "", context)
        }
    }
}

/// `buildpacks:set`: in the place of the one at an index, or of the first.
pub(crate) fn set(args: &ChooseArgs, context: &Context) -> Result<()> {
    choose(args, "set", context, |names, name| {
        let place = place(args.index.unwrap_or(1), names.len());
        if place < names.len() {
            names.remove(place);
        }
        names.insert(place, name);
    })
}

/// `buildpacks:add`: before the one at an index, or behind all of them.
pub(crate) fn add(args: &ChooseArgs, context: &Context) -> Result<()> {
    choose(args, "added", context, |names, name| {
        let place = args.index.map_or(names.len(), |index| place(index, names.len()));
        names.insert(place, name);
    })
}

/// `buildpacks:remove`
pub(crate) fn remove(args: &RemoveArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let mut names = names(get(&app, context)?);
    if names.is_empty() {
        return Err(Error::Absent(format!(
            "{app} has no buildpacks: its next build finds out by itself"
        )));
    }
    let found = match (&args.index, &args.buildpack) {
        (Some(index), _) => Some(*index as usize - 1).filter(|place| *place < names.len()),
        (None, Some(buildpack)) => names.iter().position(|name| is_same(name, buildpack)),
        (None, None) => None,
    };
    let Some(found) = found else {
        let known = names.join(", ");
        return Err(Error::Absent(format!(
            "{app} has no such buildpack: it uses {known}. Nothing was removed"
        )));
    };
    names.remove(found);
    let left = put(&app, names, context)?;
    tell(&app, &left, "removed", args.app.remote(), args.json, context)
}

/// `buildpacks:clear`
pub(crate) fn clear(args: &ListArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let left = put(&app, Vec::new(), context)?;
    tell(&app, &left, "cleared", args.app.remote(), args.json, context)
}

/// `buildpacks:search`
pub(crate) fn search(args: &SearchArgs, context: &Context) -> Result<()> {
    let mut found: Vec<Entry> = context.client.get("/buildpack-registry/buildpacks")?;
    if let Some(term) = &args.term {
        let term = term.to_lowercase();
        found.retain(|entry| {
            let text = format!("{}/{} {}", entry.namespace, entry.name, entry.description);
            text.to_lowercase().contains(&term)
        });
    }
    if found.is_empty() {
        return context.output.line("No buildpacks found");
    }
    let count = found.len();
    let rows = found.into_iter().map(|entry| {
        [
            format!("{}/{}", entry.namespace, entry.name),
            entry.category,
            entry.description,
        ]
    });
    context
        .output
        .table(&Table::new(["Buildpack", "Category", "Description"], rows))?;
    let noun = if count == 1 { "buildpack" } else { "buildpacks" };
    context.output.line(format!("\n{count} {noun} found"))
}

/// `buildpacks:info`
pub(crate) fn info(args: &InfoArgs, context: &Context) -> Result<()> {
    let path = format!("/buildpack-registry/buildpacks/{}", segment(&args.buildpack));
    let found: Entry = context.client.get(&path)?;
    if args.json {
        return context.output.json(&found);
    }
    context.output.header(&format!("{}/{}", found.namespace, found.name))?;
    context
        .output
        .facts(&[("Category", found.category), ("Description", found.description)])
}

/// Sets one buildpack and nothing else: for an app that was just made.
pub(crate) fn choose_first(app: &str, buildpack: &str, context: &Context) -> Result<()> {
    let what = format!("Setting buildpack to {buildpack}");
    let work = || put(app, vec![buildpack.to_owned()], context);
    context.output.action(&what, work, |_| String::new()).map(drop)
}

pub(crate) fn get(app: &str, context: &Context) -> Result<Vec<BuildpackInstallation>> {
    context.client.get(&path(app))
}

fn choose(
    args: &ChooseArgs,
    verb: &str,
    context: &Context,
    change: impl FnOnce(&mut Vec<String>, String),
) -> Result<()> {
    let app = args.app.name(context)?;
    let mut names = names(get(&app, context)?);
    if names.iter().any(|name| is_same(name, &args.buildpack)) {
        return Err(Error::Absent(format!(
            "The buildpack {} is already set on your app",
            args.buildpack
        )));
    }
    change(&mut names, args.buildpack.clone());
    let chosen = put(&app, names, context)?;
    tell(&app, &chosen, verb, args.app.remote(), args.json, context)
}

fn put(app: &str, names: Vec<String>, context: &Context) -> Result<Vec<BuildpackInstallation>> {
    let updates = names.into_iter().map(|name| BuildpackChoice {
        buildpack: BuildpackRef(name),
    });
    let wanted = BuildpackInstallations {
        updates: updates.collect(),
    };
    context.client.put(&path(app), &wanted)
}

fn tell(
    app: &str,
    buildpacks: &[BuildpackInstallation],
    verb: &str,
    remote: Option<&str>,
    is_json: bool,
    context: &Context,
) -> Result<()> {
    if is_json {
        return context.output.json(&buildpacks);
    }
    let output = context.output;
    let push = format!("git push {} main", remote.unwrap_or(DEFAULT_REMOTE));
    match buildpacks {
        [] => {
            let noun = if verb == "cleared" { "Buildpacks" } else { "Buildpack" };
            output.line(format!(
                "{noun} {verb}. Next release on {app} will detect buildpacks normally."
            ))
        }
        [one] => {
            let name = &one.buildpack.name;
            output.line(format!("Buildpack {verb}. Next release on {app} will use {name}."))?;
            output.line(format!("Run {push} to create a new release using this buildpack."))
        }
        several => {
            output.line(format!("Buildpack {verb}. Next release on {app} will use:"))?;
            print_all(several, "  ", context)?;
            output.line(format!("Run {push} to create a new release using these buildpacks."))
        }
    }
}

fn print_all(buildpacks: &[BuildpackInstallation], indent: &str, context: &Context) -> Result<()> {
    buildpacks.iter().try_for_each(|one| {
        let (number, name) = (one.ordinal + 1, &one.buildpack.name);
        context.output.line(format!("{indent}{number}. {name}"))
    })
}

fn names(buildpacks: Vec<BuildpackInstallation>) -> Vec<String> {
    buildpacks.into_iter().map(|one| one.buildpack.name).collect()
}

/// A place that does not exist is the one behind all others.
fn place(index: u32, length: usize) -> usize {
    (index as usize).saturating_sub(1).min(length)
}

fn is_same(name: &str, other: &str) -> bool {
    let plain = |text: &str| text.trim_start_matches("urn:buildpack:").to_owned();
    plain(name) == plain(other)
}

fn path(app: &str) -> String {
    format!("/apps/{}/buildpack-installations", segment(app))
}
