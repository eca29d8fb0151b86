//! Making releases: from config, from an old release, from a build.

use std::collections::BTreeSet;

use paas_core::{App, ConfigKey, ConfigVars, Id, Release, ReleaseStatus, ReleaseVersion, Slug, page_url};
use serde_json::json;
use sqlx::Connection;

use super::{Page, ReleaseRow, by_id, by_version, config, head, list};
use crate::{
    PgConnection, Sealer, Stamp, StoreError, addon_attachment, app,
    event::{self, Change},
    new_id,
};

/// What makes a release. Its number and its status follow from the app and the slug.
pub(crate) struct NewRelease<'a> {
    pub(crate) app: Id<App>,
    pub(crate) slug: Option<Id<Slug>>,
    /// What people have set. What add-ons give is added to it, as it is now.
    pub(crate) config: &'a ConfigVars,
    pub(crate) description: &'a str,
    /// Whether the `release` process of the slug runs, if it has one.
    pub(crate) has_release_phase: bool,
}

/// Makes a release with the slug of the head and its config after these changes (a `None` removes its key), called `Set FOO,
/// BAR config vars`. `None` when nothing changes. Fails with [`StoreError::Config`] when config would become too large,
/// with [`StoreError::AttachedConfig`] when a key is an add-on's.
pub async fn set_config(
    conn: &mut PgConnection,
    sealer: &Sealer,
    app: Id<App>,
    changes: Vec<(ConfigKey, Option<String>)>,
    stamp: Stamp,
) -> Result<Option<ReleaseRow>, StoreError> {
    let mut transaction = conn.begin().await?;
    let Some(head) = lock_head(&mut transaction, app).await? else {
        return Err(StoreError::AppGone);
    };
    let old = config::own(&mut transaction, sealer, head.release.id).await?;
    let attached = addon_attachment::keys_of_app(&mut transaction, app).await?;
    let keys: Vec<_> = changes
        .iter()
        .map(|(key, _)| key)
        .filter(|key| attached.contains(key))
        .cloned()
        .collect();
    if !keys.is_empty() {
        return Err(StoreError::AttachedConfig { keys });
    }
    let changes: Vec<_> = changes
        .into_iter()
        .filter(|(key, value)| old.get(key.as_str()) != value.as_deref())
        .collect();
    if changes.is_empty() {
        return Ok(None);
    }
    let description = describe(&changes);
    let config = old.with(changes).map_err(StoreError::Config)?;
    let new = NewRelease {
        app,
        slug: head.release.slug,
        config: &config,
        description: &description,
        has_release_phase: true,
    };
    let row = insert(&mut transaction, sealer, new, stamp).await?;
    transaction.commit().await?;
    Ok(Some(row))
}

/// Makes a release with the slug and the config of an old one. Fails with [`StoreError::UnknownRelease`],
/// [`StoreError::ReleaseExpired`] and [`StoreError::NotEligible`].
pub async fn rollback(
    conn: &mut PgConnection,
    sealer: &Sealer,
    app: Id<App>,
    to: ReleaseVersion,
    stamp: Stamp,
) -> Result<ReleaseRow, StoreError> {
    let mut transaction = conn.begin().await?;
    if !app::lock(&mut transaction, app).await? {
        return Err(StoreError::AppGone);
    }
    sqlx::query!(
        "select from releases where app = $1 and version = $2 for share",
        app.as_uuid(),
        i32::try_from(to.number()).unwrap_or(i32::MAX),
    )
    .fetch_optional(&mut *transaction)
    .await?;
    // Held from here on: what expires it waits for us, or we have waited and read that it has expired.
    let old = by_version(&mut transaction, app, to).await?;
    let old = old.ok_or(StoreError::UnknownRelease { version: to })?;
    if old.release.status == ReleaseStatus::Expired {
        return Err(StoreError::ReleaseExpired { version: to });
    }
    if !old.is_eligible_for_rollback {
        return Err(StoreError::NotEligible { version: to });
    }
    let config = config::own(&mut transaction, sealer, old.release.id).await?;
    let description = format!("Rollback to {to}");
    let new = NewRelease {
        app,
        slug: old.release.slug,
        config: &config,
        description: &description,
        has_release_phase: true,
    };
    let row = insert(&mut transaction, sealer, new, stamp).await?;
    transaction.commit().await?;
    Ok(row)
}

/// Makes a release with a slug that the app already has, and the config of the head. Fails with [`StoreError::ReleaseExpired`]
/// once the slug's image is gone.
pub async fn of_slug(
    conn: &mut PgConnection,
    sealer: &Sealer,
    app: Id<App>,
    slug: Id<Slug>,
    description: &str,
    stamp: Stamp,
) -> Result<ReleaseRow, StoreError> {
    let mut transaction = conn.begin().await?;
    let Some(head) = lock_head(&mut transaction, app).await? else {
        return Err(StoreError::AppGone);
    };
    // As for a rollback: they do not expire between this and the commit.
    sqlx::query!("select from releases where slug = $1 for share", slug.as_uuid())
        .fetch_all(&mut *transaction)
        .await?;
    let all = Page {
        versions: 1..=u32::MAX,
        is_descending: true,
        max: u32::MAX,
    };
    let releases = list(&mut transaction, app, all).await?;
    let mut of_slug = releases.iter().filter(|row| row.release.slug == Some(slug));
    if let Some(expired) = of_slug.find(|row| row.release.status == ReleaseStatus::Expired) {
        return Err(StoreError::ReleaseExpired {
            version: expired.release.version,
        });
    }
    let config = config::own(&mut transaction, sealer, head.release.id).await?;
    let new = NewRelease {
        app,
        slug: Some(slug),
        config: &config,
        description,
        has_release_phase: true,
    };
    let row = insert(&mut transaction, sealer, new, stamp).await?;
    transaction.commit().await?;
    Ok(row)
}

