//! Releases: what was deployed, what it said, and how to go back.

use std::{thread, time::Duration};

use clap::Args;
use paas_api::{ConfigVars, Formation, NewRelease, PageRange, Release, ReleaseStatus};

use crate::{
    app_context::{AppArgs, Context},
    build,
    client::segment,
    config_var::shell_line,
    error::{Error, Result},
    table::Table,
    time,
};

/// How far back `rollback` looks for a release when none is named: Heroku's CLI does the same.
const ROLLBACK_WINDOW: u32 = 10;

/// How long to wait for a release command's first word, as Heroku's CLI does.
const OUTPUT_ATTEMPTS: u32 = 30;
const OUTPUT_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    app: AppArgs,
    /// How many of the newest releases
    #[arg(short, long, default_value_t = 15, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    num: u32,
    /// Print the releases as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The release, such as v42; without it, the newest
    release: Option<String>,
    #[command(flatten)]
    app: AppArgs,
    /// Print the config vars as KEY=value lines that a shell can read
    #[arg(short, long, conflicts_with = "json")]
    shell: bool,
    /// Print the release as JSON
    #[arg(short, long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The release, such as v42
    release: Option<String>,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    app: AppArgs,
}

/// `releases`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let releases = newest(&app, args.num, context)?;
    if args.json {
        return context.output.json(&releases);
    }
    let Some(first) = releases.first() else {
        return context.output.note(&format!("{app} has no releases."));
    };
    let current = releases.iter().find(|release| release.current);
    let current = current.map_or_else(String::new, |release| format!(" - Current: v{}", release.version));
    context
        .output
        .header(&format!("{} Releases{current}", first.app.name))?;
    let now = time::now();
    let rows = releases.iter().map(|release| {
        [
            format!("v{}", release.version),
            described(release),
            release.user.email.clone(),
            time::told(release.created_at, now),
        ]
    });
    context
        .output
        .table(&Table::new(["v", "description", "user", "created_at"], rows))
}

/// `releases:info`
pub(crate) fn info(args: &InfoArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let release = find(&app, args.release.as_deref(), context)?;
    if args.json {
        return context.output.json(&release);
    }
    let path = format!("{}/{}/config-vars", path(&app), release.version);
    let ConfigVars(vars) = context.client.get(&path)?;
    let eligible = if release.eligible_for_rollback { "Yes" } else { "No" };
    context.output.header(&format!("Release v{}", release.version))?;
    context.output.facts(&[
        ("By", release.user.email.as_str()),
        ("Change", &release.description),
        ("Eligible for Rollback?", eligible),
        ("Status", release.status.as_str()),
        ("When", &release.created_at.to_string()),
    ])?;
    context.output.line("")?;
    context.output.header(&format!("v{} Config vars", release.version))?;
    if args.shell {
        return vars
            .iter()
            .try_for_each(|(key, value)| context.output.line(shell_line(key, value)));
    }
    context.output.facts(&Vec::from_iter(vars))
}

/// `releases:output`
pub(crate) fn output(args: &OneArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let release = find(&app, args.release.as_deref(), context)?;
    let Some(url) = &release.output_stream_url else {
        let text = format!("Release v{} has no release output available.", release.version);
        return context.output.warning(&text);
    };
    match build::copy_stream(url, context) {
        Err(Error::Api { status: 404, .. }) => Err(Error::Absent(format!(
            "Release v{} has not said anything yet",
            release.version
        ))),
        other => other,
    }
}

/// `rollback`
pub(crate) fn rollback(args: &OneArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let (target, undo) = match &args.release {
        Some(version) => {
            let before = newest(&app, ROLLBACK_WINDOW, context)?;
            (find(&app, Some(version), context)?, current(&before))
        }
        None => previous(&app, context)?,
    };
    let wanted = NewRelease {
        release: Some(target.id.to_string().into()),
        ..NewRelease::default()
    };
    let what = format!("Rolling back {app} to v{}", target.version);
    let version = |release: &Release| format!(", v{}", release.version);
    let release: Release = context
        .output
        .action(&what, || context.client.post(&path(&app), &wanted), version)?;
    context
        .output
        .warning("Rollback affects code and config vars; it doesn't add or remove addons.")?;
    if let Some(undo) = undo {
        context
            .output
            .warning(&format!("To undo, run: paas rollback v{undo}"))?;
    }
    let Some(url) = &release.output_stream_url else {
        return Ok(());
    };
    context.output.note("Running release command...")?;
    watch(&app, release.version, url, context)
}

