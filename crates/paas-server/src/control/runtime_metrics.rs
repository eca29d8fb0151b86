//! Memory and load of dynos, as lines of their apps' logs (Dev Center, *log-runtime-metrics*).
//!
//! A dyno's memory quota is a hard limit here, without swap: it never exceeds it (R14), and is killed at it (R15).

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::Result;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};
use paas_core::{App, DynoSize, Feature, Id, LogLine, LogSource};
use paas_engine::{Container, ContainerId, Role, Usage};
use paas_store::{self as store, feature};
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use super::one_off;
use crate::platform::Platform;

/// Heroku's period.
const PERIOD: Duration = Duration::from_secs(20);
/// How many containers are asked side by side.
const QUESTIONS: usize = 4;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Measures until the platform stops.
pub(crate) async fn measure(platform: Arc<Platform>) -> Result<()> {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut meter = Meter::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = platform.stop.cancelled() => return Ok(()),
        }
        if let Some(Err(error)) = platform.stop.run_until_cancelled(meter.round(&platform)).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "dynos could not be measured; trying again"
            );
        }
    }
}

/// What a measurement needs of those before.
#[derive(Default)]
pub(super) struct Meter {
    gauges: HashMap<ContainerId, Gauge>,
}

/// The load of one container: how many CPUs it keeps busy, on average.
#[derive(Debug, Clone, Copy)]
struct Gauge {
    cpu: Duration,
    at: Instant,
    /// Over 1, 5 and 15 minutes; `None` before there was a second look.
    averages: Option<[f64; 3]>,
}

impl Meter {
    /// Measures every dyno of every app that wants it, once.
    pub(super) async fn round(&mut self, platform: &Platform) -> Result<()> {
        let mut conn = platform.store.connection().await?;
        let apps = feature::apps_with(&mut conn, Feature::LogRuntimeMetrics).await?;
        let sizes = if apps.is_empty() {
            HashMap::new()
        } else {
            sizes(&mut conn, &apps).await?
        };
        drop(conn);
        if apps.is_empty() {
            self.gauges.clear();
            return Ok(());
        }
        let containers = platform.engine.list().await?;
        let dynos = containers.into_iter().filter_map(|container| {
            let measured = Measured::of(&container)?;
            (container.is_running() && apps.contains(&measured.app)).then_some((container.id, measured))
        });
        let measured: Vec<_> = stream::iter(dynos)
            .map(|(id, measured)| async move { (platform.engine.usage(&id).await, id, measured) })
            .buffered(QUESTIONS)
            .collect()
            .await;
        let (now, instant) = (platform.clock.now(), Instant::now());
        let mut gauges = HashMap::new();
        for (usage, id, measured) in measured {
            // One that ended meanwhile has nothing to say, and one bad answer is no reason to leave out the others.
            let Ok(Some(usage)) = usage else { continue };
            let gauge = Gauge::read(self.gauges.get(&id), &usage, instant);
            let size = sizes.get(&measured.dyno).copied().unwrap_or_default();
            platform
                .logs
                .append(measured.app, &measured.lines(&usage, gauge, size, now));
            gauges.insert(id, gauge);
        }
        self.gauges = gauges;
        Ok(())
    }
}

/// The sizes of the dynos of some apps, one-off dynos too.
async fn sizes(conn: &mut store::Connection, apps: &[Id<App>]) -> Result<HashMap<Uuid, DynoSize>> {
    let mut sizes = HashMap::new();
    for app in apps {
        let dynos = store::dyno::of(conn, *app).await?;
        sizes.extend(dynos.into_iter().map(|dyno| (*dyno.id.as_uuid(), dyno.size)));
        let one_offs = store::one_off::of(conn, *app).await?;
        sizes.extend(one_offs.into_iter().map(|dyno| (*dyno.id.as_uuid(), dyno.size)));
    }
    Ok(sizes)
}

impl Gauge {
    fn read(before: Option<&Self>, usage: &Usage, at: Instant) -> Self {
        let averages = before.map(|before| {
            let passed = at.duration_since(before.at).as_secs_f64().max(f64::EPSILON);
            let busy = usage.cpu.saturating_sub(before.cpu).as_secs_f64() / passed;
            let mut averages = before.averages.unwrap_or([busy; 3]);
            // As the kernel damps its own (kernel/sched/loadavg.c).
            for (average, minutes) in averages.iter_mut().zip([1.0, 5.0, 15.0]) {
                let kept = (-passed / (60.0 * minutes)).exp();
                *average = *average * kept + busy * (1.0 - kept);
            }
            averages
        });
        Self {
            cpu: usage.cpu,
            at,
            averages,
        }
    }
}

