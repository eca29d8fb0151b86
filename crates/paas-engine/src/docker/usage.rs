//! What containers use, from one look of the engine's.

use std::{collections::HashMap, time::Duration};

use bollard::{models::ContainerStatsResponse, query_parameters::StatsOptionsBuilder};
use futures_util::StreamExt as _;

use super::{
    DockerEngine,
    error::{self, Explain as _},
};
use crate::{ContainerId, Result, Usage};

impl DockerEngine {
    pub(super) async fn measure(&self, id: &ContainerId) -> Result<Option<Usage>> {
        // One look: for a second one, which tells the CPU time between, the engine would keep us waiting.
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let mut looks = std::pin::pin!(self.docker.stats(id.as_str(), Some(options)));
        match looks.next().await {
            Some(Err(error)) if error::status(&error) == Some(404) => Ok(None),
            Some(stats) => stats.explain(self, "measuring a container").map(|stats| read(&stats)),
            None => Ok(None),
        }
    }
}

/// `None` for a container that does not run: it has no memory.
fn read(stats: &ContainerStatsResponse) -> Option<Usage> {
    let memory = stats.memory_stats.as_ref()?.stats.as_ref()?;
    let cpu = stats.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage?;
    // In the words of cgroup version 1, or else of version 2.
    let first = |names: [&str; 2]| names.iter().find_map(|name| memory.get(*name)).copied();
    Some(Usage {
        rss_bytes: first(["total_rss", "anon"])?,
        cache_bytes: first(["total_cache", "file"]).unwrap_or_default(),
        swap_bytes: first(["total_swap", "swap"]).unwrap_or_default(),
        pages_in: pages(memory, "total_pgpgin"),
        pages_out: pages(memory, "total_pgpgout"),
        cpu: Duration::from_nanos(cpu),
    })
}

fn pages(memory: &HashMap<String, u64>, name: &str) -> u64 {
    memory.get(name).copied().unwrap_or_default()
}
