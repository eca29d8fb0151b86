//! Services that run elsewhere, behind Heroku's Add-on Partner API.

use paas_core::{AddonProvider, Id};
use serde_json::{Value, json};
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    PgConnection, Sealer, Stamp, StoreError,
    addon::{self, Values},
    event::{self, Event},
    new_id,
};

const SECRET: &str = "addon provider secret";

#[derive(Debug, Clone, PartialEq)]
pub struct ProviderRow {
    pub id: Id<AddonProvider>,
    pub name: String,
    /// Without the secrets in it.
    pub manifest: Value,
}

/// Every one, by name.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<ProviderRow>, StoreError> {
    let rows = sqlx::query!("select id, name, manifest from addon_providers order by name");
    let rows = rows.fetch_all(conn).await?.into_iter().map(|row| ProviderRow {
        id: row.id.into(),
        name: row.name,
        manifest: row.manifest,
    });
    Ok(rows.collect())
}

/// Password, salt and client secret, in the clear.
pub async fn secret(conn: &mut PgConnection, sealer: &Sealer, id: Id<AddonProvider>) -> Result<Values, StoreError> {
    let sealed = sqlx::query_scalar!("select secret from addon_providers where id = $1", id.as_uuid());
    let sealed = sealed.fetch_optional(conn).await?.ok_or(StoreError::AddonGone)?;
    addon::open(sealer, SECRET, id, sealed)
}

/// Registers a provider, or takes its new manifest.
pub async fn set(
    conn: &mut PgConnection,
    sealer: &Sealer,
    (name, manifest): (&str, &Value),
    secret: &Values,
    stamp: Stamp,
) -> Result<Id<AddonProvider>, StoreError> {
    let mut transaction = conn.begin().await?;
    let known = sqlx::query_scalar!("select id from addon_providers where name = $1 for update", name);
    let known: Option<Uuid> = known.fetch_optional(&mut *transaction).await?;
    let action = if known.is_some() { "update" } else { "create" };
    let id: Id<AddonProvider> = known.map_or_else(|| new_id(stamp.at), Id::from);
    sqlx::query!(
        "insert into addon_providers (id, name, manifest, secret, created_by, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $6, $6)
        on conflict (id) do update
        set
            manifest = excluded.manifest,
            secret = excluded.secret,
            updated_at = excluded.updated_at",
        id.as_uuid(),
        name,
        manifest,
        addon::seal(sealer, SECRET, id, secret),
        stamp.by.as_uuid(),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    record(&mut transaction, (id, name), action, stamp).await?;
    transaction.commit().await?;
    Ok(id)
}

/// Forgets a provider. Fails with [`StoreError::ProviderInUse`] while it has add-ons.
pub async fn remove(
    conn: &mut PgConnection,
    id: Id<AddonProvider>,
    name: &str,
    stamp: Stamp,
) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let in_use = sqlx::query_scalar!(
        r#"select exists (select from addons where service = $1) as "any!""#,
        name
    );
    if in_use.fetch_one(&mut *transaction).await? {
        transaction.rollback().await?;
        return Err(StoreError::ProviderInUse);
    }
    sqlx::query!("delete from addon_providers where id = $1", id.as_uuid())
        .execute(&mut *transaction)
        .await?;
    record(&mut transaction, (id, name), "destroy", stamp).await?;
    Ok(transaction.commit().await?)
}

async fn record(
    conn: &mut PgConnection,
    (id, name): (Id<AddonProvider>, &str),
    action: &str,
    stamp: Stamp,
) -> Result<(), StoreError> {
    let event = Event {
        app: None,
        actor: Some(stamp.by),
        action: action.to_owned(),
        resource: "addon-provider".to_owned(),
        resource_id: Some(*id.as_uuid()),
        payload: json!({ "name": name }),
        at: stamp.at,
    };
    event::record(conn, event).await
}
