//! Add-ons that addresses outside may come to, for the router's table.
//!
//! Looked up in the pass that looks after dynos, from the same list of containers: no dyno is started before the router has a
//! table without the address that it may get, whoever had it before.

use anyhow::Result;
use paas_core::{LogSource, Permissions};
use paas_engine::{Container, Pool, Role};
use paas_router::feed::{Exposure, ExposureTls, ServerEntry};
use paas_store::{self as store, StoreError, addon_exposure::ExposureRow};

use crate::{addon::TlsBy, platform::Platform};

/// As many as people need, at most.
const MOST_CONNECTIONS: u32 = 20;
/// A quarter of the plan's: apps have their own way, and the rest of the server's connections.
const SHARE: u32 = 4;
/// Where the plan is not known any more.
const FEW_CONNECTIONS: u32 = 5;

/// What is wanted now. One whose maker may not change its add-on any more is over.
pub(super) async fn rows(platform: &Platform) -> Result<Vec<ExposureRow>> {
    let mut conn = platform.store.connection().await?;
    let mut rows = match store::addon_exposure::all(&mut conn).await {
        Ok(rows) => rows,
        // Dynos have to be looked after all the same, and nobody comes in.
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::error!(%error, "no add-on is exposed");
            return Ok(Vec::new());
        }
        Err(error) => return Err(error.into()),
    };
    let now = platform.clock.now();
    let mut lost = Vec::new();
    for row in &rows {
        let standing = store::collaborator::standing(&mut conn, row.app, row.created_by).await?;
        let addon = row.exposure.addon;
        if !standing.permissions().any_of(Permissions::OPERATE) {
            lost.push(addon);
            if store::addon_exposure::revoke(&mut conn, addon, row.created_by, now).await? {
                tell(
                    platform,
                    row,
                    "has ended: who made it may not change the add-on any more",
                );
            }
        }
    }
    rows.retain(|row| !lost.contains(&row.exposure.addon));
    Ok(rows)
}

fn tell(platform: &Platform, row: &ExposureRow, what: &str) {
    let what = format!("The exposure of {} {what}", row.addon_name);
    tracing::info!(addon.name = row.addon_name, what, "the exposure of an add-on has ended");
    platform.log(row.app, LogSource::Heroku, &row.addon_name, what);
    platform.wake_webhooks.notify_one();
}

/// Those that are open now. One whose end has come is forgotten, with an event that says so.
pub(super) async fn entries(platform: &Platform, containers: &[Container]) -> Result<Vec<Exposure>> {
    let now = platform.clock.now();
    let mut open = Vec::new();
    let rows = rows(platform).await?;
    let mut conn = platform.store.connection().await?;
    for row in rows {
        if row.exposure.is_open(now) {
            open.extend(entry(platform, containers, row));
        } else if store::addon_exposure::expire(&mut conn, row.exposure.addon, now).await? {
            tell(platform, &row, "has ended");
        }
    }
    Ok(open)
}

/// `None` where the operator has taken the port, or the service, back.
fn entry(platform: &Platform, containers: &[Container], row: ExposureRow) -> Option<Exposure> {
    let ExposureRow {
        exposure,
        created_by: _,
        addon_name,
        service,
        plan,
        app,
        app_name: _,
    } = row;
    let listen = platform.settings.addon_ports?.address(exposure.port)?;
    let service = platform.catalogue.service(&service)?;
    let kind = &service.kind;
    let tls = match kind.exposure.as_ref()?.tls {
        TlsBy::Postgres => ExposureTls::Postgres,
        TlsBy::Platform => ExposureTls::Router,
    };
    let servers = containers.iter().filter_map(|container| {
        let Some(Role::Addon { addon, generation }) = container.role else {
            return None;
        };
        if addon != exposure.addon || !container.is_running() {
            return None;
        }
        // By the network of the app that it is always on: an address on another one's may be a dyno's after a detach.
        let mut addresses = container.addresses.iter();
        let (_, address) = addresses.find(|(network, _)| Pool::app_of(network) == Some(app))?;
        let server = ServerEntry {
            container: container.id.as_str().to_owned(),
            address: (*address, kind.port).into(),
        };
        Some((generation, server))
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
        connections: service
            .plan(&plan)
            .map_or(FEW_CONNECTIONS, |plan| most_connections(plan.size.connections)),
    })
}

/// Of a server with so many.
fn most_connections(of_server: u32) -> u32 {
    (of_server / SHARE).clamp(1, MOST_CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_has_most_of_the_connections_of_its_add_on() {
        for (of_server, outside) in [(20, 5), (40, 10), (120, 20), (1000, 20), (3, 1)] {
            assert_eq!(most_connections(of_server), outside, "{of_server}");
        }
    }
}
