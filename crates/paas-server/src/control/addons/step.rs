//! One step of an add-on, done.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use paas_build::{ServiceRecipe, Stack};
use paas_core::{AddonState, AddonStep, App, Backoff, Id, ImageRef};
use paas_engine::{ContainerId, ContainerSpec, ContainerState, Environment, Limits, Role, Tmpfs, User, VolumeMount};
use paas_store::{
    self as store,
    addon::{AddonRow, Values},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use super::{AddonsController, archive, backup, rollback, run, tell, upgrade};
use crate::{
    addon::{Credentials, Image, Plan, Service, host},
    control::{dyno::output_stored, is_temporary},
};

/// Between asking a server to stop and killing it: it writes down what it has in memory.
pub(super) const STOP_LIMIT: Duration = Duration::from_mins(1);
/// The share of a busy processor that a server has, beside 512 of an ordinary dyno.
pub(super) const SERVES: u32 = 1024;
/// The share of one that nobody waits for.
pub(super) const NOBODY_WAITS: u32 = 64;
/// How long a server may take until it answers. The first start makes its files; a later one may have to recover them.
pub(super) const READY_LIMIT: Duration = Duration::from_mins(5);
pub(super) const ASK_AGAIN: Duration = Duration::from_millis(200);
pub(super) const ASK_LIMIT: Duration = Duration::from_secs(30);
pub(super) const APPLY_LIMIT: Duration = Duration::from_mins(1);
const MEBIBYTE: u64 = 1024 * 1024;
/// Where credentials and sockets are, in memory.
const RUN_DIR: &str = "/run/addon";
const RUN_DIR_BYTES: u64 = 64 * MEBIBYTE;
const PIDS: u32 = 512;
/// An eighth of its disk is for what waits to be archived.
const SPOOL_MIB_PER_GIB: u64 = 128;

impl AddonsController {
    pub(super) async fn step(&self, row: &AddonRow, step: AddonStep) -> Result<()> {
        match step {
            AddonStep::Rest(_) => Ok(()),
            AddonStep::Remove { container, has_crashed } => {
                self.remove(row, &ContainerId::new(container), has_crashed).await
            }
            AddonStep::Fill => self.or_trouble(row, self.roll_back(row).await).await,
            AddonStep::Start => self.or_trouble(row, self.start(row).await).await,
            AddonStep::Join { container, app } => self.join(row, &ContainerId::new(container), app).await,
            AddonStep::Leave { container, app } => self.leave(&ContainerId::new(container), app).await,
            AddonStep::Prepare { container } => {
                let container = ContainerId::new(container);
                self.or_trouble(row, self.prepare(row, &container).await).await
            }
            AddonStep::Rotate { container } => {
                let container = ContainerId::new(container);
                self.or_trouble(row, self.rotate(row, &container).await).await
            }
            AddonStep::Farewell { container: _ } => {
                self.or_trouble(row, backup::farewell(&self.platform, row).await).await
            }
            AddonStep::Teach { container } => {
                let container = ContainerId::new(container);
                self.or_trouble(row, self.teach(row, &container).await).await
            }
            AddonStep::Try { container } => Box::pin(self.try_upgrade(row, &ContainerId::new(container))).await,
            AddonStep::Move => Box::pin(self.move_over(row)).await,
            AddonStep::CallOff => self.call_off(row).await,
            AddonStep::Measure { container } => self.measure(row, &ContainerId::new(container)).await,
            AddonStep::Delete => self.delete(row).await,
        }
    }

    /// What is no passing trouble is kept for people, and tried again ever more slowly.
    pub(super) async fn or_trouble(&self, row: &AddonRow, done: Result<()>) -> Result<()> {
        let Err(error) = done else { return Ok(()) };
        if is_temporary(&error) {
            return Err(error);
        }
        let trouble = format!("{error:#}");
        tracing::error!(addon.name = %row.addon.name, error = trouble, "an add-on does not run");
        self.fail(row, &trouble).await
    }

    async fn fail(&self, row: &AddonRow, trouble: &str) -> Result<()> {
        let failures = row.failures.saturating_add(1);
        let retry_at = self.platform.clock.now() + Backoff::after(failures);
        let mut conn = self.platform.store.connection().await?;
        if !store::addon::set_trouble(&mut conn, row, failures, retry_at, trouble).await? {
            return Ok(());
        }
        drop(conn);
        let is_elsewhere = self.platform.catalogue.provider(&row.addon.service).is_some();
        let what = match row.addon.state {
            // It runs as it did before: what has failed is a change.
            AddonState::Provisioned if is_elsewhere => trouble.to_owned(),
            _ => format!("The add-on does not run: {trouble}"),
        };
        tell::log(&self.platform, &row.addon, &what).await;
        Ok(())
    }

    async fn remove(&self, row: &AddonRow, container: &ContainerId, has_crashed: bool) -> Result<()> {
        let engine = &self.platform.engine;
        let exit = engine.stop(container, STOP_LIMIT).await?;
        output_stored(&self.platform, container).await;
        engine.remove(container).await?;
        self.platform.collector.forget(container);
        if has_crashed {
            let code = exit.map_or(0, |exit| exit.code);
            let memory = if exit.is_some_and(|exit| exit.out_of_memory) {
                ": it needs more memory than its plan has"
            } else {
                ""
            };
            self.fail(row, &format!("its server ended with status {code}{memory}"))
                .await?;
        }
        Ok(())
    }

    async fn start(&self, row: &AddonRow) -> Result<()> {
        let platform = &self.platform;
        let (addon, service) = (&row.addon, self.service(row)?);
        let plan = service
            .plan(&addon.plan)
            .with_context(|| format!("there is no plan {}:{} any more", addon.service, addon.plan))?;
        let image = self.image(row, service).await?;
        upgrade::clear_servers(platform, addon.id).await?;
        let mut conn = platform.store.connection().await?;
        let app = store::app::by_id(&mut conn, addon.app)
            .await?
            .context("its app is gone")?;
        drop(conn);
        let network = platform.settings.network_pool.app(addon.app, app.subnet)?;
        platform.engine.ensure_network(&network).await?;

        let (id, generation) = (addon.id, row.generation);
        let role = Role::Addon { addon: id, generation };
        let place = Place {
            name: format!("paas-addon-{id}-{generation}"),
            role,
            volume: volume(row),
            version: &row.version,
            cpu_weight: SERVES,
        };
        let mut spec = ContainerSpec {
            network: Some(network.name),
            aliases: vec![host(id)],
            hostname: Some(host(id)),
            ..server(service, plan, place, image)
        };
        if service.kind.archive.is_some() {
            let mebibytes = plan.size.disk_gib * SPOOL_MIB_PER_GIB;
            spec.environment = spec.environment.with("ADDON_SPOOL_MIB", mebibytes.to_string());
        }
        let container = platform.engine.start(&spec).await?;
        if let ContainerState::Exited(exit) = container.state {
            bail!("its server ended with status {}", exit.code);
        }
        Ok(())
    }

    /// The image that it has had from the beginning; made, where it is not there.
    pub(super) async fn image(&self, row: &AddonRow, service: &Service) -> Result<ImageRef> {
        let platform = &self.platform;
        if let Some(image) = &row.image
            && platform.engine.image(image).await?.is_some()
        {
            return Ok(image.clone());
        }
        let image = self.make_image(service, &row.version).await?;
        let mut conn = platform.store.connection().await?;
        store::addon::set_image(&mut conn, row.addon.id, &image).await?;
        Ok(image)
    }

    /// The image of a version; made, where it is not there.
    pub(super) async fn make_image(&self, service: &Service, version: &str) -> Result<ImageRef> {
        let platform = &self.platform;
        let kind = &service.kind;
        let image = kind.image_of(version).with_context(|| {
            format!(
                "there is no {} {version} any more, but: {}. Put it back into its file, and restart paasd",
                kind.name,
                kind.versions().join(", ")
            )
        })?;
        Ok(match image {
            Image::Recipe(instructions) => {
                let recipe = ServiceRecipe {
                    kind: &service.kind.name,
                    instructions,
                    data: &service.kind.data,
                };
                let (output, mut lines) = mpsc::channel(16);
                let cancel = platform.stop.child_token();
                let made = Stack::ensure_service(&*platform.engine, &platform.stack, recipe, output, cancel);
                let listen = async {
                    while let Some(line) = lines.recv().await {
                        tracing::debug!(service = service.name, "{}", String::from_utf8_lossy(&line).trim_end());
                    }
                };
                let (made, ()) = tokio::join!(made, listen);
                made?
            }
            Image::Reference(reference) => {
                let reference = ImageRef::new(reference.clone());
                if platform.engine.image(&reference).await?.is_none() {
                    platform.engine.pull(&reference).await?;
                }
                reference
            }
        })
    }

    async fn join(&self, row: &AddonRow, container: &ContainerId, app: Id<App>) -> Result<()> {
        let platform = &self.platform;
        let mut conn = platform.store.connection().await?;
        let Some(app) = store::app::by_id(&mut conn, app).await? else {
            return Ok(());
        };
        drop(conn);
        let network = platform.settings.network_pool.app(app.app.id, app.subnet)?;
        platform.engine.ensure_network(&network).await?;
        let alias = host(row.addon.id);
        Ok(platform.engine.join_network(container, &network.name, &alias).await?)
    }

    async fn leave(&self, container: &ContainerId, app: Id<App>) -> Result<()> {
        let platform = &self.platform;
        // Its number plays no part in its name.
        let network = platform.settings.network_pool.app(app, 0)?.name;
        Ok(platform.engine.leave_network(container, &network).await?)
    }

    /// Gives the server its credentials and waits until it answers; the first time, the apps get them then.
    async fn prepare(&self, row: &AddonRow, container: &ContainerId) -> Result<()> {
        let platform = &self.platform;
        let service = self.service(row)?;
        let credentials = self.credentials(row).await?;
        let chosen = self.give(row, service, (container, &credentials)).await?;
        let begun = Instant::now();
        while let Err(error) = run::script(&platform.engine, container, &service.kind.ready, ASK_LIMIT).await {
            let seen = platform.engine.inspect(container).await?;
            if !seen.is_some_and(|container| container.is_running()) {
                // The next pass sees that it has ended, and why.
                return Ok(());
            }
            if begun.elapsed() > READY_LIMIT {
                return Err(error).context("its server does not answer");
            }
            sleep(ASK_AGAIN).await;
        }
        self.apply(service, container).await?;
        self.configure(row, service, (container, &chosen)).await?;
        if row.addon.state == AddonState::Provisioning {
            self.fork(row, service, container).await?;
        }
        if row.is_rotating || row.addon.state == AddonState::Provisioning {
            self.publish(row, service, &credentials).await?;
        }
        // What a last backup has failed of counts on: where each of them takes the server down, there is an end of them.
        if row.addon.state != AddonState::Deprovisioning {
            let mut conn = platform.store.connection().await?;
            store::addon::clear_trouble(&mut conn, row.addon.id).await?;
            store::addon_upgrade::settle(&mut conn, row.addon.id, platform.clock.now()).await?;
        }
        self.ready().insert(container.clone());
        Ok(())
    }

    async fn rotate(&self, row: &AddonRow, container: &ContainerId) -> Result<()> {
        let service = self.service(row)?;
        let credentials = self.credentials(row).await?;
        self.give(row, service, (container, &credentials)).await?;
        self.apply(service, container).await?;
        self.publish(row, service, &credentials).await
    }

    /// Writes down where its scripts read it what they have to know; says which settings that were.
    pub(super) async fn give(
        &self,
        row: &AddonRow,
        service: &Service,
        (container, credentials): (&ContainerId, &Credentials),
    ) -> Result<Values> {
        let mut conn = self.platform.store.connection().await?;
        let chosen = store::addon::settings(&mut conn, row.addon.id).await?;
        drop(conn);
        let file = credentials.to_file() + &service.settings_file(&chosen);
        run::give_credentials(&self.platform.engine, container, file).await?;
        Ok(chosen)
    }

    async fn apply(&self, service: &Service, container: &ContainerId) -> Result<()> {
        let Some(script) = &service.kind.apply else {
            return Ok(());
        };
        let applied = run::script(&self.platform.engine, container, script, APPLY_LIMIT).await;
        applied.context("telling its server the credentials")
    }

    /// Releases of all apps that use it.
    async fn publish(&self, row: &AddonRow, service: &Service, credentials: &Credentials) -> Result<()> {
        let platform = &self.platform;
        let config = credentials.config(service, row.addon.id);
        let mut conn = platform.store.connection().await?;
        let (sealer, now) = (&platform.store.sealer, platform.clock.now());
        let releases =
            store::addon::set_config(&mut conn, sealer, row.addon.id, (credentials.values(), &config), now).await?;
        drop(conn);
        tell::released(platform, releases).await;
        platform.wake_webhooks.notify_one();
        Ok(())
    }

    /// The volume and the archive, then the row: a crash in between is found again.
    async fn delete(&self, row: &AddonRow) -> Result<()> {
        let platform = &self.platform;
        rollback::clear(platform, row.addon.id).await?;
        upgrade::remove(platform, row).await?;
        archive::remove(platform, row.addon.id).await?;
        platform.engine.remove_volume(&volume(row)).await?;
        let mut conn = platform.store.connection().await?;
        store::addon::delete(&mut conn, row.addon.id).await?;
        self.measured().remove(&row.addon.id);
        tracing::info!(addon.name = %row.addon.name, "add-on destroyed");
        platform.wake.notify_one();
        Ok(())
    }

    pub(super) async fn credentials(&self, row: &AddonRow) -> Result<Credentials> {
        let platform = &self.platform;
        let mut conn = platform.store.connection().await?;
        let values = store::addon::secret(&mut conn, &platform.store.sealer, row.addon.id).await?;
        Ok(Credentials::from_values(values))
    }

    pub(super) fn service(&self, row: &AddonRow) -> Result<&Arc<Service>> {
        let service = self.platform.catalogue.service(&row.addon.service);
        service.with_context(|| {
            format!(
                "there is no description of {} any more: put its file back, and restart paasd",
                row.addon.service
            )
        })
    }
}

/// Where a server runs, and of which version it is.
pub(super) struct Place<'a> {
    /// Of its container.
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) volume: String,
    pub(super) version: &'a str,
    /// [`SERVES`], or less where nobody waits for it.
    pub(super) cpu_weight: u32,
}