/// Makes a release because of what the app's add-ons give it now, with the slug and the config of the head. What an add-on
/// changes by itself is no reason to run a release phase (Dev Center, *Release Phase*), unless the head still waits for its
/// own. `None` when the app is gone.
pub(crate) async fn of_addons(
    conn: &mut PgConnection,
    sealer: &Sealer,
    app: Id<App>,
    description: &str,
    has_release_phase: bool,
    stamp: Stamp,
) -> Result<Option<ReleaseRow>, StoreError> {
    let Some(head) = lock_head(conn, app).await? else {
        return Ok(None);
    };
    let config = config::own(conn, sealer, head.release.id).await?;
    let new = NewRelease {
        app,
        slug: head.release.slug,
        config: &config,
        description,
        has_release_phase: has_release_phase || head.release.status == ReleaseStatus::Pending,
    };
    insert(conn, sealer, new, stamp).await.map(Some)
}

/// Holds several apps for this transaction, always in one order: two that want the same never wait for each other.
pub(crate) async fn lock_all(
    conn: &mut PgConnection,
    apps: impl IntoIterator<Item = Id<App>>,
) -> Result<(), StoreError> {
    let apps: BTreeSet<_> = apps.into_iter().collect();
    for id in apps {
        app::lock(conn, id).await?;
    }
    Ok(())
}

/// Makes the next release of an app whose row this transaction holds: two at once would get the same number.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    sealer: &Sealer,
    new: NewRelease<'_>,
    stamp: Stamp,
) -> Result<ReleaseRow, StoreError> {
    let id = new_id::<Release>(stamp.at);
    let attached = addon_attachment::attached(conn, sealer, new.app).await?;
    let keys: Vec<String> = attached.vars.keys().map(ToString::to_string).collect();
    let vars = attached.vars.into_iter().map(|(key, value)| (key, Some(value)));
    let whole = new.config.with(vars).map_err(StoreError::Config)?;
    let value = config::seal(sealer, id, &whole);
    let page = |key| new.config.get(key).and_then(page_url);
    // The release phase runs for every release of a slug that has one, also for config and rollbacks (Dev Center, *Release
    // Phase*).
    sqlx::query!(
        "insert into releases (
            id,
            app,
            version,
            slug,
            config,
            description,
            actor,
            status,
            created_at,
            updated_at,
            error_page,
            maintenance_page,
            addon_keys,
            addon_plans
        )
        select
            $1,
            $2,
            (select coalesce(max(version), 0) + 1 from releases where app = $2),
            $3,
            $4,
            $5,
            $6,
            case when $12 and exists (select from slugs where id = $3 and process_types ? 'release')
                then 'pending'
                else 'succeeded'
            end,
            $7,
            $7,
            $8,
            $9,
            $10,
            $11",
        id.as_uuid(),
        new.app.as_uuid(),
        new.slug.map(|id| *id.as_uuid()),
        value.0,
        new.description,
        stamp.by.as_uuid(),
        stamp.at,
        page("ERROR_PAGE_URL"),
        page("MAINTENANCE_PAGE_URL"),
        &keys,
        &attached.plans,
        new.has_release_phase,
    )
    .execute(&mut *conn)
    .await?;
    let row = by_id(conn, id).await?.ok_or(StoreError::AppGone)?;
    let change = Change {
        action: "create",
        resource: "release",
        id: id.as_uuid(),
    };
    let payload = json!({
        "version": row.release.version.number(),
        "description": new.description,
        "status": ReleaseStatus::as_str(&row.release.status),
    });
    event::record(conn, change.by(new.app, stamp, payload)).await?;
    app::wake(conn, new.app, stamp.at).await?;
    Ok(row)
}

async fn lock_head(conn: &mut PgConnection, app: Id<App>) -> Result<Option<ReleaseRow>, StoreError> {
    if app::lock(conn, app).await? {
        head(conn, app).await
    } else {
        Ok(None)
    }
}

/// What Heroku calls such a release: `Set A, B config vars`, `Remove A config vars`.
fn describe(changes: &[(ConfigKey, Option<String>)]) -> String {
    let keys = |is_set: bool| {
        let keys = changes.iter().filter(|(_, value)| value.is_some() == is_set);
        keys.map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", ")
    };
    match (keys(true), keys(false)) {
        (set, removed) if removed.is_empty() => format!("Set {set} config vars"),
        (set, removed) if set.is_empty() => format!("Remove {removed} config vars"),
        (set, removed) => format!("Set {set} and remove {removed} config vars"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_change_is_called_what_heroku_calls_it() {
        let changes = |keys: &[&str]| {
            let change = |key: &&str| match key.strip_prefix('-') {
                Some(key) => (key.parse().unwrap(), None),
                None => (key.parse().unwrap(), Some("value".to_owned())),
            };
            describe(&keys.iter().map(change).collect::<Vec<_>>())
        };
        assert_eq!(changes(&["A"]), "Set A config vars");
        assert_eq!(changes(&["A", "B"]), "Set A, B config vars");
        assert_eq!(changes(&["-A"]), "Remove A config vars");
        assert_eq!(changes(&["A", "-B"]), "Set A and remove B config vars");
    }
}
