//! What a database of the platform costs beside the bare programs, in turns, in one run on one machine.
//!
//! - pgbench in the Postgres add-on, beside the same server with the same settings on the host, without a container.
//! - A backup of a gigabyte and its way back, beside `pg_dump` into a file and `pg_restore` out of it, in the same server.
//! - What a backup costs an app that serves 220 requests per second.

mod addon;
mod bare;
mod sample;

use std::{
    env, fs,
    io::{self, Write},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use paas_integration::{App, Load, Platform, Target, Traffic};

use self::{addon::Addon, bare::Bare, sample::median};

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
    let mut out = io::stdout();
    let platform = Platform::start();
    let app = platform.app("neighbour");
    app.push().expect_success();
    let addon = Addon::create(&platform, &app, "heroku-postgresql:standard-0");
    pgbench(&mut out, &addon, rounds)?;
    dumps(&mut out, &platform, &app, &addon, rounds)
}

/// Transactions per second, inside and outside.
fn pgbench(out: &mut impl Write, addon: &Addon, rounds: usize) -> Result<()> {
    let bare = Bare::start(&addon.settings())?;
    addon.run(&["createdb", "-h", "/run/addon", "-U", "postgres", "bench"]);
    addon.pgbench(&["-i", "-q", "-s", SCALE]);
    bare.run("createdb", &["bench"])?;
    bare.pgbench(&["-i", "-q", "-s", SCALE])?;
    for (name, arguments) in [
        ("pgbench, TPC-B like", &["-c", "8", "-j", "2", "-T", "15"][..]),
        ("pgbench, reads only", &["-S", "-c", "8", "-j", "2", "-T", "10"]),
    ] {
        let (mut ours, mut floor) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            floor.push(sample::transactions(&bare.pgbench(arguments)?)?);
            ours.push(sample::transactions(&addon.pgbench(arguments))?);
        }
        let (ours, floor) = (median(&ours), median(&floor));
        let percent = (1.0 - ours / floor) * 100.0;
        writeln!(
            out,
            "{name:34} add-on {ours:9.0} tps   bare {floor:9.0} tps   {percent:+.1} % slower, aim {AIM_PGBENCH_PERCENT} %"
        )?;
    }
    addon.run(&["dropdb", "-h", "/run/addon", "-U", "postgres", "bench"]);
    Ok(())
}

/// Backups and restores, and what an app has of them.
fn dumps(out: &mut impl Write, platform: &Platform, app: &App<'_>, addon: &Addon, rounds: usize) -> Result<()> {
    app.paas(&["pg:psql", "-c", FILL]).expect_success();
    let file = platform.work().join("plain.dump");
    let (mut captures, mut plain_dumps) = (Vec::new(), Vec::new());
    let (mut restores, mut plain_restores) = (Vec::new(), Vec::new());
    let (mut quiet, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        plain_dumps.push(seconds(|| addon.dump(&file)));
        captures.push(seconds(|| capture(app)));
        plain_restores.push(seconds(|| addon.restore(&file)));
        let name = newest(app)?;
        restores.push(seconds(|| {
            app.paas(&["pg:backups:restore", &name, "DATABASE", "--confirm", app.name()])
                .expect_success();
        }));
        quiet.push(load(platform, app, || thread::sleep(QUIET)));
        beside.push(load(platform, app, || capture(app)));
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
    let slowest = |traffics: &[Traffic]| {
        let all: Vec<_> = traffics
            .iter()
            .map(|traffic| traffic.percentile(99).as_secs_f64() * 1000.0)
            .collect();
        median(&all)
    };
    let failed: usize = beside.iter().map(|traffic| traffic.failures.len()).sum();
    let (quiet, beside) = (slowest(&quiet), slowest(&beside));
    let percent = (beside / quiet - 1.0) * 100.0;
    writeln!(
        out,
        "an app's slowest in a hundred      {quiet:.1} ms   during a backup {beside:.1} ms   {percent:+.0} %, \
         aim {AIM_NEIGHBOUR_PERCENT} %, {failed} failed"
    )?;
    Ok(())
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

fn load(platform: &Platform, app: &App<'_>, work: impl FnOnce()) -> Traffic {
    let load = Load::start(platform.http(), &[Target::new(app.host())]);
    work();
    load.stop()
}

fn seconds(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64()
}

fn both(left: &[f64], right: &[f64]) -> Vec<f64> {
    left.iter().zip(right).map(|(left, right)| left + right).collect()
}
