//! Our router against its rivals: CPU per request, throughput, latency, memory, what a change of routes costs.
//!
//! Every proxy runs all the time, pinned to core 0; the origin, the load generator and this program share core 1. The proxies
//! are measured in turns, round after round, so that whatever disturbs the machine disturbs all of them; medians count. The
//! figure to trust is the processor time per request: it hardly depends on who else uses the machine.

mod change;
mod configuration;
mod cost;
mod handshake;
mod idle;
mod load;
mod origin;
mod plan;
mod proxy;
mod report;
mod sample;

use std::io::{self, Write};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{
    plan::{Plan, Row},
    proxy::{Fleet, Kind},
    report::Report,
    sample::Sample,
};

/// Before the first round of a row: connections to the origin are opened, caches are filled.
const WARM_UP_SECONDS: u64 = 1;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1).peekable();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if words.peek().is_some_and(|word| word == "origin") {
        let port = words.nth(1).context("the port of the origin")?.parse()?;
        return runtime.block_on(origin::serve(port));
    }
    let Some(plan) = Plan::parse(words)? else {
        return Ok(write!(io::stdout(), "{}", plan::HELP)?);
    };
    runtime.block_on(measure(&plan))
}

async fn measure(plan: &Plan) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut report = Report::default();
    // Rows that need the same tables share their proxies.
    for hosts in [1, 1_000, 10_000] {
        let rows: Vec<Row> = plan.rows.iter().copied().filter(|row| row.hosts() == hosts).collect();
        let (load, special): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.is_load());
        if !load.is_empty() {
            measure_load(plan, hosts, &load, &directory, &mut report).await?;
        }
        for row in special {
            measure_special(plan, row, &directory, &mut report).await?;
        }
    }
    report.write(&mut io::stdout(), plan.json)
}

async fn measure_load(plan: &Plan, hosts: usize, rows: &[Row], directory: &TempDir, report: &mut Report) -> Result<()> {
    let fleet = Fleet::start(&plan.kinds, hosts, directory.path()).await?;
    for &row in rows {
        let mut runners = Vec::new();
        for proxy in fleet.proxies.iter().filter(|proxy| row.runs(proxy.kind)) {
            match load::run(row, proxy, WARM_UP_SECONDS, directory.path()).await {
                Ok(_) => runners.push(proxy),
                // The others still are worth a measurement.
                Err(error) => report.cannot(row, proxy.kind, &error),
            }
        }
        for round in 1..=plan.rounds {
            for proxy in &runners {
                let sample = load::run(row, proxy, plan.seconds, directory.path()).await?;
                progress(row, proxy.kind, round, &sample)?;
                report.add(row, proxy.kind, sample);
            }
        }
    }
    Ok(())
}

/// What needs proxies of its own: fresh memory, or tables that change.
async fn measure_special(plan: &Plan, row: Row, directory: &TempDir, report: &mut Report) -> Result<()> {
    for &kind in plan.kinds.iter().filter(|kind| row.runs(**kind)) {
        let mut fleet = Fleet::start(&[kind], row.hosts(), directory.path()).await?;
        let proxy = fleet.proxies.first_mut().context("a proxy")?;
        let measured = match row {
            Row::Change => change::run(proxy).await,
            row => idle::run(row == Row::IdleTls, proxy).await,
        };
        match measured {
            Ok(sample) => {
                progress(row, kind, 1, &sample)?;
                report.add(row, kind, sample);
            }
            Err(error) => report.cannot(row, kind, &error),
        }
    }
    Ok(())
}

fn progress(row: Row, kind: Kind, round: usize, sample: &Sample) -> Result<()> {
    let mut error = io::stderr();
    writeln!(
        error,
        "{:14} {:14} {round:2}  {}",
        row.name(),
        kind.name(),
        sample.brief()
    )?;
    Ok(())
}
