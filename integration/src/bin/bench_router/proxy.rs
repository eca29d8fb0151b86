//! The proxies under test: started, fed, asked until they answer, and stopped.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use paas_integration::binary;
use paas_router::feed::{AppEntry, AppState, BackendEntry, Certificate, FeedClient, Policy, Reports, Table};
use rcgen::generate_simple_self_signed;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::{configuration, load, sample::Sample};

/// The name of the one host that every row has.
pub(crate) const HOST: &str = "localhost";
/// Ten thousand hosts take Caddy a while.
const START: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(50);
/// Below the ports that the kernel gives away.
const FIRST_PORT: u16 = 20_000;
const PORTS_EACH: u16 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Nginx,
    Paas,
    NginxBuffers,
    Haproxy,
    Caddy,
    /// No proxy: what origin and load generator reach by themselves.
    Direct,
}

/// Proxies that run at the same time, with the same hosts.
pub(crate) struct Fleet {
    pub(crate) proxies: Vec<Proxy>,
}

pub(crate) struct Proxy {
    pub(crate) kind: Kind,
    pub(crate) ports: Ports,
    pub(crate) hosts: usize,
    pub(crate) directory: PathBuf,
    pub(crate) feed: Option<FeedClient>,
    pub(crate) certificates: Vec<Arc<Certificate>>,
    /// Of the proxy itself.
    pub(crate) id: Option<u32>,
    /// It, and origins of its own, so that no process has more connections than it may have files.
    _processes: Vec<Process>,
    /// The tasks that hold the feed end when it is dropped.
    tracker: TaskTracker,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) http: u16,
    pub(crate) https: u16,
    pub(crate) admin: u16,
    pub(crate) origin: u16,
    pub(crate) other_origin: u16,
}

/// Killed with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // SIGTERM first: masters take their workers along.
        let id = self.0.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let deadline = Instant::now() + Duration::from_secs(2);
        while Instant::now() < deadline {
            if let Ok(Some(_)) = self.0.try_wait() {
                return;
            }
            std::thread::sleep(LOOK);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Nginx,
        Self::Paas,
        Self::NginxBuffers,
        Self::Haproxy,
        Self::Caddy,
        Self::Direct,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Paas => "paas",
            Self::NginxBuffers => "nginx-buffers",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
            Self::Direct => "direct",
        }
    }
}

impl Ports {
    fn of(kind: Kind) -> Self {
        let index = Kind::ALL.iter().position(|known| *known == kind).unwrap_or_default();
        let first = FIRST_PORT + u16::try_from(index).unwrap_or_default() * PORTS_EACH;
        let origin = first + 3;
        Self {
            http: if kind == Kind::Direct { origin } else { first },
            https: first + 1,
            admin: first + 2,
            origin,
            other_origin: first + 4,
        }
    }
}

impl Fleet {
    pub(crate) async fn start(kinds: &[Kind], hosts: usize, directory: &Path) -> Result<Self> {
        let mut proxies = Vec::new();
        for &kind in kinds {
            // Reading ten thousand sites takes it minutes, and the configuration of ten thousand hosts is no row of it.
            if kind == Kind::Caddy && hosts > 1_000 {
                continue;
            }
            let directory = directory.join(format!("{}-{hosts}", kind.name()));
            fs::create_dir_all(&directory)?;
            let started = Proxy::start(kind, hosts, directory).await;
            proxies.push(started.with_context(|| format!("starting {}", kind.name()))?);
        }
        Ok(Self { proxies })
    }
}

impl Proxy {
    async fn start(kind: Kind, hosts: usize, directory: PathBuf) -> Result<Self> {
        let ports = Ports::of(kind);
        let origins = [ports.origin, ports.other_origin].map(origin);
        let mut processes = origins.into_iter().collect::<Result<Vec<_>>>()?;
        let certificate = generate_simple_self_signed(vec![HOST.to_owned(), "*.bench.test".to_owned()])?;
        let (chain, key) = (certificate.cert.pem(), certificate.signing_key.serialize_pem());
        fs::write(directory.join("chain.pem"), &chain)?;
        fs::write(directory.join("key.pem"), &key)?;
        fs::write(directory.join("both.pem"), format!("{chain}{key}"))?;
        configuration::write(kind, hosts, ports, None, &directory)?;
        let mut id = None;
        if let Some(words) = configuration::command(kind, ports, &directory) {
            let process = pinned(&words, &directory)?;
            id = Some(process.0.id());
            processes.push(process);
        }
        let mut proxy = Self {
            kind,
            ports,
            hosts,
            directory,
            feed: None,
            certificates: Vec::new(),
            id,
            _processes: processes,
            tracker: TaskTracker::new(),
        };
        if kind == Kind::Paas {
            proxy.feed(chain, key).await?;
        }
        proxy.wait().await?;
        Ok(proxy)
    }

