//! Add-ons: one loop of the same form as the others.
//!
//! A pass reads rows, attachments and containers, and asks `AddonWanted::decide` for the next step of each add-on; what takes
//! longer than a look is a task, one per add-on, by the server that holds the lease of its row. After each task the
//! controller looks again. So a container that was lost is made anew on its volume, and whatever a dead server was at is
//! found again from rows and containers.

mod archive;
mod backup;
mod credential;
mod fill;
mod fork;
mod output;
mod provider;
mod rollback;
mod room;
mod run;
mod scratch;
mod step;
mod stream;
mod tell;
mod upgrade;
mod watch;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use paas_core::{
    Addon, AddonStep, AddonUpgrade, AddonWanted, App, Id, KnownResource, ResourceStep, ResourceWanted, SeenAddon,
    SeenAddonState,
};
use paas_engine::{Container, ContainerId, ContainerState, EngineError, Pool, Role};
use paas_store::{self as store, addon::AddonRow};
use tokio::time::sleep;
use uuid::Uuid;

pub(crate) use self::{
    archive::{Archives, ArchivesController, archiving, catch_up, earliest, moments},
    backup::{
        BackupsController, BucketController, Transfers, abandon as abandon_backups, bring_back as bring_backup_back,
        can_back_up, capture as capture_backup, copy as copy_addon, prove as prove_backup, restore as restore_backup,
        throw_away as throw_backup_away, vault as vault_of,
    },
    run::client_command,
    tell::released,
};
use crate::{addon::Provider, platform::Platform};

/// A pass without a reason, in case a wake-up was lost.
const PERIOD: Duration = Duration::from_secs(10);
/// After a pass or a step that failed.
const RETRY: Duration = Duration::from_secs(1);
/// Changes come in bursts.
const REST: Duration = Duration::from_millis(50);
/// How often somebody looks how full a disk is.
const MEASURE_AGAIN: TimeDelta = TimeDelta::minutes(10);
/// How long an add-on is ours. Forks, rollbacks and upgrades, which may take longer, prolong it.
const LEASE: TimeDelta = TimeDelta::minutes(60);

pub(crate) struct AddonsController {
    platform: Arc<Platform>,
    /// Containers whose server has its credentials and has answered.
    ready: Mutex<HashSet<ContainerId>>,
    at_work: Mutex<HashSet<Id<Addon>>>,
    /// When their disks were looked at.
    measured: Mutex<HashMap<Id<Addon>, DateTime<Utc>>>,
    /// Whose the leases are.
    server: Uuid,
}

/// What is to be done about an add-on, and by whom.
enum Duty {
    Server(AddonStep),
    Provider(Arc<Provider>, ResourceStep),
}

/// What a pass looks at.
struct Seen {
    rows: Vec<AddonRow>,
    apps: HashMap<Id<Addon>, BTreeSet<Id<App>>>,
    /// Those with credentials that their servers have to learn or to forget.
    unsettled: HashSet<Id<Addon>>,
    /// Those whose volumes are to be filled before their servers start.
    unfilled: HashSet<Id<Addon>>,
    /// Those whose archives are to fill such a volume.
    promised: HashSet<Id<Addon>>,
    /// The ways of add-ons to other versions that are not over.
    upgrades: HashMap<Id<Addon>, AddonUpgrade>,
    containers: HashMap<Id<Addon>, Vec<SeenAddon>>,
    /// What providers know of theirs.
    resources: HashMap<Id<Addon>, KnownResource>,
}

impl AddonsController {
    pub(crate) fn new(platform: Arc<Platform>) -> Self {
        Self {
            server: platform.server,
            ready: Mutex::default(),
            at_work: Mutex::default(),
            measured: Mutex::default(),
            platform,
        }
    }

