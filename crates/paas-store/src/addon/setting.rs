//! What people choose of what a service lets them choose.

use paas_core::{Addon, Id};
use serde_json::json;
use sqlx::Connection;

use super::{Values, by_id, clear_wait, lock, record};
use crate::{PgConnection, Stamp, StoreError, column::corrupt};

/// What was chosen; all else is as its service has it.
pub async fn settings(conn: &mut PgConnection, id: Id<Addon>) -> Result<Values, StoreError> {
    let chosen = sqlx::query_scalar!("select settings from addons where id = $1", id.as_uuid());
    let chosen = chosen.fetch_optional(conn).await?.ok_or(StoreError::AddonGone)?;
    serde_json::from_value(chosen).map_err(|error| corrupt("addon", &error.to_string()))
}

/// Its server learns of it, and whoever starts later.
pub async fn choose(
    conn: &mut PgConnection,
    id: Id<Addon>,
    chosen: &Values,
    stamp: Stamp,
) -> Result<Values, StoreError> {
    let mut transaction = conn.begin().await?;
    if !lock(&mut transaction, id).await? {
        return Err(StoreError::AddonGone);
    }
    sqlx::query!(
        "update addons
        set settings = settings || $2, is_configured = false, updated_at = $3
        where id = $1",
        id.as_uuid(),
        json!(chosen),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    clear_wait(&mut transaction, id).await?;
    let row = by_id(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
    let payload = json!({ "settings": chosen });
    record(&mut transaction, &row.addon, "update", Some(stamp), stamp.at, payload).await?;
    let now = settings(&mut transaction, id).await?;
    transaction.commit().await?;
    Ok(now)
}

/// Its server has what was chosen, unless that is something else by now.
pub async fn mark_configured(conn: &mut PgConnection, id: Id<Addon>, chosen: &Values) -> Result<(), StoreError> {
    sqlx::query!(
        "update addons set is_configured = true where id = $1 and settings = $2",
        id.as_uuid(),
        json!(chosen),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The add-ons whose servers have something to learn or to forget while they run, besides their own credentials.
pub async fn unsettled(conn: &mut PgConnection) -> Result<Vec<Id<Addon>>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"select addon as "addon!"
        from addon_credentials
        where state <> 'active'
        union
        select id
        from addons
        where not is_configured"#
    );
    Ok(rows.fetch_all(conn).await?.into_iter().map(Id::from).collect())
}
