//! One-off dynos: tasks with a row, which nobody reconciles.
//!
//! Each has one task in this process, from its row to the end of its container. A detached one outlives the server: the next
//! one adopts its container. An attached one has lost whom it talks to, and is hung up on. Log lines are Heroku's (Dev Center,
//! *One-Off Dynos*, *Heroku Error Codes* R13 and R16).

use std::{
    collections::HashMap,
    convert::Infallible,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use futures_util::{FutureExt, StreamExt};
use paas_core::{App, Id, LogSource, OneOff, expand_command, process_type_of};
use paas_engine::{
    Container, ContainerId, ContainerSpec, ContainerState, Environment, Exit, Limits, Role, TerminalSize,
};
use paas_store as store;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::dyno::{self, LaunchPlan};
use crate::{
    platform::Platform,
    rendezvous::{Invitation, Visitor},
    sessions::Session,
};

/// Between two looks while the engine or the database is away.
const RETRY: Duration = Duration::from_secs(1);
/// How often a program is hung up on before that is given up (R16).
const HANG_UPS: u32 = 4;
/// What a server before this one has left attached gets to end.
const FAREWELL: Duration = Duration::from_secs(10);

/// The tasks of this process.
#[derive(Default)]
pub(crate) struct OneOffs(Mutex<HashMap<Id<OneOff>, Live>>);

struct Live {
    app: Id<App>,
    stop: CancellationToken,
}

/// What a one-off dyno needs that is not in its row.
pub(crate) struct Errand {
    pub(crate) dyno: OneOff,
    /// On top of the config vars.
    pub(crate) environment: Environment,
    pub(crate) terminal: Option<TerminalSize>,
    /// Where its person comes; `None` for one that talks into the log.
    pub(crate) attached: Option<(Invitation, Session)>,
}

impl OneOffs {
    /// Stops a dyno as `ps:stop` does; `false` when it has no task here.
    pub(crate) fn stop(&self, id: Id<OneOff>) -> bool {
        let live = self.lock();
        let found = live.get(&id);
        found.inspect(|live| live.stop.cancel()).is_some()
    }

    /// Stops those of an app that is being destroyed.
    pub(super) fn stop_all_of(&self, app: Id<App>) {
        let live = self.lock();
        live.values()
            .filter(|live| live.app == app)
            .for_each(|live| live.stop.cancel());
    }

    pub(super) fn is_live(&self, id: Id<OneOff>) -> bool {
        self.lock().contains_key(&id)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id<OneOff>, Live>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a one-off dyno whose row was just made.
pub(crate) fn run(platform: &Arc<Platform>, errand: Errand) {
    let task = Task::begin(platform, errand.dyno.clone());
    platform.tracker.spawn(async move { task.run(errand).await });
}

/// Goes on with what a server before this one has left: before any new ones are made.
pub(crate) async fn resume(platform: &Arc<Platform>) -> Result<()> {
    let containers = platform.engine.list().await?;
    let mut conn = platform.store.connection().await?;
    let rows = store::one_off::all(&mut conn).await?;
    drop(conn);
    for dyno in rows {
        let name = container_name(dyno.id);
        let container = containers.iter().find(|container| container.name == name).cloned();
        let task = Task::begin(platform, dyno);
        platform.tracker.spawn(async move { task.resume(container).await });
    }
    Ok(())
}

/// Removes containers that have neither a task nor a row.
pub(super) async fn remove_leftovers(platform: &Arc<Platform>, containers: &[Container]) -> Result<()> {
    let is_one_off = |container: &&Container| matches!(container.role, Some(Role::OneOff { .. }));
    let one_offs: Vec<_> = containers.iter().filter(is_one_off).collect();
    if one_offs.is_empty() {
        return Ok(());
    }
    let mut conn = platform.store.connection().await?;
    // Rows after containers: each of these had one when it was made.
    let rows = store::one_off::all(&mut conn).await?;
    drop(conn);
    for container in one_offs {
        let is_known = |row: &OneOff| container_name(row.id) == container.name;
        let is_live = of_container(&container.name);
        if !rows.iter().any(is_known) && !is_live.is_some_and(|id| platform.one_offs.is_live(id)) {
            tracing::info!(container.id = %container.id, "removing a one-off dyno's container that nobody waits for");
            dyno::end(platform, container).await?;
        }
    }
    Ok(())
}

const CONTAINER_PREFIX: &str = "paas-run-";

pub(super) fn container_name(id: Id<OneOff>) -> String {
    format!("{CONTAINER_PREFIX}{id}")
}

/// Whose container has this name.
pub(super) fn of_container(name: &str) -> Option<Id<OneOff>> {
    name.strip_prefix(CONTAINER_PREFIX)?.parse().ok()
}

/// A number for a name that is not taken.
pub(crate) fn random_index() -> u32 {
    use rand::RngExt as _;
    rand::rng().random_range(1000..10_000)
}

/// The one task of a dyno. Dropping it forgets it.
struct Task {
    platform: Arc<Platform>,
    dyno: OneOff,
    process: String,
    stop: CancellationToken,
    expires: Instant,
}

/// Why a task goes on no longer.
enum Over {
    /// Its container has ended; with what, if anybody knows.
    Ended(Option<Exit>),
    /// Nothing was started.
    NeverBegan,
    /// This process ends; the next one goes on.
    Abandoned,
}

impl Task {
    fn begin(platform: &Arc<Platform>, dyno: OneOff) -> Self {
        let stop = CancellationToken::new();
        let live = Live {
            app: dyno.app,
            stop: stop.clone(),
        };
        platform.one_offs.lock().insert(dyno.id, live);
        let left = (dyno.expires_at - platform.clock.now()).to_std().unwrap_or_default();
        Self {
            process: dyno.name.to_string(),
            expires: Instant::now() + left,
            platform: Arc::clone(platform),
            dyno,
            stop,
        }
    }

    async fn run(mut self, errand: Errand) {
        let over = match errand.attached {
            Some((invitation, session)) => match self.client(invitation, &session).await {
                Ok(visitor) => {
                    self.run_attached(visitor, &session, errand.environment, errand.terminal)
                        .await
                }
                Err(over) => Ok(over),
            },
            None => self.run_detached(errand.environment).await,
        };
        self.finish(over).await;
    }

    /// Goes on where a server before this one was.
    async fn resume(mut self, container: Option<Container>) {
        let container = container.filter(|container| container.state != ContainerState::Created);
        let over = match (container, self.dyno.is_attached) {
            (Some(container), false) => Ok(self.follow(&container.id).await),
            (Some(container), true) => {
                self.hang_up(&container.id).await;
                match timeout(FAREWELL, self.ended(&container.id)).await {
                    Ok(exit) => Ok(Over::Ended(exit)),
                    Err(_) => {
                        self.terminate(&container.id).await;
                        Ok(Over::Ended(self.ended(&container.id).await))
                    }
                }
            }
            (None, true) => Ok(Over::NeverBegan),
            (None, false) => Err(anyhow::anyhow!(
                "the server ended before the process was started; run it again"
            )),
        };
        self.finish(over).await;
    }

    /// Whoever comes with the secret, in time.
    async fn client(&self, mut invitation: Invitation, session: &Session) -> Result<Visitor, Over> {
        self.log("Awaiting client");
        tokio::select! {
            visitor = timeout(self.platform.rendezvous.limits.attach, invitation.visitors.recv()) => {
                if visitor.is_err() {
                    self.log("Error R13 (Attach error) -> Failed to attach to process");
                }
                visitor.ok().flatten().ok_or(Over::NeverBegan)
            }
            () = session.ended().cancelled() => Err(Over::NeverBegan),
            () = self.stop.cancelled() => Err(Over::NeverBegan),
            () = self.platform.stop.cancelled() => Err(Over::Abandoned),
        }
    }

    async fn run_attached(
        &mut self,
        visitor: Visitor,
        session: &Session,
        environment: Environment,
        terminal: Option<TerminalSize>,
    ) -> Result<Over> {
        let Visitor {
            stdin,
            output,
            gone,
            exit: tell_exit,
            target: _,
        } = visitor;
        let mut spec = self.spec(environment).await?;
        spec.terminal = terminal;
        if gone.is_cancelled() || session.ended().is_cancelled() {
            gone.cancel();
            return Ok(Over::NeverBegan);
        }
        self.log(&format!("Starting process with command `{}`", self.dyno.command));
        let engine = Arc::clone(&self.platform.engine);
        let running = engine.run(&spec, stdin, output, CancellationToken::new());
        let container = self.appears(&spec.name).shared();
        let begin = async {
            container.clone().await;
            self.mark_up().await;
            pending::<Infallible>().await
        };
        let hang_up = async {
            tokio::select! {
                () = gone.cancelled() => {}
                () = session.ended().cancelled() => gone.cancel(),
            }
            self.hang_up_until_it_ends(&container.clone().await).await
        };
        let stop = async {
            self.is_to_stop().await;
            self.terminate(&container.clone().await).await;
            pending::<Infallible>().await
        };
        let over = tokio::select! {
            exit = running => exit.map(|exit| Over::Ended(Some(exit))),
            never = begin => match never {},
            never = hang_up => match never {},
            never = stop => match never {},
            () = self.platform.stop.cancelled() => {
                gone.cancel();
                self.hang_up(&container.clone().await).await;
                Ok(Over::Abandoned)
            }
        };
        drop(container);
        self.dyno.is_up = true;
        match &over {
            Ok(Over::Ended(Some(exit))) => {
                // The connection ends by itself, after the program's last words.
                let _ = tell_exit.send(exit.code);
            }
            _ => gone.cancel(),
        }
        Ok(over?)
    }

    async fn run_detached(&mut self, environment: Environment) -> Result<Over> {
        let spec = self.spec(environment).await?;
        self.log(&format!("Starting process with command `{}`", self.dyno.command));
        let container = loop {
            match self.platform.engine.start(&spec).await {
                Ok(container) => break container,
                Err(error) if error.is_temporary() => {}
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                () = sleep(RETRY) => {}
                () = self.is_to_stop() => return Ok(Over::NeverBegan),
                () = self.platform.stop.cancelled() => return Ok(Over::Abandoned),
            }
        };
        Ok(self.follow(&container.id).await)
    }

    /// Stores what a detached dyno says, to its end.
    async fn follow(&mut self, container: &ContainerId) -> Over {
        let platform = &self.platform;
        platform.collector.follow(self.dyno.app, container, &self.process);
        self.mark_up().await;
        self.dyno.is_up = true;
        let stop = async {
            self.is_to_stop().await;
            self.terminate(container).await;
            pending::<Infallible>().await
        };
        let exit = tokio::select! {
            exit = self.ended(container) => exit,
            never = stop => match never {},
            () = self.platform.stop.cancelled() => return Over::Abandoned,
        };
        // Its last words come before the platform's.
        dyno::output_stored(&self.platform, container).await;
        Over::Ended(exit)
    }

    /// A container like the release's own ones.
    async fn spec(&self, environment: Environment) -> Result<ContainerSpec> {
        let dyno = &self.dyno;
        let plan = LaunchPlan::read(&self.platform, dyno.app, dyno.release).await?;
        let command = expand_command(&dyno.command, &plan.slug.process_types);
        let plan = match process_type_of(&dyno.command, &plan.slug.process_types).cloned() {
            Some(process_type) => plan.of_type(&process_type),
            None => plan,
        };
        let role = Role::OneOff {
            app: dyno.app,
            name: dyno.name.clone(),
            release: dyno.version,
        };
        let limits = Limits::from(dyno.size);
        let name = container_name(dyno.id);
        let mut spec = plan.spec(&self.platform, name, role, &command, limits).await?;
        let own = environment.iter();
        spec.environment
            .extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
        spec.environment = spec.environment.with("DYNO", self.process.clone());
        spec.hostname = Some(self.process.replace('.', "-"));
        Ok(spec)
    }

    /// The container that the engine is making.
    async fn appears(&self, name: &str) -> ContainerId {
        let mut hints = self.platform.engine.hints();
        loop {
            let containers = self.platform.engine.list().await.unwrap_or_default();
            let made = containers
                .into_iter()
                .find(|container| container.name == name && container.state != ContainerState::Created);
            match made {
                Some(container) => return container.id,
                None => drop(hints.next().await),
            }
        }
    }

    /// How a container has ended; `None` when it is gone. An engine that is away has no container that ended.
    async fn ended(&self, container: &ContainerId) -> Option<Exit> {
        let mut hints = self.platform.engine.hints();
        loop {
            match self.platform.engine.inspect(container).await {
                Ok(Some(seen)) => {
                    if let ContainerState::Exited(exit) = seen.state {
                        return Some(exit);
                    }
                    hints.next().await;
                }
                Ok(None) => return None,
                Err(_) => sleep(RETRY).await,
            }
        }
    }

    async fn is_to_stop(&self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = sleep_until(self.expires) => {}
        }
    }

    async fn hang_up_until_it_ends(&self, container: &ContainerId) -> Infallible {
        for _ in 0..HANG_UPS {
            self.hang_up(container).await;
            sleep(self.platform.rendezvous.limits.hang_up).await;
        }
        self.log(
            "Error R16 (Detached) -> An attached process is not responding to SIGHUP after its external connection was \
             closed.",
        );
        // It may be meant to go on alone, and does, for the rest of its day.
        pending().await
    }

    async fn hang_up(&self, container: &ContainerId) {
        self.log("Client connection closed. Sending SIGHUP to all processes");
        if let Err(error) = self.platform.engine.hang_up(container).await {
            tracing::warn!(%container, %error, "a one-off dyno could not be hung up on");
        }
    }

    async fn terminate(&self, container: &ContainerId) {
        self.log("Stopping all processes with SIGTERM");
        let begun = Instant::now();
        let grace = self.platform.rendezvous.limits.stop;
        match self.platform.engine.stop(container, grace).await {
            Ok(_) if begun.elapsed() >= grace => {
                self.log(
                    "Error R12 (Exit timeout) -> At least one process failed to exit within 30 seconds of SIGTERM",
                );
                self.log("Stopping remaining processes with SIGKILL");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%container, %error, "a one-off dyno could not be stopped"),
        }
    }

    /// A row says up as soon as somebody can see it; a database that is away is no reason to stop.
    async fn mark_up(&self) {
        if self.dyno.is_up {
            return;
        }
        self.log("State changed from starting to up");
        let now = self.platform.clock.now();
        let marked = async {
            let mut conn = self.platform.store.connection().await?;
            store::one_off::mark_up(&mut conn, self.dyno.id, now).await?;
            self.platform.wake_webhooks.notify_one();
            Ok::<_, store::StoreError>(())
        };
        if let Err(error) = marked.await {
            tracing::warn!(dyno.name = %self.process, %error, "a one-off dyno still looks as if it were starting");
        }
    }

    /// Says how it ended, and removes what is left of it.
    async fn finish(self, over: Result<Over>) {
        match over {
            Ok(Over::Abandoned) => return,
            Ok(Over::Ended(exit)) => {
                if exit.is_some_and(|exit| exit.out_of_memory) {
                    self.log("Error R15 (Memory quota vastly exceeded)");
                }
                self.log(&match exit {
                    Some(exit) => format!("Process exited with status {}", exit.code),
                    None => "Process vanished: its container is gone".to_owned(),
                });
            }
            Ok(Over::NeverBegan) => {}
            Err(error) => self.log(&format!("Error R99 (Platform error) -> {error:#}")),
        }
        let was = if self.dyno.is_up { "up" } else { "starting" };
        self.log(&format!("State changed from {was} to complete"));
        while let Err(error) = self.clean_up().await {
            tracing::warn!(dyno.name = %self.process, error = format!("{error:#}"), "a one-off dyno cannot be removed; trying again");
            tokio::select! {
                () = sleep(RETRY) => {}
                () = self.platform.stop.cancelled() => return,
            }
        }
    }

    async fn clean_up(&self) -> Result<()> {
        let name = container_name(self.dyno.id);
        for container in self.platform.engine.list().await? {
            if container.name == name {
                dyno::end(&self.platform, &container).await?;
            }
        }
        let mut conn = self.platform.store.connection().await?;
        store::one_off::delete(&mut conn, self.dyno.id, self.platform.clock.now()).await?;
        self.platform.wake_webhooks.notify_one();
        Ok(())
    }

    fn log(&self, message: &str) {
        self.platform
            .log(self.dyno.app, LogSource::Heroku, &self.process, message);
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.platform.one_offs.lock().remove(&self.dyno.id);
    }
}
