//! The router itself: bound first, served later.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::process::{Resource, getrlimit, setrlimit};
use thiserror::Error;
use tokio::{
    net::TcpListener,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    activity, exposures,
    feed::FeedServer,
    guests::Guests,
    listener::{self, Door},
    reports::ReportQueue,
    settings::Settings,
    shared::Shared,
    table::Tables,
    tls,
    visitor::Proxies,
};

/// A router whose sockets are bound.
pub struct Router {
    shared: Arc<Shared>,
    http: TcpListener,
    https: Option<TcpListener>,
    feed: FeedServer,
    addresses: Addresses,
}

/// Where a router listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    pub http: SocketAddr,
    pub https: Option<SocketAddr>,
}

#[derive(Debug, Error)]
pub enum RouterError {
    #[error("listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("listen on the feed socket {path}")]
    Feed { path: PathBuf, source: io::Error },
    #[error("another router answers on {path}")]
    AlreadyRunning { path: PathBuf },
    #[error("set TLS up")]
    Tls(#[source] rustls::Error),
}

/// Binds, and serves until `stop`: what `paasd router` does.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), RouterError> {
    raise_open_files();
    Router::bind(settings).await?.run(stop).await
}

impl Router {
    /// Binds all sockets; clients wait in the backlog until [`run`](Self::run).
    ///
    /// A feed socket that nobody answers on is left from a router that was killed, and is replaced.
    pub async fn bind(settings: Settings) -> Result<Self, RouterError> {
        let Settings {
            http,
            https,
            mut inherited,
            socket,
            trusted_proxies: trusted,
            proxy_protocol: introduce,
            ssh,
            limits,
        } = settings;
        FeedServer::check(&socket).await?;
        // Of two that start at once only one gets the ports, and only that one may replace the socket.
        let http = bind(http, &mut inherited)?;
        let https = https.map(|https| bind(https, &mut inherited)).transpose()?;
        for stranger in inherited {
            let address = stranger.local_addr();
            tracing::warn!(
                ?address,
                "an inherited socket has neither the HTTP nor the HTTPS address, and is closed"
            );
        }
        let feed = FeedServer::bind(socket)?;
        let address = |listener: &TcpListener| {
            listener.local_addr().map_err(|source| RouterError::Listen {
                address: SocketAddr::from(([0, 0, 0, 0], 0)),
                source,
            })
        };
        let addresses = Addresses {
            http: address(&http)?,
            https: https.as_ref().map(address).transpose()?,
        };
        let reports = ReportQueue::new(limits.records);
        let places = limits.connections.min(open_files() / 4 * 3);
        let shared = Arc::new(Shared {
            guests: Guests::new(places, limits.connections_per_address),
            ssh,
            proxies: Proxies { trusted, introduce },
            limits,
            https_port: addresses.https.map(|address| address.port()),
            tables: Tables::new(),
            reports,
            inbound: TaskTracker::new(),
            outbound: TaskTracker::new(),
            is_stopping: AtomicBool::new(false),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
        });
        Ok(Self {
            shared,
            http,
            https,
            feed,
            addresses,
        })
    }

    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Serves until `stop`; then stops accepting, and gives requests and tunnels the drain limit to end.
    pub async fn run(self, stop: CancellationToken) -> Result<(), RouterError> {
        let Self {
            shared,
            http,
            https,
            feed,
            addresses,
        } = self;
        let parts = TaskTracker::new();
        let feed_stop = CancellationToken::new();
        let tls = tls::Acceptor::new(shared.clone()).map_err(RouterError::Tls)?;
        parts.spawn(exposures::keep(shared.clone(), tls.clone()));
        if let Some(https) = https {
            let port = addresses.https.map_or(443, |address| address.port());
            parts.spawn(listener::accept(https, Door { port, tls: Some(tls) }, shared.clone()));
        }
        let door = Door {
            port: addresses.http.port(),
            tls: None,
        };
        parts.spawn(listener::accept(http, door, shared.clone()));
        parts.spawn(expire(shared.clone()));
        parts.spawn(activity::watch(shared.clone()));
        parts.spawn(feed.run(shared.clone(), addresses, feed_stop.clone()));
        tracing::info!(http = %addresses.http, "the router listens");

        stop.cancelled().await;
        tracing::info!("the router drains");
        shared.is_stopping.store(true, Ordering::Relaxed);
        shared.stop.cancel();
        shared.inbound.close();
        if timeout(shared.limits.drain, shared.inbound.wait()).await.is_err() {
            tracing::warn!(open = shared.inbound.len(), "time to drain is up, the rest is closed");
            shared.abort.cancel();
            shared.inbound.wait().await;
        }
        shared.tables.close_pools();
        feed_stop.cancel();
        parts.close();
        parts.wait().await;
        tracing::info!("the router ends");
        Ok(())
    }
}

/// Takes the inherited socket with this address, or makes one.
fn bind(address: SocketAddr, inherited: &mut Vec<std::net::TcpListener>) -> Result<TcpListener, RouterError> {
    let is_it = |listener: &std::net::TcpListener| listener.local_addr().is_ok_and(|own| stands_for(own, address));
    let bound = match inherited.iter().position(is_it) {
        Some(position) => listener::adopt(inherited.swap_remove(position)),
        None => listener::bind(address),
    };
    bound.map_err(|source| RouterError::Listen { address, source })
}

/// A socket on every IPv6 address takes IPv4, too: systemd makes such ones by default.
fn stands_for(own: SocketAddr, wanted: SocketAddr) -> bool {
    own == wanted || (own.port() == wanted.port() && own.ip() == Ipv6Addr::UNSPECIFIED && wanted.ip().is_unspecified())
}

fn open_files() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// Raises this process's limit of open files as far as it may. Every request is two sockets, every dyno a connection to the engine,
/// and the usual soft limit of 1024 files is for programs that use `select`.
pub fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Closes connections to dynos that nobody uses.
async fn expire(shared: Arc<Shared>) {
    let age = shared.limits.keep_alive;
    let mut ticks = interval(age / 4);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => shared.tables.expire_idle(age),
            () = shared.stop.cancelled() => return,
        }
    }
}
