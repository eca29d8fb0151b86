//! What is wanted of add-ons, and what follows from it for the apps that use them.

use chrono::{DateTime, Utc};
use paas_core::{Addon, AddonName, AddonState, App, AttachmentName, Id};
use serde_json::{Value, json};
use sqlx::Connection;

use super::{AddonRow, CONFIG, SECRET, Values, by_id, lock, seal};
use crate::{
    PgConnection, Sealer, Stamp, StoreError, addon_attachment,
    event::{self, Change},
    log_drain,
    release::{self, ReleaseRow},
};

/// What makes an add-on.
pub struct NewAddon {
    pub id: Id<Addon>,
    pub app: Id<App>,
    pub name: AddonName,
    pub service: String,
    pub plan: String,
    pub version: String,
    pub suffixes: Vec<String>,
    pub secret: Values,
    /// What it is called in the app.
    pub attachment: AttachmentName,
}

/// Makes an add-on and its first attachment, and a release that says so: `Attach DATABASE (@ref:postgresql-curved-12345)`. Its
/// config vars come with another one, once it answers. Fails with [`StoreError::NameTaken`], and as
/// [`addon_attachment::create`] does.
pub async fn create(
    conn: &mut PgConnection,
    sealer: &Sealer,
    new: NewAddon,
    stamp: Stamp,
) -> Result<(AddonRow, ReleaseRow), StoreError> {
    let mut transaction = conn.begin().await?;
    sqlx::query!(
        "insert into addons (
            id,
            app,
            name,
            service,
            plan,
            state,
            suffixes,
            secret,
            version,
            created_by,
            created_at,
            updated_at
        )
        values ($1, $2, $3, $4, $5, 'provisioning', $6, $7, $8, $9, $10, $10)",
        new.id.as_uuid(),
        new.app.as_uuid(),
        new.name.as_str(),
        new.service,
        new.plan,
        &new.suffixes,
        seal(sealer, SECRET, new.id, &new.secret),
        new.version,
        stamp.by.as_uuid(),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    let row = by_id(&mut transaction, new.id).await?.ok_or(StoreError::AddonGone)?;
    record(&mut transaction, &row.addon, "create", Some(stamp), stamp.at, json!({})).await?;
    let attachment = addon_attachment::NewAttachment {
        addon: new.id,
        app: new.app,
        name: new.attachment,
        namespace: None,
    };
    let (_, release) = addon_attachment::create(&mut transaction, sealer, attachment, stamp).await?;
    transaction.commit().await?;
    Ok((row, release))
}

