//! What a platform at rest with one app costs: memory and processor of control plane, router and database.

use std::{
    env, fs,
    io::{self, Write},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use paas_integration::Platform;

const SECONDS: u64 = 30;
/// After a start and a deploy, until nothing is left to do.
const SETTLE: Duration = Duration::from_secs(10);
const MEMORY_AIM_KIB: u64 = 150 * 1024;
const PROCESSOR_AIM_PERCENT: f64 = 1.0;
/// `USER_HZ` is 100 on every Linux of today (`proc(5)`).
const TICKS_PER_SECOND: f64 = 100.0;

/// One process at one moment.
struct Cost {
    id: u32,
    name: String,
    resident_kib: u64,
    /// Its own pages, and its share of those that others have too: what would be free without it.
    proportional_kib: u64,
    ticks: u64,
}

fn main() -> Result<()> {
    let seconds = env::args().nth(1).map_or(Ok(SECONDS), |word| word.parse());
    let seconds = seconds.context("the number of seconds")?;
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    thread::sleep(SETTLE);

    let before = costs(&platform);
    thread::sleep(Duration::from_secs(seconds));
    let after = costs(&platform);

    let mut out = io::stdout();
    writeln!(out, "   RSS MB   PSS MB    CPU %")?;
    let (mut resident_kib, mut proportional_kib, mut percent) = (0, 0, 0.0);
    for cost in &after {
        // A backend of the database may be new.
        let spent = before
            .iter()
            .find(|earlier| earlier.id == cost.id)
            .map_or(cost.ticks, |earlier| cost.ticks.saturating_sub(earlier.ticks));
        let spent = percent_of(spent, seconds);
        row(&mut out, cost.resident_kib, cost.proportional_kib, spent, &cost.name)?;
        resident_kib += cost.resident_kib;
        proportional_kib += cost.proportional_kib;
        percent += spent;
    }
    row(&mut out, resident_kib, proportional_kib, percent, "together")?;
    writeln!(
        out,
        "\naims: under {} MB, under {PROCESSOR_AIM_PERCENT} % of a core; over {seconds} s: {}",
        MEMORY_AIM_KIB / 1024,
        if proportional_kib < MEMORY_AIM_KIB && percent < PROCESSOR_AIM_PERCENT {
            "both reached (memory as PSS: pages that processes share count once)"
        } else {
            "missed"
        }
    )?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a few numbers for people")]
fn percent_of(ticks: u64, seconds: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND / seconds as f64 * 100.0
}

#[expect(clippy::cast_precision_loss, reason = "a few numbers for people")]
fn row(out: &mut impl Write, resident_kib: u64, proportional_kib: u64, percent: f64, name: &str) -> io::Result<()> {
    let mib = |kib: u64| kib as f64 / 1024.0;
    let (resident, proportional) = (mib(resident_kib), mib(proportional_kib));
    writeln!(out, "{resident:9.1}{proportional:9.1}{percent:9.2}  {name}")
}

/// The platform's processes and their children: Postgres has some.
fn costs(platform: &Platform) -> Vec<Cost> {
    let mut ids: Vec<u32> = platform.processes().iter().map(|process| process.id).collect();
    let mut next = 0;
    while next < ids.len() {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", ids[next])).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|word| word.parse().ok()) {
            if !ids.contains(&child) {
                ids.push(child);
            }
        }
        next += 1;
    }
    // One that has ended meanwhile costs nothing.
    ids.into_iter().filter_map(cost).collect()
}

fn cost(id: u32) -> Option<Cost> {
    let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    let kib = |key: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name is in parentheses and may have anything in it; utime and stime are the 12th and 13th field after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let arguments = fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?;
    let name = match arguments.split('\0').next()? {
        path if path.ends_with("/paasd") && arguments.contains("\0router\0") => "paasd router".to_owned(),
        path if path.ends_with("/paasd") => "paasd serve".to_owned(),
        path => path.rsplit('/').next()?.trim_end().to_owned(),
    };
    Some(Cost {
        id,
        name,
        resident_kib: kib("Rss:")?,
        proportional_kib: kib("Pss:")?,
        ticks: field(11)? + field(12)?,
    })
}