/// A dyno that is measured.
struct Measured {
    app: Id<App>,
    name: String,
    dyno: Uuid,
}

impl Measured {
    fn of(container: &Container) -> Option<Self> {
        match container.role.as_ref()? {
            Role::Dyno { app, dyno, name, .. } => Some(Self {
                app: *app,
                name: name.to_string(),
                dyno: *dyno.as_uuid(),
            }),
            Role::OneOff { app, name, .. } => Some(Self {
                app: *app,
                name: name.to_string(),
                dyno: *one_off::of_container(&container.name)?.as_uuid(),
            }),
            _ => None,
        }
    }

    fn lines(&self, usage: &Usage, gauge: Gauge, size: DynoSize, now: DateTime<Utc>) -> Vec<LogLine> {
        let Self { app, name, dyno } = self;
        let source = format!("source={name} dyno=heroku.{app}.{dyno}");
        let load = gauge.averages.map(|[one, five, fifteen]| {
            format!(
                "{source} sample#load_avg_1m={one:.2} sample#load_avg_5m={five:.2} sample#load_avg_15m={fifteen:.2}"
            )
        });
        let mebibytes = |bytes: u64| format!("{:.2}MB", to_f64(bytes) / MEBIBYTE);
        let Usage {
            rss_bytes,
            cache_bytes,
            swap_bytes,
            pages_in,
            pages_out,
            cpu: _,
        } = *usage;
        let memory = format!(
            "{source} sample#memory_total={} sample#memory_rss={} sample#memory_cache={} sample#memory_swap={} \
             sample#memory_pgpgin={pages_in}pages sample#memory_pgpgout={pages_out}pages sample#memory_quota={}",
            mebibytes(rss_bytes + cache_bytes + swap_bytes),
            mebibytes(rss_bytes),
            mebibytes(cache_bytes),
            mebibytes(swap_bytes),
            mebibytes(size.memory_bytes()),
        );
        load.into_iter()
            .chain([memory])
            .map(|message| LogLine {
                at: now,
                source: LogSource::Heroku,
                process: name.clone(),
                message,
            })
            .collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "two digits of it are shown")]
fn to_f64(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use paas_core::{ImageRef, OneOff};
    use paas_engine::{ContainerSpec, Engine as _, FakeEngine, Limits};

    use super::*;

    #[test]
    fn load_rises_with_the_work_and_falls_more_slowly_the_longer_it_looks_back() {
        let usage = |seconds| Usage {
            cpu: Duration::from_secs(seconds),
            ..Usage::default()
        };
        let start = Instant::now();
        let gauge = Gauge::read(None, &usage(100), start);
        assert!(gauge.averages.is_none());
        // Both of two CPUs busy.
        let gauge = Gauge::read(Some(&gauge), &usage(140), start + PERIOD);
        assert_eq!(
            gauge.averages.map(|loads| loads.map(|load| (load * 100.0).round())),
            Some([200.0; 3])
        );
        // And then none.
        let gauge = Gauge::read(Some(&gauge), &usage(140), start + 2 * PERIOD);
        let [one, five, fifteen] = gauge.averages.unwrap();
        assert!(one < five && five < fifteen && fifteen < 2.0, "{one} {five} {fifteen}");
    }

    #[tokio::test]
    async fn one_off_dynos_are_measured_under_their_own_names() {
        let engine = FakeEngine::new(|| DateTime::from_timestamp(1_767_323_045, 0).unwrap());
        engine.add_image("paas/hello");
        let (app, id) = (
            Id::<App>::from_uuid(Uuid::from_u128(1)),
            Id::<OneOff>::from_uuid(Uuid::from_u128(2)),
        );
        let role = Role::OneOff {
            app,
            name: "run.4711".parse().unwrap(),
            release: paas_core::ReleaseVersion::FIRST,
        };
        let spec = ContainerSpec::new(
            one_off::container_name(id),
            role,
            ImageRef::new("paas/hello"),
            vec!["sleep".to_owned()],
            Limits::from(DynoSize::default()),
        );
        let container = engine.start(&spec).await.unwrap();
        let measured = Measured::of(&container).unwrap();
        assert_eq!(
            (measured.app, measured.name.as_str(), measured.dyno),
            (app, "run.4711", *id.as_uuid())
        );
    }
}
