//! The control plane's side of the router: finds or starts its process, feeds it tables, and stores what it reports.

use std::{
    collections::BTreeMap,
    env,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use futures_util::FutureExt;
use paas_core::{AppRoutes, Id, LogLine, LogSource};
use paas_router::feed::{AppEntry, FeedClient, FeedError, PlatformHost, Report, Reports, Table};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    sync::watch,
    time::{Instant, sleep},
};

use crate::platform::Platform;

/// How often to try again while a router starts.
const CONNECT_RETRY: Duration = Duration::from_millis(20);
/// A router that has not opened its socket by then is given up and started again.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How many reports are stored at once.
const REPORT_BATCH: usize = 256;

/// The connection to the router of now, whichever process that is.
pub(crate) struct RouterFeed {
    platform: Arc<Platform>,
    client: watch::Sender<Option<FeedClient>>,
    published: Mutex<Option<Published>>,
}

/// The last table that was sent, and to which router.
struct Published {
    router: u32,
    version: u64,
    table: Table,
}

/// A table at a router: what [`RouterFeed::applied`] waits for.
#[derive(Clone)]
pub(crate) struct Receipt {
    client: FeedClient,
    version: u64,
}

impl RouterFeed {
    pub(crate) fn new(platform: Arc<Platform>) -> Self {
        Self {
            platform,
            client: watch::Sender::new(None),
            published: Mutex::default(),
        }
    }

    /// Keeps a router running and connected until the platform stops, then stops the router if this process started it.
    pub(crate) async fn run(&self) -> Result<()> {
        let stop = self.platform.stop.clone();
        while !stop.is_cancelled() {
            let (client, reports) = tokio::select! {
                connection = self.connect() => connection?,
                () = stop.cancelled() => break,
            };
            tracing::info!(router.pid = client.hello().pid, "connected to the router");
            self.client.send_replace(Some(client));
            self.platform.wake.notify_one();
            tokio::select! {
                () = self.store_reports(reports) => tracing::warn!("the router went away"),
                () = stop.cancelled() => {}
            }
            if !stop.is_cancelled() {
                self.client.send_replace(None);
            }
        }
        Ok(())
    }

