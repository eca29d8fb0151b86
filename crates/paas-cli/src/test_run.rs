//! Test runs: what `heroku ci` has, for an app.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;
use paas_api::{NewTestRun, PageRange, SourceBlob, TestNode, TestRun, TestRunStatus, TestRunUpdate};

use crate::{
    app_context::{AppArgs, Context},
    build,
    client::segment,
    error::{Error, Result},
    table::Table,
    time,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Print the test runs as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    app: AppArgs,
    /// The folder with the source [default: the current one]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The number of the test run; without it, the newest
    test_run: Option<u32>,
    #[command(flatten)]
    app: AppArgs,
    /// Print the container of the test run as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The number of the test run; without it, the newest
    test_run: Option<u32>,
    #[command(flatten)]
    app: AppArgs,
}

/// How many are listed, as with Heroku's.
const SHOWN: u32 = 15;

/// `ci`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let runs = newest(&app, SHOWN, context)?;
    if args.json {
        return context.output.json(&runs);
    }
    if runs.is_empty() {
        return context.output.note(&format!("{app} has no test runs."));
    }
    context.output.header(&format!("{app} Test Runs"))?;
    let now = time::now();
    let rows = runs.iter().map(|run| {
        [
            run.number.to_string(),
            commit(run),
            run.status.to_string(),
            time::told(run.created_at, now),
        ]
    });
    context
        .output
        .table(&Table::new(["number", "commit", "status", "created_at"], rows))
}

/// `ci:run`: ends as the tests end.
pub(crate) fn run(args: &RunArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let folder = args.dir.as_deref().unwrap_or(Path::new("."));
    let url = build::put(build::pack(folder)?, context)?;
    let new = NewTestRun {
        commit_branch: git(folder, &["rev-parse", "--abbrev-ref", "HEAD"]),
        commit_message: git(folder, &["log", "-1", "--format=%s"]),
        commit_sha: git(folder, &["rev-parse", "HEAD"]),
        source_blob: SourceBlob {
            checksum: None,
            url,
            version: None,
            version_description: None,
        },
    };
    let run: TestRun = context.output.action(
        "Starting test run",
        || context.client.post(&path(&app), &new),
        |run: &TestRun| format!(", #{}", run.number),
    )?;
    follow(&app, &run, context)
}

/// `ci:info`: what the tests said, and how they ended.
pub(crate) fn info(args: &InfoArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let run = find(&app, args.test_run, context)?;
    if args.json {
        return context.output.json(&node(&app, &run, context)?);
    }
    follow(&app, &run, context)
}

/// `ci:cancel`
pub(crate) fn cancel(args: &CancelArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let run = find(&app, args.test_run, context)?;
    let update = TestRunUpdate {
        status: TestRunStatus::Cancelled,
    };
    let what = format!("Cancelling test run #{}", run.number);
    let work = || context.client.patch::<TestRun>(&one(&app, &run), &update);
    context.output.action(&what, work, |_| String::new()).map(drop)
}

fn follow(app: &str, run: &TestRun, context: &Context) -> Result<()> {
    build::copy_stream(&node(app, run, context)?.output_stream_url, context)?;
    let ended: TestRun = context.client.get(&one(app, run))?;
    let node = node(app, run, context)?;
    let mark = match ended.status {
        TestRunStatus::Succeeded => "✓",
        _ => "✗",
    };
    let line = format!("{mark} #{} {} {}", ended.number, commit(&ended), ended.status);
    context.output.line(line)?;
    match (ended.status, node.exit_code) {
        (TestRunStatus::Succeeded, _) => Ok(()),
        // Of a status, the system keeps what fits into a byte.
        (_, Some(code)) => Err(Error::Exit(u8::try_from(code).unwrap_or(1).max(1))),
        (_, None) => {
            let why = ended.message.map(|why| format!(": {why}")).unwrap_or_default();
            Err(Error::Absent(format!(
                "Test run #{} {}{why}",
                ended.number, ended.status
            )))
        }
    }
}

fn node(app: &str, run: &TestRun, context: &Context) -> Result<TestNode> {
    let nodes: Vec<TestNode> = context.client.get(&format!("{}/test-nodes", one(app, run)))?;
    let first = nodes.into_iter().next();
    first.ok_or_else(|| Error::Absent(format!("Test run #{} has no container", run.number)))
}

fn newest(app: &str, count: u32, context: &Context) -> Result<Vec<TestRun>> {
    context.client.page(&path(app), &PageRange::newest("number", count))
}

fn find(app: &str, number: Option<u32>, context: &Context) -> Result<TestRun> {
    match number {
        Some(number) => context.client.get(&format!("{}/{number}", path(app))),
        None => {
            let newest = newest(app, 1, context)?.into_iter().next();
            newest.ok_or_else(|| Error::Absent(format!("{app} has no test runs")))
        }
    }
}

/// `main:0123abc`, as far as it is known.
fn commit(run: &TestRun) -> String {
    let sha: String = run.commit_sha.chars().take(7).collect();
    match (run.commit_branch.as_str(), sha.as_str()) {
        ("", "") => "working tree".to_owned(),
        (branch, sha) => format!("{branch}:{sha}"),
    }
}

fn path(app: &str) -> String {
    format!("/apps/{}/test-runs", segment(app))
}

fn one(app: &str, run: &TestRun) -> String {
    format!("{}/{}", path(app), run.number)
}

/// What git says of a folder; nothing where there is no repository, or no commit.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    let said = command.stderr(Stdio::null()).output();
    match said {
        Ok(said) if said.status.success() => String::from_utf8_lossy(&said.stdout).trim().to_owned(),
        _ => String::new(),
    }
}