/// A server of this kind with its plan's limits, on a volume and on no network.
pub(super) fn server(service: &Service, plan: &Plan, place: Place<'_>, image: ImageRef) -> ContainerSpec {
    let kind = &service.kind;
    let limits = Limits {
        memory_bytes: plan.size.memory_mib * MEBIBYTE,
        cpu_weight: place.cpu_weight,
        cpus: None,
        io_weight: None,
        pids: PIDS,
    };
    let environment = kind.environment.clone().into_iter().collect::<Environment>();
    ContainerSpec {
        environment: environment
            .with("ADDON_VERSION", place.version)
            .with("ADDON_MEMORY_MIB", plan.size.memory_mib.to_string())
            .with("ADDON_CONNECTIONS", plan.size.connections.to_string()),
        user: User {
            uid: kind.user,
            gid: kind.user,
        },
        working_dir: kind.data.clone(),
        volumes: vec![VolumeMount {
            volume: place.volume,
            path: kind.data.clone(),
        }],
        tmpfs: vec![Tmpfs {
            path: RUN_DIR.to_owned(),
            size_bytes: RUN_DIR_BYTES,
        }],
        ..ContainerSpec::new(place.name, place.role, image, run::start_command(&kind.start), limits)
    }
}

/// The volume of an add-on. It carries no app's label: what goes with an app never takes it along.
pub(super) fn volume(row: &AddonRow) -> String {
    let id = row.addon.id;
    row.volume.clone().unwrap_or_else(|| format!("paas-addon-{id}"))
}
