//! The router's memory over time.

use std::{
    fs,
    io::{self, Write},
};

/// What a router may need more at the end than in the middle: connections come and go, and so do certificates.
const SLACK_KIB: u64 = 4 * 1024;

#[derive(Default)]
pub(crate) struct Memory {
    samples_kib: Vec<u64>,
}

impl Memory {
    pub(crate) fn sample(&mut self, process: u32) {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: Option<u64> = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        self.samples_kib.extend(kib);
    }

    /// Whether the last quarter needs no more than the second: the first is for filling pools and caches.
    pub(crate) fn is_flat(&self) -> bool {
        let quarter = self.samples_kib.len() / 4;
        if quarter == 0 {
            return true;
        }
        let second = median(&self.samples_kib[quarter..2 * quarter]);
        let last = median(&self.samples_kib[3 * quarter..]);
        last <= second + second / 10 + SLACK_KIB
    }

    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let samples = &self.samples_kib;
        let steps = (samples.len() / 10).max(1);
        write!(out, "router's memory, MB: ")?;
        for kib in samples.iter().step_by(steps) {
            write!(out, " {}", kib.div_ceil(1024))?;
        }
        writeln!(out, "{}", if self.is_flat() { ", flat" } else { ", GROWING" })
    }
}

fn median(samples: &[u64]) -> u64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
