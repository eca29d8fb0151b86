//! Credentials of add-ons besides their own.
//!
//! A row that is not `active` is something that the server of the add-on has to learn or to forget; what apps get of it
//! follows once it has.

use chrono::{DateTime, Utc};
use paas_core::{Addon, AddonCredential, App, CredentialName, CredentialState, Id};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    PgConnection, Sealer, Stamp, StoreError,
    addon::{self, Values},
    addon_attachment,
    column::parse,
    release::{self, ReleaseRow},
};

const NOUN: &str = "addon credential";
const SECRET: &str = "addon credential secret";
const CONFIG: &str = "addon credential config";

/// What makes a credential.
pub struct NewCredential {
    pub id: Id<AddonCredential>,
    pub addon: Id<Addon>,
    pub name: CredentialName,
    pub secret: Values,
}

/// Those of an add-on, by name.
pub async fn list(conn: &mut PgConnection, addon: Id<Addon>) -> Result<Vec<AddonCredential>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "select id, addon, name, state, created_at, updated_at
        from addon_credentials
        where addon = $1
        order by name",
        addon.as_uuid()
    );
    rows.fetch_all(conn)
        .await?
        .into_iter()
        .map(AddonCredential::try_from)
        .collect()
}

/// The credential of this name, unless it is being revoked.
pub async fn find(
    conn: &mut PgConnection,
    addon: Id<Addon>,
    name: &str,
) -> Result<Option<AddonCredential>, StoreError> {
    let mut found = list(conn, addon).await?;
    found.retain(|row| row.name.as_str() == name && row.state != CredentialState::Revoking);
    Ok(found.pop())
}

/// User and password, in the clear.
pub async fn secret(
    conn: &mut PgConnection,
    sealer: &Sealer,
    id: Id<AddonCredential>,
) -> Result<Option<Values>, StoreError> {
    let sealed = sqlx::query_scalar!("select secret from addon_credentials where id = $1", id.as_uuid());
    let sealed = sealed.fetch_optional(conn).await?;
    sealed.map(|sealed| addon::open(sealer, SECRET, id, sealed)).transpose()
}

/// The values of the config vars, in the clear. `None` until the server knew it.
pub async fn config(
    conn: &mut PgConnection,
    sealer: &Sealer,
    id: Id<AddonCredential>,
) -> Result<Option<Values>, StoreError> {
    let sealed = sqlx::query_scalar!("select config from addon_credentials where id = $1", id.as_uuid());
    let sealed = sealed.fetch_optional(conn).await?.flatten();
    sealed.map(|sealed| open_config(sealer, id, sealed)).transpose()
}

