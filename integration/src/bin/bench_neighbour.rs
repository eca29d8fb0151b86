//! What builds cost a neighbour: its slowest in a hundred at 200 requests per second, with nothing else to do, beside each kind of
//! hostile build, and beside containers that somebody else starts and removes, in turns, in one run.
//!
//! A build is looked at twice: while it is at its work, and with all that a push takes. The hostile ones last for seconds, so that
//! the start of a container and its end, which any engine pays for any container, are a good part of the second.

use std::{
    env,
    io::{self, Write},
    ops::Range,
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use paas_integration::{App, HOSTILE, Hostile, Load, Options, Platform, Target, Traffic, eventually};

const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_mins(3);
/// For so long nothing else happens; a build takes about as long.
const QUIET: Duration = Duration::from_secs(10);
/// Containers that are started and removed by hand: a build takes one that it runs in, and one for its image.
const CONTAINERS: u32 = 2;
/// How much worse the slowest in a hundred may be.
const AIM_PERCENT: f64 = 20.0;

/// What came of one kind in all rounds: the slowest in a hundred.
#[derive(Default)]
struct Row {
    half: Vec<Duration>,
    at_work: Vec<Duration>,
    in_all: Vec<Duration>,
    failed: usize,
}

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

    let (mut quiet, mut by_hand) = (Row::default(), Row::default());
    let mut beside = HOSTILE.map(|hostile| (hostile, Row::default()));
    for round in 1..=rounds {
        writeln!(out, "round {round} of {rounds}")?;
        let load = start(&platform, &neighbour);
        thread::sleep(QUIET);
        quiet.add(&load.stop(), Duration::ZERO..Duration::MAX);

        let load = start(&platform, &neighbour);
        containers(&platform);
        by_hand.add(&load.stop(), Duration::ZERO..Duration::MAX);

        for (hostile, row) in &mut beside {
            hostile.infest(&app);
            let load = start(&platform, &neighbour);
            let at_work = build(&app, hostile, &load);
            row.add(&load.stop(), at_work);
            eventually("its build container is gone", LIMIT, || {
                let containers = platform.engine().containers();
                containers.iter().all(|container| container.role != "build")
            });
        }
    }
    let floor = Floor {
        alone: median(&quiet.at_work),
        containers: median(&by_hand.in_all),
    };
    writeln!(out, "\nslowest in a hundred:{:36}at its work        in all", "")?;
    quiet.show(&mut out, "nothing else to do", &floor)?;
    by_hand.show(&mut out, "containers by hand", &floor)?;
    for (hostile, row) in &beside {
        row.show(&mut out, hostile.name, &floor)?;
    }
    writeln!(
        out,
        "\naim: at most {AIM_PERCENT} % slower at its work than with nothing else to do, and in all no slower than containers by hand"
    )?;
    Ok(())
}

/// What all others are held against.
struct Floor {
    alone: Duration,
    containers: Duration,
}

fn start(platform: &Platform, neighbour: &App<'_>) -> Load {
    Load::start(platform.http(), &[Target::new(neighbour.host())])
}

/// Pushes it, and says from when to when its own program ran.
fn build(app: &App<'_>, hostile: &Hostile, load: &Load) -> Range<Duration> {
    let push = app.start_push();
    push.hears(Hostile::BEGINS, LIMIT);
    let begun = load.traffic().elapsed;
    push.hears(hostile.end(), LIMIT);
    let ended = load.traffic().elapsed;
    push.finish(LIMIT);
    begun..ended
}

/// What `docker run` costs: as many as a build makes, in about the time that a build takes.
fn containers(platform: &Platform) {
    let engine = platform.engine();
    let dyno = engine.dyno("web.1").expect("the neighbour runs");
    let image = engine
        .docker(&["inspect", "--format={{.Image}}", &dyno.id])
        .expect_success()
        .text();
    for _ in 0..CONTAINERS {
        engine
            .docker(&["run", "--rm", "--entrypoint=true", image.trim()])
            .expect_success();
        thread::sleep(QUIET / CONTAINERS);
    }
}

impl Row {
    fn add(&mut self, traffic: &Traffic, at_work: Range<Duration>) {
        self.half.push(traffic.percentile(50));
        self.at_work.push(traffic.percentile_between(99, at_work));
        self.in_all.push(traffic.percentile(99));
        self.failed += traffic.failures.len();
    }

    fn show(&self, out: &mut impl Write, name: &str, floor: &Floor) -> io::Result<()> {
        let percent = |took: Duration, floor: Duration| (took.as_secs_f64() / floor.as_secs_f64() - 1.0) * 100.0;
        let (at_work, in_all) = (median(&self.at_work), median(&self.in_all));
        writeln!(
            out,
            "{name:50} {at_work:8.2?} {:+5.0} %  {in_all:8.2?} {:+5.0} %   half {:.2?}, {} failed",
            percent(at_work, floor.alone),
            percent(in_all, floor.containers),
            median(&self.half),
            self.failed
        )
    }
}

fn median(all: &[Duration]) -> Duration {
    let mut all = all.to_vec();
    all.sort();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
