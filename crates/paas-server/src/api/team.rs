//! Teams: people who own apps together.

use std::sync::Arc;

use axum::{Json, extract::State};
use http::StatusCode;
use paas_api::{NewTeam, TeamUpdate};
use paas_core::{Permissions, Role, TeamName};
use paas_store::{
    StoreError,
    team::{self, Team},
};
use serde_json::Value;

use super::{
    access::OwnTeam,
    auth::Caller,
    body::Body,
    collaborator,
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
    state::Api,
};

const FIELDS: [Field<(Team, Role)>; 2] = [
    Field {
        name: "id",
        key: |(team, _)| Key::Text(team.id.to_string()),
    },
    Field {
        name: "name",
        key: |(team, _)| Key::Text(team.name.to_string()),
    },
];

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::Team>, ApiError> {
    let mut connection = api.connection().await?;
    let teams = team::list(&mut connection, caller.account.id).await?;
    Ok(page(&range, teams, &FIELDS)?.map(|(team, role)| answer(team, role)))
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(new): Body<NewTeam>,
) -> Result<(StatusCode, Json<paas_api::Team>), ApiError> {
    let name: TeamName = new.name.parse()?;
    let mut transaction = api.store().begin().await?;
    let team = team::create(&mut transaction, &name, api.stamp(&caller.account))
        .await
        .map_err(|error| name_taken(error, &name))?;
    transaction.commit().await?;
    Ok((StatusCode::CREATED, Json(answer(team, Role::Admin))))
}

pub(super) async fn info(OwnTeam { team, role, .. }: OwnTeam) -> Json<paas_api::Team> {
    Json(answer(team, role))
}

pub(super) async fn update(
    State(api): State<Arc<Api>>,
    OwnTeam { caller, team, role }: OwnTeam,
    Body(update): Body<TeamUpdate>,
) -> Result<Json<paas_api::Team>, ApiError> {
    let TeamUpdate { default, name } = update;
    if default == Some(true) {
        return Err(ApiError::invalid(
            "Accounts have no default team on this platform: name the team where it matters, with --team.",
        ));
    }
    let Some(name) = name.map(|name| name.parse::<TeamName>()).transpose()? else {
        return Ok(Json(answer(team, role)));
    };
    let mut transaction = api.store().begin().await?;
    let renamed = team::rename(&mut transaction, team.id, &name, api.stamp(&caller.account))
        .await
        .map_err(|error| name_taken(error, &name))?;
    transaction.commit().await?;
    let renamed = renamed.ok_or_else(|| ApiError::not_found("team"))?;
    Ok(Json(answer(renamed, role)))
}

pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    OwnTeam { caller, team, role }: OwnTeam,
) -> Result<Json<paas_api::Team>, ApiError> {
    let mut transaction = api.store().begin().await?;
    if !team::delete(&mut transaction, team.id, api.stamp(&caller.account)).await? {
        return Err(ApiError::not_found("team"));
    }
    transaction.commit().await?;
    Ok(Json(answer(team, role)))
}

/// Every permission that there is: what admins have.
pub(super) async fn permissions(_: Caller) -> Page<paas_api::Permission> {
    Page::whole(collaborator::permissions(Permissions::ALL))
}

/// Members are added at once, so nobody is ever invited.
pub(super) async fn invitations(_: OwnTeam) -> Page<Value> {
    Page::whole(Vec::new())
}

pub(super) async fn invite(_: OwnTeam) -> ApiError {
    ApiError::invalid(
        "Teams of this platform invite nobody: members are added at once, with `paas members:add EMAIL --role ROLE`.",
    )
}

pub(super) async fn invitation(_: OwnTeam) -> ApiError {
    ApiError::not_found("invitation")
}

fn name_taken(error: StoreError, name: &TeamName) -> ApiError {
    match error {
        StoreError::NameTaken => ApiError::invalid(format!("Name {name} is already taken.")),
        other => other.into(),
    }
}

fn answer(team: Team, role: Role) -> paas_api::Team {
    let Team {
        id,
        name,
        created_at,
        updated_at,
    } = team;
    paas_api::Team {
        created_at: created_at.into(),
        credit_card_collections: false,
        default: false,
        enterprise_account: None,
        id: *id.as_uuid(),
        identity_provider: None,
        membership_limit: None,
        name: name.to_string(),
        pipeline_cost_consent_at: None,
        pipeline_cost_consent_user_email: None,
        provisioned_licenses: false,
        role: Some(role.as_str().to_owned()),
        r#type: "team".to_owned(),
        updated_at: updated_at.into(),
    }
}
