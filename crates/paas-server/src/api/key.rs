//! Public SSH keys of the account.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use paas_api::NewKey;
use paas_store::{
    StoreError,
    account::Account,
    event,
    key::{self, Key},
};

use super::{
    audit,
    auth::Caller,
    body::Body,
    error::ApiError,
    page::{self, Field, Page, Wanted, page},
    ssh_key::SshKey,
    state::Api,
};

const MOST_KEYS: usize = 100;

const FIELDS: [Field<Key>; 1] = [Field {
    name: "id",
    key: |key| page::Key::Text(key.id.to_string()),
}];

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::Key>, ApiError> {
    let mut connection = api.connection().await?;
    let keys = key::list(&mut connection, caller.account.id).await?;
    Ok(page(&range, keys, &FIELDS)?.map(|key| answer(key, &caller.account)))
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Caller { account, .. }: Caller,
    Body(new): Body<NewKey>,
) -> Result<(StatusCode, Json<paas_api::Key>), ApiError> {
    let parsed: SshKey = new.public_key.parse().map_err(ApiError::from_display)?;
    let now = api.now();
    let mut transaction = api.store().begin().await?;
    let keys = key::list(&mut transaction, account.id).await?;
    if keys.iter().any(|key| key.sha256 == parsed.sha256) {
        return Err(ApiError::invalid("This SSH key is on your account already."));
    }
    if keys.len() >= MOST_KEYS {
        return Err(ApiError::invalid(format!(
            "This account has {MOST_KEYS} SSH keys. Please remove some that are no longer used."
        )));
    }
    let new = key::NewKey {
        account: account.id,
        public_key: &parsed.public_key,
        comment: &parsed.comment,
        fingerprint: &parsed.md5,
        sha256: &parsed.sha256,
    };
    let key = key::create(&mut transaction, new, now)
        .await
        .map_err(|error| match error {
            StoreError::KeyTaken => ApiError::invalid(
                "This SSH key is on another account already. A key says who somebody is: please make one of your own.",
            ),
            other => other.into(),
        })?;
    let event = audit::personal("create", "key", Some(*key.id.as_uuid()), &account, now);
    event::record(&mut transaction, event).await?;
    transaction.commit().await?;
    Ok((StatusCode::CREATED, Json(answer(key, &account))))
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Caller { account, .. }: Caller,
) -> Result<Json<paas_api::Key>, ApiError> {
    let mut connection = api.connection().await?;
    let found = key::find(&mut connection, account.id, &name).await?;
    let found = found.ok_or_else(|| ApiError::not_found("key"))?;
    Ok(Json(answer(found, &account)))
}

pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Caller { account, .. }: Caller,
) -> Result<Json<paas_api::Key>, ApiError> {
    let mut transaction = api.store().begin().await?;
    let found = key::find(&mut transaction, account.id, &name).await?;
    let found = found.ok_or_else(|| ApiError::not_found("key"))?;
    if key::delete(&mut transaction, found.id).await? {
        let event = audit::personal("destroy", "key", Some(*found.id.as_uuid()), &account, api.now());
        event::record(&mut transaction, event).await?;
    }
    transaction.commit().await?;
    Ok(Json(answer(found, &account)))
}

fn answer(key: Key, account: &Account) -> paas_api::Key {
    paas_api::Key {
        comment: key.comment,
        created_at: key.created_at.into(),
        email: account.email.clone(),
        fingerprint: key.fingerprint,
        id: *key.id.as_uuid(),
        public_key: key.public_key,
        updated_at: key.updated_at.into(),
    }
}
