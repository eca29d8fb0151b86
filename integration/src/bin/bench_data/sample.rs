//! Numbers out of what was said.

use anyhow::{Context, Result};

/// `tps = 1234.5 (without initial connection time)`.
pub(crate) fn transactions(said: &str) -> Result<f64> {
    let number = said
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
    let number = number.with_context(|| format!("pgbench said no tps: {said}"))?;
    number.parse().with_context(|| format!("{number} is no number"))
}

pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
