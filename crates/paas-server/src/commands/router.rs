//! `paasd router`: the data plane.

use anyhow::{Context, Result};

use super::stop_on_signal;
use crate::config::Settings;

pub(super) async fn run(settings: Settings) -> Result<()> {
    let stop = stop_on_signal()?;
    let router = paas_router::Settings {
        http: settings.http,
        https: Some(settings.https),
        socket: settings.router_socket(),
        limits: paas_router::Limits::default(),
    };
    paas_router::run(router, stop).await.context("running the router")
}