/// Fails with [`StoreError::CredentialTaken`] and [`StoreError::AddonGone`].
pub async fn create(
    conn: &mut PgConnection,
    sealer: &Sealer,
    new: NewCredential,
    stamp: Stamp,
) -> Result<AddonCredential, StoreError> {
    let mut transaction = conn.begin().await?;
    record(&mut transaction, new.addon, (&new.name, "created"), stamp).await?;
    sqlx::query!(
        "insert into addon_credentials (id, addon, name, state, secret, created_by, created_at, updated_at)
        values ($1, $2, $3, 'provisioning', $4, $5, $6, $6)",
        new.id.as_uuid(),
        new.addon.as_uuid(),
        new.name.as_str(),
        addon::seal(sealer, SECRET, new.id, &new.secret),
        stamp.by.as_uuid(),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    let made = find(&mut transaction, new.addon, new.name.as_str()).await?;
    transaction.commit().await?;
    made.ok_or(StoreError::AddonGone)
}

/// Gives it another password: the server learns it first, then the apps that use it.
pub async fn rotate(
    conn: &mut PgConnection,
    sealer: &Sealer,
    credential: &AddonCredential,
    secret: &Values,
    stamp: Stamp,
) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    record(&mut transaction, credential.addon, (&credential.name, "rotated"), stamp).await?;
    sqlx::query!(
        "update addon_credentials
        set
            secret = $2,
            state = case state when 'active' then 'rotating' else state end,
            updated_at = $3
        where id = $1",
        credential.id.as_uuid(),
        addon::seal(sealer, SECRET, credential.id, secret),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    Ok(transaction.commit().await?)
}

/// Nobody comes in by it any more, once the server has forgotten it. Fails with [`StoreError::AttachmentTaken`] while apps
/// use it.
pub async fn revoke(conn: &mut PgConnection, credential: &AddonCredential, stamp: Stamp) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    // Attachments are made under the same lock.
    record(&mut transaction, credential.addon, (&credential.name, "revoked"), stamp).await?;
    let uses = addon_attachment::list_of_addon(&mut transaction, credential.addon).await?;
    let namespace = Some(credential.name.namespace());
    if uses.iter().any(|row| row.attachment.namespace == namespace) {
        return Err(StoreError::AttachmentTaken);
    }
    sqlx::query!(
        "update addon_credentials set state = 'revoking', updated_at = $2 where id = $1",
        credential.id.as_uuid(),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    Ok(transaction.commit().await?)
}

/// The server answers to it: the apps that use it get its config vars with a release. Nothing when it has another password by
/// now, or is being revoked.
pub async fn settle(
    conn: &mut PgConnection,
    sealer: &Sealer,
    credential: &AddonCredential,
    (known, config): (&Values, &Values),
    at: DateTime<Utc>,
) -> Result<Vec<ReleaseRow>, StoreError> {
    let mut transaction = conn.begin().await?;
    let (mut uses, is_living) = addon::lock_with_apps(&mut transaction, credential.addon).await?;
    let is_known = secret(&mut transaction, sealer, credential.id).await?.as_ref() == Some(known);
    if !is_living || !is_known {
        return Ok(Vec::new());
    }
    let settled = sqlx::query_scalar!(
        "update addon_credentials
        set state = 'active', config = $2, updated_at = $3
        where id = $1
            and state <> 'revoking'
        returning created_by",
        credential.id.as_uuid(),
        addon::seal(sealer, CONFIG, credential.id, config),
        at,
    );
    let Some(by) = settled.fetch_optional(&mut *transaction).await? else {
        return Ok(Vec::new());
    };
    let row = addon::by_id(&mut transaction, credential.addon).await?;
    let name = row.ok_or(StoreError::AddonGone)?.addon.name;
    let namespace = Some(credential.name.namespace());
    uses.retain(|row| row.attachment.namespace == namespace);
    let mut apps: Vec<Id<App>> = uses.iter().map(|row| row.attachment.app).collect();
    apps.dedup();
    let stamp = Stamp { by: by.into(), at };
    let mut releases = Vec::new();
    for app in apps {
        let description = format!("Update {} (@ref:{name})", addon_attachment::keys_of(&uses, app));
        releases.extend(release::of_addons(&mut transaction, sealer, app, &description, false, stamp).await?);
    }
    transaction.commit().await?;
    Ok(releases)
}

/// The server has forgotten it.
pub async fn delete(conn: &mut PgConnection, id: Id<AddonCredential>) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from addon_credentials where id = $1 and state = 'revoking'",
        id.as_uuid()
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) fn open_config(sealer: &Sealer, id: Id<AddonCredential>, sealed: Vec<u8>) -> Result<Values, StoreError> {
    addon::open(sealer, CONFIG, id, sealed)
}

/// Locks the add-on, says what becomes of one of its credentials, and lets its server learn of it at once.
async fn record(
    conn: &mut PgConnection,
    id: Id<Addon>,
    (name, action): (&CredentialName, &str),
    stamp: Stamp,
) -> Result<(), StoreError> {
    if !addon::lock(conn, id).await? {
        return Err(StoreError::AddonGone);
    }
    let row = addon::by_id(conn, id).await?.ok_or(StoreError::AddonGone)?;
    let payload = json!({ "credential": name.as_str(), "change": action });
    addon::record(conn, &row.addon, "update", Some(stamp), stamp.at, payload).await?;
    addon::clear_wait(conn, id).await
}

struct Row {
    id: Uuid,
    addon: Uuid,
    name: String,
    state: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for AddonCredential {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            addon: row.addon.into(),
            name: parse(NOUN, &row.name)?,
            state: parse(NOUN, &row.state)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}
