//! The end of an app: everything of it goes, and its rows last, so that a crash on the way is found again.

use std::sync::Arc;

use anyhow::{Context, Result};
use paas_core::{App, Id};
use paas_engine::Role;
use paas_store as store;

use super::{AppsController, apps::Work};
use crate::{git::Repositories, platform::Platform};

/// Removes what is left of each destroyed app. Its dynos are the planner's to stop; they go first.
pub(super) async fn spawn(controller: &Arc<AppsController>) -> Result<()> {
    let mut conn = controller.platform.store.connection().await?;
    let destroyed = store::app::destroyed(&mut conn).await?;
    for row in destroyed {
        let app = row.app.id;
        if !store::dyno::of(&mut conn, app).await?.is_empty() {
            continue;
        }
        controller.spawn(Work::Destroy(app), move |controller| async move {
            let platform = &controller.platform;
            platform.turns.cancel_app(app);
            remove(platform, row)
                .await
                .with_context(|| format!("removing what is left of app {app}"))
        });
    }
    Ok(())
}

async fn remove(platform: &Arc<Platform>, row: store::app::AppRow) -> Result<()> {
    let app = row.app.id;
    let engine = &platform.engine;
    for container in engine.list().await? {
        if container.role.as_ref().and_then(Role::app) == Some(app) {
            engine.remove(&container.id).await?;
            platform.collector.forget(&container.id);
        }
    }
    paas_build::remove_images(&**engine, app).await?;
    for volume in engine.volumes().await? {
        if volume.app == Some(app) {
            engine.remove_volume(&volume.name).await?;
        }
    }
    let network = platform.settings.network_pool.app(app, row.subnet)?;
    engine.remove_network(&network.name).await?;
    remove_files(platform, app).await?;
    let mut conn = platform.store.connection().await?;
    for build in store::build::list(&mut conn, app, u32::MAX).await? {
        platform.outputs.remove(*build.build.id.as_uuid()).await?;
    }
    let page = store::release::Page {
        versions: 0..=u32::MAX,
        is_descending: true,
        max: u32::MAX,
    };
    for release in store::release::list(&mut conn, app, page).await? {
        platform.outputs.remove(*release.release.id.as_uuid()).await?;
    }
    store::app::delete(&mut conn, app).await?;
    tracing::info!(app.name = %row.app.name, "app destroyed");
    Ok(())
}

async fn remove_files(platform: &Platform, app: Id<App>) -> Result<()> {
    let repositories = Repositories::at(platform.settings.repositories());
    tokio::task::spawn_blocking(move || repositories.remove(app))
        .await
        .context("removing the repository")?
        .context("removing the repository")?;
    platform.logs.remove(app).await?;
    Ok(())
}
