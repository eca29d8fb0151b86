//! Attachments: which apps use an add-on, and under which name.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use paas_api::{AddonAttachment, AddonOfAttachment, AttachmentQuestion, ErrorId, NamedRef, NewAddonAttachment};
use paas_core::{App, AttachmentName, Id, Permissions};
use paas_store::{
    Connection, StoreError,
    addon::AddonRow,
    addon_attachment::{self, AttachmentRow, NewAttachment},
    app,
};

use super::{
    access, addon, addon_credential, addon_name,
    auth::{Caller, OwnApp},
    body::Body,
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
    resource,
    state::Api,
};

const FIELDS: [Field<AddonAttachment>; 2] = [
    Field {
        name: "id",
        key: |attachment| Key::Text(attachment.id.to_string()),
    },
    Field {
        name: "name",
        key: |attachment| Key::Text(attachment.name.clone()),
    },
];

/// Those of all apps that the caller gets to see, and those of their add-ons elsewhere.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Wanted(range): Wanted,
) -> Result<Page<AddonAttachment>, ApiError> {
    let mut connection = api.connection().await?;
    let apps = app::list(&mut connection, caller.account.id).await?;
    let apps: Vec<_> = apps.iter().map(|app| app.id).collect();
    let rows = addon_attachment::list_of_apps(&mut connection, &apps).await?;
    page(&range, answers(&api, &rows), &FIELDS)
}

pub(super) async fn list_of_app(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
    Wanted(range): Wanted,
) -> Result<Page<AddonAttachment>, ApiError> {
    let mut connection = api.connection().await?;
    let rows = addon_attachment::list_of_app(&mut connection, row.app.id).await?;
    page(&range, answers(&api, &rows), &FIELDS)
}