/// Fails with [`StoreError::NameTaken`] and [`StoreError::AddonGone`].
pub async fn rename(
    conn: &mut PgConnection,
    id: Id<Addon>,
    name: &AddonName,
    stamp: Stamp,
) -> Result<AddonRow, StoreError> {
    let mut transaction = conn.begin().await?;
    if !lock(&mut transaction, id).await? {
        return Err(StoreError::AddonGone);
    }
    sqlx::query!(
        "update addons set name = $2, updated_at = $3 where id = $1",
        id.as_uuid(),
        name.as_str(),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    let row = by_id(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
    record(&mut transaction, &row.addon, "update", Some(stamp), stamp.at, json!({})).await?;
    transaction.commit().await?;
    Ok(row)
}

/// Makes it larger or smaller: its container is replaced by one with other limits, on the same volume.
pub async fn set_plan(
    conn: &mut PgConnection,
    id: Id<Addon>,
    plan: &str,
    stamp: Stamp,
) -> Result<AddonRow, StoreError> {
    let mut transaction = conn.begin().await?;
    if !lock(&mut transaction, id).await? {
        return Err(StoreError::AddonGone);
    }
    sqlx::query!(
        "update addons
        set
            plan = $2,
            generation = generation + 1,
            updated_at = $3,
            -- What was wrong was so with the plan before.
            failures = 0,
            retry_at = null,
            trouble = null,
            -- Measured anew against the disk of the other plan, which may be smaller.
            disk_bytes = null
        where id = $1
            and plan <> $2",
        id.as_uuid(),
        plan,
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    let row = by_id(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
    record(
        &mut transaction,
        &row.addon,
        "update",
        Some(stamp),
        stamp.at,
        json!({ "plan": plan }),
    )
    .await?;
    transaction.commit().await?;
    Ok(row)
}

/// How a server comes to know other credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learns {
    WhileItRuns,
    /// It reads them when it starts, and never again: its container is replaced.
    AtItsStart,
}

/// Gives it new credentials. Its server learns them first, then its apps: see [`set_config`].
pub async fn begin_rotation(
    conn: &mut PgConnection,
    sealer: &Sealer,
    id: Id<Addon>,
    (secret, learns): (&Values, Learns),
    stamp: Stamp,
) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    if !lock(&mut transaction, id).await? {
        return Err(StoreError::AddonGone);
    }
    sqlx::query!(
        "update addons
        set
            secret = $2,
            is_rotating = true,
            generation = generation + case when $3 then 1 else 0 end,
            retry_at = null,
            updated_at = $4
        where id = $1",
        id.as_uuid(),
        seal(sealer, SECRET, id, secret),
        learns == Learns::AtItsStart,
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    let row = by_id(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
    let payload = json!({ "credentials": "rotated" });
    record(&mut transaction, &row.addon, "update", Some(stamp), stamp.at, payload).await?;
    Ok(transaction.commit().await?)
}

/// Its server answers to these credentials: every app that uses it gets the config vars with a release. Nothing when the
/// add-on is being destroyed by now, or has others: the server has to learn those.
pub async fn set_config(
    conn: &mut PgConnection,
    sealer: &Sealer,
    id: Id<Addon>,
    (credentials, config): (&Values, &Values),
    at: DateTime<Utc>,
) -> Result<Vec<ReleaseRow>, StoreError> {
    let mut transaction = conn.begin().await?;
    let (mut attachments, is_living) = lock_with_apps(&mut transaction, id).await?;
    // Those of other credentials have addresses of their own.
    attachments.retain(|row| row.attachment.namespace.is_none());
    if !is_living || super::secret(&mut transaction, sealer, id).await? != *credentials {
        return Ok(Vec::new());
    }
    let before = by_id(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
    sqlx::query!(
        "update addons
        set config = $2, state = 'provisioned', is_rotating = false, updated_at = $3
        where id = $1",
        id.as_uuid(),
        seal(sealer, CONFIG, id, config),
        at,
    )
    .execute(&mut *transaction)
    .await?;
    let row = by_id(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
    record(&mut transaction, &row.addon, "update", None, at, json!({})).await?;
    let stamp = Stamp { by: row.created_by, at };
    let mut releases = Vec::new();
    // Once per app, however many names it has there.
    let mut apps: Vec<Id<App>> = attachments.iter().map(|row| row.attachment.app).collect();
    apps.dedup();
    for app in apps {
        let keys = addon_attachment::keys_of(&attachments, app);
        let description = match before.addon.state {
            AddonState::Provisioning => {
                format!("@ref:{} completed provisioning, setting {keys}.", row.addon.name)
            }
            AddonState::Provisioned | AddonState::Deprovisioning => {
                format!("Update {keys} (@ref:{})", row.addon.name)
            }
        };
        // An app that is being destroyed has none.
        if let Some(release) = release::of_addons(&mut transaction, sealer, app, &description, false, stamp).await? {
            releases.push(release);
        }
    }
    transaction.commit().await?;
    Ok(releases)
}

/// Destroys an add-on: it is detached from every app at once, with a release of each; the rest follows.
pub async fn begin_destroy(
    conn: &mut PgConnection,
    sealer: &Sealer,
    id: Id<Addon>,
    stamp: Stamp,
) -> Result<Vec<ReleaseRow>, StoreError> {
    destroy(conn, sealer, id, Some(stamp), stamp.at).await
}

/// The same where nobody here has asked for it. The releases are whose the add-on is.
pub async fn begin_destroy_by_platform(
    conn: &mut PgConnection,
    sealer: &Sealer,
    id: Id<Addon>,
    at: DateTime<Utc>,
) -> Result<Vec<ReleaseRow>, StoreError> {
    destroy(conn, sealer, id, None, at).await
}

async fn destroy(
    conn: &mut PgConnection,
    sealer: &Sealer,
    id: Id<Addon>,
    actor: Option<Stamp>,
    at: DateTime<Utc>,
) -> Result<Vec<ReleaseRow>, StoreError> {
    let mut transaction = conn.begin().await?;
    let (attachments, is_living) = lock_with_apps(&mut transaction, id).await?;
    if !is_living {
        return Err(StoreError::AddonGone);
    }
    let row = by_id(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
    let stamp = actor.unwrap_or(Stamp { by: row.created_by, at });
    let mut releases = Vec::new();
    for attachment in &attachments {
        releases.extend(addon_attachment::remove(&mut transaction, sealer, attachment, actor, stamp).await?);
    }
    log_drain::end_of_addon(&mut transaction, sealer, id, actor, at).await?;
    sqlx::query!(
        "update addons
        set
            state = 'deprovisioning',
            retry_at = null,
            failures = 0,
            -- What has never answered holds nothing.
            has_farewell = (state = 'provisioning'),
            updated_at = $2
        where id = $1",
        id.as_uuid(),
        at,
    )
    .execute(&mut *transaction)
    .await?;
    record(&mut transaction, &row.addon, "destroy", actor, at, json!({})).await?;
    transaction.commit().await?;
    Ok(releases)
}

/// The add-ons of an app that is about to be destroyed go with it, and it stops using those of others. Returns the releases of
/// other apps that used them. To be called while the app still counts as living.
pub async fn begin_destroy_of_app(
    conn: &mut PgConnection,
    sealer: &Sealer,
    app: Id<App>,
    stamp: Stamp,
) -> Result<Vec<ReleaseRow>, StoreError> {
    // All at once and in order: one after the other might wait for somebody who waits for us.
    let uses = addon_attachment::list_of_apps(conn, &[app]).await?;
    release::lock_all(conn, uses.iter().map(|row| row.attachment.app)).await?;
    let mut releases = Vec::new();
    for row in super::list_of_apps(conn, &[app]).await? {
        if row.addon.app == app {
            releases.extend(begin_destroy(conn, sealer, row.addon.id, stamp).await?);
            continue;
        }
        for attachment in addon_attachment::list_of_addon(conn, row.addon.id).await? {
            if attachment.attachment.app == app {
                addon_attachment::remove(conn, sealer, &attachment, Some(stamp), stamp).await?;
            }
        }
    }
    releases.retain(|release| release.release.app != app);
    Ok(releases)
}

/// Locks an add-on after the apps that use it, in the order of everybody, and says which do: none is added from now on. And whether
/// it is living.
pub(crate) async fn lock_with_apps(
    conn: &mut PgConnection,
    id: Id<Addon>,
) -> Result<(Vec<addon_attachment::AttachmentRow>, bool), StoreError> {
    let attachments = addon_attachment::list_of_addon(conn, id).await?;
    release::lock_all(conn, attachments.iter().map(|row| row.attachment.app)).await?;
    let is_living = lock(conn, id).await?;
    // Again: one may have been added while we waited.
    Ok((addon_attachment::list_of_addon(conn, id).await?, is_living))
}

pub(crate) async fn record(
    conn: &mut PgConnection,
    addon: &Addon,
    action: &str,
    stamp: Option<Stamp>,
    at: DateTime<Utc>,
    more: Value,
) -> Result<(), StoreError> {
    let change = Change {
        action,
        resource: "addon",
        id: addon.id.as_uuid(),
    };
    let mut payload = json!({
        "name": addon.name.as_str(),
        "service": addon.service,
        "plan": addon.plan,
        "state": addon.state.as_str(),
    });
    if let (Some(payload), Some(more)) = (payload.as_object_mut(), more.as_object()) {
        payload.extend(more.clone());
    }
    let event = match stamp {
        Some(stamp) => change.by(addon.app, stamp, payload),
        None => change.by_platform(addon.app, at, payload),
    };
    event::record(conn, event).await
}
