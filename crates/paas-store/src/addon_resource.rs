//! Add-ons whose server is a provider's: what the provider was told of them, and what it said.
//!
//! A provider comes to its own add-ons with tokens, which it gets for a code that it was sent. All are stored as hashes.

use chrono::{DateTime, Utc};
use paas_core::{Addon, AddonProvider, Id, KnownResource};

use crate::{
    PgConnection, Sealer, StoreError,
    addon::{self, Values},
    authorization::TokenHash,
};

/// An add-on that somebody has shown a secret of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceOf {
    pub addon: Id<Addon>,
    pub provider: Id<AddonProvider>,
}

/// What providers know, of every add-on that they were asked for.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<(Id<Addon>, KnownResource)>, StoreError> {
    let rows = sqlx::query!("select addon, plan, accepted_at from addon_resources");
    let rows = rows.fetch_all(conn).await?.into_iter().map(|row| {
        let known = KnownResource {
            plan: row.plan,
            accepted_at: row.accepted_at,
        };
        (row.addon.into(), known)
    });
    Ok(rows.collect())
}

/// A provider is about to be asked for an add-on of this plan, and gets this code. Before the request: one that answers at once may
/// come with the code before its answer is read.
pub async fn begin(
    conn: &mut PgConnection,
    ResourceOf { addon, provider }: ResourceOf,
    plan: &str,
    (code, expires_at): (TokenHash, DateTime<Utc>),
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into addon_resources (addon, provider, plan, code_hash, code_expires_at, created_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (addon) do update
        set
            plan = excluded.plan,
            accepted_at = null,
            code_hash = excluded.code_hash,
            code_expires_at = excluded.code_expires_at",
        addon.as_uuid(),
        provider.as_uuid(),
        plan,
        code.as_bytes(),
        expires_at,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// It works on it, and will come by itself.
pub async fn accept(conn: &mut PgConnection, addon: Id<Addon>, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        "update addon_resources set accepted_at = $2 where addon = $1",
        addon.as_uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// It has not come in time: it is asked anew.
pub async fn give_up(conn: &mut PgConnection, addon: Id<Addon>) -> Result<(), StoreError> {
    sqlx::query!(
        "update addon_resources set accepted_at = null where addon = $1",
        addon.as_uuid()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// It knows of this plan now.
pub async fn set_plan(conn: &mut PgConnection, addon: Id<Addon>, plan: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "update addon_resources set plan = $2 where addon = $1",
        addon.as_uuid(),
        plan
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What it wants people to know of an add-on.
pub async fn set_message(conn: &mut PgConnection, addon: Id<Addon>, message: Option<&str>) -> Result<(), StoreError> {
    sqlx::query!(
        "update addon_resources set message = $2 where addon = $1",
        addon.as_uuid(),
        message
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn message(conn: &mut PgConnection, addon: Id<Addon>) -> Result<Option<String>, StoreError> {
    let message = sqlx::query_scalar!("select message from addon_resources where addon = $1", addon.as_uuid());
    Ok(message.fetch_optional(conn).await?.flatten())
}

/// Keeps the values of config vars that come before the add-on is there; nothing once it is.
pub async fn keep_config(
    conn: &mut PgConnection,
    sealer: &Sealer,
    addon: Id<Addon>,
    values: &Values,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update addons set config = $2 where id = $1 and state = 'provisioning'",
        addon.as_uuid(),
        addon::seal(sealer, addon::CONFIG, addon, values),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whose code this is, while it is good.
pub async fn by_code(
    conn: &mut PgConnection,
    code: TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<ResourceOf>, StoreError> {
    let found = sqlx::query!(
        "select addon, provider from addon_resources where code_hash = $1 and code_expires_at > $2",
        code.as_bytes(),
        now,
    );
    Ok(found.fetch_optional(conn).await?.map(|row| ResourceOf {
        addon: row.addon.into(),
        provider: row.provider.into(),
    }))
}

/// Whose refresh token this is.
pub async fn by_refresh_token(conn: &mut PgConnection, token: TokenHash) -> Result<Option<ResourceOf>, StoreError> {
    let found = sqlx::query!(
        "select addon, provider from addon_resources where refresh_hash = $1",
        token.as_bytes(),
    );
    Ok(found.fetch_optional(conn).await?.map(|row| ResourceOf {
        addon: row.addon.into(),
        provider: row.provider.into(),
    }))
}

/// Whose access token this is, while it is good.
pub async fn by_token(
    conn: &mut PgConnection,
    token: TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<ResourceOf>, StoreError> {
    let found = sqlx::query!(
        "select addon, provider from addon_resources where token_hash = $1 and token_expires_at > $2",
        token.as_bytes(),
        now,
    );
    Ok(found.fetch_optional(conn).await?.map(|row| ResourceOf {
        addon: row.addon.into(),
        provider: row.provider.into(),
    }))
}

/// Gives it tokens for its code, which is worth nothing from now on; `false` when somebody was faster.
pub async fn exchange_code(
    conn: &mut PgConnection,
    code: TokenHash,
    (token, expires_at): (TokenHash, DateTime<Utc>),
    refresh: TokenHash,
) -> Result<bool, StoreError> {
    let exchanged = sqlx::query!(
        "update addon_resources
        set
            code_hash = null,
            code_expires_at = null,
            token_hash = $2,
            token_expires_at = $3,
            refresh_hash = $4
        where code_hash = $1",
        code.as_bytes(),
        token.as_bytes(),
        expires_at,
        refresh.as_bytes(),
    );
    Ok(exchanged.execute(conn).await?.rows_affected() == 1)
}

/// Gives it another access token; the one before is worth nothing from now on.
pub async fn refresh(
    conn: &mut PgConnection,
    refresh: TokenHash,
    (token, expires_at): (TokenHash, DateTime<Utc>),
) -> Result<bool, StoreError> {
    let refreshed = sqlx::query!(
        "update addon_resources set token_hash = $2, token_expires_at = $3 where refresh_hash = $1",
        refresh.as_bytes(),
        token.as_bytes(),
        expires_at,
    );
    Ok(refreshed.execute(conn).await?.rows_affected() == 1)
}
