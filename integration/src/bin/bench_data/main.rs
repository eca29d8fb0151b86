//! What a database of the platform costs beside the bare programs, in turns, in one run on one machine.
//!
//! - pgbench in the Postgres add-on, beside the same server with the same settings on the host, without a container: it packs its
//!   log and keeps it, too. What that costs is shown by a third one, which throws its log away. For the time in which the machine itself
//!   stood still (`Stalls`) nobody can do anything: transactions are counted per second of what is left.
//! - A backup of a gigabyte and its way back, beside `pg_dump` into a file and `pg_restore` out of it, in the same server.
//! - What a backup costs an app that serves 220 requests per second, beside the seconds before it. Requests under which the machine
//!   itself stood still (`Stalls`) are not counted, on neither side.

mod addon;
mod bare;
mod sample;

use std::{
    env, fs,
    io::{self, Write},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use paas_integration::{App, Load, Platform, Stalls, Target};

use self::{
    addon::Addon,
    bare::Bare,
    sample::{Sample, median},
};

const ROUNDS: usize = 3;
/// pgbench's unit: a hundred thousand accounts each, 300 MB in all.
const SCALE: &str = "20";
/// How much worse than the bare programs.
const AIM_PGBENCH_PERCENT: f64 = 5.0;
const AIM_DUMP_PERCENT: f64 = 10.0;
const AIM_NEIGHBOUR_PERCENT: f64 = 10.0;
/// Rows of a hundred bytes or so that hardly compress.
const FILL: &str = "create table filler as select id, md5(id::text) || md5((id * 7)::text) || md5((id * 13)::text) as text \
                    from generate_series(1, 8000000) as id";
const QUIET: Duration = Duration::from_secs(15);

fn main() -> Result<()> {
    let rounds = env::args().nth(1).map_or(Ok(ROUNDS), |word| word.parse());
    let rounds = rounds.context("the number of rounds")?;
    let part = env::args().nth(2);
    let is_known = part.as_deref().is_none_or(|part| ["pgbench", "dumps"].contains(&part));
    ensure!(is_known, "the parts are pgbench and dumps");
    let is_wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    let mut out = io::stdout();
    let stalls = Stalls::watch();
    let platform = Platform::start();
    let app = platform.app("neighbour");
    app.push().expect_success();
    let addon = Addon::create(&platform, &app, "heroku-postgresql:standard-0");
    if is_wanted("pgbench") {
        pgbench(&mut out, &addon, &stalls, rounds)?;
    }
    if is_wanted("dumps") {
        dumps(&mut out, &platform, &app, &addon, &stalls, rounds)?;
    }
    Ok(())
}

/// Transactions per second, inside and outside.
fn pgbench(out: &mut impl Write, addon: &Addon, stalls: &Stalls, rounds: usize) -> Result<()> {
    let settings = addon.settings();
    let bare = Bare::start(&settings, Some(&addon.archive_script()))?;
    let forgetful = Bare::start(&settings, None)?;
    addon.run(&["createdb", "-h", "/run/addon", "-U", "postgres", "bench"]);
    addon.pgbench(&["-i", "-q", "-s", SCALE]);
    for bare in [&bare, &forgetful] {
        bare.run("createdb", &["bench"])?;
        bare.pgbench(&["-i", "-q", "-s", SCALE])?;
    }
    addon.settle();
    for (name, arguments) in [
        ("pgbench, TPC-B like", &["-c", "8", "-j", "2", "-T", "12"][..]),
        ("pgbench, reads only", &["-S", "-c", "8", "-j", "2", "-T", "10"]),
    ] {
        let (mut ours, mut floor, mut without) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            floor.push(Sample::take(stalls, || bare.pgbench(arguments))?);
            ours.push(Sample::take(stalls, || Ok(addon.pgbench(arguments)))?);
            without.push(Sample::take(stalls, || forgetful.pgbench(arguments))?);
        }
        let per_second = |samples: &[Sample]| of_all(samples, |sample| sample.per_second);
        let processor = |samples: &[Sample]| of_all(samples, |sample| sample.processor_microseconds);
        let slower = (1.0 - per_second(&ours) / per_second(&floor)) * 100.0;
        let dearer = (processor(&ours) / processor(&floor) - 1.0) * 100.0;
        writeln!(
            out,
            "{name:20} add-on {:6.0} tps   bare {:6.0} tps   {slower:+.1} % slower, aim {AIM_PGBENCH_PERCENT} %   \
             (bare without its log {:.0} tps)",
            per_second(&ours),
            per_second(&floor),
            per_second(&without),
        )?;
        writeln!(
            out,
            "{:20} add-on {:6.0} µs    bare {:6.0} µs    {dearer:+.1} %   (bare without its log {:.0} µs)",
            "  processors",
            processor(&ours),
            processor(&floor),
            processor(&without),
        )?;
    }
    addon.run(&["dropdb", "-h", "/run/addon", "-U", "postgres", "bench"]);
    Ok(())
}