    /// Runs until the platform stops.
    pub(crate) async fn run(self: Arc<Self>) -> Result<()> {
        let platform = Arc::clone(&self.platform);
        let mut hints = platform.engine.hints();
        loop {
            let wait = match platform.stop.run_until_cancelled(self.pass()).await {
                None => return Ok(()),
                Some(Ok(wait)) => wait,
                Some(Err(error)) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "could not look at the add-ons; trying again"
                    );
                    RETRY
                }
            };
            tokio::select! {
                () = platform.wake_addons.notified() => sleep(REST).await,
                Some(()) = hints.next() => sleep(REST).await,
                () = sleep(wait) => {}
                () = platform.stop.cancelled() => return Ok(()),
            }
        }
    }

    /// One pass; says when the next one is due at the latest.
    pub(crate) async fn pass(self: &Arc<Self>) -> Result<Duration> {
        let now = self.platform.clock.now();
        // What a task does meanwhile may be missing from the list: to this pass it is at work to the end.
        let busy = self.at_work().clone();
        let Some(mut seen) = self.look().await? else {
            return Ok(PERIOD);
        };
        self.share_output(&seen, &busy).await?;
        let mut next: Option<DateTime<Utc>> = None;
        for row in std::mem::take(&mut seen.rows) {
            let id = row.addon.id;
            if busy.contains(&id) {
                continue;
            }
            let (catalogue, known) = (&self.platform.catalogue, seen.resources.remove(&id));
            let provider = match &known {
                // What a provider was asked for is never a server of ours, nor gone without a word to it.
                Some(_) => match catalogue.providers().find(&row.addon.service) {
                    Some(provider) => Some(provider),
                    None => {
                        tracing::warn!(addon.name = %row.addon.name, "an add-on waits for its provider's manifest to be readable");
                        continue;
                    }
                },
                None => catalogue.provider(&row.addon.service),
            };
            if let Some(provider) = provider {
                let wanted = ResourceWanted {
                    state: row.addon.state,
                    plan: row.addon.plan.clone(),
                    known,
                    retry_at: row.retry_at,
                };
                match wanted.decide(now) {
                    ResourceStep::Rest(at) => next = earlier(next, at),
                    step => self.spawn(row, Duty::Provider(provider, step)),
                }
                continue;
            }
            match self.decide(&row, &seen, now) {
                AddonStep::Rest(at) => next = earlier(next, at),
                // With it goes its archive, on which somebody waits. Whoever is filled, or gone, wakes us.
                AddonStep::Delete if seen.promised.contains(&id) => {}
                step => self.spawn(row, Duty::Server(step)),
            }
        }
        let wait = next.map_or(TimeDelta::MAX, |next| next - now);
        Ok(wait.to_std().unwrap_or_default().clamp(REST, PERIOD))
    }

    /// What a server of ours needs next.
    fn decide(&self, row: &AddonRow, seen: &Seen, now: DateTime<Utc>) -> AddonStep {
        let id = row.addon.id;
        let upgrade = seen.upgrades.get(&id);
        let wanted = AddonWanted {
            state: row.addon.state,
            generation: row.generation,
            is_to_fill: seen.unfilled.contains(&id),
            is_rotating: row.is_rotating,
            owes_farewell: backup::owes_farewell(&self.platform, row),
            has_news: seen.unsettled.contains(&id),
            upgrade: upgrade.map(|upgrade| upgrade.state),
            is_called_off: upgrade.is_some_and(|upgrade| upgrade.is_cancelled),
            is_to_measure: self.is_to_measure(id, now),
            retry_at: row.retry_at,
            apps: seen.apps.get(&id).cloned().unwrap_or_default(),
        };
        let containers = seen.containers.get(&id).map_or(&[][..], Vec::as_slice);
        wanted.decide(containers, now)
    }

    /// What an add-on needs next, for whoever is at work on it. `None` when it is gone.
    async fn look_at(&self, id: Id<Addon>) -> Result<Option<AddonStep>> {
        let Some(seen) = self.look().await? else {
            return Ok(None);
        };
        let row = seen.rows.iter().find(|row| row.addon.id == id);
        Ok(row.map(|row| self.decide(row, &seen, self.platform.clock.now())))
    }

    /// `None` when there are no add-ons.
    async fn look(&self) -> Result<Option<Seen>> {
        // Containers before rows: a container that is listed has a row, unless it was destroyed since.
        let listed = self.platform.engine.list().await?;
        let mut conn = self.platform.store.connection().await?;
        let providers = store::addon_provider::all(&mut conn).await?;
        self.platform.catalogue.providers().replace(&providers);
        let rows = store::addon::all(&mut conn).await?;
        let mut apps: HashMap<_, BTreeSet<_>> = HashMap::new();
        for (addon, app) in store::addon_attachment::networks(&mut conn).await? {
            apps.entry(addon).or_default().insert(app);
        }
        let unsettled = store::addon::unsettled(&mut conn).await?;
        let unsettled = unsettled.into_iter().collect();
        let resources = store::addon_resource::all(&mut conn).await?.into_iter().collect();
        let unfilled = store::addon_rollback::unfilled(&mut conn).await?;
        let promised = unfilled.iter().map(|rollback| rollback.source).collect();
        let unfilled = unfilled.into_iter().map(|rollback| rollback.addon).collect();
        let upgrades = store::addon_upgrade::running(&mut conn).await?.into_iter();
        let upgrades = upgrades.map(|upgrade| (upgrade.addon, upgrade)).collect();
        drop(conn);
        let mut ready = self.ready();
        ready.retain(|id| {
            listed
                .iter()
                .any(|container| container.id == *id && container.is_running())
        });
        let mut containers: HashMap<_, Vec<_>> = HashMap::new();
        for container in &listed {
            if let Some((addon, seen)) = seen(container, ready.contains(&container.id)) {
                containers.entry(addon).or_default().push(seen);
            }
        }
        Ok((!rows.is_empty()).then_some(Seen {
            rows,
            apps,
            unsettled,
            unfilled,
            promised,
            upgrades,
            containers,
            resources,
        }))
    }

    /// Does a step in a task of its own, unless one is at work on this add-on.
    fn spawn(self: &Arc<Self>, row: AddonRow, duty: Duty) {
        let id = row.addon.id;
        if !self.at_work().insert(id) {
            return;
        }
        let controller = Arc::clone(self);
        let stop = self.platform.stop.clone();
        self.platform.tracker.spawn(async move {
            let done = stop.run_until_cancelled(controller.take(&row, duty)).await;
            if let Some(Err(error)) = done {
                tracing::warn!(
                    addon.name = %row.addon.name,
                    error = format!("{error:#}"),
                    "a step of an add-on did not succeed; trying again"
                );
                stop.run_until_cancelled(sleep(RETRY)).await;
            }
            controller.at_work().remove(&id);
            controller.platform.wake_addons.notify_one();
        });
    }

    /// One step, by whoever holds the lease.
    async fn take(&self, row: &AddonRow, duty: Duty) -> Result<()> {
        if !self.lease(row.addon.id).await? {
            sleep(RETRY).await;
            return Ok(());
        }
        match duty {
            Duty::Server(step) => self.step(row, step).await,
            Duty::Provider(provider, step) => self.ask_provider(row, &provider, step).await,
        }
    }

    /// `false` while another server has it.
    async fn lease(&self, id: Id<Addon>) -> Result<bool> {
        let now = self.platform.clock.now();
        let mut conn = self.platform.store.connection().await?;
        Ok(store::addon::lease(&mut conn, id, self.server, now + LEASE, now).await?)
    }

    fn ready(&self) -> MutexGuard<'_, HashSet<ContainerId>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_to_measure(&self, id: Id<Addon>, now: DateTime<Utc>) -> bool {
        let measured = self.measured();
        measured.get(&id).is_none_or(|at| *at + MEASURE_AGAIN <= now)
    }

    fn measured(&self) -> MutexGuard<'_, HashMap<Id<Addon>, DateTime<Utc>>> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at_work(&self) -> MutexGuard<'_, HashSet<Id<Addon>>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts the add-ons of an app on its network: no dyno starts before it can reach them.