/// `releases:retry`: the newest release once more, for its release command.
pub(crate) fn retry(args: &RetryArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let latest = find(&app, None, context)?;
    let formation: Vec<Formation> = context.client.get(&format!("/apps/{}/formation", segment(&app)))?;
    let Some(slug) = &latest.slug else {
        return Err(Error::Absent(format!(
            "Release v{} of {app} has no code",
            latest.version
        )));
    };
    if !formation.iter().any(|entry| entry.r#type == "release") {
        return Err(Error::Absent(
            "App must have a release-phase command to use this command".to_owned(),
        ));
    }
    let wanted = NewRelease {
        slug: Some(slug.id.to_string().into()),
        description: Some(format!("Retry of v{}: {}", latest.version, latest.description)),
        ..NewRelease::default()
    };
    let what = format!("Retrying v{} on {app}", latest.version);
    let version = |release: &Release| format!(", v{}", release.version);
    let release: Release = context
        .output
        .action(&what, || context.client.post(&path(&app), &wanted), version)?;
    let Some(url) = &release.output_stream_url else {
        return Ok(());
    };
    context.output.note("Running release command...")?;
    watch(&app, release.version, url, context)
}

/// Prints what the release command of the newest release says, if it has one, and ends as that ends.
pub(crate) fn follow_newest(app: &str, context: &Context) -> Result<()> {
    let newest = find(app, None, context)?;
    match (newest.status, &newest.output_stream_url) {
        (ReleaseStatus::Pending, Some(url)) => {
            context.output.note("Running release command...")?;
            watch(app, newest.version, url, context)
        }
        (ReleaseStatus::Failed, _) => Err(Error::ReleaseFailed {
            app: app.to_owned(),
            version: newest.version,
        }),
        _ => Ok(()),
    }
}

/// Prints what the release command says, and ends as the release ends. There is no output before the command says
/// something, and none at all when it says nothing.
fn watch(app: &str, version: u32, url: &str, context: &Context) -> Result<()> {
    let app = app.to_owned();
    let mut is_printed = false;
    for _ in 0..OUTPUT_ATTEMPTS {
        if !is_printed {
            is_printed = match build::copy_stream(url, context) {
                Ok(()) => true,
                Err(Error::Api { status: 404, .. }) => false,
                Err(error) => return Err(error),
            };
        }
        // The output may end a moment before the release does.
        match find(&app, Some(&version.to_string()), context)?.status {
            ReleaseStatus::Failed => return Err(Error::ReleaseFailed { app, version }),
            ReleaseStatus::Succeeded | ReleaseStatus::Expired => return Ok(()),
            ReleaseStatus::Pending => thread::sleep(OUTPUT_EVERY),
        }
    }
    Err(Error::ReleasePending { app, version })
}

/// The release that ran before the current one and can run again, and the current one's version.
fn previous(app: &str, context: &Context) -> Result<(Release, Option<u32>)> {
    let releases = newest(app, ROLLBACK_WINDOW, context)?;
    let current = current(&releases);
    let is_before = |release: &Release| current.is_none_or(|current| release.version < current);
    let target = releases
        .into_iter()
        .find(|release| release.eligible_for_rollback && !release.current && is_before(release));
    let nothing = || Error::NothingToRollBackTo { app: app.to_owned() };
    Ok((target.ok_or_else(nothing)?, current))
}

fn current(releases: &[Release]) -> Option<u32> {
    releases
        .iter()
        .find(|release| release.current)
        .map(|release| release.version)
}

fn newest(app: &str, count: u32, context: &Context) -> Result<Vec<Release>> {
    context.client.page(&path(app), &PageRange::newest("version", count))
}

/// The release that is named, else the newest.
fn find(app: &str, name: Option<&str>, context: &Context) -> Result<Release> {
    let Some(name) = name else {
        let newest = newest(app, 1, context)?.into_iter().next();
        return newest.ok_or_else(|| Error::Absent(format!("{app} has no releases")));
    };
    let number = name
        .strip_prefix('v')
        .filter(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    context
        .client
        .get(&format!("{}/{}", path(app), segment(number.unwrap_or(name))))
}

fn path(app: &str) -> String {
    format!("/apps/{}/releases", segment(app))
}

/// What the release is, and what became of it unless that was success.
fn described(release: &Release) -> String {
    match release.status {
        ReleaseStatus::Succeeded => release.description.clone(),
        status => format!("{} ({status})", release.description),
    }
}