fn of_all(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> f64 {
    median(&samples.iter().map(figure).collect::<Vec<_>>())
}

/// Backups and restores, and what an app has of them.
fn dumps(
    out: &mut impl Write,
    platform: &Platform,
    app: &App<'_>,
    addon: &Addon,
    stalls: &Stalls,
    rounds: usize,
) -> Result<()> {
    app.paas(&["pg:psql", "-c", FILL]).expect_success();
    let file = platform.work().join("plain.dump");
    let (mut captures, mut plain_dumps) = (Vec::new(), Vec::new());
    let (mut restores, mut plain_restores) = (Vec::new(), Vec::new());
    let mut felt = Felt::default();
    for _ in 0..rounds {
        plain_dumps.push(seconds(|| addon.dump(&file)));
        captures.push(seconds(|| capture(app)));
        plain_restores.push(seconds(|| addon.restore(&file)));
        let name = newest(app)?;
        restores.push(seconds(|| {
            app.paas(&["pg:backups:restore", &name, "DATABASE", "--confirm", app.name()])
                .expect_success();
        }));
        felt.backup(platform, app, stalls);
    }
    let bytes = fs::metadata(&file)?.len();
    writeln!(out, "a dump of {} MB", bytes / 1_000_000)?;
    for (name, ours, floor) in [
        ("capture beside pg_dump", &captures, &plain_dumps),
        // A restore takes a backup of what is there before: that is a capture more.
        (
            "restore beside dump and pg_restore",
            &restores,
            &both(&plain_dumps, &plain_restores),
        ),
    ] {
        let (ours, floor) = (median(ours), median(floor));
        let percent = (ours / floor - 1.0) * 100.0;
        writeln!(
            out,
            "{name:34} ours {ours:6.1} s   plain {floor:6.1} s   {percent:+.1} %, aim {AIM_DUMP_PERCENT} %"
        )?;
    }
    felt.show(out)
}

/// What an app has of a backup, round by round: its slowest in a hundred in milliseconds, and for which part of the time the
/// processors stood still.
#[derive(Default)]
struct Felt {
    before: Vec<f64>,
    beside: Vec<f64>,
    percent: Vec<f64>,
    still_before: Vec<f64>,
    still_beside: Vec<f64>,
    failed: usize,
}

impl Felt {
    fn backup(&mut self, platform: &Platform, app: &App<'_>, stalls: &Stalls) {
        let load = Load::from_elsewhere(platform.http(), &[Target::new(app.host())]);
        thread::sleep(QUIET);
        let begun = Instant::now();
        capture(app);
        let ended = Instant::now();
        let traffic = load.stop();
        let (before, beside) = (traffic.started..begun, begun..ended);
        let slowest = |span| traffic.undisturbed_percentile(99, stalls, span).as_secs_f64() * 1000.0;
        let (before_ms, beside_ms) = (slowest(&before), slowest(&beside));
        self.percent.push((beside_ms / before_ms - 1.0) * 100.0);
        self.before.push(before_ms);
        self.beside.push(beside_ms);
        self.still_before.push(stalls.share(&before) * 100.0);
        self.still_beside.push(stalls.share(&beside) * 100.0);
        self.failed += traffic.failures.len();
    }

    fn show(&self, out: &mut impl Write) -> Result<()> {
        writeln!(
            out,
            "an app's slowest in a hundred      {:.2} ms   during a backup {:.2} ms   {:+.0} %, aim {AIM_NEIGHBOUR_PERCENT} %, \
             {} failed (processors stood still: {:.1} % before, {:.1} % beside)",
            median(&self.before),
            median(&self.beside),
            median(&self.percent),
            self.failed,
            median(&self.still_before),
            median(&self.still_beside),
        )?;
        Ok(())
    }
}

fn capture(app: &App<'_>) {
    app.paas(&["pg:backups:capture"]).expect_success();
}

fn newest(app: &App<'_>) -> Result<String> {
    let backups = app.paas(&["pg:backups", "--json"]).expect_success().json();
    let manual = backups
        .as_array()
        .context("a list")?
        .iter()
        .filter(|one| one["kind"] == "manual");
    let name = manual.filter_map(|one| one["name"].as_str()).max();
    Ok(name.context("a backup was captured")?.to_owned())
}

fn seconds(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64()
}

fn both(left: &[f64], right: &[f64]) -> Vec<f64> {
    left.iter().zip(right).map(|(left, right)| left + right).collect()
}
