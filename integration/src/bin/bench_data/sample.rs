//! Numbers out of what was said, and of the kernel.

use std::{fs, time::Instant};

use anyhow::{Context, Result};
use paas_integration::Stalls;

/// The kernel counts in hundredths of a second (`USER_HZ`, proc(5)).
const MICROSECONDS_PER_TICK: f64 = 10_000.0;
/// Of the first line of `/proc/stat`: user, nice, system, irq and softirq; not idle, and not what the host took away.
const BUSY: [usize; 5] = [1, 2, 3, 6, 7];

/// One run of pgbench.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Of the time in which the machine did not stand still.
    pub(crate) per_second: f64,
    /// What all processes of the machine took of its processors for one transaction: neither who waits nor a host that gives them to
    /// somebody else changes that much.
    pub(crate) processor_microseconds: f64,
}

impl Sample {
    pub(crate) fn take(stalls: &Stalls, run: impl FnOnce() -> Result<String>) -> Result<Self> {
        let (begun, busy_before) = (Instant::now(), busy_ticks()?);
        let said = run()?;
        let (ended, busy_after) = (Instant::now(), busy_ticks()?);
        let per_second = number(&said, "tps = ")?;
        let transactions = number(&said, "number of transactions actually processed: ")?;
        Ok(Self {
            per_second: per_second / (1.0 - stalls.share(&(begun..ended))),
            processor_microseconds: (busy_after - busy_before) * MICROSECONDS_PER_TICK / transactions,
        })
    }
}

fn busy_ticks() -> Result<f64> {
    let text = fs::read_to_string("/proc/stat")?;
    let words: Vec<_> = text.lines().next().unwrap_or_default().split_whitespace().collect();
    let ticks = BUSY.iter().map(|index| words.get(*index)?.parse::<f64>().ok());
    ticks
        .sum::<Option<f64>>()
        .context("/proc/stat says how busy the processors were")
}

/// `tps = 1234.5 (without initial connection time)`, `number of transactions actually processed: 12345`.
fn number(said: &str, name: &str) -> Result<f64> {
    let word = said
        .lines()
        .find_map(|line| line.strip_prefix(name)?.split([' ', '/']).next());
    let word = word.with_context(|| format!("pgbench said no {name:?}: {said}"))?;
    word.parse().with_context(|| format!("{word} is no number"))
}

pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
