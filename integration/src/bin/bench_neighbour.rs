//! What builds cost a neighbour: its slowest in a hundred at 200 requests per second, with nothing else to do and beside each
//! kind of hostile build, in turns, in one run.

use std::{
    env,
    io::{self, Write},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use paas_integration::{App, HOSTILE, Load, Options, Platform, Target, Traffic, eventually};

const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_mins(3);
/// For so long nothing else happens; a build takes about as long.
const QUIET: Duration = Duration::from_secs(10);
/// How much worse the slowest in a hundred may be.
const AIM_PERCENT: f64 = 20.0;

fn main() -> Result<()> {
    let rounds = env::args().nth(1).map_or(Ok(ROUNDS), |word| word.parse());
    let rounds = rounds.context("the number of rounds")?;
    let mut out = io::stdout();
    let platform = Platform::with(Options {
        arguments: ["--build-memory=1500", "--build-disk=600", "--build-timeout=60"]
            .map(str::to_owned)
            .to_vec(),
        ..Options::default()
    });
    let neighbour = platform.app("neighbour");
    neighbour.push().expect_success();
    let app = platform.app("hostile");
    app.push().expect_success();

    let mut quiet = Vec::new();
    let mut beside = HOSTILE.map(|hostile| (hostile, Vec::new()));
    for round in 1..=rounds {
        quiet.push(load(&platform, &neighbour, || thread::sleep(QUIET)));
        for (hostile, traffics) in &mut beside {
            hostile.infest(&app);
            let traffic = load(&platform, &neighbour, || drop(app.push()));
            writeln!(out, "{round}  {}: {traffic:?}", hostile.name)?;
            traffics.push(traffic);
            eventually("its build container is gone", LIMIT, || {
                let containers = platform.engine().containers();
                containers.iter().all(|container| container.role != "build")
            });
        }
    }
    writeln!(out)?;
    let floor = show(&mut out, "nothing else to do", &quiet, None)?;
    for (hostile, traffics) in &beside {
        show(&mut out, hostile.name, traffics, Some(floor))?;
    }
    writeln!(out, "\naim: the slowest in a hundred at most {AIM_PERCENT} % slower")?;
    Ok(())
}

/// Requests for as long as this takes.
fn load(platform: &Platform, neighbour: &App<'_>, work: impl FnOnce()) -> Traffic {
    let load = Load::start(platform.http(), &[Target::new(neighbour.host())]);
    work();
    load.stop()
}

/// The medians of all rounds. Gives the slowest in a hundred.
fn show(out: &mut impl Write, name: &str, traffics: &[Traffic], floor: Option<Duration>) -> Result<Duration> {
    let median = |percent| {
        let mut all: Vec<_> = traffics.iter().map(|traffic| traffic.percentile(percent)).collect();
        all.sort();
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    let failed: usize = traffics.iter().map(|traffic| traffic.failures.len()).sum();
    let slowest = median(99);
    let change = floor.map_or_else(String::new, |floor| {
        let percent = (slowest.as_secs_f64() / floor.as_secs_f64() - 1.0) * 100.0;
        format!(", {percent:+.0} %")
    });
    writeln!(
        out,
        "{name:50} half {:.2?}, slowest in a hundred {slowest:.2?}{change}, {failed} failed",
        median(50)
    )?;
    Ok(slowest)
}
