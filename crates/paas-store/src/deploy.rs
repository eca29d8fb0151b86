//! A deploy: a finished build becomes a release, in one step.

use paas_core::{Build, ConfigKey, ConfigVars, Id, Slug};
use serde_json::json;
use sqlx::Connection;

use crate::{
    PgConnection, Sealer, Stamp, StoreError, app, build,
    event::{self, Change},
    formation,
    release::{self, NewRelease, ReleaseRow},
    slug,
};

/// A build that ended well.
#[derive(Debug, Clone)]
pub struct Deploy {
    pub build: Id<Build>,
    pub slug: Slug,
    /// What the release is called: `Deploy 1a2b3c4d`.
    pub description: String,
    /// The buildpack that recognised the app, when none was chosen.
    pub detected_buildpack: Option<String>,
    /// Set with an app's first slug, where nobody has set it yet (Dev Center, *Buildpack API*).
    pub default_config: Vec<(ConfigKey, String)>,
}

impl Deploy {
    /// A build with nothing to tell about its buildpack.
    pub fn new(build: Id<Build>, slug: Slug, description: impl Into<String>) -> Self {
        Self {
            build,
            slug,
            description: description.into(),
            detected_buildpack: None,
            default_config: Vec::new(),
        }
    }
}

/// Stores the slug, ends the build, makes the release (pending when the slug has a `release` process, else succeeded) and
/// the formation of new process types: `web` at one dyno, others at none. Fails with [`StoreError::BuildEnded`] when the build
/// lost its lease, with [`StoreError::AppGone`] when the app was destroyed.
pub async fn deploy(
    conn: &mut PgConnection,
    sealer: &Sealer,
    deploy: Deploy,
    stamp: Stamp,
) -> Result<ReleaseRow, StoreError> {
    let app = deploy.slug.app;
    let mut transaction = conn.begin().await?;
    if !app::lock(&mut transaction, app).await? {
        return Err(StoreError::AppGone);
    }
    let head = release::head(&mut transaction, app).await?.ok_or(StoreError::AppGone)?;
    let mut config = release::own(&mut transaction, sealer, head.release.id).await?;
    if head.release.slug.is_none() {
        config = with_defaults(config, deploy.default_config);
    }
    if let Some(detected) = deploy.detected_buildpack {
        build::set_buildpacks(&mut transaction, deploy.build, &[detected], &[String::new()]).await?;
    }
    slug::insert(&mut transaction, &deploy.slug).await?;
    let new = NewRelease {
        app,
        slug: Some(deploy.slug.id),
        config: &config,
        description: &deploy.description,
        has_release_phase: true,
    };
    let row = release::insert(&mut transaction, sealer, new, stamp).await?;
    // Last, because it refers to the others; a build that lost its lease in the meantime takes all of them back with it.
    if !build::succeed(&mut transaction, deploy.build, deploy.slug.id, row.release.id, stamp.at).await? {
        return Err(StoreError::BuildEnded);
    }
    formation::add_new(&mut transaction, &deploy.slug, stamp.at).await?;
    let change = Change {
        action: "update",
        resource: "build",
        id: deploy.build.as_uuid(),
    };
    let payload = json!({ "status": "succeeded", "release": row.release.version.number() });
    event::record(&mut transaction, change.by(app, stamp, payload)).await?;
    transaction.commit().await?;
    Ok(row)
}

/// What is set already is somebody's choice; and what a buildpack wants is no reason to refuse an app.
fn with_defaults(config: ConfigVars, defaults: Vec<(ConfigKey, String)>) -> ConfigVars {
    let missing = defaults.into_iter();
    let missing = missing.filter(|(key, _)| config.get(key.as_str()).is_none());
    let missing: Vec<_> = missing.map(|(key, value)| (key, Some(value))).collect();
    config.with(missing).unwrap_or(config)
}

#[cfg(test)]
mod tests;
