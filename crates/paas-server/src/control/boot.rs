//! The end of a deploy, as its pusher sees it: the new release serves, or the reason why it does not.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use paas_core::{App, Crash, Dyno, DynoState, LogSource, ReleaseStatus, ReleaseVersion};
use paas_engine::ContainerId;
use paas_store::{self as store, release::ReleaseRow};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{logs::Filter, output::OutputWriter, platform::Platform};

/// Longer than the boot limit, so that the planner's word comes first; an engine that is away may take longer.
const WAIT_LIMIT: Duration = Duration::from_mins(2);
/// How much of a dying dyno's output a pusher gets to see.
const LAST_LINES: usize = 20;

/// How long the last words of a dying dyno may take to be stored.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(10);

/// What the pusher is told in the end; the words are in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    Rejected,
}

enum Outcome {
    Serving,
    /// Something else still serves. These are the containers of what did not boot, if they are still there.
    Failed(Vec<ContainerId>),
    /// Nothing else serves.
    Crashed(Box<Dyno>, Crash),
    Overtaken(ReleaseVersion),
}

/// Waits until the release serves or will not, and says so.
pub(super) async fn wait(
    platform: &Arc<Platform>,
    app: &App,
    release: &ReleaseRow,
    output: &mut OutputWriter,
) -> Result<Verdict> {
    let deadline = Instant::now() + WAIT_LIMIT;
    let version = release.release.version;
    // Interest is registered before the rows are read: a pass in between is not missed.
    let mut passes = platform.passes.subscribe();
    platform.wake.notify_one();
    let outcome = loop {
        passes.borrow_and_update();
        match look(platform, app, release).await {
            Ok(Some(outcome)) => break outcome,
            Ok(None) => {}
            Err(error) => tracing::warn!(error = format!("{error:#}"), "could not look at a release that boots"),
        }
        if timeout_at(deadline, passes.changed()).await.is_err() {
            let line = format!(
                " !     {version} has not booted yet; it goes live by itself when it does. Watch: paas ps -a {}",
                app.name
            );
            output.line(&line).await?;
            return Ok(Verdict::Accepted);
        }
    };
    let since = release.release.created_at;
    match outcome {
        Outcome::Serving => {
            // The row may be older than the router's table: the pass that wrote it ends when the router has swapped.
            passes.borrow_and_update();
            if !platform.is_settled.load(Ordering::SeqCst) {
                platform.wake.notify_one();
                let _ = timeout_at(deadline, passes.changed()).await;
            }
            let url = platform.settings.app_url(&app.name);
            output.line(&format!("       {url} deployed")).await?;
            Ok(Verdict::Accepted)
        }
        Outcome::Overtaken(by) => {
            output
                .line(&format!("       {by} has overtaken {version} before it was live"))
                .await?;
            Ok(Verdict::Accepted)
        }
        Outcome::Failed(containers) => {
            output_stored(platform, &containers).await;
            output.line("").await?;
            output
                .line(&format!(" !     {version} did not boot: what ran before still serves"))
                .await?;
            last_lines(platform, app, since, output).await?;
            output
                .line(&format!(" !     The whole log: paas logs -n 100 -a {}", app.name))
                .await?;
            Ok(Verdict::Rejected)
        }
        Outcome::Crashed(dyno, crash) => {
            let container = dyno.container.as_deref().map(ContainerId::new);
            output_stored(platform, container.as_slice()).await;
            output.line("").await?;
            output
                .line(&format!(" !     {} of {version} crashed: {}", dyno.name, how(&crash)))
                .await?;
            last_lines(platform, app, since, output).await?;
            let line = format!(
                " !     It is started again and again, ever more slowly. Set missing config (paas config:set -a {}) or push a fix.",
                app.name
            );
            output.line(&line).await?;
            Ok(Verdict::Accepted)
        }
    }
}

/// What became of the release; `None` while it boots.
async fn look(platform: &Platform, app: &App, release: &ReleaseRow) -> Result<Option<Outcome>> {
    let mut conn = platform.store.connection().await?;
    let row = store::release::by_id(&mut conn, release.release.id)
        .await?
        .context("the release is gone: its app was destroyed")?;
    if row.served_at.is_some() {
        return Ok(Some(Outcome::Serving));
    }
    let dynos = store::dyno::of(&mut conn, app.id).await?;
    let (ours, others): (Vec<_>, Vec<_>) = dynos.into_iter().partition(|dyno| dyno.release == row.release.id);
    if matches!(row.release.status, ReleaseStatus::Failed { .. }) {
        let containers = ours.iter().filter_map(|dyno| dyno.container.as_deref());
        return Ok(Some(Outcome::Failed(containers.map(ContainerId::new).collect())));
    }
    let current = store::release::current(&mut conn, app.id).await?;
    if let Some(current) = current.filter(|current| current.release.version > row.release.version) {
        return Ok(Some(Outcome::Overtaken(current.release.version)));
    }
    // While something else takes requests, a crash is about to fail the release: that is the planner's to say.
    if others
        .iter()
        .any(|dyno| dyno.release_served && dyno.endpoint().is_some())
    {
        return Ok(None);
    }
    // With nothing else to serve, the planner goes on trying, as Heroku does; the pusher need not wait for it.
    Ok(ours
        .into_iter()
        .filter(Dyno::is_web)
        .find_map(|dyno| match &dyno.state {
            DynoState::Crashed(crash) => {
                let crash = crash.clone();
                Some(Outcome::Crashed(Box::new(dyno), crash))
            }
            _ => None,
        }))
}

/// Waits until what these containers said is in the log, within reason: one that still runs may go on talking.
async fn output_stored(platform: &Platform, containers: &[ContainerId]) {
    let stored = join_all(containers.iter().map(|container| platform.collector.drained(container)));
    let _ = timeout(LAST_WORDS_LIMIT, stored).await;
}

fn how(crash: &Crash) -> String {
    match crash {
        Crash { boot_timeout: true, .. } => {
            "it did not bind to $PORT within 60 seconds (R10). Listen on 0.0.0.0:$PORT".to_owned()
        }
        Crash {
            out_of_memory: true, ..
        } => "it needed more memory than its size allows (R15). See paas ps:scale --help for sizes".to_owned(),
        Crash {
            exit_code: Some(code), ..
        } => format!("it exited with status {code}"),
        Crash { .. } => "its container vanished".to_owned(),
    }
}

/// Whether a line of the platform's says why a dyno ended.
fn is_reason(message: &str) -> bool {
    ["Error R", "Process exited", "Process vanished"]
        .iter()
        .any(|reason| message.starts_with(reason))
}

/// What the dynos of the new release said last.
async fn last_lines(platform: &Platform, app: &App, since: DateTime<Utc>, output: &mut OutputWriter) -> Result<()> {
    let filter = Filter {
        dyno: Some("web".to_owned()),
        ..Filter::default()
    };
    let tail = platform.logs.tail(app.id, LAST_LINES * 4, &filter).await?;
    let lines: Vec<_> = tail
        .lines
        .iter()
        .map(|stored| &stored.line)
        .filter(|line| line.at >= since && (line.source == LogSource::App || is_reason(&line.message)))
        .collect();
    for line in lines.iter().skip(lines.len().saturating_sub(LAST_LINES)) {
        output
            .line(&format!("       {}[{}]: {}", line.source, line.process, line.message))
            .await?;
    }
    Ok(())
}
