//! Builds: what became of each push.

use std::io::BufRead;

use clap::Args;
use paas_api::{Build, PageRange};

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::{Error, Result},
    table::Table,
    time,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    app: AppArgs,
    /// How many of the newest builds
    #[arg(short, long, default_value_t = 15, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    num: u32,
    /// Print the builds as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The id of the build; without it, the newest
    build: Option<String>,
    #[command(flatten)]
    app: AppArgs,
    /// Print the build as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// The id of the build; without it, the newest
    build: Option<String>,
    #[command(flatten)]
    app: AppArgs,
}

/// `builds`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let builds = newest(&app, args.num, context)?;
    if args.json {
        return context.output.json(&builds);
    }
    if builds.is_empty() {
        return context.output.note(&format!("{app} has no builds."));
    }
    context.output.header(&format!("{app} Builds"))?;
    let now = time::now();
    let rows = builds.iter().map(|build| {
        [
            build.id.to_string(),
            build.status.to_string(),
            commit(build),
            build.user.email.clone(),
            time::told(build.created_at, now),
        ]
    });
    context
        .output
        .table(&Table::new(["id", "status", "commit", "user", "created_at"], rows))
}

/// `builds:info`
pub(crate) fn info(args: &InfoArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let build = find(&app, args.build.as_deref(), context)?;
    if args.json {
        return context.output.json(&build);
    }
    context.output.header(&format!("Build {}", build.id))?;
    context.output.facts(&[
        ("By", build.user.email.as_str()),
        ("Commit", build.source_blob.version.as_deref().unwrap_or_default()),
        ("Stack", &build.stack),
        ("Status", build.status.as_str()),
        ("When", &build.created_at.to_string()),
    ])
}

/// `builds:output`
pub(crate) fn output(args: &OutputArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let build = find(&app, args.build.as_deref(), context)?;
    match copy_stream(&build.output_stream_url, context) {
        Err(Error::Api { status: 404, .. }) => {
            Err(Error::Absent(format!("Build {} has not said anything yet", build.id)))
        }
        other => other,
    }
}

/// Prints an output stream while it is written. NUL bytes keep the connection alive and are no output.
pub(crate) fn copy_stream(url: &str, context: &Context) -> Result<()> {
    let mut stream = context.client.text_stream(url)?;
    loop {
        let chunk = stream.reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(());
        }
        let length = chunk.len();
        let text: Vec<_> = chunk.iter().copied().filter(|&byte| byte != 0).collect();
        context.output.bytes(&text)?;
        stream.reader.consume(length);
    }
}

/// Ids of builds are in the order of time.
fn newest(app: &str, count: u32, context: &Context) -> Result<Vec<Build>> {
    context.client.page(&path(app), &PageRange::newest("id", count))
}

fn find(app: &str, id: Option<&str>, context: &Context) -> Result<Build> {
    let Some(id) = id else {
        let newest = newest(app, 1, context)?.into_iter().next();
        return newest.ok_or_else(|| Error::Absent(format!("{app} has no builds")));
    };
    context.client.get(&format!("{}/{}", path(app), segment(id)))
}

fn path(app: &str) -> String {
    format!("/apps/{}/builds", segment(app))
}

fn commit(build: &Build) -> String {
    build
        .source_blob
        .version
        .iter()
        .flat_map(|version| version.chars().take(8))
        .collect()
}