    pub(crate) fn address(&self, tls: bool) -> SocketAddr {
        let port = if tls { self.ports.https } else { self.ports.http };
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// Adds what the processes of the proxy have used while `sample` was taken.
    pub(crate) fn with_cost(&self, mut sample: Sample, before: Duration) -> Sample {
        if let Some(id) = self.id {
            sample.processor = Some(crate::cost::processor_time(id).saturating_sub(before));
            sample.memory_kib = Some(crate::cost::proportional_kib(id));
        }
        sample
    }

    async fn feed(&mut self, chain: String, key: String) -> Result<()> {
        let socket = self.directory.join("router.sock");
        let deadline = Instant::now() + START;
        let (feed, reports) = loop {
            match FeedClient::connect(&socket, &self.tracker).await {
                Ok(connected) => break connected,
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        };
        self.tracker.spawn(take(reports));
        self.certificates.push(Arc::new(Certificate {
            hostnames: vec![HOST.to_owned(), "*.bench.test".to_owned()],
            chain_pem: chain,
            key_pem: key,
        }));
        let mut table = table(self.hosts, self.ports, None);
        table.certificates.clone_from(&self.certificates);
        let version = feed.publish(table).await?;
        feed.applied(version).await?;
        self.feed = Some(feed);
        Ok(())
    }

    /// Until the last host answers.
    async fn wait(&self) -> Result<()> {
        let deadline = Instant::now() + START;
        let host = host(self.hosts - 1);
        while load::get(self.address(false), &host, "/port").await.is_err() {
            if Instant::now() > deadline {
                let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
                bail!("it does not answer\n{log}");
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

/// The name of the host with this number.
pub(crate) fn host(number: usize) -> String {
    if number == 0 {
        HOST.to_owned()
    } else {
        format!("h{number}.bench.test")
    }
}

/// What our router is told: every host is an app with one dyno, and `moved` has its dyno at the other origin.
pub(crate) fn table(hosts: usize, ports: Ports, moved: Option<usize>) -> Table {
    let app = |number: usize| {
        let port = if moved == Some(number) {
            ports.other_origin
        } else {
            ports.origin
        };
        let app = Uuid::from_u128(number as u128 + 1);
        AppEntry {
            app,
            name: format!("app-{number}"),
            hostnames: vec![host(number)],
            state: AppState::Serving(vec![BackendEntry {
                dyno: Uuid::from_u128((number as u128 + 1) << 64 | u128::from(port)),
                name: "web.1".to_owned(),
                container: format!("container-{number}-{port}"),
                address: SocketAddr::from(([127, 0, 0, 1], port)),
            }]),
            policy: Policy::default(),
        }
    };
    Table {
        apps: (0..hosts).map(app).collect(),
        ..Table::default()
    }
}

/// A control plane that reads every record, and does nothing with it.
async fn take(mut reports: Reports) {
    while reports.next().await.is_some() {}
}

fn origin(port: u16) -> Result<Process> {
    let child = Command::new(std::env::current_exe()?)
        .args(["origin", &port.to_string()])
        .spawn()?;
    Ok(Process(child))
}

/// Starts a program on core 0.
fn pinned(words: &[String], directory: &Path) -> Result<Process> {
    let child = Command::new("taskset")
        .args(["-c", "0"])
        .args(words)
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("GOMAXPROCS", "1")
        .env("HOME", directory)
        .env("XDG_DATA_HOME", directory)
        .env("XDG_CONFIG_HOME", directory)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(File::create(directory.join("access.log"))?)
        .stderr(File::create(directory.join("log"))?)
        .spawn()
        .with_context(|| format!("starting {words:?}"))?;
    Ok(Process(child))
}

/// Where our own program is.
pub(crate) fn paasd() -> String {
    binary("paasd").to_string_lossy().into_owned()
}
