//! Add-ons that addresses outside may come to, for the router's table.
//!
//! Looked up in the pass that looks after dynos, from the same list of containers: no dyno is started before the router has a
//! table without the address that it may get, whoever had it before.

use anyhow::Result;
use paas_engine::{Container, ContainerState, Role};
use paas_router::feed::{Exposure, ExposureTls, ServerEntry};
use paas_store::{self as store, StoreError, addon_exposure::ExposureRow};

use crate::{addon::TlsBy, platform::Platform};

/// As many as people need; apps have their own way, and the rest of the server's connections.
const MOST_CONNECTIONS: u32 = 20;

/// Those that are open now. One whose end has come is forgotten, with an event that says so.
pub(super) async fn entries(platform: &Platform, containers: &[Container]) -> Result<Vec<Exposure>> {
    let now = platform.clock.now();
    let mut conn = platform.store.connection().await?;
    let rows = match store::addon_exposure::all(&mut conn).await {
        Ok(rows) => rows,
        // Dynos have to be looked after all the same, and nobody comes in.
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::error!(%error, "no add-on is exposed");
            return Ok(Vec::new());
        }
        Err(error) => return Err(error.into()),
    };
    let mut open = Vec::new();
    for row in rows {
        if row.exposure.is_open(now) {
            open.extend(entry(platform, containers, row));
        } else if store::addon_exposure::expire(&mut conn, row.exposure.addon, now).await? {
            tracing::info!(addon.name = row.addon_name, "the exposure of an add-on has ended");
            let what = format!("The exposure of {} has ended", row.addon_name);
            platform.log(row.app, paas_core::LogSource::Heroku, &row.addon_name, what);
            platform.wake_webhooks.notify_one();
        }
    }
    Ok(open)
}

/// `None` where the operator has taken the port, or the service, back.
fn entry(platform: &Platform, containers: &[Container], row: ExposureRow) -> Option<Exposure> {
    let ExposureRow {
        exposure,
        addon_name,
        service,
        app,
        app_name: _,
    } = row;
    let listen = platform.settings.addon_ports?.address(exposure.port)?;
    let kind = &platform.catalogue.service(&service)?.kind;
    let tls = match kind.exposure.as_ref()?.tls {
        TlsBy::Postgres => ExposureTls::Postgres,
        TlsBy::Platform => ExposureTls::Router,
    };
    let servers = containers.iter().filter_map(|container| {
        let Some(Role::Addon { addon, generation }) = container.role else {
            return None;
        };
        let ContainerState::Running { address: Some(address) } = container.state else {
            return None;
        };
        let server = ServerEntry {
            container: container.id.as_str().to_owned(),
            address: (address, kind.port).into(),
        };
        (addon == exposure.addon).then_some((generation, server))
    });
    Some(Exposure {
        addon: *exposure.addon.as_uuid(),
        app: *app.as_uuid(),
        name: addon_name,
        listen,
        server: servers
            .max_by_key(|(generation, _)| *generation)
            .map(|(_, server)| server),
        allowed: exposure.allowed.networks().map(ToString::to_string).collect(),
        ends_at: exposure.expires_at,
        tls,
        connections: MOST_CONNECTIONS,
    })
}
