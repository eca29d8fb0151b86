//! What the logs of apps say about their add-ons, and the release phases that follow from them.

use std::sync::Arc;

use paas_core::{Addon, LogSource, ReleaseStatus};
use paas_store::{
    self as store, StoreError,
    addon::AddonRow,
    addon_alarm::{self, Subject},
    release::ReleaseRow,
};

use crate::{control::start_release_phase, platform::Platform};

/// Says something in the log of every app that uses an add-on: `heroku[postgresql-curved-12345]: …`
pub(super) async fn log(platform: &Platform, addon: &Addon, message: &str) {
    let attachments = async {
        let mut conn = platform.store.connection().await?;
        store::addon_attachment::list_of_addon(&mut conn, addon.id).await
    };
    // Where the database is away, the server's own log has it.
    let mut apps: Vec<_> = attachments.await.into_iter().flatten().collect();
    apps.dedup_by_key(|row| row.attachment.app);
    for row in apps {
        platform.log(
            row.attachment.app,
            LogSource::Heroku,
            addon.name.as_str(),
            message.to_owned(),
        );
    }
}

/// Says once what is wrong about an add-on, and once that nothing is any more.
pub(super) async fn alarm(
    platform: &Platform,
    row: &AddonRow,
    (subject, alarm): (Subject, Option<&str>),
    well: &str,
) -> Result<(), StoreError> {
    let mut conn = platform.store.connection().await?;
    let is_news = addon_alarm::set(&mut conn, row, (subject, alarm), platform.clock.now()).await?;
    drop(conn);
    if !is_news {
        return Ok(());
    }
    if let Some(alarm) = alarm {
        tracing::error!(addon.name = %row.addon.name, ?subject, alarm, "an add-on is not as it should be");
    }
    log(platform, &row.addon, alarm.unwrap_or(well)).await;
    platform.wake_webhooks.notify_one();
    Ok(())
}

/// Lets the apps run what add-ons gave them.
pub(crate) async fn released(platform: &Arc<Platform>, releases: Vec<ReleaseRow>) {
    for release in releases {
        let created = format!("Release {} created by {}", release.release.version, release.actor.email);
        let description = release.release.description.clone();
        platform.log(release.release.app, LogSource::App, "api", description);
        platform.log(release.release.app, LogSource::App, "api", created);
        if release.release.status == ReleaseStatus::Pending {
            start_release_phase(platform, release).await;
        }
    }
    platform.wake.notify_one();
}
