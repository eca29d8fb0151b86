//! `paasd router`: the data plane.

use std::{io, net::TcpListener};

use anyhow::{Context, Result};
use listenfd::ListenFd;

use super::stop_on_signal;
use crate::config::Settings;

pub(super) async fn run(settings: Settings) -> Result<()> {
    let stop = stop_on_signal()?;
    let inherited = inherited().context("taking over the sockets of LISTEN_FDS")?;
    let router = paas_router::Settings {
        http: settings.http,
        https: Some(settings.https),
        inherited,
        socket: settings.router_socket(),
        ssh: Some(settings.ssh_socket()),
        trusted_proxies: settings.trusted_proxies,
        proxy_protocol: settings.proxy_protocol,

        limits: paas_router::Limits::default(),
    };
    paas_router::run(router, stop).await.context("running the router")
}

/// The sockets that whoever started us listens on (systemd's socket activation, `sd_listen_fds(3)`).
fn inherited() -> io::Result<Vec<TcpListener>> {
    let mut passed = ListenFd::from_env();
    let taken: io::Result<Vec<_>> = (0..passed.len()).map(|index| passed.take_tcp_listener(index)).collect();
    Ok(taken?.into_iter().flatten().collect())
}
