//! One measurement.

use std::time::Duration;

use serde_json::{Value, json};

#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    pub(crate) requests: u64,
    pub(crate) elapsed: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Requests without a whole and good answer.
    pub(crate) failed: u64,
    /// Of the proxy, in all.
    pub(crate) processor: Option<Duration>,
    pub(crate) memory_kib: Option<u64>,
    /// KiB for each idle connection.
    pub(crate) idle_kib: Option<f64>,
    /// Until a change of routes could be seen.
    pub(crate) visible: Option<Duration>,
}

impl Sample {
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    /// Processor time of the proxy for one request, in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
    pub(crate) fn processor_us(&self) -> Option<f64> {
        let processor = self.processor?;
        (self.requests > 0).then(|| processor.as_secs_f64() * 1e6 / self.requests as f64)
    }

    pub(crate) fn brief(&self) -> String {
        let Self { p50, p99, failed, .. } = self;
        let rate = self.per_second();
        let brief = format!("{rate:9.0}/s  p50 {p50:9.1?}  p99 {p99:9.1?}  failed {failed}");
        [
            ("CPU µs", self.processor_us()),
            ("KiB per connection", self.idle_kib),
            ("visible ms", self.visible.map(|visible| visible.as_secs_f64() * 1e3)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some(format!("  {name} {:.2}", value?)))
        .fold(brief, |brief, figure| brief + &figure)
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "requests": self.requests,
            "requests_per_second": self.per_second(),
            "p50_us": self.p50.as_secs_f64() * 1e6,
            "p99_us": self.p99.as_secs_f64() * 1e6,
            "failed": self.failed,
            "processor_us_per_request": self.processor_us(),
            "memory_kib": self.memory_kib,
            "idle_kib_per_connection": self.idle_kib,
            "visible_us": self.visible.map(|visible| visible.as_secs_f64() * 1e6),
        })
    }
}

/// The value below which this part of the (sorted) values lies.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}
