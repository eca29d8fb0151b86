//! A host that moves to another origin while everybody is busy: when it can be seen, and who was dropped.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    configuration,
    proxy::{Kind, Proxy, host, table},
    sample::{Sample, percentile},
};

const CHANGES: usize = 7;
const CLIENTS: usize = 32;
/// Between two requests of one client: some thousand requests a second in all, which every proxy has time for.
const PAUSE: Duration = Duration::from_millis(10);
/// Before and after a change: processes of before have to end.
const SETTLE: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(20);
/// The host that moves.
const MOVING: usize = 500;

/// A client that keeps its connection for as long as the proxy does.
struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

pub(crate) async fn run(proxy: &Proxy) -> Result<Sample> {
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let (requests, dropped) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    for number in 0..CLIENTS {
        let (stop, requests, dropped) = (stop.clone(), requests.clone(), dropped.clone());
        let (mut client, hosts) = (Client::new(proxy.address(false)), proxy.hosts);
        tasks.spawn(async move {
            let mut at = number * hosts / CLIENTS;
            while !stop.is_cancelled() {
                let answered = timeout(LIMIT, client.get(&host(at))).await;
                requests.fetch_add(1, Relaxed);
                if !matches!(answered, Ok(Ok(_))) {
                    dropped.fetch_add(1, Relaxed);
                }
                at = (at + 1) % hosts;
                sleep(PAUSE).await;
            }
        });
    }
    let begun = Instant::now();
    let mut visible = Vec::new();
    let mut prober = Client::new(proxy.address(false));
    for change in 0..CHANGES {
        sleep(SETTLE).await;
        let moved = (change % 2 == 0).then_some(MOVING);
        let expected = if moved.is_some() {
            proxy.ports.other_origin
        } else {
            proxy.ports.origin
        };
        visible.push(move_host(proxy, &mut prober, moved, expected, &dropped).await?);
    }
    sleep(SETTLE).await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    visible.sort_unstable();
    Ok(Sample {
        requests: requests.load(Relaxed),
        elapsed: begun.elapsed(),
        failed: dropped.load(Relaxed),
        visible: Some(percentile(&visible, 50)),
        ..Sample::default()
    })
}

/// Changes the routes, and asks without a pause until the answer comes from the right origin.
async fn move_host(
    proxy: &Proxy,
    prober: &mut Client,
    moved: Option<usize>,
    expected: u16,
    dropped: &AtomicU64,
) -> Result<Duration> {
    configuration::write(proxy.kind, proxy.hosts, proxy.ports, moved, &proxy.directory)?;
    let mut table = table(proxy.hosts, proxy.ports, moved);
    table.certificates.clone_from(&proxy.certificates);
    let expected = format!("{expected:05}");
    let started = Instant::now();
    let changing = async {
        match (proxy.kind, &proxy.feed) {
            (Kind::Paas, Some(feed)) => drop(feed.publish(table).await?),
            (Kind::Nginx, _) => signal(proxy, "-HUP").await?,
            (Kind::Haproxy, _) => signal(proxy, "-USR2").await?,
            (Kind::Caddy, _) => {
                let path = proxy.directory.join("Caddyfile");
                let mut reload = Command::new("caddy");
                let admin = format!("127.0.0.1:{}", proxy.ports.admin);
                reload.args(["reload", "--address", &admin, "--config"]).arg(path);
                let output = reload.output().await?;
                ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            }
            _ => bail!("{} has no routes", proxy.kind.name()),
        }
        Ok(())
    };
    let seeing = async {
        while started.elapsed() < LIMIT {
            match prober.get(&host(MOVING)).await {
                Ok(body) if body == expected => return Ok(started.elapsed()),
                Ok(_) => {}
                Err(_) => drop(dropped.fetch_add(1, Relaxed)),
            }
        }
        bail!("the change cannot be seen")
    };
    let (changed, seen) = tokio::join!(changing, seeing);
    changed?;
    seen
}

async fn signal(proxy: &Proxy, signal: &str) -> Result<()> {
    let id = proxy.id.context("a proxy that runs")?.to_string();
    let status = Command::new("kill").args([signal, &id]).status().await?;
    ensure!(status.success(), "the signal did not arrive");
    Ok(())
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
            buffer: Vec::new(),
        }
    }

    /// A connection that the proxy said it would close is not used again; every other one has to work.
    async fn get(&mut self, host: &str) -> Result<String> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(self.address).await?,
        };
        let request = format!("GET /port HTTP/1.1\r\nHost: {host}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        loop {
            ensure!(stream.read_buf(&mut self.buffer).await? > 0, "closed");
            let text = std::str::from_utf8(&self.buffer)?;
            // The body is five digits.
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && body.len() >= 5
            {
                ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
                let body = body.to_owned();
                if !head.to_ascii_lowercase().contains("connection: close") {
                    self.stream = Some(stream);
                }
                return Ok(body);
            }
        }
    }
}
