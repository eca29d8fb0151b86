//! The control plane's side of the router: finds or starts its process, feeds it tables, and stores what it reports.

use std::{
    collections::{BTreeMap, HashMap},
    env,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use paas_core::{App, AppRoutes, Hostname, Id, LogLine, LogSource};
use paas_router::feed::{
    AppEntry, Certificate, Challenge, DrainOutcome, Exposure, FeedClient, FeedError, PlatformHost, Report, Reports,
    Table,
};
use paas_store::addon_exposure::ExposureRow;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    sync::watch,
    time::{Instant, error::Elapsed, sleep, timeout},
};

use super::sleep::Call;
use crate::{platform::Platform, platform_hosts::platform_hosts};

/// How often to try again while a router starts.
const CONNECT_RETRY: Duration = Duration::from_millis(20);
/// A router that has not opened its socket by then is given up and started again.
const START_LIMIT: Duration = Duration::from_secs(10);
/// A router answers at once; one that does not, hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Longer than a router gives its requests to end.
const STOP_LIMIT: Duration = Duration::from_secs(35);
/// How many reports are stored at once.
const REPORT_BATCH: usize = 256;

/// The connection to the router of now, whichever process that is.
pub(crate) struct RouterFeed {
    platform: Arc<Platform>,
    connection: watch::Sender<Option<Connection>>,
    /// Held while a table is sent, so that none overtakes a newer one.
    contents: tokio::sync::Mutex<Contents>,
    /// What the router shows in its handshakes.
    certificates: Mutex<Vec<Arc<Certificate>>>,
    /// What the router said of apps since somebody looked; the last word of each counts.
    calls: Mutex<BTreeMap<Id<App>, Call>>,
}

/// What the table is made of, each part from the controller that knows it.
#[derive(Default)]
struct Contents {
    /// `None` until they are known: a router that serves already must not lose them to our start.
    routes: Option<Vec<AppRoutes>>,
    /// The same.
    certificates: Option<Vec<Arc<Certificate>>>,
    challenges: Vec<Challenge>,
    exposures: Vec<Exposure>,
    /// Whether a router has yet to hear that fewer may come in.
    owes_restriction: bool,
}

/// One connection to a router. A second one to the same router is another: what was sent over the first may be lost.
#[derive(Clone)]
struct Connection {
    number: u64,
    client: FeedClient,
}

/// A table at a router: what [`RouterFeed::applied`] waits for.
#[derive(Clone)]
pub(crate) struct Receipt {
    connection: Connection,
    version: u64,
}

impl RouterFeed {
    pub(crate) fn new(platform: Arc<Platform>) -> Self {
        Self {
            platform,
            connection: watch::Sender::new(None),
            contents: tokio::sync::Mutex::default(),
            certificates: Mutex::default(),
            calls: Mutex::default(),
        }
    }