pub(super) async fn list_of_addon(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    Wanted(range): Wanted,
) -> Result<Page<AddonAttachment>, ApiError> {
    let found = addon::seen(&api, &caller, &name).await?;
    let mut connection = api.connection().await?;
    let rows = addon_attachment::list_of_addon(&mut connection, found.addon.id).await?;
    page(&range, answers(&api, &rows), &FIELDS)
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<AddonAttachment>, ApiError> {
    let row = by_id(&api, &caller, &id, Permissions::VIEW).await?;
    Ok(Json(answer(&api, &row)))
}

/// By its name in the app, or its id.
pub(super) async fn info_of_app(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<AddonAttachment>, ApiError> {
    let mut connection = api.connection().await?;
    let found = in_app(&mut connection, row.app.id, &name).await?;
    Ok(Json(answer(&api, &found)))
}

/// Whoever attaches an add-on sees its credentials: it takes as much there as in the app.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(new): Body<NewAddonAttachment>,
) -> Result<(StatusCode, Json<AddonAttachment>), ApiError> {
    let (target, granted) = access::app_of(&api, &caller, new.app.as_str()).await?;
    granted.require(Permissions::OPERATE)?;
    let found = addon::seen(&api, &caller, new.addon.as_str()).await?;
    addon::require(&api, &caller, &found, Permissions::OPERATE).await?;
    if let Some(namespace) = &new.namespace {
        addon_credential::require(&api, &found, namespace).await?;
    }
    let mut connection = api.connection().await?;
    let name = match &new.name {
        Some(name) => name.parse::<AttachmentName>()?,
        None => addon_name::attachment(&api, &mut connection, &found.addon.service, target.app.id).await?,
    };
    drop(connection);
    let stamp = api.stamp(&caller.account);
    let mut transaction = api.store().begin().await?;
    let sealer = &api.store().sealer;
    let attachment = NewAttachment {
        addon: found.addon.id,
        app: target.app.id,
        name: name.clone(),
        namespace: new.namespace,
    };
    let is_confirmed = new.confirm.as_deref() == Some(target.app.name.as_str());
    let made = if is_confirmed {
        addon_attachment::replace(&mut transaction, sealer, attachment, stamp).await
    } else {
        addon_attachment::create(&mut transaction, sealer, attachment, stamp).await
    };
    let (made, release) = match made {
        Err(StoreError::AttachmentTaken) => {
            return Err(ApiError::new(
                ErrorId::ConfirmationRequired,
                format!(
                    "{name} is the name of another attachment of {0}. To replace it, confirm with the name of the app: {0}.",
                    target.app.name
                ),
            ));
        }
        made => made?,
    };
    transaction.commit().await?;
    api.announce(target.app.id, &release.release.description, &caller.account);
    api.begin_release(release).await;
    Ok((StatusCode::CREATED, Json(answer(&api, &made))))
}

pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<AddonAttachment>, ApiError> {
    let row = by_id(&api, &caller, &id, Permissions::OPERATE).await?;
    let last = answer(&api, &row);
    let stamp = api.stamp(&caller.account);
    let mut transaction = api.store().begin().await?;
    let deleted = addon_attachment::delete(&mut transaction, &api.store().sealer, row.attachment.id, stamp).await;
    let release = match deleted {
        Err(StoreError::LastAttachment) => {
            return Err(ApiError::invalid(format!(
                "Cannot destroy last attachment to billing app for resource {0}. To get rid of the add-on: paas \
                 addons:destroy {0}",
                row.addon_name
            )));
        }
        deleted => deleted?,
    };
    resource::describe_end(&mut transaction, &last.id, &last).await?;
    transaction.commit().await?;
    if let Some(release) = release {
        api.announce(row.attachment.app, &release.release.description, &caller.account);
        api.begin_release(release).await;
    }
    Ok(Json(last))
}

pub(super) async fn resolve(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(question): Body<AttachmentQuestion>,
) -> Result<Page<AddonAttachment>, ApiError> {
    let AttachmentQuestion {
        addon_attachment: name,
        addon_service,
        app,
    } = question;
    let (app, name) = addon_name::split(app, &name);
    let mut found = Vec::new();
    let mut connection = api.connection().await?;
    if let Some(app) = app {
        let (app, granted) = access::app_of(&api, &caller, &app).await?;
        granted.require(Permissions::VIEW)?;
        let rows = addon_attachment::list_of_app(&mut connection, app.app.id).await?;
        found.extend(rows.into_iter().filter(|row| addon_name::is_meant(row, &name)));
    }
    if found.is_empty()
        && let Ok(id) = name.parse()
        && let Some(row) = addon_attachment::get(&mut connection, id).await?
        && access::app_of(&api, &caller, &row.attachment.app.to_string())
            .await
            .is_ok()
    {
        found.push(row);
    }
    found.retain(|row| addon_service.as_ref().is_none_or(|service| row.service == *service));
    if found.is_empty() {
        return Err(not_found());
    }
    Ok(Page::whole(answers(&api, &found)))
}

async fn in_app(connection: &mut Connection, app: Id<App>, name: &str) -> Result<AttachmentRow, ApiError> {
    let rows = addon_attachment::list_of_app(connection, app).await?;
    let found = rows
        .into_iter()
        .find(|row| row.attachment.name.as_str().eq_ignore_ascii_case(name) || row.attachment.id.to_string() == name);
    found.ok_or_else(not_found)
}

async fn by_id(api: &Api, caller: &Caller, id: &str, any_of: Permissions) -> Result<AttachmentRow, ApiError> {
    let id = id.parse().map_err(|_| not_found())?;
    let mut connection = api.connection().await?;
    let row = addon_attachment::get(&mut connection, id).await?;
    drop(connection);
    let row = row.ok_or_else(not_found)?;
    let app = row.attachment.app.to_string();
    // What somebody does not get to see is not there.
    let (_, granted) = access::app_of(api, caller, &app).await.map_err(|_| not_found())?;
    granted.require(any_of)?;
    Ok(row)
}

fn not_found() -> ApiError {
    ApiError::not_found_as("add-on attachment", "add_on attachment")
}

fn answers(api: &Api, rows: &[AttachmentRow]) -> Vec<AddonAttachment> {
    rows.iter().map(|row| answer(api, row)).collect()
}

pub(super) fn answer(api: &Api, row: &AttachmentRow) -> AddonAttachment {
    let attachment = &row.attachment;
    let service = api.platform.catalogue.service(&row.service);
    let plan = service.and_then(|service| service.plan(&row.plan));
    AddonAttachment {
        addon: AddonOfAttachment {
            app: NamedRef {
                id: *row.addon_app.as_uuid(),
                name: row.addon_app_name.clone(),
            },
            id: *attachment.addon.as_uuid(),
            name: row.addon_name.to_string(),
            plan: NamedRef {
                id: plan.map_or(*attachment.addon.as_uuid(), |plan| plan.id),
                name: format!("{}:{}", row.service, row.plan),
            },
        },
        app: NamedRef {
            id: *attachment.app.as_uuid(),
            name: row.app_name.clone(),
        },
        config_vars: row.keys().iter().map(ToString::to_string).collect(),
        created_at: attachment.created_at.into(),
        id: *attachment.id.as_uuid(),
        log_input_url: None,
        name: attachment.name.to_string(),
        namespace: attachment.namespace.clone(),
        updated_at: attachment.updated_at.into(),
        web_url: None,
    }
}

/// The config vars of an add-on in its own app.
pub(super) fn config_vars(row: &AddonRow, attachments: &[AttachmentRow]) -> Vec<String> {
    let own = attachments
        .iter()
        .filter(|attachment| attachment.attachment.addon == row.addon.id && attachment.attachment.app == row.addon.app);
    own.flat_map(AttachmentRow::keys).map(|key| key.to_string()).collect()
}
