//! What builds cost a neighbour: its slowest in a hundred at 200 requests per second beside each kind of hostile build, and beside
//! containers that somebody else starts and removes, each held against the seconds before it in which nothing else was to do.
//!
//! Requests under which the machine itself stood still (`Stalls`) are not counted, on neither side.
//!
//! A build is looked at twice: while it is at its work, and with all that a push takes. The hostile ones last for seconds, so that
//! the start of a container and its end, which any engine pays for any container, are a good part of the second.

use std::{
    env,
    io::{self, Write},
    ops::Range,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use paas_integration::{App, HOSTILE, Hostile, Load, Options, Platform, Stalls, Target, Traffic, eventually};

const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_mins(3);
/// For so long nothing else happens; a build takes about as long.
const QUIET: Duration = Duration::from_secs(10);
/// Containers that are started and removed by hand: a build takes one that it runs in, and one for its image.
const CONTAINERS: u32 = 2;
/// How much slower the slowest in a hundred may be.
const AIM_PERCENT: f64 = 20.0;

/// What came of one kind in all rounds.
#[derive(Default)]
struct Row {
    rounds: Vec<Round>,
    failed: usize,
}

/// The slowest in a hundred of requests, in milliseconds, and for which part of the time the processors stood still.
struct Round {
    before: f64,
    at_work: f64,
    in_all: f64,
    still_before: f64,
    still_beside: f64,
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
    let stalls = Stalls::watch();

    let (mut nothing, mut by_hand) = (Row::default(), Row::default());
    let mut builds = HOSTILE.map(|hostile| (hostile, Row::default()));
    for round in 1..=rounds {
        writeln!(out, "round {round} of {rounds}")?;
        let measure = |row: &mut Row, work: &mut dyn FnMut() -> Range<Instant>| {
            let load = Load::from_elsewhere(platform.http(), &[Target::new(neighbour.host())]);
            thread::sleep(QUIET);
            let begun = Instant::now();
            let at_work = work();
            let ended = Instant::now();
            row.add(&load.stop(), &stalls, &(begun..ended), &at_work);
        };
        measure(&mut nothing, &mut || {
            let begun = Instant::now();
            thread::sleep(QUIET);
            begun..Instant::now()
        });
        measure(&mut by_hand, &mut || containers(&platform));
        for (hostile, row) in &mut builds {
            hostile.infest(&app);
            measure(row, &mut || build(&app, hostile));
            eventually("its build container is gone", LIMIT, || {
                let containers = platform.engine().containers();
                containers.iter().all(|container| container.role != "build")
            });
        }
    }
    writeln!(
        out,
        "\nslowest in a hundred:{:33}before    at its work         in all   processors stood still",
        ""
    )?;
    nothing.show(&mut out, "nothing else to do")?;
    by_hand.show(&mut out, "containers by hand")?;
    for (hostile, row) in &builds {
        row.show(&mut out, hostile.name)?;
    }
    writeln!(out, "\naim: at most {AIM_PERCENT} % slower at its work than before it")?;
    Ok(())
}

/// Pushes it, and says from when to when its own program ran.
fn build(app: &App<'_>, hostile: &Hostile) -> Range<Instant> {
    let push = app.start_push();
    push.hears(Hostile::BEGINS, LIMIT);
    let begun = Instant::now();
    push.hears(hostile.end(), LIMIT);
    let ended = Instant::now();
    push.finish(LIMIT);
    begun..ended
}

/// What `docker run` costs: as many as a build makes, in about the time that a build takes.
fn containers(platform: &Platform) -> Range<Instant> {
    let begun = Instant::now();
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
    begun..Instant::now()
}

impl Row {
    fn add(&mut self, traffic: &Traffic, stalls: &Stalls, work: &Range<Instant>, at_work: &Range<Instant>) {
        let before = traffic.started..work.start;
        let slowest = |span| traffic.undisturbed_percentile(99, stalls, span).as_secs_f64() * 1000.0;
        self.rounds.push(Round {
            before: slowest(&before),
            at_work: slowest(at_work),
            in_all: slowest(work),
            still_before: stalls.share(&before) * 100.0,
            still_beside: stalls.share(work) * 100.0,
        });
        self.failed += traffic.failures.len();
    }

    fn show(&self, out: &mut impl Write, name: &str) -> io::Result<()> {
        let of = |number: &dyn Fn(&Round) -> f64| median(self.rounds.iter().map(number).collect());
        let percent = |number: &dyn Fn(&Round) -> f64| of(&|round| (number(round) / round.before - 1.0) * 100.0);
        let (at_work, in_all) = (|round: &Round| round.at_work, |round: &Round| round.in_all);
        writeln!(
            out,
            "{name:50} {:6.2} ms  {:6.2} ms {:+4.0} %  {:6.2} ms {:+4.0} %   {:.1} % before, {:.1} % beside; {} failed",
            of(&|round| round.before),
            of(&at_work),
            percent(&at_work),
            of(&in_all),
            percent(&in_all),
            of(&|round| round.still_before),
            of(&|round| round.still_beside),
            self.failed
        )
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}