    /// What the router said of apps since the last time. Whoever takes it and fails need not keep it: it is said again.
    pub(super) fn take_calls(&self) -> BTreeMap<Id<App>, Call> {
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn call(&self, app: Id<App>, call: Call) {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(app, call);
        self.platform.wake.notify_one();
    }

    /// Keeps a router running and connected until the platform stops.
    pub(crate) async fn run(&self) -> Result<()> {
        let stop = self.platform.stop.clone();
        let mut number = 0;
        while !stop.is_cancelled() {
            let (client, reports) = tokio::select! {
                connected = self.connect() => connected?,
                () = stop.cancelled() => break,
            };
            tracing::info!(router.pid = client.hello().pid, "connected to the router");
            number += 1;
            self.connection.send_replace(Some(Connection { number, client }));
            self.platform.wake.notify_one();
            tokio::select! {
                () = self.store_reports(reports) => tracing::warn!("the router went away"),
                () = stop.cancelled() => {}
            }
            if !stop.is_cancelled() {
                self.connection.send_replace(None);
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
        let connection = self.connection.borrow().clone();
        let client = connection.map(|connection| connection.client);
        let Some(client) = client.filter(|client| Some(client.hello().pid) == started) else {
            return;
        };
        let pid = i32::try_from(client.hello().pid).ok().and_then(Pid::from_raw);
        if pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok())
            && timeout(STOP_LIMIT, client.closed()).await.is_err()
        {
            tracing::warn!(router.pid = client.hello().pid, "the router did not end in time");
        }
        if let Err(error) = std::fs::remove_file(self.pid_file()) {
            tracing::warn!(%error, "the router's pid file stays behind");
        }
    }

    /// Which router was started by a server, and is a server's to stop.
    fn pid_file(&self) -> PathBuf {
        self.platform.settings.data_dir.join("router.pid")
    }

    /// Sends what is new in the table with these routes and exposures, which may be nothing.
    ///
    /// `None` while no router takes it. Never waits for one, because dynos have to be looked after all the same; a router
    /// that comes wakes the controller.
    pub(crate) async fn publish(&self, routes: &[AppRoutes], exposures: Vec<Exposure>) -> Option<Receipt> {
        let mut contents = self.contents.lock().await;
        contents.routes = Some(routes.to_vec());
        contents.exposures = exposures;
        self.send(&contents).await
    }

    /// Closes what these rows do not have any more, and changes who may come to the others, and until when: as much as can be done
    /// without a look at containers.
    pub(crate) async fn restrict(&self, rows: &[ExposureRow]) {
        let mut contents = self.contents.lock().await;
        let before = contents.exposures.clone();
        contents.exposures.retain_mut(|open| {
            let wanted = rows.iter().map(|row| &row.exposure);
            let mut wanted =
                wanted.filter(|wanted| *wanted.addon.as_uuid() == open.addon && wanted.port == open.listen.port());
            let Some(wanted) = wanted.next() else {
                return false;
            };
            open.allowed = wanted.allowed.networks().map(ToString::to_string).collect();
            open.ends_at = wanted.expires_at;
            true
        });
        if contents.owes_restriction || contents.exposures != before {
            contents.owes_restriction = self.send(&contents).await.is_none();
        }
    }

    /// The same with these certificates. The first ones wake the controller of the apps, which waits for them.
    pub(crate) async fn publish_certificates(&self, certificates: Vec<Certificate>) -> Option<Receipt> {
        let mut contents = self.contents.lock().await;
        let certificates = self.note_certificates(certificates);
        if contents.certificates.replace(certificates).is_none() {
            self.platform.wake.notify_one();
        }
        self.send(&contents).await
    }

    /// Keeps what the router is to show. What has not changed stays the same to those who hold it.
    fn note_certificates(&self, certificates: Vec<Certificate>) -> Vec<Arc<Certificate>> {
        let mut noted = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        // By their names, because there may be one for each app.
        let before: HashMap<&[String], &Arc<Certificate>> = noted
            .iter()
            .map(|certificate| (certificate.hostnames.as_slice(), certificate))
            .collect();
        let certificates = certificates.into_iter().map(|certificate| {
            let same = before.get(certificate.hostnames.as_slice()).copied();
            let same = same.filter(|before| ***before == certificate).cloned();
            same.unwrap_or_else(|| Arc::new(certificate))
        });
        let certificates: Vec<_> = certificates.collect();
        noted.clone_from(&certificates);
        certificates
    }

    /// The certificate that the router shows for a name: its own, that of a wildcard above it, or the default one.
    pub(crate) fn certificate_of(&self, hostname: &Hostname) -> Option<Arc<Certificate>> {
        let certificates = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        let wildcard = hostname.parent().map(|parent| format!("*.{parent}"));
        let names = [Some(hostname.as_str()), wildcard.as_deref(), Some("*")];
        names.into_iter().flatten().find_map(|name| {
            let serves = |certificate: &&Arc<Certificate>| certificate.hostnames.iter().any(|served| served == name);
            certificates.iter().find(serves).cloned()
        })
    }

    /// The same with the challenges of now: asked for when it is their turn, so that no older ones come after them.
    pub(crate) async fn publish_challenges(&self, challenges: impl FnOnce() -> Vec<Challenge>) -> Option<Receipt> {
        let mut contents = self.contents.lock().await;
        contents.challenges = challenges();
        self.send(&contents).await
    }

    async fn send(&self, contents: &Contents) -> Option<Receipt> {
        let table = self.table(contents)?;
        let connection = self.connection.borrow().clone()?;
        match timeout(ANSWER_LIMIT, connection.client.publish(table)).await {
            Ok(Ok(version)) => Some(Receipt { connection, version }),
            Ok(Err(_)) => {
                self.lost(&connection);
                None
            }
            Err(_) => {
                tracing::warn!(router.pid = connection.client.hello().pid, "the router takes no table");
                None
            }
        }
    }

    /// Waits until no new request sees an older table than this one.
    ///
    /// When the connection breaks first nothing is known: the router may be dead, or route by an older table. Whoever waits
    /// must give up, and start again from the next pass, which publishes anew.
    pub(crate) async fn applied(&self, receipt: &Receipt) -> Result<(), FeedError> {
        let applied = receipt.connection.client.applied(receipt.version).await;
        if applied.is_err() {
            self.lost(&receipt.connection);
            self.platform.wake.notify_one();
        }
        applied
    }

    /// Waits until nothing of a dyno is in flight, at most `within`. The table without it was published before.
    pub(crate) async fn drained(&self, dyno: Id<paas_core::Dyno>, within: Duration) -> Result<()> {
        let connection = self.connected().await;
        match timeout(within + ANSWER_LIMIT, connection.client.drained(dyno, within)).await {
            // Its router was given an older table by another connection. The next pass publishes anew.
            Ok(Ok(DrainOutcome::StillRouted)) => bail!("the router still has dyno {dyno} in its table"),
            Ok(Ok(outcome)) => tracing::debug!(%dyno, ?outcome, "drained"),
            // A router that died took its requests with it: there is nothing to wait for.
            Ok(Err(FeedError::Disconnected)) => self.lost(&connection),
            Ok(Err(error)) => tracing::warn!(%dyno, %error, "the router could not drain a dyno"),
            Err(_) => tracing::warn!(%dyno, "the router does not say whether a dyno is drained"),
        }
        Ok(())
    }

    /// The table with the platform's own hosts, once everything is known that belongs in it.
    fn table(&self, contents: &Contents) -> Option<Table> {
        let (routes, certificates) = (contents.routes.as_ref()?, contents.certificates.as_ref()?);
        let settings = &self.platform.settings;
        let mut hosts = platform_hosts(&settings.domain);
        // Where clients come to dynos they also come to the API, as Heroku's does for `ps:exec`.
        let rendezvous = settings.rendezvous_host();
        if !hosts.contains(&rendezvous) {
            hosts.push(rendezvous);
        }
        let host = |hostname: Hostname| PlatformHost {
            hostname: hostname.to_string(),
            address: settings.api,
        };
        let platform_hosts = hosts.into_iter().map(host).collect();
        Some(Table {
            apps: routes.iter().map(AppEntry::from).collect(),
            platform_hosts,
            certificates: certificates.clone(),
            challenges: contents.challenges.clone(),
            exposures: contents.exposures.clone(),
        })
    }

    /// Forgets a connection that broke, unless there is a newer one.
    fn lost(&self, broken: &Connection) {
        self.connection.send_if_modified(|connection| {
            let is_it = connection
                .as_ref()
                .is_some_and(|connection| connection.number == broken.number);
            if is_it {
                *connection = None;
            }
            is_it
        });
    }

    async fn connected(&self) -> Connection {
        let mut connection = self.connection.subscribe();
        match connection
            .wait_for(Option::is_some)
            .await
            .map(|connection| connection.clone())
        {
            Ok(Some(connection)) => connection,
            // The sender is in `self`, and `wait_for` returned what it was asked for.
            _ => std::future::pending().await,
        }
    }

    /// Connects to the router that answers, or starts one and connects to that.
    async fn connect(&self) -> Result<(FeedClient, Reports)> {
        loop {
            match self.reach().await {
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(_)) => {}
                // A second one could not listen where it does.
                Err(_) => {
                    tracing::error!("a router has the socket and says nothing: it hangs, or is being debugged");
                    continue;
                }
            }
            let mut router = self.start()?;
            let deadline = Instant::now() + START_LIMIT;
            let status = loop {
                if let Ok(Ok(connected)) = self.reach().await {
                    // Reaped in the background whenever it ends.
                    return Ok(connected);
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

    /// Connects to the router that answers, if one does.
    async fn reach(&self) -> Result<Result<(FeedClient, Reports), FeedError>, Elapsed> {
        let socket = self.platform.settings.router_socket();
        timeout(ANSWER_LIMIT, FeedClient::connect(&socket, &self.platform.tracker)).await
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
        let file_given = settings.file_given.iter();
        let child = Command::new(own_program())
            .arg("router")
            .args(file_given.flat_map(|file| ["--settings".as_ref(), file.as_os_str()]))
            .arg("--data-dir")
            .arg(&settings.data_dir)
            .args(["--domain", settings.domain.as_str()])
            .args(["--http", &settings.http.to_string()])
            .args(["--https", &settings.https.to_string()])
            .args(["--api", &settings.api.to_string()])
            .args(["--rendezvous", &settings.rendezvous.to_string()])
            .arg(format!("--proxy-protocol={}", settings.proxy_protocol))
            .args(
                settings
                    .trusted_proxies
                    .iter()
                    .map(|proxy| format!("--trusted-proxies={proxy}")),
            )
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
                    Report::Wake { app } => self.call(Id::from_uuid(app), Call::Wake),
                    Report::Idle { app } => self.call(Id::from_uuid(app), Call::Sleep),
                    Report::TurnedAway {
                        at,
                        app,
                        name,
                        peer,
                        more,
                    } => {
                        let line = turned_away(at, &name, (peer, more));
                        lines.entry(app).or_default().push(line);
                    }
                    Report::NoPort {
                        at,
                        app,
                        name,
                        listen,
                        error,
                    } => {
                        let line = no_port(at, &name, (listen, &error));
                        lines.entry(app).or_default().push(line);
                    }
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

/// Who knocks at the door of an exposed add-on, for the log of its app.
fn turned_away(at: DateTime<Utc>, name: &str, (peer, more): (IpAddr, u32)) -> LogLine {
    let more = match more {
        0 => String::new(),
        more => format!(" ({more} more since the last such line)"),
    };
    LogLine {
        at,
        source: LogSource::Heroku,
        process: name.to_owned(),
        message: format!("at=warning A connection from {peer} was refused: it is not on the allow-list{more}"),
    }
}

/// An exposed add-on without a port, for the log of its app.
fn no_port(at: DateTime<Utc>, name: &str, (listen, error): (SocketAddr, &str)) -> LogLine {
    LogLine {
        at,
        source: LogSource::Heroku,
        process: name.to_owned(),
        message: format!(
            "at=error Nobody can connect yet: {listen} cannot be had ({error}). It is tried again; ask the operator of this \
             platform to free the port, or to choose other --addon-ports"
        ),
    }
}
