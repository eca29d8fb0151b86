//! Transfers: an app is offered to somebody, who accepts or declines.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use paas_api::{AppTransferUpdate, ErrorId, NamedRef, NewAppTransfer, UserRef};
use paas_core::Permissions;
use paas_store::{
    Actor, StoreError,
    app_transfer::{self, AppTransfer, TransferState},
};

use super::{
    access,
    auth::Caller,
    body::Body,
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
    state::Api,
    user,
};

const FIELDS: [Field<AppTransfer>; 1] = [Field {
    name: "id",
    key: |transfer| Key::Text(transfer.id.to_string()),
}];

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::AppTransfer>, ApiError> {
    let mut connection = api.connection().await?;
    let transfers = app_transfer::list(&mut connection, caller.account.id).await?;
    Ok(page(&range, transfers, &FIELDS)?.map(answer))
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(new): Body<NewAppTransfer>,
) -> Result<(StatusCode, Json<paas_api::AppTransfer>), ApiError> {
    let NewAppTransfer {
        app,
        recipient,
        silent: _,
    } = new;
    let (row, granted) = access::app_of(&api, &caller, app.as_str()).await?;
    granted.require(Permissions::MANAGE)?;
    if let Some(team) = row.owner.team() {
        return Err(ApiError::invalid(format!(
            "The app {} is owned by the team {}: give it away with PATCH /teams/apps/{0}.",
            row.app.name, team.name
        )));
    }
    let mut transaction = api.store().begin().await?;
    let recipient = user::find(&mut transaction, recipient.as_str(), &caller.account).await?;
    if recipient.id == caller.account.id {
        return Err(ApiError::invalid(format!("The app {} is yours already.", row.app.name)));
    }
    let stamp = api.stamp(&caller.account);
    let transfer = app_transfer::create(&mut transaction, row.app.id, recipient.id, stamp).await?;
    transaction.commit().await?;
    Ok((StatusCode::CREATED, Json(answer(transfer))))
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<paas_api::AppTransfer>, ApiError> {
    Ok(Json(answer(find(&api, &caller, &name).await?)))
}

/// The recipient says yes or no.
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    Body(update): Body<AppTransferUpdate>,
) -> Result<Json<paas_api::AppTransfer>, ApiError> {
    let state = match update.state.as_str() {
        "accepted" => TransferState::Accepted,
        "declined" => TransferState::Declined,
        _ => return Err(ApiError::invalid("State must be accepted or declined.")),
    };
    let transfer = find(&api, &caller, &name).await?;
    if transfer.recipient.id != caller.account.id {
        return Err(ApiError::new(
            ErrorId::Forbidden,
            "Only the recipient of a transfer accepts or declines it. Whoever made it can delete it.",
        ));
    }
    let mut transaction = api.store().begin().await?;
    let stamp = api.stamp(&caller.account);
    let transfer = app_transfer::decide(&mut transaction, transfer.id, state, stamp).await?;
    transaction.commit().await?;
    access::end_lost_sessions(&api, transfer.app).await?;
    Ok(Json(answer(transfer)))
}

/// Whoever made the offer takes it back.
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<paas_api::AppTransfer>, ApiError> {
    let transfer = find(&api, &caller, &name).await?;
    if transfer.owner.id != caller.account.id {
        return Err(ApiError::new(
            ErrorId::Forbidden,
            "Only whoever made a transfer deletes it. You can decline it.",
        ));
    }
    let mut transaction = api.store().begin().await?;
    app_transfer::delete(&mut transaction, &transfer, api.stamp(&caller.account)).await?;
    transaction.commit().await?;
    Ok(Json(answer(transfer)))
}

async fn find(api: &Api, caller: &Caller, name: &str) -> Result<AppTransfer, ApiError> {
    let mut connection = api.connection().await?;
    let found: Result<_, StoreError> = app_transfer::find(&mut connection, caller.account.id, name).await;
    found?.ok_or_else(|| ApiError::not_found("app transfer"))
}

fn answer(transfer: AppTransfer) -> paas_api::AppTransfer {
    let user = |actor: Actor| UserRef {
        id: *actor.id.as_uuid(),
        email: actor.email,
    };
    paas_api::AppTransfer {
        app: NamedRef {
            id: *transfer.app.as_uuid(),
            name: transfer.app_name.to_string(),
        },
        created_at: transfer.created_at.into(),
        id: *transfer.id.as_uuid(),
        owner: user(transfer.owner),
        recipient: user(transfer.recipient),
        state: transfer.state.as_str().to_owned(),
        updated_at: transfer.updated_at.into(),
    }
}