    /// Ends the router after its requests, if a server of this data directory started it: this one, or one before it. A
    /// router that somebody else looks after (systemd, for one) is left alone.
    pub(crate) async fn stop_router(&self) {
        let started = std::fs::read_to_string(self.pid_file())
            .ok()
            .and_then(|pid| pid.trim().parse::<u32>().ok());
        let client = self.client.borrow().clone();
        let Some(client) = client.filter(|client| Some(client.hello().pid) == started) else {
            return;
        };
        let pid = i32::try_from(client.hello().pid).ok().and_then(Pid::from_raw);
        if pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok()) {
            client.closed().await;
        }
        if let Err(error) = std::fs::remove_file(self.pid_file()) {
            tracing::warn!(%error, "the router's pid file stays behind");
        }
    }

    /// Which router was started by a server, and is a server's to stop.
    fn pid_file(&self) -> PathBuf {
        self.platform.settings.data_dir.join("router.pid")
    }

    /// Sends the table of now, unless the router has it already. Waits for a router when there is none.
    pub(crate) async fn publish(&self, routes: &[AppRoutes]) -> Receipt {
        let table = self.table(routes);
        loop {
            let client = self.connected().await;
            let router = client.hello().pid;
            let known = {
                let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
                published
                    .as_ref()
                    .filter(|published| published.router == router && published.table == table)
                    .map(|published| published.version)
            };
            if let Some(version) = known {
                return Receipt { client, version };
            }
            match client.publish(table.clone()).await {
                Ok(version) => {
                    *self.published.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(Published { router, version, table });
                    return Receipt { client, version };
                }
                Err(_) => self.lost(&client),
            }
        }
    }

    /// Waits until no new request sees an older table than this one.
    ///
    /// When the connection breaks first nothing is known: the router may be dead, or route by an older table. Whoever waits
    /// must give up, and start again from the next pass, which publishes anew.
    pub(crate) async fn applied(&self, receipt: &Receipt) -> Result<(), FeedError> {
        let applied = receipt.client.applied(receipt.version).await;
        if applied.is_err() {
            self.lost(&receipt.client);
            self.platform.wake.notify_one();
        }
        applied
    }

    /// Waits until nothing of a dyno is in flight, at most `within`. The table without it was published before.
    pub(crate) async fn drained(&self, dyno: Id<paas_core::Dyno>, within: Duration) {
        let client = self.connected().await;
        match client.drained(dyno, within).await {
            Ok(outcome) => tracing::debug!(%dyno, ?outcome, "drained"),
            // A router that died took its requests with it: there is nothing to wait for.
            Err(FeedError::Disconnected) => self.lost(&client),
            Err(error) => tracing::warn!(%dyno, %error, "the router could not drain a dyno"),
        }
    }

    /// The table with the platform's own hosts.
    fn table(&self, routes: &[AppRoutes]) -> Table {
        let settings = &self.platform.settings;
        let host = |label| PlatformHost {
            hostname: settings.domain.child(label).to_string(),
            address: settings.api,
        };
        Table {
            apps: routes.iter().map(AppEntry::from).collect(),
            platform_hosts: vec![host("api"), host("git")],
            certificates: Vec::new(),
        }
    }

    /// Forgets a connection that broke, unless there is a newer one.
    fn lost(&self, broken: &FeedClient) {
        self.client.send_if_modified(|client| {
            let is_it = client
                .as_ref()
                .is_some_and(|client| client.hello().pid == broken.hello().pid);
            if is_it {
                *client = None;
            }
            is_it
        });
    }

    async fn connected(&self) -> FeedClient {
        let mut client = self.client.subscribe();
        match client.wait_for(Option::is_some).await.map(|client| client.clone()) {
            Ok(Some(client)) => client,
            // The sender is in `self`, and `wait_for` returned what it was asked for.
            _ => std::future::pending().await,
        }
    }

    /// Connects to the router that answers, or starts one and connects to that.
    async fn connect(&self) -> Result<(FeedClient, Reports)> {
        let socket = self.platform.settings.router_socket();
        let tracker = &self.platform.tracker;
        loop {
            if let Ok(connection) = FeedClient::connect(&socket, tracker).await {
                return Ok(connection);
            }
            let mut router = self.start()?;
            let deadline = Instant::now() + START_LIMIT;
            let status = loop {
                if let Ok(connection) = FeedClient::connect(&socket, tracker).await {
                    // Reaped in the background whenever it ends.
                    return Ok(connection);
                }
                if let Some(status) = router.try_wait().context("waiting for the router")? {
                    break Some(status);
                }
                if Instant::now() > deadline {
                    break None;
                }
                sleep(CONNECT_RETRY).await;
            };
            match status {
                Some(status) => tracing::error!(%status, "the router ended at its start; its own log says why"),
                None => {
                    tracing::error!("the router did not open its socket in time");
                    router.start_kill().context("ending a router that does not answer")?;
                }
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Starts `paasd router` in a process group of its own, so that neither our end nor a Ctrl-C ends it.
    fn start(&self) -> Result<Child> {
        let settings = &self.platform.settings;
        tracing::info!("starting the router");
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(settings.data_dir.join("router.log"))
            .context("opening the router's log")?;
        let child = Command::new(own_program())
            .arg("router")
            .arg("--data-dir")
            .arg(&settings.data_dir)
            .args(["--domain", settings.domain.as_str()])
            .args(["--http", &settings.http.to_string()])
            .args(["--https", &settings.https.to_string()])
            .args(["--api", &settings.api.to_string()])
            .env_remove("PAAS_FAILPOINT")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("starting the router")?;
        let pid = child.id().map(|pid| pid.to_string()).unwrap_or_default();
        std::fs::write(self.pid_file(), pid).context("writing the router's pid file")?;
        Ok(child)
    }

    /// Stores router lines in the logs of their apps until the connection ends.
    async fn store_reports(&self, mut reports: Reports) {
        while let Some(first) = reports.next().await {
            let mut batch = vec![first];
            while batch.len() < REPORT_BATCH
                && let Some(Some(report)) = reports.next().now_or_never()
            {
                batch.push(report);
            }
            let mut lines: BTreeMap<_, Vec<LogLine>> = BTreeMap::new();
            for report in batch {
                match report {
                    Report::Access(record) => {
                        let line = LogLine {
                            at: record.at,
                            source: LogSource::Heroku,
                            process: "router".to_owned(),
                            message: record.to_string(),
                        };
                        lines.entry(record.app).or_default().push(line);
                    }
                    // Look at the dyno again: its container may have ended.
                    Report::Refused { .. } => self.platform.wake.notify_one(),
                    Report::Dropped { count } => tracing::warn!(count, "router lines were lost: too many at once"),
                }
            }
            for (app, lines) in lines {
                self.platform.logs.append(Id::from_uuid(app), &lines);
            }
        }
    }
}

/// The program that this process runs. An upgrade may have put another one in its place, which is for the next start: until
/// then the kernel still has this one, and a router that died in between comes back.
fn own_program() -> PathBuf {
    env::current_exe()
        .ok()
        .filter(|program| program.is_file())
        .unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}
