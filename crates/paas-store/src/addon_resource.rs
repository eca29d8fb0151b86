//! Add-ons whose server is a provider's: what the provider was told of them, and what it said.
//!
//! A provider comes to its own add-ons with tokens, which it gets for a code that it was sent. Tokens are stored as hashes; the
//! code is sealed as well, because a provider that has kept the first of two requests has that one's.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use paas_core::{Addon, AddonProvider, AddonState, Id, KnownResource};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    PgConnection, Sealed, Sealer, Stamp, StoreError,
    addon::{self, Values},
    addon_attachment,
    authorization::{Token, TokenHash},
    column::corrupt,
    release::ReleaseRow,
};

const CODE: &str = "addon resource code";
const LOG_INPUT: &str = "addon log input";
const OPTIONS: &str = "addon options";

/// Changes of config vars, by what these end in; `None` takes one away.
pub type Changes = BTreeMap<String, Option<String>>;

/// An add-on that somebody has shown a secret of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceOf {
    pub addon: Id<Addon>,
    pub provider: Id<AddonProvider>,
}

/// What a provider is sent with the request for an add-on. No two add-ons have any of these in common.
#[derive(Debug)]
pub struct Grants {
    /// What it gets its tokens for.
    pub code: Token,
    /// What it may write into the app's log with: `t.` and a UUID.
    pub log_input: Token,
    /// What it knows the drain by that it may make: `d.` and a UUID.
    pub drain_token: String,
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

/// A provider is about to be asked for an add-on of this plan, with what is returned: that of the request before, where its code was
/// not exchanged. Before the request: one that answers at once may come with the code before its answer is read.
pub async fn begin(
    conn: &mut PgConnection,
    sealer: &Sealer,
    ResourceOf { addon, provider }: ResourceOf,
    plan: &str,
    (expires_at, now): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Grants, StoreError> {
    let mut transaction = conn.begin().await?;
    let known = sqlx::query!(
        "select code, log_input, drain_token from addon_resources where addon = $1 for update",
        addon.as_uuid()
    );
    let (mut code, mut log_input, mut drain_token) = (None, None, None);
    if let Some(known) = known.fetch_optional(&mut *transaction).await? {
        let open = |noun, sealed: Option<Vec<u8>>| sealed.map(|sealed| open(sealer, noun, addon, sealed)).transpose();
        code = open(CODE, known.code)?;
        log_input = open(LOG_INPUT, known.log_input)?;
        drain_token = known.drain_token;
    }
    let grants = Grants {
        code: code.unwrap_or_else(Token::generate_secret),
        log_input: log_input.unwrap_or_else(|| Token::from_stored(format!("t.{}", Uuid::new_v4()))),
        drain_token: drain_token.unwrap_or_else(|| format!("d.{}", Uuid::new_v4())),
    };
    let (code_hash, log_input_hash) = (grants.code.hash(), grants.log_input.hash());
    let seal = |noun, token: &Token| sealer.seal(noun, addon.as_uuid(), token.as_str().as_bytes()).0;
    sqlx::query!(
        "insert into addon_resources (
            addon, provider, plan, code, code_hash, code_expires_at, log_input, log_input_hash, drain_token, created_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict (addon) do update
        set
            plan = excluded.plan,
            accepted_at = null,
            code = excluded.code,
            code_hash = excluded.code_hash,
            code_expires_at = excluded.code_expires_at,
            log_input = excluded.log_input,
            log_input_hash = excluded.log_input_hash,
            drain_token = excluded.drain_token",
        addon.as_uuid(),
        provider.as_uuid(),
        plan,
        seal(CODE, &grants.code),
        code_hash.as_bytes(),
        expires_at,
        seal(LOG_INPUT, &grants.log_input),
        log_input_hash.as_bytes(),
        grants.drain_token,
        now,
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(grants)
}

fn open(sealer: &Sealer, noun: &'static str, addon: Id<Addon>, sealed: Vec<u8>) -> Result<Token, StoreError> {
    let text = sealer.open(noun, addon.as_uuid(), &Sealed(sealed))?;
    let text = String::from_utf8(text).map_err(|_| corrupt(noun, "no text"))?;
    Ok(Token::from_stored(text))
}

/// Whose log input this is.
pub async fn by_log_input(conn: &mut PgConnection, token: TokenHash) -> Result<Option<Id<Addon>>, StoreError> {
    let found = sqlx::query_scalar!(
        "select addon from addon_resources where log_input_hash = $1",
        token.as_bytes()
    );
    Ok(found.fetch_optional(conn).await?.map(Id::from))
}

/// What it knows its drain by.
pub async fn drain_token(conn: &mut PgConnection, addon: Id<Addon>) -> Result<Option<String>, StoreError> {
    let token = sqlx::query_scalar!(
        "select drain_token from addon_resources where addon = $1",
        addon.as_uuid()
    );
    Ok(token.fetch_optional(conn).await?.flatten())
}

/// What it is told besides the plan. An event says only what these are called: there may be secrets among them.
pub async fn set_options(
    conn: &mut PgConnection,
    sealer: &Sealer,
    id: Id<Addon>,
    options: &Values,
    stamp: Stamp,
) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    sqlx::query!(
        "update addons set options = $2 where id = $1",
        id.as_uuid(),
        addon::seal(sealer, OPTIONS, id, options),
    )
    .execute(&mut *transaction)
    .await?;
    let row = addon::by_id(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
    let names: Vec<_> = options.keys().collect();
    let payload = json!({ "options": names });
    addon::record(&mut transaction, &row.addon, "update", Some(stamp), stamp.at, payload).await?;
    Ok(transaction.commit().await?)
}

pub async fn options(conn: &mut PgConnection, sealer: &Sealer, id: Id<Addon>) -> Result<Values, StoreError> {
    let sealed = sqlx::query_scalar!("select options from addons where id = $1", id.as_uuid());
    let sealed = sealed.fetch_optional(conn).await?.ok_or(StoreError::AddonGone)?;
    let options = sealed.map(|sealed| addon::open(sealer, OPTIONS, id, sealed));
    Ok(options.transpose()?.unwrap_or_default())
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

/// It does not take a change to this plan: the add-on goes on with the one that it knows of, and people get to know why. `false`
/// when something else is wanted by now.
pub async fn refuse_plan(
    conn: &mut PgConnection,
    id: Id<Addon>,
    refused: &str,
    message: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await?;
    let put_back = sqlx::query!(
        "update addons
        set plan = addon_resources.plan, failures = 0, retry_at = null, trouble = null, updated_at = $3
        from addon_resources
        where addon_resources.addon = addons.id
            and addons.id = $1
            and addons.plan = $2
            and addons.state = 'provisioned'",
        id.as_uuid(),
        refused,
        now,
    );
    if put_back.execute(&mut *transaction).await?.rows_affected() == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    set_message(&mut transaction, id, Some(message)).await?;
    let row = addon::by_id(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
    let payload = json!({ "refused": refused });
    addon::record(&mut transaction, &row.addon, "update", None, now, payload).await?;
    transaction.commit().await?;
    Ok(true)
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

/// Changes config vars of an add-on. What comes before it is there is kept for [`complete`]; later every app that uses it has a
/// release, if anything is different. Fails with [`StoreError::Config`] for what an app could not have.
pub async fn change_config(
    conn: &mut PgConnection,
    sealer: &Sealer,
    id: Id<Addon>,
    changes: &Changes,
    at: DateTime<Utc>,
) -> Result<Vec<ReleaseRow>, StoreError> {
    let mut transaction = conn.begin().await?;
    // From the reading to the writing: of two changes at once neither loses the other's.
    let (mut attachments, is_living) = addon::lock_with_apps(&mut transaction, id).await?;
    if !is_living {
        return Err(StoreError::AddonGone);
    }
    let row = addon::by_id(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
    let before = addon::config(&mut transaction, sealer, id).await?.unwrap_or_default();
    let mut values = before.clone();
    for (suffix, value) in changes {
        match value {
            Some(value) => values.insert(suffix.clone(), value.clone()),
            None => values.remove(suffix),
        };
    }
    if values == before {
        return Ok(Vec::new());
    }
    let releases = if row.addon.state == AddonState::Provisioning {
        attachments.retain(|row| row.attachment.namespace.is_none());
        addon_attachment::fits(&mut transaction, sealer, &attachments, &values).await?;
        sqlx::query!(
            "update addons set config = $2 where id = $1",
            id.as_uuid(),
            addon::seal(sealer, addon::CONFIG, id, &values),
        )
        .execute(&mut *transaction)
        .await?;
        Vec::new()
    } else {
        addon::set_config(&mut transaction, sealer, id, (&Values::new(), &values), at).await?
    };
    transaction.commit().await?;
    Ok(releases)
}

/// It is there: every app that uses it gets the config vars that were kept for it, with a release; nothing happens when it was
/// there before. `None` while there are no config vars.
pub async fn complete(
    conn: &mut PgConnection,
    sealer: &Sealer,
    id: Id<Addon>,
    at: DateTime<Utc>,
) -> Result<Option<Vec<ReleaseRow>>, StoreError> {
    let mut transaction = conn.begin().await?;
    addon::lock_with_apps(&mut transaction, id).await?;
    let row = addon::by_id(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
    if row.addon.state != AddonState::Provisioning {
        return Ok(Some(Vec::new()));
    }
    let values = addon::config(&mut transaction, sealer, id).await?.unwrap_or_default();
    if values.is_empty() {
        return Ok(None);
    }
    let releases = addon::set_config(&mut transaction, sealer, id, (&Values::new(), &values), at).await?;
    addon::clear_trouble(&mut transaction, id).await?;
    transaction.commit().await?;
    Ok(Some(releases))
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
            code = null,
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
