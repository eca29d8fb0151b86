//! What is printed at the end: medians, and how they compare with nginx.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use anyhow::Result;
use serde_json::json;

use crate::{plan::Row, proxy::Kind, sample::Sample};

#[derive(Default)]
pub(crate) struct Report {
    samples: BTreeMap<Row, BTreeMap<Kind, Vec<Sample>>>,
    /// What could not be measured, and why.
    failures: Vec<String>,
}

impl Report {
    pub(crate) fn add(&mut self, row: Row, kind: Kind, sample: Sample) {
        self.samples
            .entry(row)
            .or_default()
            .entry(kind)
            .or_default()
            .push(sample);
    }

    pub(crate) fn cannot(&mut self, row: Row, kind: Kind, error: &anyhow::Error) {
        self.failures.push(format!("{} {}: {error:#}", row.name(), kind.name()));
    }

    pub(crate) fn write(&self, out: &mut impl Write, json: bool) -> Result<()> {
        if json {
            Ok(self.write_json(out)?)
        } else {
            Ok(self.write_table(out)?)
        }
    }

    fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let rows: Vec<_> = self
            .medians()
            .map(|(row, kind, median, all)| {
                json!({
                    "row": row.name(),
                    "proxy": kind.name(),
                    "median": median.json(),
                    "processor_to_nginx": self.ratio(row, &median),
                    "samples": all.iter().map(Sample::json).collect::<Vec<_>>(),
                })
            })
            .collect();
        writeln!(out, "{:#}", json!({ "rows": rows, "failures": self.failures }))
    }

    fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{:14} {:14} {:>9} {:>10} {:>10} {:>9} {:>8} {:>6} {:>9} {:>8} {:>10} {:>7}",
            "row", "proxy", "req/s", "p50", "p99", "CPU µs", "÷ nginx", "aim", "KiB/idle", "MiB", "visible", "failed"
        )?;
        let mut last = None;
        for (row, kind, median, _) in self.medians() {
            if last.replace(row).is_some_and(|last| last != row) {
                writeln!(out)?;
            }
            let aim = row.aim().filter(|_| kind == Kind::Paas);
            let time = |time: Duration| {
                if time.is_zero() {
                    String::new()
                } else {
                    format!("{time:.1?}")
                }
            };
            let number = |number: Option<f64>| number.map(|number| format!("{number:.2}")).unwrap_or_default();
            writeln!(
                out,
                "{:14} {:14} {:9.0} {:>10} {:>10} {:>9} {:>8} {:>6} {:>9} {:>8} {:>10} {:>7}",
                row.name(),
                kind.name(),
                median.per_second(),
                time(median.p50),
                time(median.p99),
                number(median.processor_us()),
                number(self.ratio(row, &median)),
                number(aim),
                number(median.idle_kib),
                number(median.memory_kib.map(mib)),
                median.visible.map(time).unwrap_or_default(),
                median.failed,
            )?;
        }
        for failure in &self.failures {
            writeln!(out, "not measured: {failure}")?;
        }
        Ok(())
    }

    fn medians(&self) -> impl Iterator<Item = (Row, Kind, Sample, &[Sample])> {
        self.samples.iter().flat_map(|(row, kinds)| {
            let medians = kinds.iter();
            medians.map(|(kind, samples)| (*row, *kind, median(samples), samples.as_slice()))
        })
    }

    /// Processor time per request, nginx = 1.
    fn ratio(&self, row: Row, sample: &Sample) -> Option<f64> {
        let nginx = median(self.samples.get(&row)?.get(&Kind::Nginx)?);
        Some(sample.processor_us()? / nginx.processor_us()?)
    }
}

/// Each figure's own median; failures are added up.
fn median(samples: &[Sample]) -> Sample {
    let by = |key: fn(&Sample) -> f64| {
        let mut sorted: Vec<&Sample> = samples.iter().collect();
        sorted.sort_by(|a, b| key(a).total_cmp(&key(b)));
        sorted.get(sorted.len() / 2).copied().cloned().unwrap_or_default()
    };
    // Requests, time and processor time of one sample belong together: their quotients are what counts.
    let cost = by(|sample| sample.processor_us().unwrap_or_default());
    let rate = by(Sample::per_second);
    let processor = cost.processor_us().map(|us| {
        let requests = u32::try_from(rate.requests).unwrap_or(u32::MAX);
        Duration::from_secs_f64(us / 1e6) * requests
    });
    Sample {
        p50: by(|sample| sample.p50.as_secs_f64()).p50,
        p99: by(|sample| sample.p99.as_secs_f64()).p99,
        failed: samples.iter().map(|sample| sample.failed).sum(),
        processor,
        ..rate
    }
}

#[expect(clippy::cast_precision_loss, reason = "KiB are far below 2^52")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
