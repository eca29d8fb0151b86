//! Credentials of an add-on: its own, called `default`, and others with the rights that people grant them. The paths are those of
//! Heroku's data API.
//!
//! Each change answers at once: the server learns of it first, then the apps that use it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use paas_api::{AddonConfig, AddonCredential, CredentialRotation, CredentialUser, NewCredential, Secret};
use paas_core::{AddonState, CredentialName, CredentialState, Permissions};
use paas_store::{
    StoreError,
    addon::{self as addons, AddonRow, Values},
    addon_attachment, addon_credential, new_id,
};

use super::{addon, addon_service, auth::Caller, body::Body, error::ApiError, page::Page, state::Api};
use crate::{
    addon::{Credentials, Service, host},
    control,
};

const DEFAULT: &str = "default";

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Page<AddonCredential>, ApiError> {
    let row = database(&api, &caller, &name).await?;
    all(&api, &row).await.map(Page::whole)
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((name, credential)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<AddonCredential>, ApiError> {
    let row = database(&api, &caller, &name).await?;
    named(&api, &row, &credential).await.map(Json)
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    Body(new): Body<NewCredential>,
) -> Result<(StatusCode, Json<AddonCredential>), ApiError> {
    let row = changeable(&api, &caller, &name).await?;
    if service(&api, &row)?.kind.grant.is_none() {
        return Err(ApiError::invalid(format!(
            "{} has one credential, its own. Only Postgres add-ons have others.",
            row.addon.name
        )));
    }
    let credential = new.name.parse::<CredentialName>()?;
    let stamp = api.stamp(&caller.account);
    let mut connection = api.connection().await?;
    let own = addons::secret(&mut connection, &api.store().sealer, row.addon.id).await?;
    if credential.as_str() == Credentials::from_values(own).user() {
        return Err(ApiError::invalid(format!(
            "{credential} is the user of the default credential. Choose another name."
        )));
    }
    let new = addon_credential::NewCredential {
        id: new_id(stamp.at),
        addon: row.addon.id,
        secret: Credentials::invent_user(&credential),
        name: credential.clone(),
    };
    let made = addon_credential::create(&mut connection, &api.store().sealer, new, stamp).await;
    if let Err(StoreError::CredentialTaken) = made {
        return Err(ApiError::invalid(format!(
            "{} has a credential {credential} already. Choose another name.",
            row.addon.name
        )));
    }
    made?;
    drop(connection);
    announce(&api, &caller, &row, &format!("Create credential {credential} of"));
    let made = named(&api, &row, credential.as_str()).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Path((name, credential)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<AddonCredential>, ApiError> {
    let row = changeable(&api, &caller, &name).await?;
    if credential == DEFAULT {
        return Err(ApiError::invalid("Default credential cannot be destroyed."));
    }
    let last = named(&api, &row, &credential).await?;
    let mut connection = api.connection().await?;
    let found = addon_credential::find(&mut connection, row.addon.id, &credential).await?;
    let found = found.ok_or_else(not_found)?;
    match addon_credential::revoke(&mut connection, &found, api.stamp(&caller.account)).await {
        Err(StoreError::AttachmentTaken) => {
            let uses = addon_attachment::list_of_addon(&mut connection, row.addon.id).await?;
            let namespace = Some(found.name.namespace());
            let mut apps: Vec<_> = uses
                .into_iter()
                .filter(|row| row.attachment.namespace == namespace)
                .map(|row| row.app_name)
                .collect();
            apps.dedup();
            return Err(ApiError::invalid(format!(
                "Credential {credential} must be detached from {} before destroying.",
                apps.join(", ")
            )));
        }
        revoked => revoked?,
    }
    drop(connection);
    announce(&api, &caller, &row, &format!("Destroy credential {credential} of"));
    Ok(Json(last))
}

pub(super) async fn rotate(
    State(api): State<Arc<Api>>,
    Path((name, credential)): Path<(String, String)>,
    caller: Caller,
    Body(CredentialRotation { forced: _ }): Body<CredentialRotation>,
) -> Result<Json<AddonCredential>, ApiError> {
    let row = changeable(&api, &caller, &name).await?;
    rotate_one(&api, &caller, &row, &credential).await?;
    named(&api, &row, &credential).await.map(Json)
}

pub(super) async fn rotate_all(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    Body(CredentialRotation { forced: _ }): Body<CredentialRotation>,
) -> Result<Page<AddonCredential>, ApiError> {
    let row = changeable(&api, &caller, &name).await?;
    let lasting = |credential: &AddonCredential| credential.state != CredentialState::Revoking.as_str();
    for credential in all(&api, &row).await?.into_iter().filter(lasting) {
        rotate_one(&api, &caller, &row, &credential.name).await?;
    }
    all(&api, &row).await.map(Page::whole)
}

/// Gives the add-on's own user back what was its own at first.
pub(super) async fn repair(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<AddonCredential>, ApiError> {
    let row = changeable(&api, &caller, &name).await?;
    let Some(script) = &service(&api, &row)?.kind.repair else {
        return Err(ApiError::invalid(format!(
            "The credential of {} has no rights that could be lost.",
            row.addon.name
        )));
    };
    announce(&api, &caller, &row, "Repair default credential of");
    control::run_in_addon(&api.platform, row.addon.id, script)
        .await
        .map_err(|error| ApiError::invalid(format!("The credential could not be repaired: {error:#}")))?;
    named(&api, &row, DEFAULT).await.map(Json)
}

/// The config vars of a credential, by what they end in: empty when there is no such one.
pub(super) async fn config(
    State(api): State<Arc<Api>>,
    Path((name, namespace)): Path<(String, String)>,
    caller: Caller,
) -> Result<Page<AddonConfig>, ApiError> {
    let row = database(&api, &caller, &name).await?;
    let credential = namespace.strip_prefix("credential:").unwrap_or(DEFAULT);
    let mut connection = api.connection().await?;
    let sealer = &api.store().sealer;
    let config = if credential == DEFAULT {
        addons::config(&mut connection, sealer, row.addon.id).await?
    } else {
        match addon_credential::find(&mut connection, row.addon.id, credential).await? {
            Some(found) => {
                let config = addon_credential::config(&mut connection, sealer, found.id).await?;
                // It is one, though its values are on their way.
                Some(config.unwrap_or_else(|| row.suffixes.iter().map(|key| (key.clone(), String::new())).collect()))
            }
            None => None,
        }
    };
    let config = config.unwrap_or_default().into_iter();
    let vars = config.map(|(name, value)| AddonConfig {
        name: name.to_ascii_lowercase(),
        value: (!value.is_empty()).then(|| Secret::new(value)),
    });
    Ok(Page::whole(vars.collect()))
}

/// Whether an add-on has a credential that is called so in attachments.
pub(super) async fn require(api: &Api, row: &AddonRow, namespace: &str) -> Result<(), ApiError> {
    let mut connection = api.connection().await?;
    let found = match namespace.strip_prefix("credential:") {
        Some(name) => addon_credential::find(&mut connection, row.addon.id, name).await?,
        None => None,
    };
    found.map(drop).ok_or_else(|| {
        ApiError::invalid(format!(
            "{0} has no {namespace}. See which credentials there are with `paas pg:credentials {0}`.",
            row.addon.name
        ))
    })
}

async fn rotate_one(api: &Api, caller: &Caller, row: &AddonRow, credential: &str) -> Result<(), ApiError> {
    if credential == DEFAULT {
        return rotate_own(api, caller, row).await;
    }
    let mut connection = api.connection().await?;
    let found = addon_credential::find(&mut connection, row.addon.id, credential).await?;
    let found = found.ok_or_else(not_found)?;
    let (sealer, stamp) = (&api.store().sealer, api.stamp(&caller.account));
    let secret = Credentials::invent_user(&found.name);
    addon_credential::rotate(&mut connection, sealer, &found, &secret, stamp).await?;
    drop(connection);
    announce(api, caller, row, &format!("Rotate credential {credential} of"));
    Ok(())
}

/// Answers at once: the server learns the new password, then the apps get it with a release.
pub(super) async fn rotate_main(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<paas_api::Addon>, ApiError> {
    let row = addon::seen(&api, &caller, &name).await?;
    addon::require(&api, &caller, &row, Permissions::OPERATE).await?;
    rotate_own(&api, &caller, &row).await?;
    addon::shown(&api, &row).await.map(Json)
}

/// Gives an add-on's own user another password.
async fn rotate_own(api: &Api, caller: &Caller, row: &AddonRow) -> Result<(), ApiError> {
    let mut transaction = api.store().begin().await?;
    let (id, sealer) = (row.addon.id, &api.store().sealer);
    let credentials = Credentials::from_values(addons::secret(&mut transaction, sealer, id).await?).rotated();
    let service = addon_service::find(api, &row.addon.service)?;
    let (secret, stamp) = ((credentials.values(), service.learns()), api.stamp(&caller.account));
    addons::begin_rotation(&mut transaction, sealer, id, secret, stamp).await?;
    transaction.commit().await?;
    let what = format!("Rotate credentials of {}", row.addon.name);
    api.announce(row.addon.app, &what, &caller.account);
    api.platform.wake_addons.notify_one();
    Ok(())
}

/// What the caller gets to see with its passwords, as config vars.
async fn database(api: &Api, caller: &Caller, name: &str) -> Result<AddonRow, ApiError> {
    let row = addon::seen(api, caller, name).await?;
    addon::require(api, caller, &row, Permissions::DEPLOY | Permissions::OPERATE).await?;
    Ok(row)
}

async fn changeable(api: &Api, caller: &Caller, name: &str) -> Result<AddonRow, ApiError> {
    let row = addon::seen(api, caller, name).await?;
    addon::require(api, caller, &row, Permissions::OPERATE).await?;
    if row.addon.state == AddonState::Provisioning {
        return Err(ApiError::invalid(format!(
            "{0} is still being created. Wait for it with `paas addons:wait {0}`.",
            row.addon.name
        )));
    }
    Ok(row)
}

fn service<'a>(api: &'a Api, row: &AddonRow) -> Result<&'a Arc<Service>, ApiError> {
    addon_service::find(api, &row.addon.service)
}

async fn named(api: &Api, row: &AddonRow, name: &str) -> Result<AddonCredential, ApiError> {
    let found = all(api, row).await?.into_iter().find(|found| found.name == name);
    found.ok_or_else(not_found)
}

/// The add-on's own first, the others by name.
async fn all(api: &Api, row: &AddonRow) -> Result<Vec<AddonCredential>, ApiError> {
    let service = service(api, row)?;
    let mut connection = api.connection().await?;
    let sealer = &api.store().sealer;
    let own = Credentials::from_values(addons::secret(&mut connection, sealer, row.addon.id).await?);
    let answer = |uuid, name: String, state: &str, credentials: &Credentials| AddonCredential {
        credentials: vec![CredentialUser {
            password: Secret::new(credentials.password()),
            state: state.to_owned(),
            user: credentials.user().to_owned(),
        }],
        database: own.database().to_owned(),
        host: host(row.addon.id),
        name,
        port: service.kind.port,
        state: state.to_owned(),
        uuid,
    };
    let state = if row.is_rotating {
        CredentialState::Rotating
    } else {
        CredentialState::Active
    };
    let mut answers = vec![answer(
        *row.addon.id.as_uuid(),
        DEFAULT.to_owned(),
        state.as_str(),
        &own,
    )];
    for credential in addon_credential::list(&mut connection, row.addon.id).await? {
        let secret: Option<Values> = addon_credential::secret(&mut connection, sealer, credential.id).await?;
        let Some(secret) = secret else { continue };
        let (id, name) = (*credential.id.as_uuid(), credential.name.to_string());
        answers.push(answer(id, name, credential.state.as_str(), &own.of_user(secret)));
    }
    Ok(answers)
}

fn announce(api: &Api, caller: &Caller, row: &AddonRow, what: &str) {
    api.announce(row.addon.app, &format!("{what} {}", row.addon.name), &caller.account);
    api.platform.wake_addons.notify_one();
}

fn not_found() -> ApiError {
    ApiError::not_found("credential")
}
