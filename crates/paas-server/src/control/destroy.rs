//! The end of an app: everything of it goes, and its rows last, so that a crash on the way is found again.

use std::sync::Arc;

use anyhow::{Context, Result};
use paas_core::{App, Id};
use paas_engine::Role;
use paas_store as store;

use super::{AppsController, addons, dyno, work::Work};
use crate::{git::Repositories, platform::Platform, registry};

/// Removes what is left of each destroyed app. Its dynos are the planner's to stop, its add-ons have a
/// controller of their own; both go first.
pub(super) async fn spawn(controller: &Arc<AppsController>) -> Result<()> {
    let platform = &controller.platform;
    let mut conn = platform.store.connection().await?;
    let mut ready = Vec::new();
    for row in store::app::destroyed(&mut conn).await? {
        let app = row.app.id;
        // A build would go on making what is being removed. Its end wakes us.
        platform.turns.abandon(app);
        platform.one_offs.stop_all_of(app);
        let has_addons = store::addon::is_any_of_app(&mut conn, app).await?;
        if !has_addons && !platform.turns.is_busy(app) && store::dyno::of(&mut conn, app).await?.is_empty() {
            ready.push(row);
        }
    }
    drop(conn);
    for row in ready {
        let app = row.app.id;
        controller.spawn(Work::Destroy(app), move |controller| async move {
            remove(&controller.platform, row)
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
            dyno::end(platform, &container).await?;
        }
    }
    paas_build::remove_images(&**engine, app).await?;
    for volume in engine.volumes().await? {
        if volume.app == Some(app) {
            engine.remove_volume(&volume.name).await?;
        }
    }
    let network = platform.settings.network_pool.app(app, row.subnet)?;
    addons::leave(platform, &network.name).await?;
    engine.remove_network(&network.name).await?;
    remove_files(platform, app).await?;
    let mut conn = platform.store.connection().await?;
    let builds = store::build::list(&mut conn, app, u32::MAX).await?;
    let all = store::release::Page {
        versions: 0..=u32::MAX,
        is_descending: true,
        max: u32::MAX,
    };
    let releases = store::release::list(&mut conn, app, all).await?;
    let tests = store::test_run::list(&mut conn, app, u32::MAX).await?;
    drop(conn);
    let builds = builds.iter().map(|row| *row.build.id.as_uuid());
    let builds = builds.chain(tests.iter().map(|run| *run.id.as_uuid()));
    for output in builds.chain(releases.iter().map(|row| *row.release.id.as_uuid())) {
        platform.outputs.remove(output).await?;
    }
    let mut conn = platform.store.connection().await?;
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
    registry::remove(&platform.settings.registry(), app)
        .await
        .context("removing what was pushed")?;
    Ok(())
}
