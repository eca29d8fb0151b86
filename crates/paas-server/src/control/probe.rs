//! Probes: does a booting web dyno take requests?

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, PoisonError},
    time::Duration,
};

use anyhow::Result;
use futures_util::{StreamExt, stream};
use paas_core::{App, AppWanted, Dyno, DynoState, Id};
use paas_engine::{Container, ContainerId, ContainerState, DYNO_PORT, Role};
use paas_router::{ProbeLimits, answers};
use tokio::time::sleep;

use super::{AppsController, work::Work};
use crate::failpoint;

/// Between two probes of one dyno: soon at first, because a deploy waits for it.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LAST_PAUSE: Duration = Duration::from_millis(250);
/// The dyno is on this machine; how long its app thinks about a page is another matter.
const LIMITS: ProbeLimits = ProbeLimits {
    connect: Duration::from_secs(1),
    answer: Duration::from_secs(3),
};
/// The same at the start, when nothing else happens before.
const FIRST_LIMITS: ProbeLimits = ProbeLimits {
    connect: Duration::from_millis(500),
    answer: Duration::from_millis(500),
};

/// A thousand at once would need a thousand sockets.
const PROBES_AT_ONCE: usize = 128;

/// Probes each running container of a starting web dyno until it answers or is gone.
pub(super) fn spawn(
    controller: &Arc<AppsController>,
    containers: &[Container],
    wanted: &[AppWanted],
    dynos: &BTreeMap<Id<App>, Vec<Dyno>>,
) {
    for dyno in dynos.values().flatten() {
        let (DynoState::Starting { .. }, Some(id)) = (&dyno.state, &dyno.container) else {
            continue;
        };
        let id = ContainerId::new(id);
        if !dyno.name.process_type.is_web() || is_answering(controller, &id) {
            continue;
        }
        let Some(container) = containers.iter().find(|container| container.id == id) else {
            continue;
        };
        let ContainerState::Running { address: Some(address) } = container.state else {
            continue;
        };
        let address = SocketAddr::new(address, DYNO_PORT);
        let container = container.clone();
        let Some(host) = wanted
            .iter()
            .find(|wanted| wanted.app == dyno.app)
            .and_then(|wanted| wanted.hostnames.first())
            .map(ToString::to_string)
        else {
            continue;
        };
        controller.spawn(Work::Probe(id.as_str().to_owned()), move |controller| async move {
            until_it_answers(&controller, &container, address, &host).await
        });
    }
}

/// Probes each running container of the formation once.
pub(super) async fn all(controller: &AppsController) {
    let containers = match controller.platform.engine.list().await {
        Ok(containers) => containers,
        Err(error) => return tracing::warn!(%error, "no container could be probed"),
    };
    let domain = controller.platform.settings.domain.as_str();
    let probes = containers.into_iter().filter_map(|container| {
        let address = match (&container.role, &container.state) {
            (Some(Role::Dyno { name, .. }), ContainerState::Running { address: Some(address) })
                if name.process_type.is_web() =>
            {
                SocketAddr::new(*address, DYNO_PORT)
            }
            _ => return None,
        };
        Some(async move {
            let answers = answers(address, domain, FIRST_LIMITS).await;
            answers.then_some((container.id, container.state))
        })
    });
    let answered: Vec<_> = stream::iter(probes).buffer_unordered(PROBES_AT_ONCE).collect().await;
    let mut answering = controller.answering.lock().unwrap_or_else(PoisonError::into_inner);
    answering.extend(answered.into_iter().flatten());
}

async fn until_it_answers(
    controller: &AppsController,
    container: &Container,
    address: SocketAddr,
    host: &str,
) -> Result<()> {
    failpoint::hit("probe.before");
    let mut pause = FIRST_PAUSE;
    while !answers(address, host, LIMITS).await {
        sleep(pause).await;
        // A quarter more each time: a dyno waits a quarter of its boot time longer than it must, at most.
        pause = (pause * 5 / 4).min(LAST_PAUSE);
        // A container that ended gives its address away: never ask another one in its name.
        if pause == LAST_PAUSE && !still_runs(controller, container).await? {
            return Ok(());
        }
    }
    // The answer counts only if it came from this container.
    if still_runs(controller, container).await? {
        let mut answering = controller.answering.lock().unwrap_or_else(PoisonError::into_inner);
        answering.insert(container.id.clone(), container.state.clone());
        failpoint::hit("probe.after");
    }
    Ok(())
}

async fn still_runs(controller: &AppsController, container: &Container) -> Result<bool> {
    let seen = controller.platform.engine.inspect(&container.id).await?;
    Ok(seen.is_some_and(|seen| seen.state == container.state))
}

fn is_answering(controller: &AppsController, container: &ContainerId) -> bool {
    let answering = controller.answering.lock().unwrap_or_else(PoisonError::into_inner);
    answering.contains_key(container)
}
