//! Config snapshots: sealed, and bound to their release.

use std::collections::BTreeMap;

use paas_core::{App, ConfigVars, Id, Release};
use sqlx::error::Error::RowNotFound;

use crate::{
    PgConnection, Sealed, Sealer, StoreError,
    column::{corrupt, parse},
};

const NOUN: &str = "release config";

/// The config of a release, in the clear.
pub async fn config(conn: &mut PgConnection, sealer: &Sealer, id: Id<Release>) -> Result<ConfigVars, StoreError> {
    let value = sqlx::query_scalar!("select config from releases where id = $1", id.as_uuid())
        .fetch_optional(conn)
        .await?
        .ok_or(StoreError::Query(RowNotFound))?;
    open(sealer, id, &Sealed(value))
}

/// The part of it that people have set: all but what came from add-ons.
pub(crate) async fn own(conn: &mut PgConnection, sealer: &Sealer, id: Id<Release>) -> Result<ConfigVars, StoreError> {
    let row = sqlx::query!("select config, addon_keys from releases where id = $1", id.as_uuid());
    let row = row.fetch_optional(conn).await?.ok_or(StoreError::Query(RowNotFound))?;
    let whole = open(sealer, id, &Sealed(row.config))?;
    let of_addons: Result<Vec<_>, StoreError> =
        row.addon_keys.iter().map(|key| Ok((parse(NOUN, key)?, None))).collect();
    whole.with(of_addons?).map_err(StoreError::Config)
}

/// What people have set of an app's config, as of its head.
pub(crate) async fn own_of_head(
    conn: &mut PgConnection,
    sealer: &Sealer,
    app: Id<App>,
) -> Result<ConfigVars, StoreError> {
    let head = super::head(conn, app).await?.ok_or(StoreError::AppGone)?;
    own(conn, sealer, head.release.id).await
}

pub(super) fn seal(sealer: &Sealer, id: Id<Release>, config: &ConfigVars) -> Sealed {
    let vars: BTreeMap<&str, &str> = config
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let text = serde_json::to_vec(&vars).expect("a map of strings is JSON");
    sealer.seal(NOUN, id.as_uuid(), &text)
}

fn open(sealer: &Sealer, id: Id<Release>, value: &Sealed) -> Result<ConfigVars, StoreError> {
    let text = sealer.open(NOUN, id.as_uuid(), value)?;
    // Neither error may quote what it could not read.
    let vars: BTreeMap<String, String> = serde_json::from_slice(&text).map_err(|_| corrupt(NOUN, "no JSON"))?;
    let vars: Result<Vec<_>, StoreError> = vars
        .into_iter()
        .map(|(key, value)| Ok((parse(NOUN, &key)?, Some(value))))
        .collect();
    ConfigVars::default()
        .with(vars?)
        .map_err(|_| corrupt(NOUN, "refused config vars"))
}