pub(super) async fn join(platform: &Platform, app: Id<App>, network: &str) -> Result<()> {
    let mut conn = platform.store.connection().await?;
    let attachments = store::addon_attachment::list_of_app(&mut conn, app).await?;
    drop(conn);
    if attachments.is_empty() {
        return Ok(());
    }
    for container in platform.engine.list().await? {
        if let Some(Role::Addon { addon, .. }) = container.role
            && container.is_running()
            && attachments.iter().any(|row| row.attachment.addon == addon)
        {
            let host = crate::addon::host(addon);
            platform.engine.join_network(&container.id, network, &host).await?;
        }
    }
    Ok(())
}

/// Takes every add-on off a network that is about to go.
pub(super) async fn leave(platform: &Platform, network: &str) -> Result<()> {
    for container in platform.engine.list().await? {
        if matches!(container.role, Some(Role::Addon { .. })) && container.networks.iter().any(|name| name == network) {
            platform.engine.leave_network(&container.id, network).await?;
        }
    }
    Ok(())
}

/// The container of an add-on that runs.
pub(crate) async fn container_of(platform: &Platform, id: Id<Addon>) -> Result<Option<ContainerId>, EngineError> {
    let listed = platform.engine.list().await?;
    let found = listed.into_iter().find(|container| {
        container.is_running() && matches!(container.role, Some(Role::Addon { addon, .. }) if addon == id)
    });
    Ok(found.map(|container| container.id))
}

/// Runs a script of its service in an add-on, to its end.
pub(crate) async fn run_in(platform: &Platform, id: Id<Addon>, script: &str) -> Result<()> {
    let container = container_of(platform, id).await?;
    let container = container.context("its server does not run at the moment")?;
    run::script(&platform.engine, &container, script, step::APPLY_LIMIT).await
}

fn earlier(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    one.into_iter().chain(other).min()
}

fn seen(container: &Container, is_ready: bool) -> Option<(Id<Addon>, SeenAddon)> {
    let Some(Role::Addon { addon, generation }) = container.role else {
        return None;
    };
    let state = match container.state {
        ContainerState::Created => SeenAddonState::Created,
        ContainerState::Running { .. } => SeenAddonState::Running { is_ready },
        ContainerState::Exited(_) => SeenAddonState::Exited,
    };
    let seen = SeenAddon {
        container: container.id.as_str().to_owned(),
        generation,
        state,
        apps: container
            .networks
            .iter()
            .filter_map(|name| Pool::app_of(name))
            .collect(),
    };
    Some((addon, seen))
}
